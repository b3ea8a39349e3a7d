"""A process and its children, seen from outside: processor time, memory, descriptors, threads, wakeups (Linux)."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Seen:
    """One look."""

    cpu_s: float
    """User and system, of living processes and of children that have ended. In steps of a tick (10 ms)."""
    rss_kib: int
    private_kib: int
    """What would be free without it: pages that it shares with nobody."""
    fds: int
    threads: int
    wakeups: int
    """How often its threads went to sleep."""


def look(pid: int) -> Seen:
    """The process with all that it has started. Raises FileNotFoundError when it has ended."""
    tree = [_one(pid)]
    for child in list(family(pid))[1:]:
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            tree.append(_one(child))
    return Seen(**{field.name: sum(getattr(one, field.name) for one in tree) for field in fields(Seen)})


def _one(pid: int) -> Seen:
    tasks = _names(pid, "task")
    return Seen(
        cpu_s=_cpu_s(pid),
        rss_kib=_field(pid, "status", "VmRSS"),
        private_kib=_field(pid, "smaps_rollup", "Private_Clean") + _field(pid, "smaps_rollup", "Private_Dirty"),
        fds=len(_names(pid, "fd")),
        threads=len(tasks),
        wakeups=sum(_field(pid, f"task/{task}/status", "voluntary_ctxt_switches") for task in tasks),
    )


def family(pid: int) -> Iterator[int]:
    """The process and its descendants."""
    yield pid
    for task in _names(pid, "task"):
        for child in Path(f"/proc/{pid}/task/{task}/children").read_text(encoding="ascii").split():
            with suppress(FileNotFoundError):
                yield from family(int(child))


def _names(pid: int, folder: str) -> list[str]:
    return [entry.name for entry in Path(f"/proc/{pid}/{folder}").iterdir()]


def _cpu_s(pid: int) -> float:
    # The name may hold spaces and brackets; utime is the 12th field behind it.
    behind = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return sum(map(int, behind[11:15])) * TICK_S


def _field(pid: int, file: str, name: str) -> int:
    for line in Path(f"/proc/{pid}/{file}").read_text(encoding="utf-8", errors="replace").splitlines():
        found, _, value = line.partition(":")
        if found == name:
            return int(value.split()[0])
    return 0
