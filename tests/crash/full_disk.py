"""Two ways for a disk to be full while a process works on it, and to have room again."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import run
from typing import Protocol

TMPFS_BYTES = 1024 * 1024
CAP_SYS_ADMIN = 21


class FullDisk(Protocol):
    """Whether the disk takes bytes."""

    def fill(self) -> None:
        """From now on no write succeeds."""

    def free(self) -> None:
        """There is room again."""


class FileSizeLimit:
    """No file of the process may grow (EFBIG): the kernel's limit, set from outside or by `stop_at full`."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    async def is_full(self) -> bool:
        """The limit is in force."""
        return resource.prlimit(self._pid, resource.RLIMIT_FSIZE)[0] == 0

    def fill(self) -> None:
        """Limit the size of files to nothing."""
        _, hard = resource.prlimit(self._pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (0, hard))

    def free(self) -> None:
        """Lift the limit."""
        _, hard = resource.prlimit(self._pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (hard, hard))


class SmallDisk:
    """A file system of its own (ENOSPC), filled with one large file."""

    def __init__(self, root: Path) -> None:
        self._ballast = root / "ballast"

    def fill(self) -> None:
        """Write until nothing more fits."""
        with self._ballast.open("wb", buffering=0) as file:
            for size in (65_536, 512, 1):
                try:
                    while file.write(b"\0" * size):
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        """Take the ballast away."""
        self._ballast.unlink()


@contextmanager
def small_disk(root: Path) -> Iterator[SmallDisk]:
    """A tmpfs at `root` until the block ends. Needs the right to mount."""
    root.mkdir()
    run(["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES},mode=0700", "tmpfs", str(root)], check=True)
    try:
        yield SmallDisk(root)
    finally:
        run(["umount", str(root)], check=True)


def may_mount() -> bool:
    """This process may mount a file system (CAP_SYS_ADMIN)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> CAP_SYS_ADMIN & 1)
