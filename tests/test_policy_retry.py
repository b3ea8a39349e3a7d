"""What comes after an attempt: each outcome against what is left of the budget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.model import (
    AccountRefused,
    ClientLeft,
    ClientRefused,
    CredentialRejected,
    Cut,
    NotDelivered,
    Outage,
    Outcome,
    Pool,
    ProviderName,
    QuotaSpent,
    RequestRefused,
    RequestThrottled,
    Served,
    Throttled,
    Unknown,
    UpstreamFailed,
)
from core.policy.outage import FAILURES
from core.policy.pool import SHORT_THROTTLE_S
from core.policy.retry import (
    MAX_ATTEMPTS,
    MAX_WAIT_S,
    MIN_RETRIES,
    Again,
    ComeBack,
    Deliver,
    Elsewhere,
    GiveUp,
    Renew,
    Spent,
    Step,
    affordable,
    next_step,
)
from tests.pools import ANTHROPIC, pool, state

QUIET = pool(state("a", in_flight=1))
BUSY = pool(state("a", in_flight=4), retrying=MIN_RETRIES)
"""The retries that all requests share are used up."""
TOOLS = replace(ANTHROPIC, server_tools=True)

FRESH = Spent()
SECOND = Spent(attempts=2)
LAST = Spent(attempts=3)
RENEWED = Spent(attempts=2, renewed=True)
MOVED = Spent(attempts=2, elsewhere=True)
THROTTLED = Spent(attempts=2, throttled=True, waited_s=5)

QUOTA = QuotaSpent("5 h window full")
EXPIRED = CredentialRejected("login rejected", renewable=True)
BAD_KEY = CredentialRejected("key rejected", renewable=False)
DEAD = AccountRefused("organization disabled")
FOREIGN = ClientRefused("only for Claude Code")
DOWN = UpstreamFailed(529, overloaded=True)
NO_ROUTE = NotDelivered("unreachable")
SILENCE = Unknown("no answer")


@pytest.mark.parametrize("request_", [ANTHROPIC, TOOLS])
@pytest.mark.parametrize(
    ("outcome", "spent", "step"),
    [
        # An answer is an answer, however many attempts it took.
        *[(outcome, spent, Deliver()) for outcome in (Served(), RequestRefused(400)) for spent in (FRESH, LAST)],
        (ClientLeft(), FRESH, Deliver()),
        # Refused for the account's sake: the next account, three attempts in all.
        *[(outcome, spent, Elsewhere()) for outcome in (QUOTA, DEAD, FOREIGN, BAD_KEY) for spent in (FRESH, SECOND)],
        *[(outcome, LAST, ComeBack()) for outcome in (QUOTA, DEAD, FOREIGN, BAD_KEY, EXPIRED, Throttled(1))],
        # A login is renewed once, then the next account.
        (EXPIRED, FRESH, Renew()),
        (EXPIRED, SECOND, Renew()),
        (EXPIRED, RENEWED, Elsewhere()),
        # A short throttle is waited for once, on the same account.
        (Throttled(0), FRESH, Again(0)),
        (Throttled(SHORT_THROTTLE_S), FRESH, Again(SHORT_THROTTLE_S)),
        (Throttled(SHORT_THROTTLE_S + 0.1), FRESH, Elsewhere()),
        (Throttled(1), THROTTLED, Elsewhere()),
        (Throttled(5), Spent(waited_s=MAX_WAIT_S - 5), Again(5)),
        (Throttled(5), Spent(waited_s=MAX_WAIT_S - 4), Elsewhere()),
        # The upstream's trouble: one retry elsewhere, then the answer as it came.
        *[(outcome, FRESH, Elsewhere(or_deliver=True)) for outcome in (DOWN, UpstreamFailed(500), RequestThrottled())],
        *[(outcome, spent, Deliver()) for outcome in (DOWN, RequestThrottled()) for spent in (MOVED, LAST)],
        (DOWN, RENEWED, Elsewhere(or_deliver=True)),
        # Not delivered: the same account after a moment; another one would not be reached either.
        (NO_ROUTE, FRESH, Again(0.2)),
        (NO_ROUTE, SECOND, Again(1.0)),
        (NO_ROUTE, LAST, GiveUp("unreachable", unknown=False)),
        (NO_ROUTE, Spent(waited_s=MAX_WAIT_S), GiveUp("unreachable", unknown=False)),
        (NotDelivered("bad certificate", hopeless=True), FRESH, GiveUp("bad certificate", unknown=False)),
        # Half an answer is never asked for again.
        (Cut("cut"), FRESH, GiveUp("cut", unknown=True)),
    ],
)
def test_each_outcome_has_its_next_step_within_the_budget(
    outcome: Outcome, spent: Spent, step: Step, request_: object
) -> None:
    assert next_step(outcome, request_, spent, QUIET) == step  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spent", "step"),
    [
        (FRESH, Again()),
        (SECOND, Again()),
        (replace(SECOND, replayed=True), GiveUp("no answer", unknown=True)),
        (LAST, GiveUp("no answer", unknown=True)),
    ],
)
def test_a_request_without_an_answer_is_sent_once_more_to_the_same_account(spent: Spent, step: Step) -> None:
    assert next_step(SILENCE, ANTHROPIC, spent, QUIET) == step


@pytest.mark.parametrize("spent", [FRESH, SECOND, LAST])
def test_in_an_outage_what_was_not_delivered_waits_for_its_turn_to_ask(spent: Spent) -> None:
    out = replace(QUIET, outages={ProviderName.ANTHROPIC: Outage(0.0, 0.0, FAILURES)})
    assert next_step(NO_ROUTE, ANTHROPIC, spent, out) == Again()
    assert next_step(NotDelivered("certificate", hopeless=True), ANTHROPIC, spent, out) == GiveUp(
        "certificate", unknown=False
    )


@pytest.mark.parametrize("spent", [FRESH, SECOND, LAST])
def test_a_request_that_may_act_in_the_world_never_runs_twice(spent: Spent) -> None:
    assert next_step(SILENCE, TOOLS, spent, QUIET) == GiveUp("no answer", unknown=True)


@pytest.mark.parametrize(
    ("outcome", "step"),
    [
        (DOWN, Deliver()),
        (RequestThrottled(), Deliver()),
        (NO_ROUTE, GiveUp("unreachable", unknown=False)),
        (SILENCE, GiveUp("no answer", unknown=True)),
        (Throttled(1), Elsewhere()),
        # An account that cannot serve is left in any case: this is no retry of something that failed.
        (QUOTA, Elsewhere()),
        (BAD_KEY, Elsewhere()),
        (EXPIRED, Renew()),
    ],
)
def test_when_the_shared_retries_are_used_up_the_upstreams_trouble_goes_to_the_client(
    outcome: Outcome, step: Step
) -> None:
    assert next_step(outcome, ANTHROPIC, FRESH, BUSY) == step


@pytest.mark.parametrize(
    ("in_flight", "retrying", "fits"),
    [(1, 0, True), (1, 2, True), (1, 3, False), (15, 3, False), (16, 3, True), (100, 19, True), (100, 20, False)],
)
def test_retries_are_a_fifth_of_what_is_active_and_at_least_three(in_flight: int, retrying: int, *, fits: bool) -> None:
    p = pool(state("a", in_flight=in_flight - in_flight // 2), state("b", in_flight=in_flight // 2), retrying=retrying)

    assert affordable(p, FRESH) is fits


def test_a_retry_that_ends_makes_room_for_the_next_one() -> None:
    three_at_once = pool(state("a", in_flight=3), retrying=3)

    assert next_step(NO_ROUTE, ANTHROPIC, SECOND, three_at_once) == Again(1.0)
    assert next_step(NO_ROUTE, ANTHROPIC, FRESH, three_at_once) == GiveUp("unreachable", unknown=False)


OUTCOMES = st.one_of(
    st.sampled_from([QUOTA, EXPIRED, BAD_KEY, DEAD, FOREIGN, DOWN, NO_ROUTE, SILENCE, RequestThrottled(), Cut("cut")]),
    st.builds(Throttled, wait_s=st.floats(0, 60)),
)


@given(
    st.lists(OUTCOMES, min_size=2 * MAX_ATTEMPTS, max_size=2 * MAX_ATTEMPTS),
    st.booleans(),
    st.sampled_from([QUIET, BUSY]),
)
def test_no_row_of_outcomes_leads_beyond_the_budget(outcomes: list[Outcome], tools: bool, shared: Pool) -> None:
    """The proxy's part is only to count; whatever comes, the client gets its answer after three attempts."""
    request = replace(ANTHROPIC, server_tools=tools)
    spent, ran = Spent(attempts=0), 0
    for outcome in outcomes:
        spent = replace(spent, attempts=spent.attempts + 1)
        ran += isinstance(outcome, Unknown)
        step = next_step(outcome, request, spent, shared)
        match step:
            case Again(wait_s=wait_s):
                spent = replace(spent, waited_s=spent.waited_s + wait_s, throttled=spent.throttled or wait_s > 0)
            case Renew():
                spent = replace(spent, renewed=True)
            case Elsewhere(or_deliver=or_deliver):
                spent = replace(spent, elsewhere=spent.elsewhere or or_deliver, renewed=False)
            case Deliver() | GiveUp() | ComeBack():
                break

    assert isinstance(step, Deliver | GiveUp | ComeBack)
    assert spent.attempts <= MAX_ATTEMPTS
    assert spent.waited_s <= MAX_WAIT_S
    assert ran <= (1 if tools else 2)
