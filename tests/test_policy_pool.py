"""Who is chosen, what an outcome does, and a machine that tries everything in any order."""

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule
from msgspec.structs import replace

from core.model import (
    AccountId,
    AccountKind,
    AccountRefused,
    AccountState,
    Affinity,
    AllSpent,
    Cause,
    Choice,
    ClientKind,
    ClientLeft,
    ClientNotServed,
    ClientRefused,
    CooldownStarted,
    CredentialRejected,
    Cut,
    Event,
    Exhausted,
    ExtraUsage,
    FailedOver,
    Identity,
    LoginRequired,
    ModelFamily,
    NotDelivered,
    Outcome,
    Pause,
    Pin,
    Polling,
    Pool,
    ProviderName,
    QuotaSpent,
    QuotaWindow,
    Request,
    RequestRefused,
    RequestThrottled,
    ResourceId,
    Served,
    Serves,
    SessionId,
    SessionMoved,
    SignIn,
    Standing,
    Strategy,
    Throttled,
    Unknown,
    UpstreamFailed,
    Usage,
    WindowStatus,
)
from core.policy import plan, sharing
from core.policy.pool import (
    CACHE_WARM_S,
    FORGET_SESSION_S,
    PINNED,
    RAMP_LONGEST_S,
    RESOURCES_KEPT,
    SESSIONS_KEPT,
    SHORT_THROTTLE_S,
    choose,
    forgiven,
    lease,
    made,
    observe,
    ramp,
    release,
    used,
)
from core.policy.readiness import obstacle, standing
from core.policy.readiness import resting as keeping
from core.policy.rests import LONGEST_REST_S, UNKNOWN_RESET_MAX_S, UNKNOWN_RESET_S, with_state
from tests.pools import ANTHROPIC, GO, NOW, A, B, C, D, pool, rest, resting, said, state

OPUS = ModelFamily("opus")
SONNET = ModelFamily("sonnet")
CODE = replace(ANTHROPIC, client=ClientKind.CLAUDE_CODE)
NOT_OTHERS = frozenset({ClientKind.OTHER})
WARM = "keeps this conversation's prompt cache warm"


def session(name: str = "s", **changes: object) -> Request:
    return replace(ANTHROPIC, session=SessionId(name), **changes)


def chosen(p: Pool, request: Request = ANTHROPIC, now: float = NOW, tried: tuple[AccountId, ...] = ()) -> Choice:
    choice = choose(p, request, now, frozenset(tried))
    assert isinstance(choice, Choice), choice
    return replace(choice, placed=False)


def failovers(step: tuple[Pool, tuple[Event, ...]]) -> tuple[Pool, tuple[Event, ...]]:
    """A step with what is announced of it, without each session that moved."""
    return step[0], tuple(event for event in step[1] if not isinstance(event, SessionMoved))


def exhausted(p: Pool, request: Request = ANTHROPIC, now: float = NOW, tried: tuple[AccountId, ...] = ()) -> Exhausted:
    choice = choose(p, request, now, frozenset(tried))
    assert isinstance(choice, Exhausted), choice
    return choice


def served_by(p: Pool, id_: AccountId, request: Request = ANTHROPIC, now: float = NOW) -> Pool:
    """The pool after this account has served one request."""
    p, _ = lease(p, request, Choice(id_, "test"), now)
    return release(p, id_, retried=False)


def five_hours(utilization: float) -> tuple[QuotaWindow, ...]:
    return (QuotaWindow("5h", utilization, NOW + 3600, seen_at=NOW),)


# --- who may serve ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account", "request_", "words"),
    [
        (state("a"), ANTHROPIC, ""),
        (state("a", enabled=False), ANTHROPIC, "disabled"),
        (state("a", sign_in=SignIn.NEEDED), ANTHROPIC, "sign in again"),
        (state("a", sign_in=SignIn.NEEDED, sign_in_text="login revoked"), ANTHROPIC, "login revoked"),
        (state("a", sign_in=SignIn.LOCKED), ANTHROPIC, "keychain locked"),
        (state("a", serves=Serves.CLAUDE_CODE), ANTHROPIC, "serves Claude Code only"),
        (state("a", serves=Serves.CLAUDE_CODE), CODE, ""),
        (state("a", refuses=NOT_OTHERS), ANTHROPIC, "the provider does not let it serve this program"),
        (state("a", refuses=NOT_OTHERS), CODE, ""),
        (resting("a"), ANTHROPIC, "5 h window full"),
        (resting("a", text=""), ANTHROPIC, "resting"),
        (resting("a", for_s=0.0), ANTHROPIC, ""),
        (resting("a", family=OPUS), ANTHROPIC, ""),
        (resting("a", family=OPUS), replace(ANTHROPIC, family=SONNET), ""),
        (resting("a", family=OPUS), replace(ANTHROPIC, family=OPUS), "5 h window full"),
        (state("a", cooldowns=(rest(9, "short"), rest(99, "long"))), ANTHROPIC, "long"),
    ],
)
def test_an_account_that_cannot_serve_says_why(account: AccountState, request_: Request, words: str) -> None:
    assert obstacle(account, request_, NOW) == words


@pytest.mark.parametrize(
    ("account", "word"),
    [
        (state("a"), Standing.READY),
        (resting("a"), Standing.COOLING),
        (resting("a", family=OPUS), Standing.READY),
        (state("a", sign_in=SignIn.NEEDED), Standing.SIGN_IN),
        (state("a", sign_in=SignIn.NEEDED, cooldowns=(rest(60),)), Standing.SIGN_IN),
        (state("a", sign_in=SignIn.LOCKED), Standing.LOCKED),
        (state("a", enabled=False, sign_in=SignIn.NEEDED), Standing.DISABLED),
    ],
)
def test_standing_names_what_the_person_should_mend_first(account: AccountState, word: Standing) -> None:
    assert standing(account, NOW) is word


def test_another_providers_account_is_never_chosen() -> None:
    p = pool(state("go", AccountKind.GO), resting("a"))

    assert exhausted(p).reasons == (("A", "5 h window full", NOW + 600),)
    assert chosen(p, Request(ProviderName.OPENCODE_GO)).account == GO


def test_without_an_account_there_is_no_reason() -> None:
    assert exhausted(pool()) == Exhausted(None, ())


def test_when_nobody_is_ready_each_says_why_and_the_soonest_is_named() -> None:
    spent, fuller = resting("a", 900), resting("b", 300, text="week full")
    p = pool(spent, fuller, state("c", enabled=False), state("d", sign_in=SignIn.NEEDED))

    assert exhausted(p) == Exhausted(
        NOW + 300,
        (
            ("A", "5 h window full", NOW + 900),
            ("B", "week full", NOW + 300),
            ("C", "disabled", None),
            ("D", "sign in again", None),
        ),
    )


def test_a_rest_of_an_account_that_would_not_serve_anyway_promises_nothing() -> None:
    p = pool(state("a", enabled=False, cooldowns=(rest(60),)))

    assert exhausted(p) == Exhausted(None, (("A", "disabled", None),))


def test_an_account_that_this_request_has_tried_is_not_asked_again_and_not_called_unable() -> None:
    p = pool("a", resting("b"))

    found = exhausted(p, tried=(A,))

    assert found.tried
    assert found.reasons == (("A", "tried just now", None), ("B", "5 h window full", NOW + 600))
    assert not exhausted(pool(resting("a")), tried=(A,)).tried


