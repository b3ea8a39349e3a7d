"""Windows in time: their rate is exact where use is even, calm where it is not, unknown where nothing is known."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model import QuotaWindow
from core.policy.timing import (
    DAY_S,
    HOUR_S,
    MEMORY,
    length_s,
    pace,
    paced,
    rate,
)

NOW = 1_800_000_000.0
LENGTH_S = 5 * HOUR_S


def five_hours(utilization: float | None, at: float, resets_at: float | None = NOW + 3 * HOUR_S) -> QuotaWindow:
    return QuotaWindow("5h", utilization, resets_at, seen_at=at)


def read(*readings: QuotaWindow) -> QuotaWindow:
    window: QuotaWindow | None = None
    for reading in readings:
        window = paced(window, reading)
    assert window is not None
    return window


def evenly(speed: float, minutes: int, step_s: float = 60.0) -> QuotaWindow:
    """A window of which `speed` per second was spent, read all the time, the last time at NOW."""
    count = int(minutes * 60 / step_s)
    start = NOW - count * step_s
    ends_at = NOW + HOUR_S
    return read(*(five_hours(0.1 + speed * i * step_s, start + i * step_s, ends_at) for i in range(count + 1)))


@pytest.mark.parametrize(
    ("name", "length"),
    [
        ("5h", 5 * HOUR_S),
        ("7d", 7 * DAY_S),
        ("7d_opus", 7 * DAY_S),
        ("7d_oi", 7 * DAY_S),
        ("rolling", 5 * HOUR_S),
        ("weekly", 7 * DAY_S),
        ("monthly", 30 * DAY_S),
        ("requests", None),
        ("iguana_necktie", None),
    ],
)
def test_a_window_is_as_long_as_its_name_says(name: str, length: float | None) -> None:
    assert length_s(QuotaWindow(name)) == length


def test_the_first_reading_gives_the_mean_since_the_window_began() -> None:
    window = read(five_hours(0.4, NOW))  # two of its five hours have passed
    assert window.rate == pytest.approx(0.4 / (2 * HOUR_S))


def test_a_window_that_began_this_minute_has_no_pace() -> None:
    assert read(five_hours(0.01, NOW, NOW + LENGTH_S)).rate is None


def test_even_use_is_found_after_a_while() -> None:
    speed = 0.05 / HOUR_S  # half of the mean that the first reading tells
    assert evenly(speed, minutes=180).rate == pytest.approx(speed, rel=0.05)


@given(st.lists(st.floats(0.01, 600.0), min_size=1, max_size=40), st.floats(1e-7, 1e-4))
def test_even_use_stays_what_it_is_however_it_is_read(steps: list[float], speed: float) -> None:
    at, spent = NOW, 0.0
    window = QuotaWindow("5h", 0.0, NOW + 4 * LENGTH_S, seen_at=NOW, rate=speed)
    for step in steps:
        at, spent = at + step, spent + speed * step
        window = paced(window, QuotaWindow("5h", spent, NOW + 4 * LENGTH_S, seen_at=at))
    assert window.rate == pytest.approx(speed, rel=1e-6)


@given(st.lists(st.tuples(st.floats(0, 900), st.floats(0, 0.3)), max_size=30))
def test_a_pace_is_never_negative_nor_wild(steps: list[tuple[float, float]]) -> None:
    at, spent = NOW, 0.0
    window = read(five_hours(0.0, NOW - HOUR_S))
    for step, use in steps:
        at, spent = at + step, spent + use
        window = paced(window, five_hours(spent, at))
        assert window.rate is not None
        assert window.rate >= 0
        assert math.isfinite(window.rate)


def test_answers_at_the_same_moment_count_once_each() -> None:
    memory_s = MEMORY * LENGTH_S
    window = QuotaWindow("5h", 0.2, NOW + HOUR_S, seen_at=NOW, rate=0.0)
    for spent in (0.21, 0.22, 0.23):
        window = paced(window, five_hours(spent, NOW))
    assert window.rate == pytest.approx(0.03 / memory_s)


def test_a_reset_keeps_the_pace_for_a_guess() -> None:
    window = evenly(0.1 / HOUR_S, minutes=120)
    assert window.rate is not None
    after = paced(window, QuotaWindow("5h", 0.0, NOW + 8 * HOUR_S, seen_at=NOW + 3 * HOUR_S + 1))
    assert after.rate is not None
    assert 0 <= after.rate < window.rate


def test_silence_counts_as_rest() -> None:
    window = evenly(0.1 / HOUR_S, minutes=180)
    now, later = rate(window, NOW), rate(window, NOW + MEMORY * LENGTH_S)
    assert now is not None
    assert later == pytest.approx(now / math.e)


def test_a_reading_without_a_number_keeps_the_pace() -> None:
    window = evenly(0.1 / HOUR_S, minutes=60)
    assert paced(window, five_hours(None, NOW + 5)).rate == window.rate


def test_buckets_of_a_minute_have_no_pace() -> None:
    bucket = QuotaWindow("requests", 0.5, NOW + 30, seen_at=NOW)
    assert paced(None, bucket).rate is None


def test_pace_compares_with_the_elapsed_share() -> None:
    assert pace(five_hours(0.8, NOW), NOW) == pytest.approx(2.0)  # two fifths have passed, four fifths are spent
    assert pace(five_hours(0.8, NOW, None), NOW) is None
