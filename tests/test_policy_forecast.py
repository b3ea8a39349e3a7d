"""A forecast says when a window runs dry or what is lost, and is silent where nothing is known."""

import pytest

from core.model import Account, AccountId, AccountKind, AccountState, QuotaWindow
from core.policy.forecast import Forecast, forecast, headroom_s
from core.policy.timing import DAY_S, HOUR_S

NOW = 1_800_000_000.0


def test_buckets_of_a_minute_are_not_foretold() -> None:
    assert forecast(QuotaWindow("requests", 0.5, NOW + 30, seen_at=NOW, rate=1.0), NOW) == Forecast()


def test_a_window_that_is_spent_faster_than_it_lasts_runs_dry_before_its_reset() -> None:
    window = QuotaWindow("5h", 0.5, NOW + 3 * HOUR_S, seen_at=NOW, rate=0.25 / HOUR_S)
    assert forecast(window, NOW) == Forecast(dry_at=pytest.approx(NOW + 2 * HOUR_S))


def test_what_is_left_at_the_reset_is_lost() -> None:
    window = QuotaWindow("7d", 0.5, NOW + 2 * DAY_S, seen_at=NOW, rate=0.1 / DAY_S)
    assert forecast(window, NOW) == Forecast(lost=pytest.approx(0.3))


def test_a_window_that_ends_just_full_is_neither() -> None:
    window = QuotaWindow("7d", 0.5, NOW + 2 * DAY_S, seen_at=NOW, rate=0.24 / DAY_S)
    assert forecast(window, NOW) == Forecast()


@pytest.mark.parametrize("resets_at", [None, NOW - 1])
def test_without_a_reset_ahead_nothing_is_foretold(resets_at: float | None) -> None:
    assert forecast(QuotaWindow("5h", 0.5, resets_at, seen_at=NOW, rate=1e-4), NOW) == Forecast()


def state(name: str, *windows: QuotaWindow) -> AccountState:
    return AccountState(Account(AccountId(name), name, AccountKind.CLAUDE), windows=windows)


def test_headroom_weighs_plans_and_takes_the_scarcest_sort_of_window() -> None:
    small = state("small", QuotaWindow("5h", 0.5, NOW + HOUR_S, seen_at=NOW, rate=0.5 / HOUR_S))
    large = state(
        "large",
        QuotaWindow("5h", 0.0, NOW + HOUR_S, seen_at=NOW, rate=0.0),
        QuotaWindow("7d", 0.9, NOW + DAY_S, seen_at=NOW, rate=0.01 / HOUR_S),
    )
    # 5 h: (0.5 + 5) weighted shares at 0.5 an hour; week: 0.5 at 0.05 an hour.
    assert headroom_s([(small, 1.0), (large, 5.0)], NOW) == pytest.approx(10 * HOUR_S)


def test_without_use_there_is_no_headroom_to_tell() -> None:
    idle = state("idle", QuotaWindow("5h", 0.5, NOW + HOUR_S, seen_at=NOW, rate=0.0))
    assert headroom_s([(idle, 1.0)], NOW) is None
