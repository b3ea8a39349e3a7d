"""Who serves next, and what an outcome does to the pool. Pure: a pool and `now` in, a new pool and events out."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import assert_never

from core.model import (
    AccountId,
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
    Cooldown,
    CooldownStarted,
    CredentialRejected,
    Cut,
    Event,
    Exhausted,
    FailedOver,
    LoginRequired,
    ModelFamily,
    NotDelivered,
    Outcome,
    Pin,
    Polling,
    Pool,
    ProviderName,
    QuotaSpent,
    Request,
    RequestRefused,
    RequestThrottled,
    Served,
    Serves,
    SessionId,
    SignIn,
    Standing,
    Strategy,
    Throttled,
    Unknown,
    UpstreamFailed,
)
from core.policy import plan, quota, sharing
from core.wording import percent, window_name

CACHE_WARM_S = 3600.0
"""A prompt cache lives 5 minutes or 1 hour; a session is not moved while it can still be warm."""
SESSIONS_KEPT = 1024
"""More sessions than one person runs in an hour; the oldest are forgotten first."""
SHORT_THROTTLE_S = 10.0
"""Waiting this long on the same account is cheaper than losing its prompt cache."""
UNKNOWN_RESET_S = 60.0
UNKNOWN_RESET_MAX_S = 1800.0
"""A full window whose reset nobody told is asked again after 1, 2, 4 … 30 minutes."""
LONGEST_REST_S = 8 * 86_400.0
"""No window is longer than a week (spending caps reset monthly and are asked again): a wild reset is cut here."""
IN_FLIGHT_WEIGHT = 0.02
"""What a request in flight counts for, as a share of a window, so that parallel new sessions spread."""
MAX_FAILURES = 16
PINNED = "pinned by you"

Ready = Sequence[AccountState]


# --- questions -------------------------------------------------------------------------------------


def resting(state: AccountState, request: Request, now: float) -> Cooldown | None:
    """The cooldown that keeps this account from serving `request`, the longest if there are several.

    One that keeps it to its plan need not have been begun: what is known of the plan is enough.
    """
    live = (c for c in _live(state, now) if c.family in (None, request.family))
    longest = max(live, key=lambda c: c.until_at, default=None)
    planned = plan.rest(state, request.family, now)
    if planned is None or (longest and planned.until_at < longest.until_at + quota.RESET_JITTER_S):
        return longest
    return replace(planned, moved_to=longest.moved_to if longest else None)


def _live(state: AccountState, now: float) -> tuple[Cooldown, ...]:
    """The cooldowns that hold: those of a plan do only while the person keeps the account to it."""
    kept = state.account.plan_limits_only
    return tuple(c for c in state.cooldowns if c.until_at > now and (kept or c.cause is not Cause.PLAN))


def obstacle(state: AccountState, request: Request, now: float) -> str:
    """Why this account cannot serve `request` now, in plain words; empty when it is ready."""
    rest = resting(state, request, now)
    return _bar(state, request) or ((rest.text or "resting") if rest else "")


def _bar(state: AccountState, request: Request) -> str:
    """What no time will mend; empty when at most a rest keeps the account from serving `request`."""
    account = state.account
    if not account.enabled:
        return "disabled"
    if state.sign_in is not SignIn.OK:
        return state.sign_in_text or ("keychain locked" if state.sign_in is SignIn.LOCKED else "sign in again")
    if account.serves is Serves.CLAUDE_CODE and request.client.value != Serves.CLAUDE_CODE.value:
        return "serves Claude Code only"
    return "the provider does not let it serve this program" if request.client in state.refuses else ""


def any_client(provider: ProviderName, family: ModelFamily | None = None) -> Request:
    """A request to judge a provider's accounts by: from Claude Code, which no account is set up to turn away."""
    return Request(provider, client=ClientKind.CLAUDE_CODE, family=family)


def standing(state: AccountState, now: float) -> Standing:
    """The account's state in one word, for a request of any model."""
    if not state.account.enabled:
        return Standing.DISABLED
    if state.sign_in is SignIn.LOCKED:
        return Standing.LOCKED
    if state.sign_in is SignIn.NEEDED:
        return Standing.SIGN_IN
    return Standing.COOLING if resting(state, Request(state.account.kind.provider), now) else Standing.READY


def pinned(pool: Pool, provider: ProviderName, now: float) -> Pin | None:
    """The pin that holds now."""
    pin = pool.pins.get(provider)
    return pin if pin and (pin.until_at is None or pin.until_at > now) else None


