"""What a process holds: descriptors, threads, and the files below a folder. After an end it must be as before."""

import os
import re
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SETTLED_WITHIN_S = 10.0
LOOK_EVERY_S = 0.01
STEADY_LOOKS = 20
_NUMBER = re.compile(r":\[\d+\]$")


@dataclass(frozen=True)
class Belongings:
    """Descriptors by what they lead to, threads by their names, files by their paths."""

    fds: Mapping[str, int]
    threads: Mapping[str, int]
    files: frozenset[str]

    def beyond(self, before: "Belongings") -> list[str]:
        """What is here and was not there."""
        more = Counter(self.fds) - Counter(before.fds)
        lines = [f"{count} descriptors of {name}" for name, count in more.items()]
        lines += [f"thread {name}" for name in (Counter(self.threads) - Counter(before.threads)).elements()]
        return sorted(lines + [f"file {name}" for name in self.files - before.files])


def held(folder: Path) -> Belongings:
    """What this process holds now. `folder` is where its files are."""
    return Belongings(
        Counter(_descriptors()),
        Counter(thread.name for thread in threading.enumerate()),
        frozenset(str(path.relative_to(folder)) for path in folder.rglob("*")),
    )


def at_rest(folder: Path) -> Belongings:
    """What this process holds when that has not changed for a while: threads take a moment to end."""
    now, same = held(folder), 0
    while same < STEADY_LOOKS:
        time.sleep(LOOK_EVERY_S)
        before, now = now, held(folder)
        same = same + 1 if now == before else 0
    return now


def settled(folder: Path, before: Belongings) -> list[str]:
    """What is left beyond `before` when threads and the other ends of connections had time to go."""
    deadline = time.monotonic() + SETTLED_WITHIN_S
    while (left := held(folder).beyond(before)) and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_S)  # a thread's end and a kernel's table tell nobody
    return left


def rss_kib() -> float:
    """Memory of this process that is in RAM."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


def _descriptors() -> list[str]:
    """Where each descriptor leads; of sockets and pipes the kind."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.append(_NUMBER.sub("", str(entry.readlink())))
        except OSError:  # the one by which this folder is read
            continue
    return found
