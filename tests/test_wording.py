from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model import AccountKind, Level, ModelFamily, QuotaWindow, Standing, WindowView
from core.wording import KIND_NAMES, STANDING_NAMES, clock_time, level, percent, span, window_name


@pytest.mark.parametrize(
    ("utilization", "shown"),
    [
        (None, Level.UNKNOWN),
        (0.0, Level.OK),
        (0.69, Level.OK),
        (0.70, Level.WARN),
        (0.89, Level.WARN),
        (0.90, Level.SPENT),
        (1.0, Level.SPENT),
        (1.5, Level.SPENT),
    ],
)
def test_a_window_turns_at_70_and_at_90_percent(utilization: float | None, shown: Level) -> None:
    assert level(utilization) is shown


@pytest.mark.parametrize(
    ("utilization", "text"),
    [(None, "–"), (0.0, "0 %"), (0.004, "0 %"), (0.62, "62 %"), (0.625, "62 %"), (0.999, "100 %"), (1.0, "100 %")],
)
def test_a_share_is_said_in_whole_percent(utilization: float | None, text: str) -> None:
    assert percent(utilization) == text


@given(st.floats(-10, 1e6))
def test_a_share_is_never_below_0_or_above_100_percent(utilization: float) -> None:
    number, sign = percent(utilization).split()

    assert 0 <= int(number) <= 100
    assert sign == "%"


@pytest.mark.parametrize(
    ("name", "family", "text"),
    [
        ("5h", None, "5 h"),
        ("7d", None, "week"),
        ("7d", "opus", "opus week"),
        ("7d_opus", "opus", "opus week"),
        ("7d_oi", None, "model week"),
        ("7d_oi", "fable", "fable week"),
        ("rolling", None, "5 h"),
        ("weekly", None, "week"),
        ("monthly", None, "month"),
        ("input-tokens", None, "input tokens/min"),
        ("seven_day_of_something_new", None, "seven day of something new"),
    ],
)
def test_a_window_has_a_name_that_a_person_knows(name: str, family: str | None, text: str) -> None:
    scope = ModelFamily(family) if family else None

    assert window_name(QuotaWindow(name, family=scope)) == text
    assert window_name(WindowView(name, None, None, Level.UNKNOWN, scope)) == text


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        ("2026-11-21T14:32", "14:32"),
        ("2026-11-21T09:05", "09:05"),
        ("2026-11-22T11:59", "11:59"),
        ("2026-11-22T12:01", "Sun 12:01"),
        ("2026-11-26T14:32", "Thu 14:32"),
        ("2026-11-20T11:00", "Fri 11:00"),
        ("2026-11-27T12:01", "27 Nov 12:01"),
        ("2026-12-03T14:32", "3 Dec 14:32"),
    ],
)
def test_a_time_is_said_as_briefly_as_it_stays_clear(moment: str, text: str) -> None:
    saturday_noon = datetime.fromisoformat("2026-11-21T12:00").timestamp()  # in the zone of whoever runs the test

    assert clock_time(datetime.fromisoformat(moment).timestamp(), saturday_noon) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (0.4, "0 s"),
        (45, "45 s"),
        (119, "119 s"),
        (119.6, "2 min"),
        (59 * 60, "59 min"),
        (3599, "59 min"),
        (3600, "1 h 00 min"),
        (3 * 3600 + 5 * 60, "3 h 05 min"),
        (86_399, "23 h 59 min"),
        (86_400, "1 d 0 h"),
        (timedelta(days=2, hours=4).total_seconds(), "2 d 4 h"),
    ],
)
def test_a_duration_is_said_in_two_units_at_most(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_every_kind_and_every_standing_has_a_name() -> None:
    assert set(KIND_NAMES) == set(AccountKind)
    assert set(STANDING_NAMES) == set(Standing)