def choose(pool: Pool, request: Request, now: float, tried: AbstractSet[AccountId] = frozenset()) -> Choice | Exhausted:
    """The account that should serve `request`, and why: availability, then pin, then affinity, then strategy.

    `tried` are not asked again. Those of them that are ready make `Exhausted.tried`. Neither is another key of theirs
    whose bucket, which is the same, is empty.
    """
    members = [s for s in pool.accounts if s.account.kind.provider is request.provider]
    known = [s for s in members if s.account.id not in tried and not _emptied(pool, s, tried, now)]
    ready = [s for s in known if not obstacle(s, request, now)]
    if not ready:
        return _exhausted(members, request, now)
    pin = pinned(pool, request.provider, now)
    if pin and any(s.account.id == pin.account for s in ready):
        return Choice(pin.account, PINNED)
    if pool.strategy is not Strategy.ROUND_ROBIN:
        affinity = _affinity(pool, request)
        warm = affinity and now - affinity.used_at < CACHE_WARM_S
        if affinity and warm and any(s.account.id == affinity.account for s in ready):
            return Choice(affinity.account, "keeps this conversation's prompt cache warm")
    return STRATEGIES[pool.strategy](pool, ready, request, now)


def _emptied(pool: Pool, state: AccountState, tried: AbstractSet[AccountId], now: float) -> bool:
    """Whether an account that was tried draws on the same limits, and nothing is left of them."""
    others = (other for other in sharing.group(pool, state.account.id) if other.account.id in tried) if tried else ()
    return any(others) and any(plan.spent(window, now) for window in state.windows if window.family is None)


def _exhausted(members: Ready, request: Request, now: float) -> Exhausted:
    reasons: list[tuple[str, str, float | None]] = []
    tried = False
    for state in members:
        why = obstacle(state, request, now)
        rest = resting(state, request, now)
        until_at = rest.until_at if rest and not _bar(state, request) else None
        reasons.append((state.account.label, why or "tried just now", until_at))
        tried = tried or not why
    ready_at = min((until for _, _, until in reasons if until is not None), default=None)
    return Exhausted(ready_at, tuple(reasons), tried)


def _affinity(pool: Pool, request: Request) -> Affinity | None:
    """What is known of the request's session at its provider."""
    key = _session_key(request)
    return pool.sessions.get(key) if key is not None else None


def _session_key(request: Request) -> SessionId | None:
    """The name a session is remembered by. One conversation may use both providers, each with a cache of its own."""
    return SessionId(f"{request.provider}/{request.session}") if request.session is not None else None


def _sticky(pool: Pool, ready: Ready, request: Request, _now: float) -> Choice:
    last = pool.active.get(request.provider)
    if last and any(s.account.id == last.account for s in ready):
        return Choice(last.account, "it served last")
    return Choice(_next_in_order(pool, ready, request), "next in your order")


def _least_utilized(_pool: Pool, ready: Ready, request: Request, now: float) -> Choice:
    def load(state: AccountState) -> tuple[float, float]:
        spent = quota.utilization(state.windows, request.family, now)
        return spent + IN_FLIGHT_WEIGHT * state.in_flight, state.last_used_at

    best = min(ready, key=load)
    window = quota.tightest(best.windows, request.family, now)
    if window is None:
        return Choice(best.account.id, "not used yet")
    return Choice(best.account.id, f"least used: {window_name(window)} at {percent(window.utilization)}")


def _round_robin(pool: Pool, ready: Ready, request: Request, _now: float) -> Choice:
    return Choice(_next_in_order(pool, ready, request), "next in turn")


def _next_in_order(pool: Pool, ready: Ready, request: Request) -> AccountId:
    """The first ready account after the one that served last, in the person's order, round the end."""
    order = [s.account.id for s in pool.accounts]
    last = pool.active.get(request.provider)
    start = order.index(last.account) + 1 if last and last.account in order else 0
    candidates = {s.account.id for s in ready}
    return next(id_ for id_ in order[start:] + order[:start] if id_ in candidates)


STRATEGIES: Mapping[Strategy, Callable[[Pool, Ready, Request, float], Choice]] = {
    Strategy.STICKY: _sticky,
    Strategy.LEAST_UTILIZED: _least_utilized,
    Strategy.ROUND_ROBIN: _round_robin,
}


# --- facts -----------------------------------------------------------------------------------------


