"""One daemon thread for calls that may never return.

A keychain can block for ever: a prompt that nobody answers, a service that was stopped. Here such a call costs its
caller a deadline; it never costs the event loop, the end of the process, or a second thread.
"""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

from core.errors import VaultTimeout

T = TypeVar("T")


class Worker:
    """Runs calls one after the other. Belongs to the event loop that uses it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._turn = asyncio.Lock()
        self._last: asyncio.Future[object] | None = None
        self._last_until = 0.0

    async def run(self, call: Callable[[], T], within_s: float) -> T:
        """The answer of `call`, or what it raises. Raises VaultTimeout when it takes longer than `within_s`.

        A call that overran goes on in its thread, and until it returns every other one fails at once. The time of
        a call begins when it starts, so a long queue of quick calls is no timeout.
        """
        loop = asyncio.get_running_loop()
        async with self._turn:
            if self._last is not None and not self._last.done():
                # Overran, or its caller was cancelled: then it still has the rest of its time.
                await asyncio.wait({self._last}, timeout=max(0.0, self._last_until - loop.time()))
                if not self._last.done():
                    raise _no_answer()
            answer: asyncio.Future[T] = loop.create_future()
            answer.add_done_callback(_look_at)
            self._last, self._last_until = answer, loop.time() + within_s  # type: ignore[assignment]  # any answer
            self._start(call, answer, loop)
            await asyncio.wait({answer}, timeout=within_s)
            if not answer.done():
                raise _no_answer()
            return answer.result()

    def close(self) -> None:
        """Let the thread end after the call it is in. Does not wait for it."""
        self._calls.put(None)

    def _start(self, call: Callable[[], T], answer: "asyncio.Future[T]", loop: asyncio.AbstractEventLoop) -> None:
        def work() -> None:
            try:
                result = call()
            except BaseException as exc:  # noqa: BLE001 - whatever it is belongs to the caller
                _deliver(loop, answer.set_exception, exc)
            else:
                _deliver(loop, answer.set_result, result)

        self._calls.put(work)
        if self._thread is None:
            # daemon: a hung call must not keep the process from ending.
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while (work := self._calls.get()) is not None:
            work()


def _deliver(loop: asyncio.AbstractEventLoop, setter: Callable[[T], None], value: T) -> None:
    try:
        loop.call_soon_threadsafe(setter, value)
    except RuntimeError:  # the loop is closed: nobody waits any more
        return


def _look_at(answer: "asyncio.Future[T]") -> None:
    """Mark an exception as seen: the caller may have left, and the loop would report it as forgotten."""
    if not answer.cancelled():
        answer.exception()


def _no_answer() -> VaultTimeout:
    return VaultTimeout(
        "The vault does not answer",
        "The keychain may be waiting for its password: look for a window that asks for it.",
    )
