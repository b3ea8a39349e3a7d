"""An event loop whose time goes faster than the clock on the wall, for tests of what takes half a minute."""

import asyncio
import selectors
import time
from collections.abc import Callable

PACE = 10.0


class _Selector(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(None if timeout is None else timeout / PACE)


class Hurried(asyncio.SelectorEventLoop):
    """`asyncio.sleep(10)` takes a second."""

    def __init__(self) -> None:
        super().__init__(_Selector())

    def time(self) -> float:
        return super().time() * PACE


def hurried_clock() -> Callable[[], float]:
    """The wall clock that goes with it, from now on."""
    began_at, began = time.time(), time.monotonic()
    return lambda: began_at + (time.monotonic() - began) * PACE