# --- pin, affinity, strategy -----------------------------------------------------------------------


@pytest.mark.parametrize("strategy", Strategy)
def test_the_pinned_account_serves_whatever_the_strategy_and_the_session(strategy: Strategy) -> None:
    p = pool("a", "b", "c", strategy=strategy, pins={ProviderName.ANTHROPIC: Pin(B)})
    p = replace(p, sessions=served_by(p, A, session()).sessions)

    assert chosen(p, session()) == Choice(B, PINNED)


@pytest.mark.parametrize(
    ("pin", "tried"), [(Pin(A, NOW), ()), (Pin(A, NOW - 1), ()), (Pin(A), (A,)), (Pin(C), ()), (Pin(GO), ())]
)
def test_a_pin_that_has_ended_or_cannot_be_followed_leaves_the_choice_open(
    pin: Pin, tried: tuple[AccountId, ...]
) -> None:
    p = pool("a", "b", resting("c"), state("go", AccountKind.GO), pins={ProviderName.ANTHROPIC: pin})

    assert chosen(p, tried=tried).reason != PINNED


@pytest.mark.parametrize(
    ("pause", "held"), [(Pause(), True), (Pause(NOW + 1), True), (Pause(NOW), False), (None, False)]
)
def test_nothing_is_let_through_while_paused(pause: Pause | None, *, held: bool) -> None:
    answer = choose(pool("a", "b", pause=pause), ANTHROPIC, NOW)

    assert answer == Exhausted(pause.until_at, (), paused=True) if held and pause else isinstance(answer, Choice)


def test_a_pause_asks_no_resting_account_whether_its_quota_is_back() -> None:
    p = pool(resting("a", 9_000, ask_at=NOW))

    assert isinstance(choose(p, ANTHROPIC, NOW), Choice)
    assert choose(replace(p, pause=Pause()), ANTHROPIC, NOW) == Exhausted(None, (), paused=True)


LAST = {ProviderName.ANTHROPIC: Choice(A, "not used yet")}


@pytest.mark.parametrize("strategy", Strategy)
@pytest.mark.parametrize(
    "on",
    [
        {"pins": {ProviderName.ANTHROPIC: Pin(B)}, "active": LAST},
        {"sessions": {SessionId("anthropic/s"): Affinity(B, NOW - 60)}, "active": LAST},
        {"active": {ProviderName.ANTHROPIC: Choice(B, "not used yet")}},
    ],
    ids=["pin", "session", "active"],
)
def test_with_failover_off_a_request_goes_where_it_is_or_nowhere(strategy: Strategy, on: dict[str, Any]) -> None:
    p = pool("a", "b", "c", strategy=strategy, failover=False, **on)
    spent = with_state(p, resting("b", 9_000))

    assert chosen(p, session()).account == B
    off_1, off_3 = (("A", "failover is off", None), ("C", "failover is off", None))
    full = ("B", "5 h window full", NOW + 9_000)
    assert exhausted(spent, session()) == Exhausted(NOW + 9_000, (off_1, full, off_3))
    asked = ("B", "tried just now", None)
    assert exhausted(p, session(), tried=(B,)) == Exhausted(None, (off_1, asked, off_3), tried=True)


def test_with_failover_off_and_nobody_serving_yet_the_strategy_chooses() -> None:
    assert chosen(pool(resting("a"), "b", failover=False)).account == B


def test_with_failover_off_a_spent_account_says_that_nothing_is_served() -> None:
    p = pool("a", "b", failover=False, active=LAST)

    (events_of_a, events_of_b) = (observe(p, id_, QuotaSpent("5 h window full", NOW + 600), NOW)[1] for id_ in (A, B))
    assert AllSpent(ProviderName.ANTHROPIC, NOW + 600, account=A) in events_of_a
    assert not any(isinstance(event, AllSpent) for event in events_of_b)


@pytest.mark.parametrize("strategy", [Strategy.STICKY, Strategy.LEAST_UTILIZED])
def test_a_session_stays_where_its_prompt_cache_is(strategy: Strategy) -> None:
    p = pool(state("a", windows=five_hours(0.1)), state("b", windows=five_hours(0.8)), strategy=strategy)
    p = served_by(served_by(p, B, session()), A)

    assert chosen(p, session(), NOW + CACHE_WARM_S - 1) == Choice(B, WARM)


@pytest.mark.parametrize("later_s", [CACHE_WARM_S, CACHE_WARM_S + 1, 86_400])
def test_a_session_whose_cache_is_cold_is_placed_anew(later_s: float) -> None:
    p = served_by(pool(state("a", windows=five_hours(0.1)), state("b", windows=five_hours(0.8))), B, session())

    assert chosen(p, session(), NOW + later_s).account == A


@pytest.mark.parametrize(
    "home",
    [
        state("b", enabled=False),
        state("b", sign_in=SignIn.NEEDED),
        state("b", serves=Serves.CLAUDE_CODE),
        resting("b"),
    ],
)
def test_a_session_moves_when_its_account_cannot_serve(home: AccountState) -> None:
    p = served_by(pool("a", home), B, session())

    assert chosen(p, session()).account == A


def test_a_session_that_has_moved_stays_where_it_is_now() -> None:
    p = served_by(pool("a", "b"), A, session())
    p = served_by(p, B, session(), NOW + 60)

    assert chosen(p, session(), NOW + 120) == Choice(B, WARM)


def test_a_conversation_that_uses_both_providers_keeps_both_its_accounts() -> None:
    p = pool("a", "b", state("go", AccountKind.GO), state("go2", AccountKind.GO))
    go = session(provider=ProviderName.OPENCODE_GO)
    p = served_by(served_by(p, B, session()), GO, go, NOW + 1)

    assert chosen(p, session(), NOW + 2) == Choice(B, WARM)
    assert chosen(p, go, NOW + 2) == Choice(GO, WARM)


def test_round_robin_does_not_hold_on_to_sessions() -> None:
    p = served_by(pool("a", "b", strategy=Strategy.ROUND_ROBIN), A, session())

    assert chosen(p, session()) == Choice(B, "next in turn")


@given(st.lists(st.booleans(), min_size=1, max_size=8).filter(any), st.integers(0, 7))
def test_round_robin_gives_each_ready_account_its_turn(ready: list[bool], start: int) -> None:
    members = [state(f"n{i}") if able else resting(f"n{i}", 1e6) for i, able in enumerate(ready)]
    p = pool(*members, state("go", AccountKind.GO), strategy=Strategy.ROUND_ROBIN)
    p = served_by(p, members[start % len(members)].account.id)

    turns = []
    for _ in range(3 * sum(ready)):
        choice = chosen(p)
        p = served_by(p, choice.account)
        turns.append(choice.account)

    assert set(Counter(turns).values()) == {3}
    assert turns[: sum(ready)] == turns[sum(ready) : 2 * sum(ready)]


def test_sticky_stays_with_who_served_last_and_then_goes_on_in_the_persons_order() -> None:
    p = pool("a", "b", "c", "d", strategy=Strategy.STICKY)
    assert chosen(p) == Choice(A, "next in your order")

    p = served_by(p, C)
    assert chosen(p) == Choice(C, "it served last")
    assert chosen(p, tried=(C,)) == Choice(D, "next in your order")
    assert chosen(p, tried=(C, D)).account == A


