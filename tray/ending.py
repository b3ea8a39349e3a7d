"""How a process is asked to end: Ctrl-C, a polite kill, a terminal that closes, the end of a desktop session."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
"""Windows has no SIGHUP; there Ctrl-C alone arrives."""


@contextmanager
def asked_to_end(end: Callable[[], None]) -> Iterator[None]:
    """Call `end` when the process is asked to end, on the main thread; asked once more, it ends at once.

    What is ignored stays so: `nohup` means it.
    """
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]

    def asked(_number: int, _frame: FrameType | None) -> None:
        for number in heeded:
            signal.signal(number, signal.SIG_DFL)
        end()

    before = {number: signal.signal(number, asked) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is asked:
                signal.signal(number, handler)
