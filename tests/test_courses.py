from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.answers import QuotaReport
from core.courses import MOST_DAYS, MOST_SPANS, SPANS, quota_report
from core.errors import UsageError
from core.history import EventRow, History
from core.history_file import in_memory
from core.history_samples import SampleRow, WindowKey
from core.model import AccountId, ModelFamily, Move, Pool
from core.orders import RecountQuota
from tests.pools import NOW, A, B, pool, state

pytestmark = pytest.mark.anyio

HOUR_S, DAY_S = 3_600.0, 86_400.0
SHORT, WEEK = WindowKey(A, "5h"), WindowKey(A, "7d")
BOTH = pool("a", "b")


async def report(
    folder: Path, *rows: SampleRow, days: int = 1, of: Pool = BOTH, moves: Sequence[Move] = ()
) -> QuotaReport:
    history = History.open(folder / "history.db")
    for row in rows:
        history.sample(row)
    for move in moves:
        history.record(EventRow(move.at, move))
    told = await quota_report(history, of, RecountQuota(days), NOW)
    await history.close()
    return told


async def course(folder: Path, *readings: tuple[float, float, float | None]) -> list[tuple[float, float | None]]:
    """The points of one window; a reading is when, how full, and when its reset is. Times are hours before now."""
    rows = [
        SampleRow(NOW - ago_h * HOUR_S, SHORT, utilization, None if reset_h is None else NOW - reset_h * HOUR_S)
        for ago_h, utilization, reset_h in readings
    ]
    told = await report(folder, *rows)
    return [((NOW - at) / HOUR_S, utilization) for curve in told.curves for at, utilization in curve.points]


async def test_a_reading_counts_until_the_next(tmp_path: Path) -> None:
    assert await course(tmp_path, (5, 0.1, -1), (3, 0.2, -1)) == [(5, 0.1), (3, 0.2)]


async def test_from_a_reset_until_the_next_reading_nothing_is_known(tmp_path: Path) -> None:
    points = await course(tmp_path, (10, 0.9, 8), (5, 0.1, 1))
    assert points == [(10, 0.9), (8, None), (5, 0.1), (1, None)]


async def test_what_was_known_when_the_time_began_counts_from_there(tmp_path: Path) -> None:
    assert await course(tmp_path, (99, 0.5, 98), (30, 0.6, 20), (2, 0.1, None)) == [(24, 0.6), (20, None), (2, 0.1)]


async def test_what_had_been_reset_by_then_does_not(tmp_path: Path) -> None:
    assert await course(tmp_path, (30, 0.6, 24), (2, 0.1, None)) == [(2, 0.1)]


async def test_a_window_of_which_nothing_is_known_in_that_time_has_no_curve(tmp_path: Path) -> None:
    assert (await report(tmp_path, SampleRow(NOW - 2 * DAY_S, SHORT, 0.6, NOW - DAY_S))).curves == ()


async def test_a_reset_that_was_past_when_it_was_read_makes_no_gap(tmp_path: Path) -> None:
    assert await course(tmp_path, (5, 0.1, 6), (3, 0.2, 6)) == [(5, 0.1), (3, 0.2)]


async def test_curves_come_in_the_order_of_the_accounts_and_their_short_windows_first(tmp_path: Path) -> None:
    opus = ModelFamily("opus")
    keys = [
        WindowKey(AccountId("gone"), "5h"),
        WindowKey(B, "7d"),
        WindowKey(B, "5h"),
        WindowKey(A, "7d", opus),
        WindowKey(A, "new-kind"),
        WEEK,
    ]
    told = await report(
        tmp_path, *(SampleRow(NOW - 60, key, 0.5) for key in keys), of=pool("b", state("a", label="Work"))
    )

    assert [(curve.account, curve.label, curve.window, curve.family) for curve in told.curves] == [
        (B, "B", "5h", None),
        (B, "B", "7d", None),
        (A, "Work", "7d", None),
        (A, "Work", "7d", opus),
        (A, "Work", "new-kind", None),
    ]
    assert (told.at, told.since_at) == (NOW, NOW - DAY_S)


async def test_moves_of_that_time_are_told_newest_first(tmp_path: Path) -> None:
    moves = [Move(NOW - ago_s, "A", "B", "full", NOW) for ago_s in (2 * DAY_S, 60.0, 5.0)]
    assert (await report(tmp_path, moves=moves)).moves == (moves[2], moves[1])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 2 * DAY_S), st.floats(0, 1.2), st.none() | st.floats(-DAY_S, 2 * DAY_S)), max_size=60
    )
)
async def test_points_go_forward_and_hide_no_peak(readings: list[tuple[float, float, float | None]]) -> None:
    rows = [
        SampleRow(NOW - ago_s, SHORT, utilization, None if reset_s is None else NOW - reset_s)
        for ago_s, utilization, reset_s in sorted(readings, key=lambda reading: -reading[0])
    ]
    history = History(in_memory())
    for row in rows:
        history.sample(row)
    told = await quota_report(history, BOTH, RecountQuota(), NOW)
    await history.close()

    points = [point for curve in told.curves for point in curve.points]
    assert all(before[0] <= after[0] for before, after in pairwise(points))
    assert all(told.since_at <= at <= NOW for at, _ in points)
    lately = [row.utilization for row in rows if row.at >= told.since_at]
    shown = [utilization for _, utilization in points if utilization is not None]
    assert not lately or max(lately) in shown
    assert len(points) <= 3 * SPANS + 2


async def test_a_month_of_readings_is_told_in_as_many_points_as_a_chart_can_show(tmp_path: Path) -> None:
    rows = [SampleRow(NOW - n * 360.0, SHORT, (n % 50) / 50, NOW - (n // 50) * 50 * 360.0) for n in range(9_000, 0, -1)]
    (curve,) = (await report(tmp_path, *rows, days=35)).curves
    assert SPANS <= len(curve.points) <= 3 * SPANS


async def test_many_accounts_get_coarser_curves(tmp_path: Path) -> None:
    many = MOST_SPANS // 100
    rows = [
        SampleRow(NOW - n * 60, WindowKey(AccountId(str(id_)), "5h"), 0.5)
        for n in range(40, 0, -1)
        for id_ in range(many)
    ]
    told = await report(tmp_path, *rows, of=pool(*map(str, range(many))))
    assert len(told.curves) == many
    assert sum(len(curve.points) for curve in told.curves) <= 3 * MOST_SPANS
    assert max(len(curve.points) for curve in told.curves) < 40


@pytest.mark.parametrize("days", [0, -1, MOST_DAYS + 1])
async def test_days_that_cannot_be_told_are_refused(tmp_path: Path, days: int) -> None:
    with pytest.raises(UsageError, match="days cannot be told"):
        await report(tmp_path, days=days)
