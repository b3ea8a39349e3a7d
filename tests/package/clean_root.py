"""A system as it comes from the distribution, in a folder: no Python, nothing of ours."""

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SECONDS = 300.0
ENTER = """
root=$1; shift
mount --bind /tmp "$root/tmp"
mount -t proc proc "$root/proc"
exec /usr/sbin/chroot "$root" "$@"
"""
KEPT_BY_APT = ("proc", "tmp", "var/cache", "var/lib/apt", "var/lib/dpkg", "var/log", "run", "sys", "dev")
"""Where the packaging system keeps its own books."""


@dataclass(frozen=True, slots=True)
class CleanRoot:
    """The root folder of that system. It shares /tmp, the network and the processes with this one."""

    folder: Path

    def command(self, *words: str) -> list[str]:
        """A command line that runs `words` in there. The program has the process id that it is started with."""
        # Mounted for this process alone: nothing is left to unmount when it ends.
        return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", ENTER, "enter", str(self.folder), *words]

    def run(self, *words: str, environment: dict[str, str] | None = None, stdin: str = "") -> str:
        """Run a program to its end. Returns what it printed; fails with what it complained about."""
        given = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LANG": "C.UTF-8"}
        done = subprocess.run(
            self.command(*words),
            env={**(environment or {}), **given},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def files(self) -> set[str]:
        """Everything that is in it, but what apt and dpkg write for themselves."""
        kept = {self.folder / name for name in KEPT_BY_APT}
        found = set()
        for folder, folders, files in os.walk(self.folder):
            folders[:] = [name for name in folders if Path(folder) / name not in kept]
            found |= {str((Path(folder) / name).relative_to(self.folder)) for name in (*folders, *files)}
        return found


@contextmanager
def clean_root() -> Iterator[CleanRoot]:
    """Make one of this machine's distribution, from where its apt takes packages; gone when the block ends."""
    with tempfile.TemporaryDirectory(prefix="tidegate-root-", dir="/var/tmp") as name:
        folder = Path(name) / "root"
        release = platform.freedesktop_os_release()
        command = ["mmdebstrap", "--quiet", "--variant=apt", release["VERSION_CODENAME"], str(folder), "-"]
        sources = apt_sources(release["ID"])
        made = subprocess.run(command, input=sources, capture_output=True, text=True, timeout=SECONDS, check=False)
        assert made.returncode == 0, made.stderr
        yield CleanRoot(folder)


def apt_sources(distribution: str) -> str:
    """The lines that say where apt on this machine takes the distribution's own packages, and no others, from."""
    assert shutil.which("apt-get"), "these tests need Debian or Ubuntu"
    listed = subprocess.run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "deb $(REPO_URI) $(RELEASE) $(COMPONENT)",
            "Created-By: Packages",
            f"Origin: {distribution.capitalize()}",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert listed, "run apt-get update first"
    return "".join(f"{line}\n" for line in sorted(set(listed.splitlines())))
