"""Who holds a port, and who speaks to ours, where the operating system tells: Linux, in /proc/net/tcp."""

from collections.abc import Iterator
from pathlib import Path

_LISTEN = "0A"
_TIME_WAIT = "06"
"""Closed, and nobody's any more: its user is told as 0."""


def owner_of(port: int, proc: Path = Path("/proc")) -> str:
    """` by NAME (pid N)` for a listener on the port, whatever its address; empty when nobody tells."""
    inodes = _listening_inodes(port, proc)
    if not inodes:
        return ""
    for process in proc.glob("[0-9]*"):
        try:
            if any(str(link.readlink()) in inodes for link in (process / "fd").iterdir()):
                return f" by {(process / 'comm').read_text(errors='replace').strip()} (pid {process.name})"
        except OSError:  # it ended, or belongs to somebody else
            continue
    return ""


def user_of(client: int, ours: int, proc: Path = Path("/proc")) -> int | None:
    """The user (uid) at the other end of a connection of this machine, by the port of each end; None when nobody tells.

    Should connections of two users have the same ports, by different loopback addresses, it is nobody: -1.
    """
    ends = (client, ours)
    users = {int(row[7]) for row in _rows(proc) if (_port(row[1]), _port(row[2])) == ends and row[3] != _TIME_WAIT}
    if len(users) > 1:
        return -1
    return users.pop() if users else None


def _listening_inodes(port: int, proc: Path) -> set[str]:
    return {f"socket:[{row[9]}]" for row in _rows(proc) if _port(row[1]) == port and row[3] == _LISTEN}


def _rows(proc: Path) -> Iterator[list[str]]:
    """Every TCP socket: its own end in column 1, the other in 2, its state in 3, its user in 7, its inode in 9."""
    for table in ("tcp", "tcp6"):
        try:
            rows = (proc / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        yield from map(str.split, rows)


def _port(end: str) -> int:
    return int(end.rpartition(":")[2], 16)
