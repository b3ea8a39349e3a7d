import contextlib
import sqlite3
from collections.abc import Iterator

import pytest

from core.history_file import in_memory
from core.history_samples import KEEP_SAMPLES_S, SampleRow, WindowKey, course, delete_old, insert, keys
from core.model import AccountId, ModelFamily

SHORT = WindowKey(AccountId("work"), "5h")
WEEK = WindowKey(AccountId("work"), "7d")
OPUS = WindowKey(AccountId("work"), "7d", ModelFamily("opus"))
HOME = WindowKey(AccountId("home"), "5h")


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with contextlib.closing(in_memory()) as opened:
        yield opened


def told(database: sqlite3.Connection, *readings: tuple[float, float, float | None], key: WindowKey = SHORT) -> None:
    """Readings as (at, utilization, resets at)."""
    for at, utilization, resets_at in readings:
        insert(database, SampleRow(at, key, utilization, resets_at))


def read(
    database: sqlite3.Connection, since_at: float, span_s: float, key: WindowKey = SHORT
) -> list[tuple[float, float]]:
    return [(row.at, row.utilization) for row in course(database, key, since_at, span_s)]


def test_of_each_span_the_highest_is_told_at_its_first_reading(database: sqlite3.Connection) -> None:
    told(database, (10, 0.1, 99), (11, 0.2, 99), (14, 0.5, 99), (20, 0.5, 99), (39, 0.6, 99))
    assert read(database, 10, 10) == [(10, 0.5), (20, 0.5), (39, 0.6)]


def test_where_it_fell_within_a_span_the_last_is_told_as_well(database: sqlite3.Connection) -> None:
    told(database, (10, 0.8, 14), (12, 0.9, 14), (15, 0.1, 99), (17, 0.2, 99), (120, 0.2, 99))
    assert read(database, 10, 100) == [(10, 0.9), (17, 0.2), (120, 0.2)]


def test_readings_of_one_moment_are_told_once(database: sqlite3.Connection) -> None:
    told(database, (10, 0.5, 99), (12, 0.2, 99), (12, 0.2, 99))
    assert read(database, 10, 100) == [(10, 0.5), (12, 0.2)]


def test_a_reading_counts_until_the_reset_that_was_told_last(database: sqlite3.Connection) -> None:
    told(database, (10, 0.1, 50), (11, 0.2, 51), (12, 0.1, None))
    assert [row.resets_at for row in course(database, SHORT, 10, 100)] == [None, None]


def test_a_course_begins_with_what_was_known_before(database: sqlite3.Connection) -> None:
    told(database, (1, 0.1, 99), (5, 0.4, 99), (12, 0.6, 99))
    assert read(database, 10, 10) == [(5, 0.4), (12, 0.6)]
    assert read(database, 20, 10) == [(12, 0.6)]


def test_each_window_has_a_course_of_its_own(database: sqlite3.Connection) -> None:
    for share, key in enumerate((SHORT, WEEK, OPUS, HOME), 1):
        told(database, (10, share / 10, 99), key=key)
    assert [read(database, 0, 100, key) for key in (SHORT, WEEK, OPUS, HOME)] == [
        [(10, 0.1)],
        [(10, 0.2)],
        [(10, 0.3)],
        [(10, 0.4)],
    ]


def test_every_window_of_which_something_is_kept_is_named_once(database: sqlite3.Connection) -> None:
    assert list(keys(database)) == []
    for key in (SHORT, WEEK, SHORT, OPUS, HOME, WEEK):
        told(database, (10, 0.1, None), key=key)
    assert list(keys(database)) == [HOME, SHORT, WEEK, OPUS]


def test_what_is_older_than_is_kept_goes_and_the_rest_stays(database: sqlite3.Connection) -> None:
    told(database, (0.0, 0.1, None), (1.0, 0.2, None), (2.0, 0.3, None))
    delete_old(database, KEEP_SAMPLES_S + 1)
    assert read(database, 0, 1) == [(1.0, 0.2), (2.0, 0.3)]


def test_an_index_that_has_it_all_serves_every_question(database: sqlite3.Connection) -> None:
    asked: list[str] = []
    told(database, (10, 0.1, 99))
    database.set_trace_callback(asked.append)
    list(keys(database))
    read(database, 0, 10)
    database.set_trace_callback(None)

    steps = [str(step) for query in asked for *_, step in database.execute(f"EXPLAIN QUERY PLAN {query}")]
    at_table = [step for step in steps if " samples" in step]
    assert len(asked) == 4
    assert len(at_table) == 5
    assert all(step.startswith("SEARCH samples USING COVERING INDEX samples_by_window") for step in at_table), at_table