@pytest.mark.parametrize(
    ("members", "account", "reason"),
    [
        ([state("a", windows=five_hours(0.62)), state("b", windows=five_hours(0.7))], A, "least used: 5 h at 62 %"),
        ([state("a", windows=five_hours(0.62)), state("b")], B, "not used yet"),
        # The tightest window counts, whichever it is.
        (
            [state("a", windows=(*five_hours(0.1), QuotaWindow("7d", 0.9))), state("b", windows=five_hours(0.5))],
            B,
            "least used: 5 h at 50 %",
        ),
        # A window of another model family does not count, its own does.
        ([state("a", windows=(QuotaWindow("7d", 0.9, family=OPUS),)), state("b", windows=five_hours(0.5))], B, None),
        ([state("a", windows=(QuotaWindow("7d", 0.9, family=SONNET),)), state("b", windows=five_hours(0.5))], A, None),
        # Requests in flight spread new sessions over accounts that are equally full.
        ([state("a", windows=five_hours(0.5), in_flight=2), state("b", windows=five_hours(0.53))], B, None),
        ([state("a", last_used_at=NOW), state("b", last_used_at=NOW - 1)], B, None),
        ([state("a"), state("b")], A, None),
        # A reading ends at its reset.
        ([state("a", windows=(QuotaWindow("5h", 0.99, NOW),)), state("b", windows=five_hours(0.2))], A, None),
    ],
)
def test_least_utilized_takes_the_account_with_most_left(
    members: list[AccountState], account: AccountId, reason: str | None
) -> None:
    choice = chosen(pool(*members), replace(ANTHROPIC, family=OPUS))

    assert choice.account == account
    assert reason in {None, choice.reason}


# --- leases ----------------------------------------------------------------------------------------


def test_a_lease_counts_as_in_flight_until_it_is_released() -> None:
    p, events = lease(pool("a"), session(), Choice(A, "why"), NOW)

    held = p.state(A)
    assert held is not None
    assert (held.in_flight, held.last_used_at, events) == (1, NOW, ())
    assert p.active == {ProviderName.ANTHROPIC: Choice(A, "why")}
    free = release(p, A, retried=False).state(A)
    assert free is not None
    assert free.in_flight == 0


def test_retries_count_for_everybody_until_they_are_released() -> None:
    p, _ = lease(pool("a"), ANTHROPIC, Choice(A, ""), NOW, retried=True)

    assert p.retrying == 1
    assert release(p, A, retried=True).retrying == 0


def test_an_account_that_was_removed_meanwhile_changes_nothing() -> None:
    p = pool("a")
    gone = AccountId("gone")

    leased, events = lease(p, ANTHROPIC, Choice(gone, ""), NOW, retried=True)

    assert events == ()
    assert release(leased, gone, retried=True) == p
    assert observe(p, gone, QuotaSpent("full", NOW + 60), NOW) == (p, ())


def test_of_too_many_sessions_the_one_used_longest_ago_is_forgotten() -> None:
    p = pool("a")
    for number in range(SESSIONS_KEPT):
        p, _ = lease(p, session(f"s{number}"), Choice(A, ""), NOW + number)
    p, _ = lease(p, session("s0"), Choice(A, ""), NOW + SESSIONS_KEPT)
    p, _ = lease(p, session("new"), Choice(A, ""), NOW + SESSIONS_KEPT)

    kept = {key.rpartition("/")[2] for key in p.sessions}
    assert len(kept) == SESSIONS_KEPT
    assert {"s0", "s2", "new"} <= kept
    assert "s1" not in kept


# --- outcomes --------------------------------------------------------------------------------------


def test_a_full_quota_window_rests_the_account_until_its_reset() -> None:
    p, events = observe(pool("a", "b"), A, QuotaSpent("5 h window full", NOW + 7200, windows=five_hours(1.0)), NOW)

    spent = p.state(A)
    assert spent is not None
    assert said(spent) == five_hours(1.0)
    assert events == (CooldownStarted(A, NOW + 7200, Cause.QUOTA, "5 h window full"),)
    assert chosen(p).account == B
    assert chosen(p, now=NOW + 7200).account == A


def test_a_full_window_of_one_model_family_leaves_the_others_served() -> None:
    p, events = observe(pool("a"), A, QuotaSpent("opus week full", NOW + 7200, OPUS), NOW)

    assert chosen(p, replace(ANTHROPIC, family=SONNET)).account == A
    assert chosen(p).account == A
    assert exhausted(p, replace(ANTHROPIC, family=OPUS)).ready_at == NOW + 7200
    assert events[-1] == AllSpent(ProviderName.ANTHROPIC, NOW + 7200, OPUS)


@pytest.mark.parametrize("told_at", [NOW + 30 * 86_400, 1e18, float("inf")])
def test_a_wild_reset_is_cut(told_at: float) -> None:
    p, _ = observe(pool("a"), A, QuotaSpent("full", told_at), NOW)

    assert exhausted(p).ready_at == NOW + LONGEST_REST_S


@pytest.mark.parametrize("told_at", [None, NOW, NOW - 60, float("nan")])
def test_a_full_window_whose_reset_is_not_known_is_asked_again_after_1_2_4_to_30_minutes(told_at: float | None) -> None:
    p, now, rests = pool("a"), NOW, []
    for _ in range(8):
        p, _ = observe(p, A, QuotaSpent("full", told_at), now)
        ready_at = exhausted(p, now=now).ready_at
        assert ready_at is not None
        rests.append((ready_at - now) / UNKNOWN_RESET_S)
        now = ready_at

    assert rests == [1, 2, 4, 8, 16, 30, 30, 30]
    assert UNKNOWN_RESET_MAX_S == 30 * UNKNOWN_RESET_S


def test_requests_that_are_refused_together_are_one_failure() -> None:
    p = pool("a")
    for _ in range(5):
        p, _ = observe(p, A, QuotaSpent("full"), NOW)

    assert exhausted(p).ready_at == NOW + UNKNOWN_RESET_S


def test_a_good_answer_ends_the_row_of_failures() -> None:
    p, _ = observe(pool("a"), A, QuotaSpent("full"), NOW)
    p, _ = observe(p, A, Served(five_hours(0.3)), NOW + 60)
    p, _ = observe(p, A, QuotaSpent("full"), NOW + 60)

    assert exhausted(p, now=NOW + 60).ready_at == NOW + 60 + UNKNOWN_RESET_S
    served = p.state(A)
    assert served is not None
    assert (served.served, said(served)) == (1, five_hours(0.3))


def test_a_longer_refusal_extends_the_rest_and_a_shorter_one_does_not_end_it() -> None:
    p, _ = observe(pool("a", "b"), A, QuotaSpent("5 h window full", NOW + 600), NOW)
    p, again = observe(p, A, QuotaSpent("5 h window full", NOW + 300), NOW)
    p, longer = observe(p, A, QuotaSpent("week full", NOW + 9000), NOW)

    assert again == longer == ()
    rested = p.state(A)
    assert rested is not None
    assert [(c.until_at, c.text) for c in rested.cooldowns] == [(NOW + 9000, "week full")]


