"""Reads what other programs keep: files, databases, keychain items. Changes, locks and creates nothing of theirs.

Everything is bounded, one bad file does not hide the others, and no message quotes what was read.
"""

import shutil
import sqlite3
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import TidegateError, UsageError
from core.homes import folders
from core.imports import IMPORTERS, TABLES, VARIABLES, Importer, recognised, tidegate
from core.imports.entry import Malformed, decoded
from core.imports.found import Database, Document, Finding, KeychainItem, Problem

MAX_FILE_BYTES = 16 * 1024 * 1024
"""Claude Code's global config grows with every project; credential files have a few KiB."""
MAX_DATABASE_BYTES = 1024 * 1024 * 1024
"""They hold whole conversations beside the accounts."""
MAX_FILES = 200
"""In one folder."""
MAX_ROWS = 1_000
MAX_COPIES = 3
"""Of a database that changes while it is copied."""
_SQLITE_MAGIC = b"SQLite format 3\0"
_SUFFIXES = frozenset({".json", ".db", ".sqlite"})
_YAML = frozenset({".yaml", ".yml"})
"""CLIProxyAPI's configuration, which may list keys. It lies where the program was unpacked, so it is never found."""
_UNKNOWN_FORM = "it is in no form that Tidegate knows"


def keychain_text(item: KeychainItem) -> str | None:
    """A keychain item of another program, on macOS; the person is asked by the system. Raises VaultError.

    Not covered by the tests of other systems: it needs a login keychain of macOS.
    """
    from core.vault_keyring import native_keyring, translated  # noqa: PLC0415 - 40 ms, and only on macOS

    with translated():
        return native_keyring().get_password(item.service, item.account)


class PassphraseWanted(Exception):
    """The file is a sealed export of Tidegate, and no passphrase was given."""


@dataclass(frozen=True, slots=True)
class Where:
    """Whose programs are meant."""

    home: Path
    environ: Mapping[str, str]
    platform: str = sys.platform
    keychain: Callable[[KeychainItem], str | None] = field(default=keychain_text)
    passphrase: str = field(default="", repr=False)
    """For a sealed export of Tidegate."""
    max_database_bytes: int = MAX_DATABASE_BYTES


def everywhere(where: Where, name: str | None = None) -> Iterator[Finding]:
    """What the programs of this person have; with `name`, what one of them has. Raises UsageError for a wrong name."""
    if name is not None and name not in IMPORTERS:
        raise UsageError(f"Tidegate cannot import from {name!r}", f"It can from: {', '.join(IMPORTERS)}.")
    bases = folders(str(where.home), where.environ, VARIABLES)
    seen: set[Path] = set()
    for importer in [IMPORTERS[name]] if name else IMPORTERS.values():
        for path in _places(importer, bases):
            if (target := path.resolve()) not in seen:
                seen.add(target)
                yield from _accounts(path, where)
        if where.platform == "darwin":
            yield from _items(importer, Path(bases["claude"]), where)


def below(path: Path, where: Where) -> Iterator[Finding]:
    """What a file holds, or the files of a folder.

    Raises UsageError when there is nothing of that name, PassphraseWanted, or TidegateError when a seal does not open.
    """
    if not _is_there(path):
        raise UsageError(f"There is no {path}", "Name a file or a folder; without one Tidegate looks by itself.")
    if not path.is_dir():
        yield from _accounts(path, where)
        return
    try:
        entries = sorted(entry for entry in path.iterdir() if entry.suffix in _SUFFIXES)
    except OSError as exc:
        yield Problem(str(path), exc.strerror or str(exc))
        return
    for entry in entries[:MAX_FILES]:
        yield from _accounts(entry, where, others_welcome=True)


def _places(importer: Importer, bases: Mapping[str, str]) -> Iterator[Path]:
    for place in importer.places:
        try:
            path = Path(place.format_map(bases))
        except KeyError:  # a folder that this system does not have, a variable that is not set
            continue
        found = sorted(path.parent.glob(path.name))[:MAX_FILES] if "*" in path.name else [path]
        yield from filter(_is_there, found)


def _is_there(path: Path) -> bool:
    """What we may not look at is there: reading it will tell."""
    try:
        return path.exists()
    except OSError:
        return True


def _items(importer: Importer, folder: Path, where: Where) -> Iterator[Finding]:
    """The keychain items that are documents of their own."""
    for item in importer.items(where.environ):
        try:
            said = where.keychain(item)
        except TidegateError as exc:
            yield Problem(f"keychain item {item.service!r}", exc.title)
            continue
        if said:
            try:
                content = decoded(said.encode())
            except Malformed:  # a bare key
                content = said.strip()
            name = str(folder / item.service)
            if importer.fits(content):
                yield from importer.read(Document(name, content, _beside(folder, importer.beside)))
            else:
                yield Problem(f"keychain item {item.service!r}", _UNKNOWN_FORM)


def _accounts(path: Path, where: Where, *, others_welcome: bool = False) -> Iterator[Finding]:
    """What one file holds. `others_welcome`: it may be something else altogether."""
    try:
        content = _content(path, where)
        if sealed := tidegate.sealed_part(content):
            if others_welcome:
                raise Malformed("it is a sealed export: import it by its name")  # noqa: TRY301 - told like the others
            content = _opened(path, sealed, where.passphrase)
    except Malformed as exc:
        yield Problem(str(path), str(exc))
        return
    except OSError as exc:
        yield Problem(str(path), f"it cannot be read: {exc.strerror or exc}")
        return
    importer = recognised(content)
    if importer is None:
        if not others_welcome and content != {}:
            yield Problem(str(path), _UNKNOWN_FORM)
        return
    beside = _beside(path.parent, importer.beside)
    if where.platform == "darwin":
        beside |= _secrets(importer.secrets(content), where)
    yield from importer.read(Document(str(path), content, beside))


