"""Where Tidegate keeps its files, and the one way to write them: whole or not at all, for nobody else to read."""

import contextlib
import os
import re
import tempfile
from pathlib import Path

import msgspec
import platformdirs
from filelock import FileLock, Timeout

from core.errors import InstanceRunning, TidegateError
from core.model import AccountId

OWNER_ONLY = 0o600
OWNER_ONLY_DIR = 0o700
_UNFINISHED = re.compile(r"\.(.+)\.[a-z0-9_]{8}")
"""The name that `write_atomic` gives to a file until it is whole."""


class Paths(msgspec.Struct, frozen=True):
    """Every file of one installation. They all live below `root`, so that `--data-dir` moves all of them."""

    root: Path

    @property
    def config(self) -> Path:
        """What the person chose."""
        return self.root / "config.json"

    @property
    def history(self) -> Path:
        """What happened (SQLite)."""
        return self.root / "history.db"

    @property
    def instance_lock(self) -> Path:
        """Held by the one running instance; a kernel lock, so it is free after a crash."""
        return self.root / "instance.lock"

    @property
    def running(self) -> Path:
        """How to reach the running instance: pid, port, control token."""
        return self.root / "running.json"

    @property
    def vault(self) -> Path:
        """The sealed vault of `--vault file`."""
        return self.root / "vault.bin"

    @property
    def recovery(self) -> Path:
        """Renewed logins that the vault has not taken yet, sealed."""
        return self.root / "recovery.bin"

    @property
    def connected(self) -> Path:
        """The programs whose settings were changed, and how."""
        return self.root / "connected.json"

    @property
    def models(self) -> Path:
        """The models that the provider told last, for programs that want a list of them."""
        return self.root / "models.json"

    @property
    def originals(self) -> Path:
        """Their settings as they were before."""
        return self.root / "originals"

    @property
    def log(self) -> Path:
        """The log file."""
        return self.root / "tidegate.log"

    def account_lock(self, id_: AccountId) -> Path:
        """Held while one account's login is renewed, across processes."""
        return self.root / "locks" / f"{id_}.lock"

    @property
    def connecting_lock(self) -> Path:
        """Held while programs are connected or undone, across processes."""
        return self.root / "locks" / "connecting.lock"

    def create(self) -> None:
        """Make the folders that are missing, for their owner only. Raises TidegateError.

        One that is there keeps its mode: the person may have named one that others use too. Every file is 0600.
        """
        try:
            for folder in (self.root, self.root / "locks"):
                make_folder(folder)
        except OSError as exc:
            raise TidegateError(
                f"Tidegate cannot use {self.root}: {exc.strerror or exc}", "Choose another folder with --data-dir."
            ) from exc


def default_paths() -> Paths:
    """The installation of this user."""
    return Paths(Path(platformdirs.user_data_dir("tidegate", appauthor=False)))


def make_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing, all for their owner only. Raises OSError.

    `mkdir(parents=True)` makes those above by the umask alone, and whoever may write in one can replace what is in it.
    """
    if not folder.parent.exists():
        make_folder(folder.parent)
    folder.mkdir(mode=OWNER_ONLY_DIR, exist_ok=True)  # a umask only takes away


def write_atomic(path: Path, content: bytes) -> None:
    """Replace `path` by `content`: after a crash it is the old file or the new one, and always 0600.

    Writes through a symlink. Raises OSError, and then the old file is untouched.
    """
    target = path.resolve()
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # mkstemp opens it 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    sync_folder(target.parent)


def unfinished(path: Path) -> tuple[Path, ...]:
    """What `write_atomic` may have left beside `path` when its process was killed. Raises OSError."""
    target = path.resolve()
    if not target.parent.exists():
        return ()
    names = ((_UNFINISHED.fullmatch(entry.name), entry) for entry in target.parent.iterdir())
    return tuple(entry for match, entry in names if match and match[1] == target.name)


def move_aside(path: Path) -> Path:
    """Rename a damaged file to `NAME.broken-N`, the first N that is free, and return where it is now.

    A symlink stays, its target moves. Raises TidegateError when it cannot be moved.
    """
    target = path.resolve()
    try:
        taken = {entry.name for entry in target.parent.iterdir()}
        number = next(n for n in range(1, len(taken) + 2) if f"{target.name}.broken-{n}" not in taken)
        aside = target.with_name(f"{target.name}.broken-{number}")
        target.rename(aside)
    except OSError as exc:
        raise TidegateError(
            f"{path} is damaged and cannot be moved aside: {exc.strerror or exc}", "Move it away yourself, then start."
        ) from exc
    return aside


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut. Windows cannot open folders and does not need it."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def instance_lock(paths: Paths) -> FileLock:
    """Take the lock that makes this process the one that owns `paths`, and clear away what a killed one has left.

    Raises InstanceRunning when another process has it, TidegateError when `paths` cannot be used. Release it with
    `.release()`.
    """
    paths.create()
    busy = InstanceRunning(
        f"Another Tidegate is using {paths.root}",
        "Use its tray icon or `tidegate status`; or give this one its own folder with --data-dir.",
    )
    lock = locked(paths.instance_lock, 0.0, busy)
    _remove_unfinished(paths)
    return lock


def locked(path: Path, within_s: float, busy: TidegateError) -> FileLock:
    """Take a lock of the kernel's, which a crash frees too. Release it with `.release()`.

    Raises `busy` when others keep it for so long, TidegateError when it cannot be locked.
    """
    lock = FileLock(path, mode=OWNER_ONLY)
    try:
        lock.acquire(timeout=within_s)
    except Timeout as exc:
        raise busy from exc
    except OSError as exc:
        raise TidegateError(
            f"{path} cannot be locked: {exc.strerror or exc}", "Check the folder's permissions and the disk."
        ) from exc
    return lock


def _remove_unfinished(paths: Paths) -> None:
    """Delete files that were being written when their process was killed: an old sealed key is not kept for ever."""
    ours = {path.name for path in (paths.config, paths.running, paths.vault, paths.recovery, paths.connected)}
    ours.add(f"{paths.config.name}.bak")
    with contextlib.suppress(OSError):  # what stays does no harm
        for path in (*paths.root.iterdir(), *(paths.root / "locks").iterdir()):
            unfinished = _UNFINISHED.fullmatch(path.name)
            if unfinished and (unfinished[1] in ours or unfinished[1].endswith(".intent")):
                path.unlink()
