from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.server_clock import TOLERANCE_S, Anchor, ServerClock, steady

NOW = 1_800_000_000.0
DAY_S = 86_400.0


def date(at: float) -> str:
    """`Date` as a server would say it: whole seconds."""
    return format_datetime(datetime.fromtimestamp(int(at), UTC), usegmt=True)


class Machine:
    """True time, and the clocks of a machine that lives in it."""

    def __init__(self, wrong_by_s: float = 0.0) -> None:
        self.true = NOW
        self.wrong_by_s = wrong_by_s
        self.clock = ServerClock(lambda: self.true + self.wrong_by_s, lambda: self.true - NOW + 17.0)

    @property
    def error_s(self) -> float:
        return self.clock() - self.true


def test_the_steady_clock_goes_on_and_never_back() -> None:
    readings = [steady() for _ in range(1_000)]

    assert readings == sorted(readings)
    assert readings[-1] > readings[0]


@given(
    wrong_by_s=st.floats(-400 * DAY_S, 400 * DAY_S),
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("pass"), st.floats(0, 30 * DAY_S)),
            st.tuples(st.just("set"), st.floats(-400 * DAY_S, 400 * DAY_S)),
            st.tuples(st.just("said"), st.floats(0, 2)),
        )
    ),
)
def test_the_wall_clock_is_believed_once_and_the_provider_from_its_first_word_on(
    wrong_by_s: float, steps: list[tuple[str, float]]
) -> None:
    machine = Machine(wrong_by_s)
    heard = False
    for step, value in steps:
        match step:
            case "pass":
                machine.true += value
            case "set":
                machine.wrong_by_s = value
            case _:
                machine.clock.heed(date(machine.true - value))  # it was on its way
                heard = True
        expected = 0.0 if heard else wrong_by_s
        assert machine.error_s == pytest.approx(expected, abs=TOLERANCE_S + 3.001)


def test_a_date_that_differs_by_nothing_worth_mentioning_moves_nothing() -> None:
    anchor = Anchor(NOW, 17.0)

    assert anchor.corrected(NOW + 10 + TOLERANCE_S, 27.0) is anchor
    assert anchor.corrected(NOW + 11 + TOLERANCE_S, 27.0) == Anchor(NOW + 11 + TOLERANCE_S, 27.0)


@pytest.mark.parametrize("said", [None, "", "yesterday", "Thu, 99 Foo 2026 10:00:00 GMT", "\x00", "1800000000"])
def test_a_date_that_does_not_read_says_nothing(said: str | None) -> None:
    machine = Machine(3_600.0)

    machine.clock.heed(said)

    assert machine.error_s == 3_600.0


def test_what_is_shown_is_in_the_time_of_the_persons_own_clock() -> None:
    machine = Machine(3_600.0)
    machine.clock.heed(date(NOW))
    ends_at = NOW + 8 * 3_600

    assert machine.clock.on_wall(ends_at) == ends_at + 3_600
    machine.wrong_by_s = -60
    assert machine.clock.on_wall(ends_at) == ends_at - 60
    assert machine.clock.on_wall(None) is None
