import contextlib
import sqlite3
from pathlib import Path

import pytest

from core.history import History
from core.history_file import SCHEMA_VERSION, NewerError, connect, in_memory, move_database_aside, transaction
from core.model import AccountId, ProviderName, Usage

FIRST = """
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
INSERT INTO requests VALUES (1, 5.0, 'work', 'anthropic', 'opus', 's1', 200, 'Served', 1, 1, 2, 3, 4, 0.5, 0.1);
"""
SECOND = (
    f"{FIRST} ALTER TABLE requests ADD COLUMN client TEXT NOT NULL DEFAULT ''; UPDATE requests SET client = 'vscode';"
)
"""What version 2 had."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


def _made(path: Path, script: str, version: int) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(f"{script} PRAGMA user_version = {version};")


def _schema(database: sqlite3.Connection) -> set[tuple[str, str]]:
    """Every table and index, with its columns."""
    names = database.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall()
    return {
        (name, str([column[1:] for column in database.execute(f"PRAGMA table_xinfo({name})")])) for (name,) in names
    }


@pytest.mark.anyio
@pytest.mark.parametrize(("version", "script", "client"), [(1, FIRST, ""), (2, SECOND, "vscode")])
async def test_what_an_earlier_version_recorded_is_still_told(
    path: Path, version: int, script: str, client: str
) -> None:
    _made(path, script, version)

    history = History.open(path)
    (row,) = await history.requests(9)
    problem = history.problem
    await history.close()

    assert problem is None
    assert (row.at, row.account, row.provider, row.client) == (5.0, AccountId("work"), ProviderName.ANTHROPIC, client)
    assert row.usage == Usage(1, 2, 3, 4)


@pytest.mark.parametrize(("version", "script"), [(1, FIRST), (2, SECOND)])
def test_an_earlier_version_becomes_what_a_new_one_is(path: Path, version: int, script: str) -> None:
    _made(path, script, version)

    with contextlib.closing(connect(path)) as brought, contextlib.closing(in_memory()) as new:
        assert _schema(brought) == _schema(new)
        assert brought.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)


def test_a_step_that_fails_leaves_the_file_as_it_was(path: Path) -> None:
    _made(path, f"{FIRST} CREATE VIEW samples_by_window AS SELECT 1;", 1)
    before = path.read_bytes()

    with pytest.raises(sqlite3.OperationalError):
        connect(path)

    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
        assert "client" not in str(database.execute("PRAGMA table_info(requests)").fetchall())
    assert len(path.read_bytes()) == len(before)


@pytest.mark.parametrize(
    ("script", "version", "problem"),
    [
        (FIRST, SCHEMA_VERSION + 1, NewerError),
        (FIRST, 0, sqlite3.DatabaseError),
        ("CREATE TABLE requests (id);", 1, sqlite3.DatabaseError),
        (SECOND, SCHEMA_VERSION, sqlite3.DatabaseError),
    ],
)
def test_a_database_that_is_not_what_it_says_is_refused(
    path: Path, script: str, version: int, problem: type[Exception]
) -> None:
    _made(path, script, version)
    with pytest.raises(problem):
        connect(path)


def test_little_of_a_large_history_is_kept_in_memory(path: Path) -> None:
    with contextlib.closing(connect(path)) as database:
        ((pages,),) = database.execute("PRAGMA cache_size").fetchall()
    assert pages == -512, "negative: KiB"


def test_what_belongs_to_a_database_goes_aside_with_it(path: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).write_text(ending)

    aside = move_database_aside(path)

    assert [aside.with_name(aside.name + ending).read_text() for ending in ("", "-wal", "-shm")] == ["", "-wal", "-shm"]
    assert list(path.parent.glob("history.db-*")) == []


def test_of_a_transaction_that_breaks_nothing_is_kept() -> None:
    with contextlib.closing(in_memory()) as database:
        with pytest.raises(ZeroDivisionError), transaction(database):
            database.execute("INSERT INTO pool VALUES (1, x'00')")
            raise ZeroDivisionError
        assert database.execute("SELECT count(*) FROM pool").fetchone() == (0,)
