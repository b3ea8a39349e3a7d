"""A network that is down is no account's fault: it is noticed, asked about by one, and over with the first answer."""

import pytest

from core.model import (
    ClientLeft,
    Event,
    NotDelivered,
    Outcome,
    Pool,
    ProviderBack,
    ProviderLost,
    ProviderName,
    RequestRefused,
    Served,
    Unknown,
)
from core.policy.outage import FAILURES, FORGET_S, LONGEST_WAIT_S, asked, observed, wait_s
from tests.pools import NOW, pool

HERE, THERE = ProviderName.ANTHROPIC, ProviderName.OPENCODE_GO
DOWN = NotDelivered("the network is unreachable")


def fail(p: Pool, times: int, at: float = NOW) -> tuple[Pool, list[Event]]:
    events: list[Event] = []
    for _ in range(times):
        p, told = observed(p, HERE, DOWN, at)
        events += told
    return p, events


def test_bad_luck_is_no_outage() -> None:
    p, events = fail(pool("a"), FAILURES - 1)
    assert (wait_s(p, HERE, NOW), events) == (0.0, [])


def test_an_outage_is_said_once_and_holds_back_its_own_provider_only() -> None:
    p, events = fail(pool("a"), FAILURES + 5)
    assert events == [ProviderLost(HERE, "the network is unreachable")]
    assert wait_s(p, HERE, NOW) > 0
    assert wait_s(p, THERE, NOW) == 0.0


def test_one_request_asks_and_the_others_go_on_waiting() -> None:
    p, _ = fail(pool("a"), FAILURES)
    later = NOW + wait_s(p, HERE, NOW)
    assert wait_s(p, HERE, later) == 0.0
    assert wait_s(asked(p, HERE, later), HERE, later) > 0


def test_it_is_asked_ever_more_rarely_and_never_less_than_every_ten_seconds() -> None:
    p, _ = fail(pool("a"), FAILURES)
    pauses = []
    for _ in range(8):
        pauses.append(wait_s(p, HERE, NOW))
        p, _ = fail(asked(p, HERE, NOW), 1)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0, 10.0]


def test_requests_that_were_on_their_way_together_fail_as_one() -> None:
    """Else a dozen agents would wait ten seconds for a network that was gone for one."""
    p, _ = fail(pool("a"), 12)
    assert wait_s(p, HERE, NOW) == 1.0


@pytest.mark.parametrize("outcome", [Served(), RequestRefused(400)])
def test_any_answer_ends_it(outcome: Outcome) -> None:
    p, _ = fail(pool("a"), FAILURES)
    p, events = observed(p, HERE, outcome, NOW + 30)
    assert events == (ProviderBack(HERE, 30.0),)
    assert wait_s(p, HERE, NOW + 30) == 0.0
    assert not p.outages


def test_an_answer_after_bad_luck_is_not_said() -> None:
    p, _ = fail(pool("a"), 1)
    assert observed(p, HERE, Served(), NOW) == (pool("a"), ())


@pytest.mark.parametrize(
    "outcome", [Unknown("no answer"), ClientLeft(), NotDelivered("bad certificate", hopeless=True)]
)
def test_what_says_nothing_of_the_way_there_changes_nothing(outcome: Outcome) -> None:
    p, _ = fail(pool("a"), FAILURES)
    assert observed(p, HERE, outcome, NOW) == (p, ())
    assert observed(pool("a"), HERE, outcome, NOW) == (pool("a"), ())


def test_failures_far_apart_are_no_row() -> None:
    p, _ = fail(pool("a"), FAILURES - 1)
    p, events = fail(p, 1, NOW + FORGET_S + 10)
    assert (wait_s(p, HERE, NOW + FORGET_S + 10), events) == (0.0, [])


@pytest.mark.parametrize("jump_s", [-4e7, 4e7])
def test_a_clock_that_jumps_keeps_nobody_waiting_for_long(jump_s: float) -> None:
    p, _ = fail(pool("a"), FAILURES)
    assert wait_s(p, HERE, NOW + jump_s) <= LONGEST_WAIT_S
