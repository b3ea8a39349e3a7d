"""The file of history: opened or made, checked, brought to the newest schema, moved aside when it cannot be used."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from core import history_samples
from core.files import OWNER_ONLY, move_aside

SCHEMA_VERSION = 3
_BUSY_TIMEOUT_S = 5.0
_CACHE_KIB = 512
"""Kept in memory of the file; a sort takes a MiB. With SQLite's own 2,000 both take two, and no question about 100,000
requests is answered sooner, because the system has the file in memory anyway (2026-11: 1.8 MiB less)."""

_FIRST = """
CREATE TABLE requests (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, account TEXT, provider TEXT NOT NULL, model TEXT NOT NULL, session TEXT,
    status INTEGER NOT NULL, outcome TEXT NOT NULL, attempts INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cache_read INTEGER NOT NULL,
    cache_write INTEGER NOT NULL, duration_s REAL NOT NULL, first_byte_s REAL
) STRICT;
CREATE TABLE events (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, json BLOB NOT NULL
) STRICT;
CREATE TABLE pool (id INTEGER PRIMARY KEY CHECK (id = 1), json BLOB NOT NULL) STRICT;
"""
_STEPS = (_FIRST, "ALTER TABLE requests ADD COLUMN client TEXT NOT NULL DEFAULT '';", history_samples.SCHEMA)
"""From each version to the next, the first from an empty file."""
_TABLES = ((), *(("requests", "events", "pool"),) * 2, ("requests", "events", "pool", "samples"))
"""Of each version."""


class NewerError(Exception):
    """The database was written by a newer version."""


def connect(path: Path) -> sqlite3.Connection:
    """Open or make the file; it is its owner's only.

    Raises sqlite3.OperationalError (try again), sqlite3.DatabaseError (damaged) or NewerError.
    """
    try:
        # SQLite gives its -wal and -shm files the mode of this one.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, OWNER_ONLY))
        path.chmod(OWNER_ONLY)
    except OSError as exc:
        raise sqlite3.OperationalError(str(exc)) from exc
    database = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=_BUSY_TIMEOUT_S)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        return _prepared(database)
    except BaseException:
        database.close()
        raise


def _prepared(database: sqlite3.Connection) -> sqlite3.Connection:
    """Check the database and bring it to the newest schema: an empty one from its beginnings, all steps or none."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise NewerError(f"it is from a newer Tidegate, version {version}")
    (answer,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if answer != "ok":
        raise sqlite3.DatabaseError(answer)
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and (version == 0 or not tables >= set(_TABLES[version])):
        raise sqlite3.DatabaseError("it is not a history of Tidegate")
    if version < SCHEMA_VERSION:
        steps = "".join(_STEPS[version:])
        database.executescript(f"BEGIN; {steps} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    return database


def in_memory() -> sqlite3.Connection:
    """A database that nothing is kept of."""
    return _prepared(sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None))


def move_database_aside(path: Path) -> Path:
    """Move the file and SQLite's own two files beside it, which belong to it."""
    aside = move_aside(path)
    for ending in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + ending).rename(aside.with_name(aside.name + ending))
    return aside


@contextlib.contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All of what is done in the block, or nothing of it."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield database
        database.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # SQLite rolls back by itself when the disk is full
            database.execute("ROLLBACK")
        raise