@pytest.mark.parametrize(
    ("wait_s", "rests"),
    [(0.0, False), (1.0, False), (SHORT_THROTTLE_S, False), (SHORT_THROTTLE_S + 0.1, True), (90.0, True)],
)
def test_a_short_throttle_rests_nobody_and_a_long_one_does(wait_s: float, *, rests: bool) -> None:
    p, events = observe(pool("a"), A, Throttled(wait_s, five_hours(0.4)), NOW)

    assert [type(event) for event in events] == ([CooldownStarted, AllSpent] if rests else [])
    assert isinstance(choose(p, ANTHROPIC, NOW), Exhausted) is rests
    throttled = p.state(A)
    assert throttled is not None
    assert said(throttled) == five_hours(0.4)
    assert chosen(p, now=NOW + wait_s).account == A


@pytest.mark.parametrize(
    "outcome", [CredentialRejected("key rejected", renewable=False), AccountRefused("organization disabled")]
)
def test_an_account_that_only_a_person_can_mend_says_so_once(outcome: Outcome) -> None:
    p, first = observe(pool("a", "b"), A, outcome, NOW)
    p, second = observe(p, A, outcome, NOW + 1)

    assert first == (LoginRequired(A, outcome.text),)  # type: ignore[union-attr]
    assert second == ()
    assert chosen(p, now=NOW + 10 * LONGEST_REST_S).account == B


def test_a_client_that_the_provider_refuses_is_kept_from_this_account_only() -> None:
    refusal = ClientRefused("only for Claude Code")
    p, first = observe(pool("a", "b"), A, refusal, NOW)
    p, second = observe(p, A, refusal, NOW)

    assert first == (ClientNotServed(A, ClientKind.OTHER, "only for Claude Code"),)
    assert second == ()
    assert chosen(p).account == B
    assert chosen(p, CODE).account == A


@pytest.mark.parametrize(
    "outcome",
    [
        CredentialRejected("login rejected", renewable=True),
        RequestThrottled(),
        UpstreamFailed(500),
        UpstreamFailed(529, overloaded=True),
        RequestRefused(400),
        NotDelivered("unreachable"),
        NotDelivered("bad certificate", hopeless=True),
        Unknown("no answer"),
        Cut("cut"),
        ClientLeft(),
    ],
)
def test_what_is_not_the_accounts_fault_leaves_it_as_it_was(outcome: Outcome) -> None:
    p = pool("a", "b")

    after, events = observe(p, A, outcome, NOW)

    assert events == ()
    assert after.states[A].cooldowns == ()
    assert chosen(after) == chosen(p)


# --- what is said ----------------------------------------------------------------------------------


def test_the_last_account_to_rest_says_that_all_are_spent() -> None:
    p, first = observe(pool("a", "b"), A, QuotaSpent("full", NOW + 900), NOW)
    p, second = observe(p, B, QuotaSpent("full", NOW + 300), NOW)

    assert AllSpent not in map(type, first)
    assert second[-1] == AllSpent(ProviderName.ANTHROPIC, NOW + 300)


def test_accounts_that_serve_claude_code_only_are_not_spent_while_one_of_them_is_ready() -> None:
    p = pool(state("a", serves=Serves.CLAUDE_CODE), state("b", refuses=NOT_OTHERS))

    p, first = observe(p, A, QuotaSpent("full", NOW + 900), NOW)
    _, second = observe(p, B, QuotaSpent("full", NOW + 300), NOW)

    assert [type(event) for event in first] == [CooldownStarted]
    assert second[-1] == AllSpent(ProviderName.ANTHROPIC, NOW + 300)


@pytest.mark.parametrize("how", ["tried", "session", "served last"])
def test_a_failover_is_said_once_for_each_rest(how: str) -> None:
    p = served_by(pool("a", "b", "c"), A, session())
    p, _ = observe(p, A, QuotaSpent("5 h window full", NOW + 600), NOW)
    request = session() if how == "session" else session("another") if how == "served last" else ANTHROPIC
    tried = (A,) if how == "tried" else ()

    p, first = failovers(lease(p, request, Choice(B, ""), NOW, tried))
    p, second = failovers(lease(p, session("late", family=OPUS), Choice(C, ""), NOW, (A,)))
    p, _ = observe(p, A, QuotaSpent("5 h window full", NOW + 9000), NOW)
    p, extended = failovers(lease(p, ANTHROPIC, Choice(B, ""), NOW, (A,)))
    p, _ = observe(p, A, QuotaSpent("week full", NOW + 99_000), NOW + 9000)
    p, again = failovers(lease(p, ANTHROPIC, Choice(C, ""), NOW + 9000, (A,)))

    assert first == (FailedOver(A, B, "5 h window full", NOW + 600),)
    assert second == extended == ()
    assert again == (FailedOver(A, C, "week full", NOW + 99_000),)


@pytest.mark.parametrize(
    ("source", "request_"),
    [
        (state("a"), ANTHROPIC),  # ready: the strategy moved on
        (resting("a", family=OPUS), replace(ANTHROPIC, family=SONNET)),  # its rest does not concern this request
        (state("a", sign_in=SignIn.NEEDED), ANTHROPIC),  # LoginRequired has said it
    ],
)
def test_a_move_without_a_rest_is_no_failover(source: AccountState, request_: Request) -> None:
    p = served_by(pool(source, "b"), A)

    assert lease(p, request_, Choice(B, ""), NOW)[1] == ()


def test_a_conversation_that_turns_to_the_other_provider_is_no_failover() -> None:
    go = session(provider=ProviderName.OPENCODE_GO)
    p = served_by(pool("a", state("go", AccountKind.GO)), GO, go)
    p, _ = observe(p, GO, QuotaSpent("5 h window full", NOW + 600), NOW)

    assert lease(p, session(), Choice(A, ""), NOW)[1] == ()


# --- limits that several accounts share --------------------------------------------------------------


def key(id_: str, organization: str = "organisation-1", **changes: object) -> AccountState:
    return state(id_, AccountKind.API_KEY, identity=Identity(f"key:{id_}", organization), **changes)


def buckets(utilization: float) -> tuple[QuotaWindow, ...]:
    return (QuotaWindow("input-tokens", utilization, NOW + 58, seen_at=NOW),)


def test_a_spent_key_is_not_answered_by_asking_another_key_with_the_same_limits() -> None:
    p, events = observe(pool(key("a"), key("b"), key("c", "another")), A, QuotaSpent("no credit left", NOW + 3600), NOW)

    assert [type(event) for event in events] == [CooldownStarted, CooldownStarted]
    assert chosen(p, tried=(A,)).account == C
    assert exhausted(p, tried=(C,)).reasons[:2] == (
        ("A", "no credit left", NOW + 3600),
        ("B", "no credit left", NOW + 3600),
    )


def test_keys_that_rest_together_are_said_to_be_spent_once_and_to_move_once() -> None:
    p = served_by(pool(key("a"), key("b"), state("c")), A, session("one"))
    p = served_by(p, B, session("two"))
    p, first = observe(p, A, QuotaSpent("no credit left", NOW + 3600), NOW)
    p, late = observe(p, B, QuotaSpent("no credit left", NOW + 3600), NOW)
    p, moved = failovers(lease(p, session("one"), Choice(C, ""), NOW, (A,)))
    p, again = failovers(lease(p, session("two"), Choice(C, ""), NOW, (B,)))
    p, spent = observe(p, C, QuotaSpent("5 h window full", NOW + 60), NOW)

    assert AllSpent not in map(type, (*first, *late))
    assert late == again == ()
    assert moved == (FailedOver(A, C, "no credit left", NOW + 3600),)
    assert [type(event) for event in spent] == [CooldownStarted, AllSpent]


