"""Alerts about quota windows come once, come again after a reset, and are silent about what nobody can know."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.model import (
    Account,
    AccountId,
    AccountKind,
    AccountState,
    Alert,
    Event,
    ExtraUsage,
    ExtraUsageBegan,
    QuotaWindow,
    WindowFilled,
    WindowReset,
)
from core.policy.timing import DAY_S, HOUR_S
from core.policy.watch import look

NOW = 1_800_000_000.0
RESETS_AT = NOW + 3 * HOUR_S


def window(utilization: float | None, **changes: object) -> QuotaWindow:
    return replace(QuotaWindow("5h", utilization, RESETS_AT, seen_at=NOW), **changes)


def account(*windows: QuotaWindow) -> AccountState:
    return AccountState(Account(AccountId("work"), "Work", AccountKind.CLAUDE), windows=windows)


def alerts(events: tuple[Event, ...]) -> list[Alert]:
    return [event.alert for event in events if isinstance(event, WindowFilled)]


@pytest.mark.parametrize(
    ("utilization", "expected"),
    [(None, []), (0.0, []), (0.69, []), (0.7, [Alert.WARN]), (0.9, [Alert.SPENT]), (1.01, [Alert.SPENT])],
)
def test_a_window_is_told_of_past_70_and_90_percent(utilization: float | None, expected: list[Alert]) -> None:
    assert alerts(look(account(window(utilization)), NOW)[1]) == expected


def test_each_is_told_once() -> None:
    state, told = account(window(0.0)), []
    for percent in range(0, 101, 3):
        state, events = look(replace(state, windows=(window(percent / 100),)), NOW)
        told += alerts(events)
    assert told == [Alert.WARN, Alert.SPENT]


def test_a_window_that_jumps_to_full_is_told_of_once() -> None:
    state, first = look(account(window(0.95)), NOW)
    _, second = look(replace(state, windows=(window(0.8),)), NOW)  # a usage endpoint that lags behind
    assert (alerts(first), second) == ([Alert.SPENT], ())


def test_paid_extra_usage_is_told_once_until_the_plan_covers_it_again() -> None:
    paid = ExtraUsage(enabled=True, in_use=True, seen_at=NOW)
    state, first = look(replace(account(window(1.0)), extra_usage=paid), NOW)
    state, second = look(state, NOW + 60)
    covered, _ = look(state, RESETS_AT + 1)
    _, anew = look(replace(covered, extra_usage=replace(paid, seen_at=RESETS_AT + 10)), RESETS_AT + 20)

    began = ExtraUsageBegan(AccountId("work"))
    assert [began in events for events in (first, second, anew)] == [True, False, True]


def test_a_reset_is_told_and_arms_the_alerts_again() -> None:
    state, _ = look(account(window(0.95)), NOW)
    state, events = look(state, RESETS_AT + 1)
    assert events == (WindowReset(AccountId("work"), replace(state.windows[0], utilization=0.0, resets_at=None)),)
    assert look(state, RESETS_AT + 2)[1] == ()
    later = window(0.75, resets_at=RESETS_AT + 5 * HOUR_S, seen_at=RESETS_AT + HOUR_S)
    assert alerts(look(replace(state, windows=(later,)), RESETS_AT + HOUR_S)[1]) == [Alert.WARN]


def test_the_reset_of_a_window_that_was_not_nearly_full_is_no_news() -> None:
    state, _ = look(account(window(0.75)), NOW)
    assert look(state, RESETS_AT + 1)[1] == ()


def test_a_reset_that_jitters_is_no_new_window() -> None:
    state, _ = look(account(window(0.75)), NOW)
    jittered = window(0.76, resets_at=RESETS_AT + 1.7)
    assert look(replace(state, windows=(jittered,)), NOW)[1] == ()


def test_a_window_that_will_run_dry_is_told_of_early() -> None:
    fast = window(0.5, rate=0.5 / HOUR_S)
    assert look(account(fast), NOW)[1] == (WindowFilled(AccountId("work"), fast, Alert.DRY, NOW + HOUR_S),)


def test_a_warning_that_names_the_time_is_not_followed_by_another() -> None:
    state, events = look(account(window(0.7, rate=0.3 / HOUR_S)), NOW)
    assert [(event.alert, event.dry_at) for event in events] == [(Alert.WARN, pytest.approx(NOW + HOUR_S))]
    assert look(replace(state, windows=(window(0.72, rate=0.3 / HOUR_S),)), NOW)[1] == ()


def test_a_pace_that_rises_after_the_warning_is_told() -> None:
    state, _ = look(account(window(0.7)), NOW)
    assert alerts(look(replace(state, windows=(window(0.75, rate=0.3 / HOUR_S),)), NOW)[1]) == [Alert.DRY]


@pytest.mark.parametrize(
    "quiet",
    [
        window(0.4, rate=0.5 / HOUR_S),  # too early to tell
        window(0.5, rate=0.17 / HOUR_S),  # dry three minutes before the reset
        QuotaWindow("requests", 0.95, NOW + 30, seen_at=NOW),  # a bucket of a minute
        window(0.95, resets_at=None),
    ],
)
def test_what_does_not_matter_is_not_told(quiet: QuotaWindow) -> None:
    assert look(account(quiet), NOW)[1] == ()


def test_windows_are_told_of_each_for_itself() -> None:
    week = QuotaWindow("7d", 0.75, NOW + 3 * DAY_S, seen_at=NOW)
    _, events = look(account(window(0.95), week), NOW)
    assert alerts(events) == [Alert.SPENT, Alert.WARN]


readings = st.tuples(st.floats(0, 1.2), st.floats(0, 2 * HOUR_S), st.floats(0, 1e-3))


@given(st.lists(readings, max_size=40))
def test_within_one_window_no_alert_comes_twice(steps: list[tuple[float, float, float]]) -> None:
    state, now, told = account(), NOW, []
    for spent, passed_s, rate in steps:
        now += passed_s
        if now >= RESETS_AT:
            break
        state, events = look(replace(state, windows=(window(spent, seen_at=now, rate=rate),)), now)
        told += alerts(events)
        assert look(state, now) == (state, ())
    assert len(told) == len(set(told))
