"""How the event loop calls what waits for the disk, the keychain or another program: in a thread, to its end."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Blocking(Protocol):
    """How such a call is made: by `blocking`, unless a test has its own way."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]:
        """What `call` returns, or raises."""


async def blocking(call: Callable[[*Ts], T], *args: *Ts) -> T:
    """What `call` returns, or raises.

    Who is cancelled meanwhile waits all the same, and is cancelled then: nothing goes on behind the back of whoever
    holds a lock for it.
    """
    # Not `asyncio.to_thread`: as a task it would be cancelled with all others when the loop ends.
    known = contextvars.copy_context()
    called = asyncio.get_running_loop().run_in_executor(None, partial(known.run, call, *args))
    cancelled = None
    try:
        while not called.done():
            try:
                await asyncio.wait([called])
            except asyncio.CancelledError as exc:
                cancelled = exc
        if cancelled:
            raise cancelled from called.exception()
        return called.result()
    finally:
        del called, cancelled  # an error knows this frame: the two would keep each other
