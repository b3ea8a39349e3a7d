"""Who holds a port, where the operating system tells."""

from pathlib import Path

_LISTEN = "0A"


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


def _listening_inodes(port: int, proc: Path) -> set[str]:
    found: set[str] = set()
    for table in ("tcp", "tcp6"):
        try:
            rows = (proc / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            columns = row.split()
            if int(columns[1].rpartition(":")[2], 16) == port and columns[3] == _LISTEN:
                found.add(f"socket:[{columns[9]}]")
    return found
