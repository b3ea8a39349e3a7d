"""Runs Tidegate's command line, with something inside that is switched from outside: SIGUSR1 begins, SIGUSR2 writes.

`python inside.py KIND FILE WORDS...`: the outcome goes to FILE as JSON.

- `sampled` looks at the stack of the main thread whenever a millisecond of processor time is spent (the kernel may make
  it a tick), so it costs nothing that would distort; time in C belongs to the function that called it.
- `counted` is cProfile: it knows how often each function is called, those in C as well, but makes calls dearer.
- `tasks` counts the tasks of the event loop.
"""

import asyncio
import cProfile
import json
import pstats
import signal
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Protocol

from core.start import main

EVERY_S = 0.001
FOLDERS = tuple(f"{folder}/" for folder in sys.path if folder)


class Inside(Protocol):
    """What can be switched on and off."""

    def begin(self) -> None: ...

    def end(self) -> Mapping[str, object]: ...


class Sampled:
    """Where the processor time goes."""

    def __init__(self) -> None:
        self.looks = 0
        self.own: Counter[str] = Counter()
        self.charged: Counter[str] = Counter()
        """The innermost function of the core that is at work, with the libraries and the kernel that it called."""
        self.lines: Counter[str] = Counter()
        """Its line."""
        self.within: Counter[str] = Counter()

    def begin(self) -> None:
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)

    def end(self) -> Mapping[str, object]:
        signal.setitimer(signal.ITIMER_PROF, 0)
        return vars(self)

    def _look(self, _: int, frame: FrameType | None) -> None:
        if frame is None:
            return
        self.looks += 1
        self.own[_name(frame)] += 1
        stack: set[str] = set()
        charged = ""
        while frame is not None:
            name = _name(frame)
            if not charged and name.startswith("core/"):
                charged = name
                self.charged[charged] += 1
                self.lines[f"{charged}:{frame.f_lineno}"] += 1
            stack.add(name)
            frame = frame.f_back
        self.within.update(stack)


class Counted:
    """How often everything is called."""

    def __init__(self) -> None:
        self._profile = cProfile.Profile()

    def begin(self) -> None:
        self._profile.enable()

    def end(self) -> Mapping[str, object]:
        self._profile.disable()
        calls: Counter[str] = Counter()
        for (file, _, function), (_, number, *_) in pstats.Stats(self._profile).stats.items():  # type: ignore[attr-defined]
            calls[function if file == "~" else f"{_short(file)}:{function}"] += number
        return {"calls": calls}


class Tasks:
    """How many tasks there are. A signal's handler runs on the thread of the loop, between two steps of it."""

    def begin(self) -> None:
        pass

    def end(self) -> Mapping[str, object]:
        return {"tasks": len(asyncio.all_tasks(asyncio.get_running_loop()))}


KINDS: Mapping[str, type[Inside]] = {"sampled": Sampled, "counted": Counted, "tasks": Tasks}


def _name(frame: FrameType) -> str:
    return f"{_short(frame.f_code.co_filename)}:{frame.f_code.co_qualname}"


def _short(file: str) -> str:
    for folder in FOLDERS:
        file = file.removeprefix(folder)
    return file


def run() -> None:
    """Take the words off the command line and begin."""
    kind, file, *words = sys.argv[1:]
    sys.argv = ["tidegate", *words]
    inside, to = KINDS[kind](), Path(file)

    def write(*_: object) -> None:
        part = to.with_suffix(".part")
        part.write_text(json.dumps(inside.end()), encoding="utf-8")
        part.replace(to)

    signal.signal(signal.SIGUSR1, lambda *_: inside.begin())
    signal.signal(signal.SIGUSR2, write)
    main()


if __name__ == "__main__":
    run()