def lease(
    pool: Pool, request: Request, choice: Choice, now: float, tried: Sequence[AccountId] = (), *, retried: bool = False
) -> tuple[Pool, tuple[Event, ...]]:
    """Take a hold on the chosen account for one attempt. Give it back with `release`.

    `tried` are the accounts that this request has left behind, `retried` says that it is not its first attempt.
    """
    pool = replace(pool, retrying=pool.retrying + retried)
    state = pool.state(choice.account)
    if state is None:
        return pool, ()
    source = _came_from(pool, request, tried)
    pool = _with(pool, replace(state, in_flight=state.in_flight + 1, last_used_at=now))
    sessions = pool.sessions
    session = _session_key(request)
    if session is not None:
        sessions = _remember(sessions, session, Affinity(choice.account, now))
    active = pool.active
    if active.get(request.provider) != choice:
        active = {**active, request.provider: choice}
    pool = replace(pool, sessions=sessions, active=active)
    return _announce(pool, source, choice.account, request, now)


def release(pool: Pool, id_: AccountId, *, retried: bool) -> Pool:
    """The attempt is over, whatever came of it."""
    state = pool.state(id_)
    if state is not None:
        pool = _with(pool, replace(state, in_flight=max(0, state.in_flight - 1)))
    return replace(pool, retrying=max(0, pool.retrying - 1)) if retried else pool


def observe(pool: Pool, id_: AccountId, outcome: Outcome, now: float) -> tuple[Pool, tuple[Event, ...]]:
    """Fold one outcome into the pool. Returns the new pool and what happened. An unknown account changes nothing."""
    state = pool.state(id_)
    if state is None:
        return pool, ()
    match outcome:
        case Served():
            pool = _well(_with(pool, replace(state, served=state.served + 1)), id_)
            return _read(pool, (), id_, outcome, now)
        case QuotaSpent():
            until_at = _until(state, outcome.until_at, outcome.family, now)
            rest = Cooldown(until_at, outcome.cause, outcome.text, outcome.family)
            return _read(*_rest(pool, id_, rest, now, alone=outcome.own), id_, outcome, now)
        case Throttled(wait_s=wait_s):
            if wait_s <= SHORT_THROTTLE_S:
                return _read(pool, (), id_, outcome, now)
            rest = Cooldown(_until(state, now + wait_s, None, now), Cause.THROTTLED, "rate limit")
            return _read(*_rest(pool, id_, rest, now), id_, outcome, now)
        case CredentialRejected(text=text, renewable=False) | AccountRefused(text=text):
            return _sign_in_needed(pool, state, text)
        case ClientRefused(text=text, client=client):
            if client in state.refuses:
                return pool, ()
            return _with(pool, replace(state, refuses=state.refuses | {client})), (ClientNotServed(id_, client, text),)
        case (
            CredentialRejected()
            | RequestThrottled()
            | UpstreamFailed()
            | RequestRefused()
            | NotDelivered()
            | Unknown()
            | Cut()
            | ClientLeft()
        ):
            return pool, ()
        case _:
            assert_never(outcome)


def forgiven(state: AccountState) -> AccountState:
    """The account with nothing held against it: no rest, no failure, no refused client, no sign-in that is missing.

    What was read of its quota stays. So does when its usage endpoint was asked: that budget is the provider's.
    """
    return replace(
        state,
        sign_in=SignIn.OK,
        sign_in_text="",
        cooldowns=(),
        failures=0,
        refuses=frozenset(),
        polling=Polling(asked_at=state.polling.asked_at),
        fitness=None,
    )


def _read(
    pool: Pool, events: tuple[Event, ...], id_: AccountId, told: Served | QuotaSpent | Throttled, now: float
) -> tuple[Pool, tuple[Event, ...]]:
    """Fold in what an answer told of its account's quota, for all that share it; `events` go on.

    An account that is kept to its plan rests when it has spent it, or a model's part of it.
    """
    for state in sharing.group(pool, id_) if told.windows or told.extra_usage else ():
        pool = _with(pool, plan.read(state, told.windows, told.extra_usage, now))
    read = pool.state(id_)
    for family in dict.fromkeys((None, *(window.family for window in read.windows))) if read else ():
        rest = plan.rest(read, family, now) if read else None
        if rest and rest.family == family:
            pool, begun = _rest(pool, id_, _cut(rest, now), now, alone=True)
            events += begun
    return pool, events


def _well(pool: Pool, id_: AccountId) -> Pool:
    """A good answer ends the row of failures, for all that share its account's limits."""
    for state in sharing.group(pool, id_):
        if state.failures:
            pool = _with(pool, replace(state, failures=0))
    return pool


def _cut(rest: Cooldown, now: float) -> Cooldown:
    return replace(rest, until_at=min(rest.until_at, now + LONGEST_REST_S))


