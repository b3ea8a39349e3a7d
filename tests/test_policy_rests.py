"""Rests begin, are shared, are asked about once in a while, and end when an answer shows that they are over."""

import pytest
from msgspec.structs import replace

from core.model import Cause, Cooldown, CooldownStarted, Served, UpstreamFailed
from core.policy.pool import choose, lease, observe
from core.policy.rests import (
    ASK_EVERY_S,
    LONGEST_REST_S,
    UNKNOWN_RESET_MAX_S,
    UNKNOWN_RESET_S,
    UPSTREAM_FAILURES,
    UPSTREAM_MEMORY_S,
    UPSTREAM_REST_MAX_S,
    UPSTREAM_REST_S,
    begin,
    may_ask,
    until,
    upstream_failed,
    well,
)
from tests.pools import ANTHROPIC, NOW, A, B, pool, rest, state

HOUR_S = 3_600.0


def spent(for_s: float = 5 * HOUR_S) -> Cooldown:
    return Cooldown(NOW + for_s, Cause.QUOTA, "5 h window full")


@pytest.mark.parametrize(
    ("told_at", "failures", "expected_s"),
    [
        (NOW + 900, 0, 900),
        (NOW + 9e9, 0, LONGEST_REST_S),
        (None, 0, UNKNOWN_RESET_S),
        (None, 2, 4 * UNKNOWN_RESET_S),
        (None, 10_000, UNKNOWN_RESET_MAX_S),
        (NOW - 5, 0, UNKNOWN_RESET_S),
    ],
)
def test_a_rest_ends_when_the_provider_said_and_else_after_a_back_off(
    told_at: float | None, failures: int, expected_s: float
) -> None:
    assert until(state("a", failures=failures), told_at, None, NOW) == NOW + expected_s


def test_a_rest_is_news_once_and_may_be_asked_about_in_ten_minutes() -> None:
    p, first = begin(pool("a"), A, spent(), NOW)
    p, again = begin(p, A, spent(), NOW)
    assert [type(event) for event in first] == [CooldownStarted]
    assert again == ()
    assert p.states[A].cooldowns[0].ask_at == NOW + ASK_EVERY_S


@pytest.mark.parametrize("cause", [Cause.PLAN, Cause.UPSTREAM])
def test_a_rest_that_asking_would_not_shorten_is_not_asked_about(cause: Cause) -> None:
    p, _ = begin(pool("a"), A, replace(spent(), cause=cause), NOW)
    assert may_ask(iter(p.accounts), ANTHROPIC, NOW + 2 * ASK_EVERY_S) is None


def test_nobody_asks_while_somebody_is_ready() -> None:
    p, _ = begin(pool("a", "b"), A, spent(), NOW)
    for minute in range(60):
        choice = choose(p, ANTHROPIC, NOW + 60 * minute)
        assert getattr(choice, "account", None) == B


def test_one_request_in_ten_minutes_asks_whether_the_quota_is_back() -> None:
    p, _ = begin(pool("a"), A, spent(), NOW)
    asked_at = []
    for second in range(0, 3 * int(ASK_EVERY_S) + 1, 10):
        choice = choose(p, ANTHROPIC, NOW + second)
        if not hasattr(choice, "account"):
            continue
        asked_at.append(second)
        p, _ = lease(p, ANTHROPIC, choice, NOW + second)
    assert asked_at == [ASK_EVERY_S, 2 * ASK_EVERY_S, 3 * ASK_EVERY_S]


def test_a_good_answer_to_who_asked_ends_the_rest() -> None:
    p, _ = begin(pool("a"), A, spent(), NOW)
    later = NOW + ASK_EVERY_S
    p, _ = lease(p, ANTHROPIC, choose(p, ANTHROPIC, later), later)
    p, _ = observe(p, A, Served(), later)
    assert p.states[A].cooldowns == ()


def test_a_good_answer_that_was_on_its_way_when_the_rest_began_ends_nothing() -> None:
    p, _ = begin(pool("a"), A, spent(), NOW)
    assert well(p.states[A]).cooldowns == p.states[A].cooldowns


def test_the_rest_that_ends_first_is_asked_about_first() -> None:
    p, _ = begin(pool("a", "b"), A, spent(), NOW)
    p, _ = begin(p, B, spent(HOUR_S), NOW)
    choice = choose(p, ANTHROPIC, NOW + ASK_EVERY_S)
    assert (choice.account, choice.reason) == (B, "asks whether it has quota again")


def test_an_account_that_the_provider_keeps_failing_on_is_left_alone_while_another_is_ready() -> None:
    p = pool("a", "b")
    for _ in range(UPSTREAM_FAILURES):
        assert p.states[A].cooldowns == ()
        p, events = observe(p, A, UpstreamFailed(500), NOW)
    assert [event.until_at for event in events] == [NOW + UPSTREAM_REST_S]
    assert p.states[A].cooldowns[0].cause is Cause.UPSTREAM


def test_the_last_ready_account_never_rests_for_the_upstreams_sake() -> None:
    p = pool("a", state("b", cooldowns=(rest(600),)))
    for _ in range(3 * UPSTREAM_FAILURES):
        p, events = observe(p, A, UpstreamFailed(500), NOW)
        assert events == ()
    assert choose(p, ANTHROPIC, NOW).account == A


def test_an_overloaded_provider_is_nobodys_fault() -> None:
    p = pool("a", "b")
    for _ in range(3 * UPSTREAM_FAILURES):
        p, _ = observe(p, A, UpstreamFailed(529, overloaded=True), NOW)
    assert p.states[A].cooldowns == ()


def test_failures_decay_and_a_good_answer_ends_the_row() -> None:
    account = state("a")
    for _ in range(UPSTREAM_FAILURES - 1):
        account, _ = upstream_failed(account, NOW)
    assert upstream_failed(account, NOW + UPSTREAM_MEMORY_S)[1] is None
    p, _ = observe(pool(account), A, Served(), NOW)
    assert p.states[A].upstream_failures == 0


def test_the_rest_for_the_upstreams_sake_grows_and_has_an_end() -> None:
    account, lengths = state("a"), []
    for _ in range(60):
        account, begun = upstream_failed(account, NOW)
        lengths.append(begun.until_at - NOW if begun else 0.0)
    assert lengths[4:9] == [30.0, 60.0, 120.0, 240.0, 300.0]
    assert max(lengths) == UPSTREAM_REST_MAX_S
