"""`tidegate`, of which either half can be made to fail: SIGUSR1 for the icon, SIGUSR2 for the core, HANG to hang it.

They fail as they may in life: the loop's selector is gone, an exception comes out of nowhere, a call does not return.
"""

import asyncio
import ctypes
import os
import signal
import threading
import time
import weakref
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from core import heartbeat
from tray import backend

HANG = signal.SIGRTMIN
BEAT_S = 2.0


def main() -> None:
    made: list[weakref.ref[Any]] = []
    whole = backend.BACKENDS["linux"]

    def fragile() -> backend.Backend:
        chosen = whole()

        def icon(*args: Any, **kwargs: Any) -> Any:
            shown = chosen.icon(*args, **kwargs)
            made.append(weakref.ref(shown))
            return shown

        return replace(chosen, icon=icon)

    backend.BACKENDS["linux"] = fragile
    signal.signal(signal.SIGUSR1, lambda *_: os.close(made[-1]()._loop._selector.fileno()))
    signal.signal(signal.SIGUSR2, lambda *_: fail_core())
    watched = heartbeat.watched

    def watch(loop: asyncio.AbstractEventLoop, *args: Any) -> AbstractContextManager[None]:
        signal.signal(HANG, lambda *_: loop.call_soon_threadsafe(time.sleep, 600.0))
        return watched(loop, *args)

    heartbeat.watched = watch
    heartbeat.BEAT_S = BEAT_S

    from core.cli import main as command_line  # noqa: PLC0415

    command_line()


def fail_core() -> None:
    (core,) = (thread for thread in threading.enumerate() if thread.name == "tidegate-core")
    assert core.ident
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(core.ident), ctypes.py_object(SystemExit))


if __name__ == "__main__":
    main()