def _secrets(items: Mapping[str, KeychainItem], where: Where) -> dict[str, bytes]:
    """The keychain items that are there; one that cannot be read is told as missing by its importer."""
    found = {}
    for name, item in items.items():
        try:
            said = where.keychain(item)
        except TidegateError:
            continue
        if said:
            found[name] = said.encode()
    return found


# --- files -----------------------------------------------------------------------------------------


def _content(path: Path, where: Where) -> object:
    """Decoded JSON or a `Database`. Raises OSError or Malformed."""
    if path.suffix in _YAML:
        raise Malformed("YAML is not read: add the keys in it with `tidegate add api-key`")
    if not stat.S_ISREG(path.stat().st_mode):  # a pipe would keep us waiting for ever
        raise Malformed("it is not a file")
    with path.open("rb") as file:
        raw = file.read(len(_SQLITE_MAGIC))
        if raw != _SQLITE_MAGIC:
            raw += file.read(MAX_FILE_BYTES)
    if raw == _SQLITE_MAGIC:
        return _database(path, where.max_database_bytes)
    if len(raw) > MAX_FILE_BYTES:
        raise Malformed(f"it is larger than {MAX_FILE_BYTES // 1024**2} MiB")
    return decoded(raw)


def _beside(folder: Path, patterns: Iterable[str]) -> dict[str, bytes]:
    """The files that an importer asks for, by their path from `folder`. What cannot be read is not there."""
    found: dict[str, bytes] = {}
    for pattern in patterns:
        head, _, last = pattern.rpartition("/")
        # The folder above by name: `..` would lead elsewhere when `folder` is a link, as dotfiles often are.
        base = folder.parent if head == ".." else folder / head
        paths = sorted(base.glob(last))[:MAX_FILES] if "*" in last else [base / last]
        for path in paths:
            try:
                if path.is_file() and path.stat().st_size <= MAX_FILE_BYTES:
                    found[f"{head}/{path.name}" if head else path.name] = path.read_bytes()
            except OSError:
                continue
    return found


def _opened(path: Path, sealed: object, passphrase: str) -> object:
    """The export in the seal. Raises PassphraseWanted or TidegateError."""
    from core.sealing import Altered, WrongPassphrase, unseal  # noqa: PLC0415 - loads cryptography

    if not passphrase:
        raise PassphraseWanted
    try:
        return decoded(unseal(sealed, passphrase))
    except WrongPassphrase:
        raise TidegateError(f"This passphrase does not open {path.name}", "Nothing was changed. Try again.") from None
    except (Altered, Malformed) as exc:
        raise TidegateError(
            f"{path.name} is damaged or was changed after it was made",
            "Nothing was changed here. Copy it anew from where it was made, or export again.",
        ) from exc


# --- databases -------------------------------------------------------------------------------------


def _database(path: Path, max_bytes: int) -> Database:
    """The wanted tables, read from a copy: opening the original would create files beside it and lock it."""
    if path.stat().st_size > max_bytes:
        raise Malformed(f"it is larger than {max_bytes:,} bytes")
    with tempfile.TemporaryDirectory(prefix="tidegate-import-") as folder:  # 0700, and gone with its block
        copy = Path(folder) / "copy.db"
        _copy(path, copy)
        try:
            connection = sqlite3.connect(f"{copy.as_uri()}?mode=ro", uri=True)
            try:
                return Database(dict(_tables(connection)))
            finally:
                connection.close()
        except sqlite3.Error as exc:
            raise Malformed(f"the database cannot be read: {exc}") from exc


def _copy(path: Path, copy: Path) -> None:
    """The database and what is not yet in it (`-wal`). Raises Malformed when it never holds still.

    SQLite makes the index of the log (`-shm`) anew for whoever opens it first; a copied one could only be wrong.
    """
    log = path.with_name(f"{path.name}-wal")
    for _ in range(MAX_COPIES):
        before = _state(path), _state(log)
        shutil.copyfile(path, copy)
        log_copy = copy.with_name(f"{copy.name}-wal")
        log_copy.unlink(missing_ok=True)
        if before[1] is not None:
            shutil.copyfile(log, log_copy)
        if before == (_state(path), _state(log)):
            return
    raise Malformed("it is being written at the moment; try again")


def _state(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns


def _tables(connection: sqlite3.Connection) -> Iterator[tuple[str, tuple[Mapping[str, object], ...]]]:
    connection.text_factory = lambda raw: raw.decode(errors="replace")
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    for table, wanted in TABLES.items():
        if table not in tables:  # or a view, which could ask for anything
            continue
        there = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        columns = [name for name in wanted if name in there]
        if columns:  # names of ours: nothing from outside is in the statement
            rows = connection.execute(f"SELECT {', '.join(columns)} FROM {table} LIMIT {MAX_ROWS}")  # noqa: S608
            yield table, tuple(dict(zip(columns, row, strict=True)) for row in rows)