def test_two_keys_of_one_organisation_alone_are_all_spent_at_once_and_said_so_once() -> None:
    _, events = observe(pool(key("a"), key("b")), A, Throttled(90.0), NOW)

    assert [type(event) for event in events] == [CooldownStarted, CooldownStarted, AllSpent]


def test_a_cap_of_one_workspace_rests_its_own_key_only() -> None:
    p, _ = observe(pool(key("a"), key("b")), A, QuotaSpent("spend limit reached", NOW + 3600, own=True), NOW)

    assert chosen(p).account == B


@pytest.mark.parametrize(
    "outcome",
    [Served(buckets(0.4)), Throttled(2.0, buckets(0.4)), QuotaSpent("no credit left", NOW + 60, windows=buckets(0.4))],
    ids=["served", "throttled", "spent"],
)
def test_what_is_read_from_one_key_is_known_of_all_that_share_its_limits(outcome: Outcome) -> None:
    p, _ = observe(pool(key("a"), key("b"), key("c", "another")), A, outcome, NOW)

    assert [member.windows for member in p.accounts] == [buckets(0.4), buckets(0.4), ()]


def test_a_good_answer_to_one_key_ends_the_row_of_failures_of_all_that_share_its_limits() -> None:
    p = pool(key("a", failures=3), key("b", failures=3), key("c", "another", failures=3))

    p, _ = observe(p, A, Served(), NOW)

    assert [member.failures for member in p.accounts] == [0, 0, 3]


@pytest.mark.parametrize(
    ("utilization", "later_s", "takes"),
    [(1.0, 0, C), (1.0, 57, C), (1.0, 58, B), (0.9, 0, B)],
    ids=["empty", "still empty", "full again at its reset", "not empty"],
)
def test_after_a_short_throttle_the_key_with_the_same_empty_bucket_is_passed_over(
    utilization: float, later_s: float, takes: AccountId
) -> None:
    p = pool(key("a"), key("b"), key("c", "another", last_used_at=NOW), strategy=Strategy.STICKY)
    p, events = observe(p, A, Throttled(2.0, buckets(utilization)), NOW)

    assert events == ()
    assert chosen(p, now=NOW + later_s, tried=(A,)).account == takes


def test_two_seats_of_one_organisation_rest_apart() -> None:
    seats = (state("a", identity=Identity("ada", "org")), state("b", identity=Identity("bob", "org")))
    p, _ = observe(pool(*seats), A, QuotaSpent("5 h window full", NOW + 600, windows=five_hours(1.0)), NOW)

    assert chosen(p).account == B
    assert p.accounts[1] == seats[1]


def test_what_is_wrong_with_one_key_says_nothing_of_the_others() -> None:
    p, _ = observe(pool(key("a"), key("b")), A, CredentialRejected("key rejected", renewable=False), NOW)

    assert chosen(p).account == B


# --- accounts that are kept to their plan ------------------------------------------------------------

PLAN = "plan spent (you keep it to plan limits)"
FABLE = ModelFamily("fable")
PAID = ExtraUsage(enabled=True, in_use=True, seen_at=NOW)


def kept(id_: str = "a", **changes: object) -> AccountState:
    return state(id_, plan_limits_only=True, **changes)


def test_an_account_that_is_kept_to_its_plan_rests_from_the_answer_that_fills_it() -> None:
    p, events = observe(pool(kept(), "b"), A, Served(five_hours(1.0)), NOW)

    assert events == (CooldownStarted(A, NOW + 3600, Cause.PLAN, PLAN),)
    assert chosen(p).account == B
    assert standing(p.accounts[0], NOW) is Standing.COOLING
    assert exhausted(p, tried=(B,)).reasons[0] == ("A", PLAN, NOW + 3600)
    assert standing(p.accounts[0], NOW + 3600) is Standing.READY


def test_without_the_persons_word_an_account_goes_on_into_extra_usage() -> None:
    p, events = observe(pool("a"), A, Served(five_hours(1.0), PAID), NOW)

    assert events == ()
    assert chosen(p).account == A


def test_an_answer_that_was_paid_extra_stops_the_account_from_the_next_request_on() -> None:
    p, events = observe(pool(kept(), "b"), A, Served(five_hours(0.4), PAID), NOW)

    assert [type(event) for event in events] == [CooldownStarted]
    assert exhausted(p, tried=(B,)).reasons[0] == ("A", PLAN, NOW + 3600)
    assert chosen(p, now=NOW + 3600).account == A


def test_a_models_spent_week_stops_that_model_only() -> None:
    week = QuotaWindow("7d_oi", 1.01, NOW + 86_400, family=FABLE, seen_at=NOW)
    p, events = observe(pool(kept()), A, Served((week,), PAID), NOW)

    assert [(type(event), event.family) for event in events] == [(CooldownStarted, FABLE), (AllSpent, FABLE)]
    assert chosen(p, replace(ANTHROPIC, family=OPUS)).account == A
    assert exhausted(p, replace(ANTHROPIC, family=FABLE)).ready_at == NOW + 86_400


@pytest.mark.parametrize(
    "known", [{"windows": five_hours(1.0)}, {"extra_usage": PAID}], ids=["by a poll", "before the person said so"]
)
def test_a_plan_that_is_known_to_be_spent_needs_no_answer_to_stop_the_account(known: dict[str, Any]) -> None:
    p = pool(kept(**known), "b")

    assert obstacle(p.accounts[0], ANTHROPIC, NOW) == PLAN
    assert chosen(p).account == B


def test_moving_on_from_a_spent_plan_is_said_once() -> None:
    p = served_by(pool(kept(), "b"), A)
    p = with_state(p, replace(p.accounts[0], windows=five_hours(1.0)))

    p, first = lease(p, ANTHROPIC, Choice(B, ""), NOW, (A,))
    # The reset that the next reading tells is a second later.
    jitter = tuple(replace(w, resets_at=NOW + 3601, seen_at=NOW + 1) for w in five_hours(1.0))
    p = with_state(p, replace(p.accounts[0], windows=jitter))
    p, second = lease(p, ANTHROPIC, Choice(B, ""), NOW + 1, (A,))

    assert first == (FailedOver(A, B, PLAN, NOW + 3600),)
    assert second == ()


def test_the_persons_change_of_mind_holds_at_once_both_ways() -> None:
    p, _ = observe(pool(kept(), "b"), A, Served(five_hours(1.0)), NOW)
    freed = replace(p.accounts[0], account=replace(p.accounts[0].account, plan_limits_only=False))

    assert obstacle(freed, ANTHROPIC, NOW) == ""
    assert obstacle(replace(freed, account=p.accounts[0].account), ANTHROPIC, NOW) == PLAN
    spent, events = observe(pool(freed), A, QuotaSpent("5 h window full", NOW + 60), NOW)
    assert [type(event) for event in events] == [CooldownStarted, AllSpent]
    assert exhausted(spent).reasons == (("A", "5 h window full", NOW + 60),)


