"""What is kept of connected programs until they are undone, and how their files are read. Changes none of theirs.

That is a record of each with digests of what was written, and its settings as they were before.
"""

import contextlib
import hashlib
import json
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from core.errors import UNREADABLE, TidegateError
from core.files import OWNER_ONLY, OWNER_ONLY_DIR, Paths, locked, write_atomic
from core.local_keys import PREFIX

Write = Callable[[Path, bytes], None]

KEPT_DIGESTS = 3
"""Of what was written to one setting: the one before may be in the file still."""
MAX_FILE_BYTES = 4 * 1024 * 1024
CHANGE_WITHIN_S = 20.0
"""So long somebody else may take to connect a program."""


class Record(msgspec.Struct, frozen=True):
    """One connected program: where its settings are, what was written, and how the file was."""

    file: str
    address: str
    wrote_sha256: str
    keys: dict[str, tuple[str, ...]]
    """Digests of the values that were written last, by their path as JSON: a crash may have kept one from the file."""
    mode: int = OWNER_ONLY


def records(paths: Paths) -> Mapping[str, Record]:
    """The programs that are connected, and what was added to them, the oldest first. Raises TidegateError."""
    try:
        return msgspec.json.decode(paths.connected.read_bytes(), type=dict[str, Record])
    except FileNotFoundError:
        return {}
    except (OSError, *UNREADABLE) as exc:
        raise TidegateError(
            f"{paths.connected} does not read: {exc}",
            f"The programs' own settings as they were are in {paths.originals}.",
        ) from exc


@contextlib.contextmanager
def changing(paths: Paths) -> Iterator[None]:
    """Nobody else connects or undoes meanwhile: a record that a menu and a command line both write would be lost.

    Raises TidegateError when others take too long, or when it cannot be locked.
    """
    paths.create()
    busy = TidegateError(
        "Another Tidegate is connecting a program, and does not come to an end",
        "Look whether another `tidegate` still runs, then try again.",
    )
    lock = locked(paths.connecting_lock, CHANGE_WITHIN_S, busy)
    try:
        yield
    finally:
        lock.release()


def keep(paths: Paths, name: str, record: Record, write: Write = write_atomic) -> None:
    """Remember one. Raises OSError or TidegateError."""
    _save(paths, {**records(paths), name: record}, write)


def forget(paths: Paths, name: str) -> None:
    """Forget one, and its settings as they were. Raises OSError or TidegateError."""
    _save(paths, {known: record for known, record in records(paths).items() if known != name}, write_atomic)
    _original_file(paths, name).unlink(missing_ok=True)


def _save(paths: Paths, known: Mapping[str, Record], write: Write) -> None:
    paths.create()
    if known:
        write(paths.connected, msgspec.json.format(msgspec.json.encode(dict(known))) + b"\n")
    else:
        paths.connected.unlink(missing_ok=True)


def original(paths: Paths, name: str) -> str | None:
    """A program's settings as they were; None when there was no file. Raises TidegateError."""
    return read(_original_file(paths, name))


def keep_original(paths: Paths, name: str, text: str | None, write: Write = write_atomic) -> None:
    """Remember how a program's settings are. Raises OSError or TidegateError."""
    paths.create()
    paths.originals.mkdir(mode=OWNER_ONLY_DIR, exist_ok=True)
    if text is None:
        _original_file(paths, name).unlink(missing_ok=True)
    else:
        write(_original_file(paths, name), text.encode())


def _original_file(paths: Paths, name: str) -> Path:
    return paths.originals / name


# --- their files -----------------------------------------------------------------------------------


def read(file: Path) -> str | None:
    """The text of a program's settings, None without a file. Raises TidegateError."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise TidegateError(f"{file} is too large to be settings", "Look at it; nothing was changed.")
        return content.decode()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise TidegateError(f"Cannot read {file}: {exc.strerror or exc}", "Make it readable, then try again.") from exc
    except UnicodeDecodeError as exc:
        raise TidegateError(f"{file} is not text in UTF-8", "Save it as UTF-8, then try again.") from exc


@contextlib.contextmanager
def readable(file: Path) -> Iterator[None]:
    """Whatever a form says about the text is told with the file's name, as TidegateError."""
    try:
        yield
    except ValueError as exc:
        raise TidegateError(f"{file} does not read: {exc}", "Mend it there first; nothing was changed.") from exc


def mode(file: Path) -> int:
    """Who may read it; for a file that is not there, its owner."""
    try:
        return stat.S_IMODE(file.stat().st_mode)
    except OSError:
        return OWNER_ONLY


# --- values ----------------------------------------------------------------------------------------


def our_key(value: Any) -> str | None:
    """The key of ours that a setting is, or that one of its entries has."""
    if isinstance(value, list):
        found = (our_key(entry.get("value")) for entry in value if isinstance(entry, dict))
        return next((key for key in found if key), None)
    return value if isinstance(value, str) and value.startswith(PREFIX.decode()) else None


def value_sha256(value: Any) -> str:
    """What a setting's value is known by."""
    return text_sha256(json.dumps(value, sort_keys=True))


def text_sha256(text: str) -> str:
    """What a text is known by."""
    return hashlib.sha256(text.encode()).hexdigest()