def _until(state: AccountState, told_at: float | None, family: ModelFamily | None, now: float) -> float:
    """The end of a rest: what the provider told, else a backoff that grows with the failures in a row."""
    if told_at is not None and told_at > now:
        return min(told_at, now + LONGEST_REST_S)
    # Requests that were in flight together fail together: that is one failure, and the rest it began goes on.
    begun = max((c.until_at for c in state.cooldowns if c.family == family), default=now)
    if begun > now:
        return begun
    return now + min(UNKNOWN_RESET_S * 2.0 ** min(state.failures, MAX_FAILURES), UNKNOWN_RESET_MAX_S)


def _rest(
    pool: Pool, id_: AccountId, rest: Cooldown, now: float, *, alone: bool = False
) -> tuple[Pool, tuple[Event, ...]]:
    """Begin a cooldown of the account and, unless it is meant `alone`, of all that share its limits."""
    provider = None
    events: list[Event] = []
    for state in sharing.group(pool, id_):
        if alone and state.account.id != id_:
            continue
        rested, begins = _rested(state, rest, now)
        pool = _with(pool, rested)
        provider = state.account.kind.provider
        if begins:
            events.append(CooldownStarted(state.account.id, rest.until_at, rest.cause, rest.text, rest.family))
    if events and provider:
        left = choose(pool, any_client(provider, rest.family), now)
        if isinstance(left, Exhausted):
            events.append(AllSpent(provider, left.ready_at, rest.family))
    return pool, tuple(events)


def _rested(state: AccountState, rest: Cooldown, now: float) -> tuple[AccountState, bool]:
    """With this cooldown, and whether it begins: one that a longer rest of the same scope covers is no news."""
    kept = _live(state, now)
    same = next((c for c in kept if c.family == rest.family), None)
    if same and same.until_at >= rest.until_at:
        return replace(state, cooldowns=kept), False
    others = tuple(c for c in kept if c is not same)
    if same:
        return replace(state, cooldowns=(*others, replace(rest, moved_to=same.moved_to))), False
    failures = min(state.failures + 1, MAX_FAILURES)
    return replace(state, cooldowns=(*others, rest), failures=failures), True


def _sign_in_needed(pool: Pool, state: AccountState, text: str) -> tuple[Pool, tuple[Event, ...]]:
    if state.sign_in is SignIn.NEEDED:
        return pool, ()
    pool = _with(pool, replace(state, sign_in=SignIn.NEEDED, sign_in_text=text))
    return pool, (LoginRequired(state.account.id, text),)


def _came_from(pool: Pool, request: Request, tried: Sequence[AccountId]) -> AccountId | None:
    """Where this request would have gone: its last attempt, else its session's account, else who served last."""
    if tried:
        return tried[-1]
    affinity = _affinity(pool, request)
    if affinity:
        return affinity.account
    last = pool.active.get(request.provider)
    return last.account if last else None


def _announce(
    pool: Pool, source: AccountId | None, target: AccountId, request: Request, now: float
) -> tuple[Pool, tuple[Event, ...]]:
    """Say once for each rest that another account took over: a rest that keys share is one."""
    state = pool.state(source) if source is not None and source != target else None
    rest = resting(state, request, now) if state else None
    if state is None or rest is None or rest.moved_to is not None:
        return pool, ()
    for member in sharing.group(pool, state.account.id):
        moved = tuple(replace(c, moved_to=target) if c.family == rest.family else c for c in member.cooldowns)
        if member is state and rest not in state.cooldowns:  # known, and not begun before
            others = (c for c in state.cooldowns if c.family != rest.family)
            moved = (*others, replace(_cut(rest, now), moved_to=target))
        pool = _with(pool, replace(member, cooldowns=moved))
    return pool, (FailedOver(state.account.id, target, rest.text, rest.until_at),)


def _remember(
    sessions: Mapping[SessionId, Affinity], session: SessionId, affinity: Affinity
) -> Mapping[SessionId, Affinity]:
    """The sessions with this one as the newest; beyond the bound the one that was used longest ago goes."""
    kept = dict(sessions)
    kept.pop(session, None)
    kept[session] = affinity
    if len(kept) > SESSIONS_KEPT:
        del kept[next(iter(kept))]
    return kept


def _with(pool: Pool, state: AccountState) -> Pool:
    """The pool with this account's state replaced."""
    id_ = state.account.id
    return replace(pool, accounts=tuple(state if s.account.id == id_ else s for s in pool.accounts))