def test_a_refusal_says_more_than_the_persons_word() -> None:
    p, _ = observe(pool(kept()), A, QuotaSpent("5 h window full", NOW + 3600, windows=five_hours(1.0)), NOW)

    assert exhausted(p).reasons == (("A", "5 h window full", NOW + 3600),)


def test_a_months_plan_stays_spent_although_no_rest_is_that_long() -> None:
    month = QuotaWindow("monthly", 1.0, NOW + 20 * 86_400, WindowStatus.REJECTED, seen_at=NOW)
    p, _ = observe(pool(state("go", AccountKind.GO, plan_limits_only=True)), GO, Served((month,)), NOW)

    assert all(c.until_at <= NOW + LONGEST_REST_S for c in p.accounts[0].cooldowns)
    assert exhausted(p, Request(ProviderName.OPENCODE_GO)).ready_at == NOW + 20 * 86_400


READ = st.lists(
    st.builds(
        QuotaWindow,
        name=st.sampled_from(["5h", "7d", "7d_oi", "new_kind"]),
        utilization=st.none() | st.sampled_from([0.0, 0.9, 1.0, 1.3]),
        resets_at=st.none() | st.sampled_from([NOW - 1, NOW + 100, NOW + 50_000]),
        status=st.sampled_from(WindowStatus),
        family=st.sampled_from([None, FABLE, OPUS]),
        seen_at=st.sampled_from([NOW - 600, NOW]),
    ),
    max_size=4,
).map(tuple)
EXTRA = st.none() | st.builds(ExtraUsage, in_use=st.none() | st.booleans(), seen_at=st.sampled_from([NOW - 600, NOW]))


@given(
    st.lists(st.tuples(st.booleans(), READ, EXTRA, READ, EXTRA), min_size=1, max_size=4),
    st.sampled_from([None, FABLE, OPUS]),
    st.sampled_from([0.0, 60.0, 600.0, 60_000.0]),
    st.sampled_from(Strategy),
)
def test_an_account_that_is_kept_to_its_plan_is_never_chosen_while_a_window_that_counts_is_spent(
    members: list[tuple[bool, Any, Any, Any, Any]], family: ModelFamily | None, later_s: float, strategy: Strategy
) -> None:
    known = (
        state(f"n{i}", plan_limits_only=only, windows=windows, extra_usage=extra)
        for i, (only, windows, extra, _, _) in enumerate(members)
    )
    p = pool(*known, strategy=strategy)
    for number, (_, _, _, windows, extra) in enumerate(members):
        p, _ = observe(p, AccountId(f"n{number}"), Served(windows, extra), NOW)
    now = NOW + later_s

    choice = choose(p, replace(ANTHROPIC, family=family), now)

    if isinstance(choice, Exhausted):
        assert all(member.account.plan_limits_only for member in p.accounts)
        assert choice.ready_at is not None
        assert choice.ready_at > now
        return
    taken = p.state(choice.account)
    assert taken is not None
    if taken.account.plan_limits_only:
        for window in taken.windows:
            counts = window.family in {None, family}
            full = (window.utilization or 0.0) >= 1.0 or window.status is WindowStatus.REJECTED
            assert not (counts and full and window.resets_at is not None and window.resets_at > now)


# --- everything in any order -----------------------------------------------------------------------

MEMBERS = (
    state("a"),
    key("b"),
    key("b2"),
    kept("p"),
    state("c", serves=Serves.CLAUDE_CODE),
    state("d"),
    state("go", AccountKind.GO),
    state("go2", AccountKind.GO),
)
IDS = tuple(member.account.id for member in MEMBERS)
FAMILIES = st.sampled_from([None, OPUS, SONNET])
REQUESTS = st.builds(
    Request,
    provider=st.sampled_from([ProviderName.ANTHROPIC, ProviderName.ANTHROPIC, ProviderName.OPENCODE_GO]),
    session=st.sampled_from([None, SessionId("s1"), SessionId("s2"), SessionId("s3")]),
    client=st.sampled_from(ClientKind),
    family=FAMILIES,
)
OFFSETS = st.sampled_from([None, -5.0, 0.0, 0.5, 30.0, 600.0, 20_000.0, 5e6, float("inf")])
"""From now: when a provider says that it lets requests in again."""
WINDOWS = st.lists(
    st.builds(
        QuotaWindow,
        name=st.sampled_from(["5h", "7d"]),
        utilization=st.sampled_from([None, 0.0, 0.4, 0.95, 1.2]),
        resets_at=st.sampled_from([None, NOW + 100, NOW + 50_000]),
        family=FAMILIES,
        seen_at=st.sampled_from([NOW, NOW + 50]),
    ),
    max_size=3,
).map(tuple)
HARMLESS = st.sampled_from(
    [
        RequestThrottled(),
        UpstreamFailed(529, overloaded=True),
        RequestRefused(400),
        NotDelivered("unreachable"),
        Unknown("silence"),
        Cut("cut"),
        ClientLeft(),
        CredentialRejected("renewable", renewable=True),
    ]
)
HARMFUL = st.one_of(
    st.builds(Throttled, wait_s=st.sampled_from([0.0, 3.0, 10.0, 11.0, 300.0]), windows=WINDOWS),
    st.sampled_from([CredentialRejected("key rejected", renewable=False), AccountRefused("disabled")]),
)
SPENT = st.builds(QuotaSpent, text=st.sampled_from(["", "5 h window full"]), family=FAMILIES, windows=WINDOWS)


Lease = tuple[Request, AccountId, tuple[AccountId, ...]]
"""An attempt in flight: its request, its account, and the accounts it has left behind."""


