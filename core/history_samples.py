"""How full quota windows were, as history keeps it: a row where a reading changed, and what a chart asks of many rows.

Done in history's worker thread. The summing up is SQLite's, which lets other threads run: a month of one window may be
thousands of rows, of which a chart wants hundreds.
"""

import sqlite3
from collections.abc import Iterator

import msgspec

from core.model import AccountId, ModelFamily

KEEP_SAMPLES_S = 35 * 86_400.0
"""A month, and what was known when it began."""
_LOOK_AT = 2_000
"""Of the oldest rows, at each writing."""

SCHEMA = """
CREATE TABLE samples (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, account TEXT NOT NULL, name TEXT NOT NULL, family TEXT NOT NULL,
    utilization REAL NOT NULL, resets_at REAL
) STRICT;
CREATE INDEX samples_by_window ON samples (account, name, family, at, utilization, resets_at);
"""
_INSERT = "INSERT INTO samples VALUES (NULL, ?, ?, ?, ?, ?, ?)"
_COURSE = """
WITH spans AS (
    SELECT min(at) AS first_at, max(at) AS last_at, max(utilization) AS highest
    FROM samples WHERE account = ?1 AND name = ?2 AND family = ?3 AND at >= ?4
    GROUP BY CAST((at - ?4) / ?5 AS INTEGER)
)
SELECT first_at, highest, last_at, utilization, resets_at FROM spans JOIN samples
ON account = ?1 AND name = ?2 AND family = ?3 AND at = last_at GROUP BY first_at ORDER BY first_at
"""
"""Of several readings at the same moment any may be the last."""
_BEFORE = """
SELECT at, utilization, resets_at FROM samples WHERE account = ?1 AND name = ?2 AND family = ?3 AND at < ?4
ORDER BY at DESC LIMIT 1
"""
_NEXT_KEY = """
SELECT account, name, family FROM samples WHERE (account, name, family) > (?, ?, ?)
ORDER BY account, name, family LIMIT 1
"""
_DELETE_OLD = "DELETE FROM samples WHERE at < ? AND id IN (SELECT id FROM samples ORDER BY id LIMIT ?)"
"""Rows are written in the order of their time, so the first few tell."""


class WindowKey(msgspec.Struct, frozen=True):
    """Which quota window of which account."""

    account: AccountId
    name: str
    family: ModelFamily | None = None


class SampleRow(msgspec.Struct, frozen=True):
    """How full a quota window was at a time, and until when that reading counted."""

    at: float
    key: WindowKey
    utilization: float
    resets_at: float | None = None


def insert(database: sqlite3.Connection, row: SampleRow) -> None:
    """Add a row."""
    database.execute(_INSERT, (row.at, *_named(row.key), row.utilization, row.resets_at))


def delete_old(database: sqlite3.Connection, now: float) -> None:
    """Take away what is older than is kept; a bounded piece of it each time."""
    database.execute(_DELETE_OLD, (now - KEEP_SAMPLES_S, _LOOK_AT))


def course(database: sqlite3.Connection, key: WindowKey, since_at: float, span_s: float) -> Iterator[SampleRow]:
    """How full a window was since then, the oldest first: of each `span_s` the highest, and the last if that is lower.

    It begins with what was last read before `since_at`, if that is known.
    """
    for at, utilization, resets_at in database.execute(_BEFORE, (*_named(key), since_at)):
        yield SampleRow(at, key, utilization, resets_at)
    spans = database.execute(_COURSE, (*_named(key), since_at, span_s))
    for first_at, highest, last_at, last, resets_at in spans:
        yield SampleRow(first_at, key, highest, resets_at)
        if last < highest:  # it fell, and may have stayed so for long
            yield SampleRow(last_at, key, last, resets_at)


def keys(database: sqlite3.Connection) -> Iterator[WindowKey]:
    """The windows of which anything is kept. From one to the next in the index, past all that is known of each."""
    named = ("", "", "")
    while found := database.execute(_NEXT_KEY, named).fetchone():
        account, name, family = named = found
        yield WindowKey(AccountId(account), name, ModelFamily(family) if family else None)


def _named(key: WindowKey) -> tuple[str, str, str]:
    return key.account, key.name, key.family or ""
