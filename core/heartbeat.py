"""Notices an event loop that hangs: whatever it waits for, nobody who asks it anything gets an answer.

Watched from another thread, because a loop cannot notice it itself.
"""

import asyncio
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

BEAT_S = 10.0
MISSED_IN_A_ROW = 3
"""One means little: after a pause of the whole process its beat is missed too."""
LET_GO_S = 1.0
"""For what is being told when the watch ends: it may be the log that hangs, for the teller too."""


@contextmanager
def watched(
    loop: asyncio.AbstractEventLoop, thread: threading.Thread, tell: Callable[[str | None], None]
) -> Iterator[None]:
    """Until the block ends, tell once where the loop that runs in `thread` hangs, and None when it answers again.

    Where it hangs is told as in a traceback. `tell` is called on a thread of its own.
    """
    over = threading.Event()
    watch = threading.Thread(target=_watch, args=[loop, thread, tell, over], name="tidegate-heartbeat", daemon=True)
    watch.start()
    try:
        yield
    finally:
        over.set()
        watch.join(LET_GO_S)


def _watch(
    loop: asyncio.AbstractEventLoop,
    thread: threading.Thread,
    tell: Callable[[str | None], None],
    over: threading.Event,
) -> None:
    answered = threading.Event()
    answered.set()
    missed = 0
    while not over.wait(BEAT_S):
        if answered.is_set():
            if missed >= MISSED_IN_A_ROW:
                tell(None)
            missed = 0
            answered.clear()
            try:
                loop.call_soon_threadsafe(answered.set)
            except RuntimeError:  # it is closed
                return
        else:
            missed += 1
            if missed == MISSED_IN_A_ROW:
                tell(_where(thread))


def _where(thread: threading.Thread) -> str:
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - documented for this
    return "".join(traceback.format_stack(frame)).rstrip()