class PoolMachine(RuleBasedStateMachine):
    """Requests, outcomes and the person's orders in any order, on a clock of its own.

    Beside the Pool it keeps what it needs to know better: leases, sessions, rests begun and those that were announced.
    """

    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.pool = pool()
        self.held: Counter[AccountId] = Counter()
        self.retrying = 0
        self.sessions: dict[tuple[ProviderName, SessionId], Affinity] = {}
        self.rests: Counter[tuple[AccountId, ModelFamily | None]] = Counter()
        self.announced: set[tuple[AccountId, ModelFamily | None, int]] = set()

    @initialize(strategy=st.sampled_from(Strategy), members=st.sets(st.sampled_from(MEMBERS), min_size=2))
    def begin(self, strategy: Strategy, members: set[AccountState]) -> None:
        self.pool = pool(*(member for member in MEMBERS if member in members), strategy=strategy)

    # --- what happens ---

    @rule(seconds=st.sampled_from([0.1, 0.1, 5.0, 5.0, 61.0, 1800.0, CACHE_WARM_S, 100_000.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(target=leases, requests=st.lists(REQUESTS, min_size=1, max_size=6))
    def requests_come(self, requests: list[Request]) -> object:
        begun = [self._attempt(request, ()) for request in requests]
        return multiple(*(held for held in begun if held is not None))

    @rule(target=leases, held=consumes(leases))
    def it_tries_elsewhere(self, held: Lease) -> object:
        request, id_, tried = held
        self._release(id_, tried)
        return self._attempt(request, (*tried, id_)) or multiple()

    @rule(target=leases, held=consumes(leases), family=FAMILIES, for_s=st.sampled_from([30.0, 20_000.0]))
    def its_quota_is_spent_and_it_moves_on(self, held: Lease, family: ModelFamily | None, for_s: float) -> object:
        self._observe(held[1], QuotaSpent("5 h window full", self.now + for_s, family))
        return self.it_tries_elsewhere(held)

    @rule(held=consumes(leases))
    def it_ends(self, held: Lease) -> None:
        _, id_, tried = held
        self._release(id_, tried)

    @rule(held=leases, windows=WINDOWS)
    def it_is_served(self, held: Lease, windows: tuple[QuotaWindow, ...]) -> None:
        self._observe(held[1], Served(windows))

    @rule(held=leases, outcome=SPENT, offset=OFFSETS)
    def its_quota_is_spent(self, held: Lease, outcome: QuotaSpent, offset: float | None) -> None:
        self._observe(held[1], replace(outcome, until_at=None if offset is None else self.now + offset))

    @rule(held=leases)
    def its_client_is_refused(self, held: Lease) -> None:
        self._observe(held[1], ClientRefused("not this program", held[0].client))

    @rule(held=leases, outcome=HARMFUL)
    def it_is_refused(self, held: Lease, outcome: Outcome) -> None:
        self._observe(held[1], outcome)

    @rule(id_=st.sampled_from(IDS), outcome=HARMLESS)
    def something_happens_that_is_nobodys_fault(self, id_: AccountId, outcome: Outcome) -> None:
        before = self.pool
        self._observe(id_, outcome)
        assert [s.cooldowns for s in self.pool.accounts] == [s.cooldowns for s in before.accounts]

    # --- what the person does ---

    @rule(id_=st.sampled_from(IDS), enabled=st.sampled_from([True, True, False]), sign_in=st.sampled_from(SignIn))
    def an_account_is_changed(self, id_: AccountId, enabled: bool, sign_in: SignIn) -> None:
        self.pool = replace(
            self.pool,
            states={
                s.account.id: replace(
                    s, account=replace(s.account, enabled=enabled), sign_in=sign_in, refuses=frozenset()
                )
                if s.account.id == id_
                else s
                for s in self.pool.accounts
            },
        )

    @rule(id_=st.sampled_from(IDS), for_s=st.sampled_from([None, 0.0, 1800.0]))
    def an_account_is_pinned(self, id_: AccountId, for_s: float | None) -> None:
        provider = next(member.account.kind.provider for member in MEMBERS if member.account.id == id_)
        pin = Pin(id_, None if for_s is None else self.now + for_s)
        self.pool = replace(self.pool, pins={**self.pool.pins, provider: pin})

    @rule()
    def nothing_is_pinned(self) -> None:
        self.pool = replace(self.pool, pins={})

    @rule(strategy=st.sampled_from(Strategy))
    def the_strategy_is_changed(self, strategy: Strategy) -> None:
        self.pool = replace(self.pool, strategy=strategy)

    # --- what always holds ---

    @invariant()
    def leases_are_counted(self) -> None:
        assert all(member.in_flight == self.held[member.account.id] for member in self.pool.accounts)
        assert self.pool.retrying == self.retrying

    @invariant()
    def no_rest_is_longer_than_the_longest(self) -> None:
        for member in self.pool.accounts:
            assert all(c.until_at <= self.now + LONGEST_REST_S for c in member.cooldowns)
            assert len({c.family for c in member.cooldowns}) == len(member.cooldowns)

    @invariant()
    def the_pool_survives_its_json(self) -> None:
        assert msgspec.json.decode(msgspec.json.encode(self.pool), type=Pool) == self.pool

    def teardown(self) -> None:
        """Every lease that was taken can be given back, and then nothing is in flight."""
        for id_, count in self.held.items():
            for _ in range(count):
                self.pool = release(self.pool, id_, retried=False)
        assert all(s.in_flight == 0 for s in self.pool.accounts)

    # --- inside ---

    def _attempt(self, request: Request, tried: tuple[AccountId, ...]) -> Lease | None:
        choice = choose(self.pool, request, self.now, frozenset(tried))
        able = [s.account.id for s in self.pool.accounts if self._able(s, request)]
        emptied = {s.account.id for s in self.pool.accounts if self._emptied(s, tried)}
        ready = [id_ for id_ in able if id_ not in tried and id_ not in emptied]
        if isinstance(choice, Exhausted):
            assert ready == []
            assert choice.tried == bool(able)
            assert choice.ready_at is None or choice.ready_at > self.now
            assert len(choice.reasons) == sum(s.account.kind.provider is request.provider for s in self.pool.accounts)
            return None
        assert choice.reason
        if choice.account in ready:
            self._follows_pin_and_session(request, choice, ready)
        else:
            self._is_asked_in_time(request, choice, ready)
        return self._lease(request, choice, tried)

    def _is_asked_in_time(self, request: Request, choice: Choice, ready: list[AccountId]) -> None:
        """An account that rests gets a request only when nobody is ready, and once in ten minutes."""
        assert ready == []
        rest = keeping(self.pool.states[choice.account], request, self.now)
        assert rest is not None
        assert rest.ask_at is not None
        assert rest.ask_at <= self.now
        after, _ = lease(self.pool, request, choice, self.now)
        later = keeping(after.states[choice.account], request, self.now)
        assert later is not None
        assert later.ask_at is not None
        assert later.ask_at > self.now

    def _follows_pin_and_session(self, request: Request, choice: Choice, ready: list[AccountId]) -> None:
        pin = self.pool.pins.get(request.provider)
        if pin and (pin.until_at is None or pin.until_at > self.now) and pin.account in ready:
            assert choice.account == pin.account
            return
        home = self.sessions.get((request.provider, request.session)) if request.session else None
        warm = home and self.now - home.used_at < CACHE_WARM_S
        if home and warm and home.account in ready and self.pool.strategy is not Strategy.ROUND_ROBIN:
            assert choice.account == home.account

    def _lease(self, request: Request, choice: Choice, tried: tuple[AccountId, ...]) -> Lease:
        before = self.pool
        self.pool, events = lease(self.pool, request, choice, self.now, tried, retried=bool(tried))
        self.held[choice.account] += 1
        self.retrying += bool(tried)
        if request.session:
            self.sessions[request.provider, request.session] = Affinity(choice.account, self.now)
        for event in failovers((self.pool, events))[1]:
            assert isinstance(event, FailedOver)
            assert event.target == choice.account
            self._said_once(event, before.state(event.source), request)
        return request, choice.account, tried

    def _said_once(self, event: FailedOver, source: AccountState | None, request: Request) -> None:
        assert source is not None
        assert source.account.kind.provider is request.provider
        longest = keeping(source, request, self.now)
        assert longest is not None
        assert (event.text, event.until_at) == (longest.text, longest.until_at)
        scope = (event.source, longest.family)
        assert (*scope, self.rests[scope]) not in self.announced
        self.announced.add((*scope, self.rests[scope]))

    def _release(self, id_: AccountId, tried: tuple[AccountId, ...]) -> None:
        self.pool = release(self.pool, id_, retried=bool(tried))
        self.held[id_] -= 1
        self.retrying -= bool(tried)

    def _observe(self, id_: AccountId, outcome: Outcome) -> None:
        self.pool, events = observe(self.pool, id_, outcome, self.now)
        for event in events:
            if isinstance(event, CooldownStarted):
                self.rests[event.account, event.family] += 1
            if isinstance(event, AllSpent):
                widest = Request(event.provider, client=ClientKind.CLAUDE_CODE, family=event.family)
                assert not any(self._able(member, widest) for member in self.pool.accounts)

    def _emptied(self, member: AccountState, tried: tuple[AccountId, ...]) -> bool:
        shared = {s.account.id for s in sharing.group(self.pool, member.account.id)} - {member.account.id}
        spent = any(plan.spent(window, self.now) for window in member.windows if window.family is None)
        return spent and not shared.isdisjoint(tried)

    def _able(self, member: AccountState, request: Request) -> bool:
        return (
            member.account.kind.provider is request.provider
            and member.account.enabled
            and member.sign_in is SignIn.OK
            and (member.account.serves is Serves.ANY or request.client is ClientKind.CLAUDE_CODE)
            and request.client not in member.refuses
            and all(c.until_at <= self.now for c in member.cooldowns if c.family in {None, request.family})
            and plan.rest(member, request.family, self.now) is None
        )


# --- what only one account has ---------------------------------------------------------------------

FILE = ResourceId("file_1")
WITH_FILE = replace(ANTHROPIC, resources=(FILE,))


def test_a_request_goes_to_the_account_that_has_what_it_names_whatever_is_pinned() -> None:
    p = made(pool("a", "b", pins={ProviderName.ANTHROPIC: Pin(B)}), A, [FILE])

    assert chosen(p, WITH_FILE) == Choice(A, "has what the request names")
    assert chosen(p, replace(WITH_FILE, resources=(ResourceId("file_unknown"), FILE))).account == A


def test_nobody_else_is_asked_for_what_only_one_account_has() -> None:
    p = made(pool(resting("a", 600.0), "b"), A, [FILE])

    assert exhausted(p, WITH_FILE) == Exhausted(NOW + 600, (("A", "5 h window full", NOW + 600),))
    assert exhausted(made(pool("a", "b"), A, [FILE]), WITH_FILE, tried=(A,)).tried


def test_what_nobody_is_known_to_have_may_be_anybodys() -> None:
    assert chosen(pool("a", "b"), WITH_FILE).account == A


def test_of_what_accounts_have_the_oldest_is_forgotten_first() -> None:
    p = made(pool("a"), A, [ResourceId(f"file_{i}") for i in range(RESOURCES_KEPT + 1)])

    assert len(p.resources) == RESOURCES_KEPT
    assert ResourceId("file_0") not in p.resources


# --- after a failover ------------------------------------------------------------------------------


def test_a_herd_comes_over_one_by_one() -> None:
    p = pool(resting("a"), "b", active={ProviderName.ANTHROPIC: Choice(A, "")})
    waits = []
    for i in range(60):
        p, wait_s = ramp(p, session(f"s{i}"), Choice(B, ""), NOW)
        waits.append(wait_s)

    assert waits[:5] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert max(waits) == RAMP_LONGEST_S


def test_the_line_is_gone_when_its_time_has_passed() -> None:
    p = pool(resting("a"), "b", active={ProviderName.ANTHROPIC: Choice(A, "")})
    for i in range(8):
        p, _ = ramp(p, session(f"s{i}"), Choice(B, ""), NOW)

    assert ramp(p, session("late"), Choice(B, ""), NOW + 3)[1] == 0.0


@pytest.mark.parametrize(
    ("source", "tried"),
    [(state("a"), ()), (resting("a", family=OPUS), ())],
)
def test_who_does_not_flee_does_not_wait(source: AccountState, tried: tuple[AccountId, ...]) -> None:
    p = pool(source, state("b", ramp_at=NOW + 5), active={ProviderName.ANTHROPIC: Choice(A, "")})

    assert ramp(p, ANTHROPIC, Choice(B, ""), NOW, tried) == (p, 0.0)


def test_a_conversation_that_moves_while_warm_tells_what_it_must_read_anew() -> None:
    p = served_by(pool("a", "b"), A, session())
    p = used(p, session(), A, Usage(input=10, output=40, cache_read=900, cache_write=50))
    p, _ = observe(p, A, QuotaSpent("5 h window full", NOW + 600), NOW)

    _, events = lease(p, session(), Choice(B, ""), NOW)

    assert SessionMoved(A, B, "5 h window full", 1000) in events


def test_a_conversation_that_had_gone_cold_has_not_moved() -> None:
    p = served_by(pool("a", "b"), A, session())

    assert lease(p, session(), Choice(B, ""), NOW + CACHE_WARM_S)[1] == ()


def test_what_an_answer_cost_counts_for_its_own_account_only() -> None:
    p = served_by(pool("a", "b"), B, session())

    assert used(p, session(), A, Usage(input=5)) == p
    assert used(p, ANTHROPIC, B, Usage(input=5)) == p


def test_sessions_that_went_cold_long_ago_are_forgotten() -> None:
    p = pool("a")
    for i in range(100):
        p = served_by(p, A, session(f"s{i}"))
    later = NOW + FORGET_SESSION_S + 1
    for i in range(60):
        p, _ = lease(p, session(f"new{i}"), Choice(A, ""), later)

    assert set(p.sessions) == {SessionId(f"anthropic/new{i}") for i in range(60)}


@given(st.data())
def test_a_restart_is_no_difference_to_what_is_chosen_next(data: st.DataObject) -> None:
    p = pool("a", "b", "c", strategy=data.draw(st.sampled_from(Strategy)))
    now = NOW
    for i in range(data.draw(st.integers(1, 12))):
        now += data.draw(st.sampled_from([0.0, 5.0, 900.0, 4000.0]))
        request = session(data.draw(st.sampled_from(["one", "two", f"new{i}"])))
        choice = choose(p, request, now)
        if isinstance(choice, Exhausted):
            continue
        p, _ = lease(p, request, choice, now)
        outcome = data.draw(st.sampled_from([Served(), QuotaSpent("full", now + 600), Throttled(30.0)]))
        p, _ = observe(p, choice.account, outcome, now)
        p = release(p, choice.account, retried=False)

    again = msgspec.json.decode(msgspec.json.encode(p), type=Pool)

    for name in ("one", "two", "another"):
        assert choose(again, session(name), now) == choose(p, session(name), now)


def test_nothing_is_held_against_who_is_forgiven_and_what_was_read_stays() -> None:
    windows = (QuotaWindow("5h", 1.0, NOW + 600, seen_at=NOW),)
    held = state(
        "a",
        sign_in=SignIn.NEEDED,
        sign_in_text="revoked",
        cooldowns=resting("a").cooldowns,
        failures=3,
        refuses=frozenset({ClientKind.OTHER}),
        polling=Polling(NOW - 60, 1800.0, 1.1, throttled=3, failures=2, unreadable=True),
        windows=windows,
        served=7,
        in_flight=1,
        ramp_at=NOW + 1,
        upstream_failures=2,
        upstream_failed_at=NOW,
    )

    assert forgiven(held) == state("a", windows=windows, served=7, in_flight=1, polling=Polling(asked_at=NOW - 60))


TestPoolMachine = PoolMachine.TestCase
TestPoolMachine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
