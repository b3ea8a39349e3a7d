from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.history_samples import SampleRow, WindowKey
from core.model import AccountId, ModelFamily, QuotaWindow
from core.sampling import EVERY_S, MOST_REMEMBERED, STEP, Sampler
from tests.pools import NOW, A, state

RESET = NOW + 18_000


def kept(*readings: tuple[float, float | None, float | None], name: str = "5h") -> list[float]:
    """The times, after NOW, of the readings that are kept; each is (time, utilization, resets at)."""
    rows: list[SampleRow] = []
    sampler = Sampler(rows.append)
    for at, utilization, resets_at in readings:
        sampler.take([state("a", windows=(QuotaWindow(name, utilization, resets_at, seen_at=NOW + at),))])
    return [row.at - NOW for row in rows]


def test_a_reading_is_kept_as_it_was() -> None:
    rows: list[SampleRow] = []
    window = QuotaWindow("7d", 0.4, RESET, family=ModelFamily("opus"), seen_at=NOW)

    Sampler(rows.append).take([state("a", windows=(window,)), state("b", windows=(window,))])

    assert rows == [
        SampleRow(NOW, WindowKey(AccountId(id_), "7d", ModelFamily("opus")), 0.4, RESET) for id_ in ("a", "b")
    ]


@pytest.mark.parametrize(
    ("readings", "at"),
    [
        pytest.param([(0, 0.5, RESET), (99, 0.5, RESET + 2)], [0], id="the same again is not kept"),
        pytest.param([(0, 0.5, RESET), (30, 0.51, RESET)], [0], id="a little more, soon, is not kept"),
        pytest.param([(0, 0.5, RESET), (60, 0.51, RESET)], [0, 60], id="a little more, later, is kept"),
        pytest.param([(0, 0.5, RESET), (1, 0.52, RESET)], [0, 1], id="two percent more are kept at once"),
        pytest.param([(0, 0.5, RESET), (1, 0.3, RESET)], [0, 1], id="quota that was given back is kept at once"),
        pytest.param([(0, 0.0, NOW + 5), (6, 0.0, RESET)], [0, 6], id="the first after a reset is kept at once"),
        pytest.param([(0, 0.0, NOW + 5), (6, 0.0, None)], [0, 6], id="so is one without a next reset"),
        pytest.param([(0, 0.0, NOW + 5), (6, 0.0, NOW + 5), (7, 0.0, NOW + 5)], [0], id="a stale reset is no new one"),
        pytest.param([(0, 0.5, RESET), (1, 0.5, RESET + 90)], [0], id="a reset that slides is no new one"),
        pytest.param([(0, 0.5, RESET), (-999, 0.51, RESET)], [0, -999], id="a clock that was set back stops nothing"),
        pytest.param([(0, None, RESET)], [], id="what was not told is not kept"),
    ],
)
def test_what_a_chart_can_show_is_kept(
    readings: Sequence[tuple[float, float | None, float | None]], at: list[float]
) -> None:
    assert kept(*readings) == at


@pytest.mark.parametrize(
    ("name", "resets_in_s", "is_kept"),
    [("5h", None, True), ("monthly", None, True), ("fortnight", 86_400.0, True), ("requests", 60.0, False)],
)
def test_a_bucket_of_a_minute_has_no_course(name: str, resets_in_s: float | None, is_kept: bool) -> None:
    resets_at = None if resets_in_s is None else NOW + resets_in_s
    assert bool(kept((0, 0.5, resets_at), name=name)) is is_kept


def test_more_windows_than_are_remembered_cost_a_row_too_many() -> None:
    rows: list[SampleRow] = []
    sampler = Sampler(rows.append)
    for _ in range(2):
        for number in range(MOST_REMEMBERED + 1):
            sampler.take([state(str(number), windows=(QuotaWindow("5h", 0.5, RESET, seen_at=NOW),))])
    assert MOST_REMEMBERED + 1 < len(rows) <= 2 * (MOST_REMEMBERED + 1)


@given(st.lists(st.tuples(st.floats(0, 900), st.integers(0, 100)), min_size=1, max_size=60))
def test_what_is_kept_is_never_far_from_what_was_read(readings: list[tuple[float, int]]) -> None:
    rows: list[SampleRow] = []
    sampler = Sampler(rows.append)
    for at, whole in sorted(readings):
        window = QuotaWindow("5h", whole / 100, RESET, seen_at=NOW + at)
        sampler.take([state("a", windows=(window,))])
        assert abs(rows[-1].utilization - whole / 100) < STEP
    assert all(row.key.account == A for row in rows)
    for before, after in pairwise(rows):
        assert after.at - before.at >= EVERY_S or abs(after.utilization - before.utilization) >= STEP
