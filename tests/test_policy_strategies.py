"""Each strategy takes one of the ready accounts, says why, and keeps to its own order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.model import AccountKind, AccountState, Choice, Fitness, ProviderName, QuotaWindow, Strategy
from core.policy.strategies import STRATEGIES
from tests.pools import ANTHROPIC, NOW, A, B, C, pool, state

HOUR_S, DAY_S = 3_600.0, 86_400.0


def week(utilization: float | None, resets_in_s: float, name: str = "7d") -> QuotaWindow:
    return QuotaWindow(name, utilization, NOW + resets_in_s, seen_at=NOW)


def choice_of(strategy: Strategy, *members: str | AccountState, **changes: object) -> Choice:
    p = pool(*members, strategy=strategy, **changes)
    return STRATEGIES[strategy](p, p.accounts, ANTHROPIC, NOW)


def test_there_is_one_function_for_each_strategy() -> None:
    assert set(STRATEGIES) == set(Strategy)


members = st.lists(
    st.builds(
        lambda id_, spent, resets, used, flying: state(
            id_,
            windows=() if spent is None else (week(spent, resets, "5h"), week(spent / 2, 9 * resets)),
            last_used_at=NOW - used,
            in_flight=flying,
        ),
        st.uuids().map(str),
        st.none() | st.floats(0, 1.2),
        st.floats(-HOUR_S, 5 * HOUR_S),
        st.floats(-HOUR_S, DAY_S),
        st.integers(0, 50),
    ),
    min_size=1,
    max_size=6,
)


@given(st.sampled_from(Strategy), members)
def test_whatever_is_known_one_of_the_ready_is_chosen_with_a_reason(
    strategy: Strategy, accounts: list[AccountState]
) -> None:
    choice = choice_of(strategy, *accounts)
    assert choice.account in {member.account.id for member in accounts}
    assert choice.reason
    assert "  " not in choice.reason


def test_priority_takes_the_first_in_the_persons_order() -> None:
    assert choice_of(Strategy.PRIORITY, "b", "a").account == B


def test_drain_soonest_takes_whose_week_ends_first_and_says_what_is_left() -> None:
    late = state("a", windows=(week(0.2, 5 * DAY_S),))
    soon = state("b", windows=(week(0.6, 1 * DAY_S), week(0.1, HOUR_S, "5h")))
    fresh = state("c")
    assert choice_of(Strategy.DRAIN_SOONEST, late, soon, fresh) == Choice(B, "its week resets first, with 40 % left")


def test_drain_soonest_without_any_reset_takes_whom_it_used_longest_ago() -> None:
    used, rested = state("a", last_used_at=NOW), state("b", last_used_at=NOW - 5)
    assert choice_of(Strategy.DRAIN_SOONEST, used, rested) == Choice(B, "no reset is known")


def test_rotate_goes_on_after_whoever_was_placed_last() -> None:
    turns = {ProviderName.ANTHROPIC: A}
    active = {ProviderName.ANTHROPIC: Choice(C, "keeps its cache warm")}
    assert choice_of(Strategy.ROTATE, "a", "b", "c", turns=turns, active=active) == Choice(B, "next in turn")


def test_rotate_goes_round_the_end_and_past_who_is_gone() -> None:
    assert choice_of(Strategy.ROTATE, "a", "b", turns={ProviderName.ANTHROPIC: B}).account == A
    assert choice_of(Strategy.ROTATE, "a", "b", turns={ProviderName.ANTHROPIC: C}).account == A


def test_hybrid_is_asked_with_the_pools_settings() -> None:
    weak = state("a", fitness=Fitness(60.0, NOW, 1.0, NOW), last_used_at=NOW)
    strong = state("b", fitness=Fitness(90.0, NOW, 50.0, NOW), last_used_at=NOW)
    assert choice_of(Strategy.HYBRID, weak, strong) == Choice(B, "fittest: health 90, 50 of 50 tokens")


@pytest.mark.parametrize("strategy", [Strategy.LEAST_UTILIZED, Strategy.BALANCED])
def test_parallel_new_sessions_spread(strategy: Strategy) -> None:
    accounts = [state(id_, AccountKind.CLAUDE, windows=(week(0.3, 5 * DAY_S),)) for id_ in "abc"]
    placed = []
    for _ in range(12):
        choice = choice_of(strategy, *accounts)
        placed.append(choice.account)
        accounts = [replace(s, in_flight=s.in_flight + 1) if s.account.id == choice.account else s for s in accounts]
    assert {placed.count(id_) for id_ in (A, B, C)} == {4}
