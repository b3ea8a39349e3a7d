"""Who serves next, and what an outcome does to the pool. Pure: a pool and `now` in, a new pool and events out."""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import assert_never

from msgspec.structs import replace

from core.model import (
    AccountId,
    AccountRefused,
    AccountState,
    Affinity,
    AllSpent,
    Cause,
    Choice,
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
    NotDelivered,
    Outcome,
    Pause,
    Pin,
    Polling,
    Pool,
    ProviderName,
    QuotaSpent,
    Request,
    RequestRefused,
    RequestThrottled,
    ResourceId,
    Served,
    SessionId,
    SessionMoved,
    SignIn,
    Strategy,
    Throttled,
    Unknown,
    UpstreamFailed,
    Usage,
)
from core.policy import hybrid, outage, plan, rests, sharing
from core.policy.readiness import any_client, bar, obstacle, resting
from core.policy.rests import with_state
from core.policy.strategies import STRATEGIES, Ready

CACHE_WARM_S = 3600.0
"""A prompt cache lives 5 minutes or 1 hour; a session is not moved while it can still be warm."""
SESSIONS_KEPT = 10_000
FORGET_SESSION_S = 86_400.0
"""A session that was cold for a day has nothing to stay for."""
RESOURCES_KEPT = 4096
SHORT_THROTTLE_S = 10.0
"""Waiting this long on the same account is cheaper than losing its prompt cache."""
RAMP_STEP_S = 0.25
RAMP_LONGEST_S = 10.0
"""After a failover one request goes at once, then one more every quarter of a second, and none waits longer."""
PINNED = "pinned by you"
FAILOVER_OFF = "failover is off"
WARM = "keeps this conversation's prompt cache warm"


# --- questions -------------------------------------------------------------------------------------


def pinned(pool: Pool, provider: ProviderName, now: float) -> Pin | None:
    """The pin that holds now."""
    pin = pool.pins.get(provider)
    return pin if pin and (pin.until_at is None or pin.until_at > now) else None


def paused(pool: Pool, now: float) -> Pause | None:
    """The pause that holds now."""
    pause = pool.pause
    return pause if pause and (pause.until_at is None or pause.until_at > now) else None


def choose(pool: Pool, request: Request, now: float, tried: AbstractSet[AccountId] = frozenset()) -> Choice | Exhausted:
    """The account that should serve `request`, and why.

    Should nobody be ready, one that only rests may be asked once in a while whether its quota is back.
    """
    if pause := paused(pool, now):
        return Exhausted(pause.until_at, (), paused=True)
    found = find(pool, request, now, tried)
    if isinstance(found, Choice) or request.resources:
        return found
    candidates = _candidates(pool, request, now)
    resting_only = (s for s in candidates if s.account.id not in tried and not bar(s, request))
    state = rests.may_ask(resting_only, request, now)
    return Choice(state.account.id, "asks whether it has quota again") if state else found


def find(pool: Pool, request: Request, now: float, tried: AbstractSet[AccountId] = frozenset()) -> Choice | Exhausted:
    """The ready account that should serve: availability, then what it owns, then pin, then affinity, then strategy.

    With failover off there is one account only that it can be. `tried` are not asked again; those of them that are
    ready make `Exhausted.tried`. Neither is another key of theirs whose bucket, which is the same, is empty.
    """
    if request.resources and (owner := _owner(pool, request)):
        if owner.account.id in tried or obstacle(owner, request, now):
            return _exhausted([owner], [owner], request, now)
        return Choice(owner.account.id, "has what the request names")
    return _settled(pool, request, now, tried) or _placed(pool, request, now, tried)


def _settled(pool: Pool, request: Request, now: float, tried: AbstractSet[AccountId]) -> Choice | None:
    """Where a pin or the session's prompt cache leads, if that account is ready."""
    pin = pinned(pool, request.provider, now)
    if pin and _is_ready(pool, pin.account, request, now, tried):
        return Choice(pin.account, PINNED)
    if pool.strategy is Strategy.ROUND_ROBIN:
        return None
    affinity = _affinity(pool, request)
    if affinity and _is_warm(affinity, now) and _is_ready(pool, affinity.account, request, now, tried):
        return Choice(affinity.account, WARM)
    return None


def _placed(pool: Pool, request: Request, now: float, tried: AbstractSet[AccountId]) -> Choice | Exhausted:
    """What the strategy says of those that are ready."""
    candidates = _candidates(pool, request, now)
    known = (s for s in candidates if s.account.id not in tried and not _emptied(pool, s, tried, now))
    ready = [s for s in known if not obstacle(s, request, now)]
    if not ready:
        return _exhausted(_members(pool, request), candidates, request, now)
    return replace(STRATEGIES[pool.strategy](pool, ready, request, now), placed=True)


def _candidates(pool: Pool, request: Request, now: float) -> Ready:
    """Who may be asked: all, or with failover off the one that the person, the session or the last request is on."""
    members = _members(pool, request)
    if pool.failover:
        return members
    pin, affinity = pinned(pool, request.provider, now), _affinity(pool, request)
    on = pin or (affinity if affinity and _is_warm(affinity, now) else pool.active.get(request.provider))
    return [state for state in members if on and state.account.id == on.account] or members


def _members(pool: Pool, request: Request) -> list[AccountState]:
    return [s for s in pool.states.values() if s.account.kind.provider is request.provider]


def _is_ready(pool: Pool, id_: AccountId, request: Request, now: float, tried: AbstractSet[AccountId]) -> bool:
    state = pool.state(id_)
    if state is None or id_ in tried or state.account.kind.provider is not request.provider:
        return False
    return not obstacle(state, request, now) and not _emptied(pool, state, tried, now)


def _emptied(pool: Pool, state: AccountState, tried: AbstractSet[AccountId], now: float) -> bool:
    """Whether an account that was tried draws on the same limits, and nothing is left of them."""
    others = (other for other in sharing.group(pool, state.account.id) if other.account.id in tried) if tried else ()
    return any(others) and any(plan.spent(window, now) for window in state.windows if window.family is None)


def _owner(pool: Pool, request: Request) -> AccountState | None:
    """The account of this provider that made what the request names, None when that is not known."""
    ids = (pool.resources.get(resource) for resource in request.resources)
    owners = (state for id_ in ids if id_ and (state := pool.state(id_)))
    return next((owner for owner in owners if owner.account.kind.provider is request.provider), None)


def _exhausted(members: Ready, candidates: Ready, request: Request, now: float) -> Exhausted:
    reasons: list[tuple[str, str, float | None]] = []
    tried, asked = False, {state.account.id for state in candidates}
    for state in members:
        if state.account.id not in asked:
            reasons.append((state.account.label, FAILOVER_OFF, None))
            continue
        why = obstacle(state, request, now)
        rest = resting(state, request, now)
        until_at = rest.until_at if rest and not bar(state, request) else None
        reasons.append((state.account.label, why or "tried just now", until_at))
        tried = tried or not why
    ready_at = min((until for _, _, until in reasons if until is not None), default=None)
    return Exhausted(ready_at, tuple(reasons), tried)


def _affinity(pool: Pool, request: Request) -> Affinity | None:
    """What is known of the request's session at its provider."""
    key = _session_key(request)
    return pool.sessions.get(key) if key is not None else None


def _is_warm(affinity: Affinity, now: float) -> bool:
    return now - affinity.used_at < CACHE_WARM_S


def _session_key(request: Request) -> SessionId | None:
    """The name a session is remembered by. One conversation may use both providers, each with a cache of its own."""
    return SessionId(request.provider + "/" + request.session) if request.session is not None else None


# --- facts -----------------------------------------------------------------------------------------


def lease(
    pool: Pool, request: Request, choice: Choice, now: float, tried: Sequence[AccountId] = (), *, retried: bool = False
) -> tuple[Pool, tuple[Event, ...]]:
    """Take a hold on the chosen account for one attempt. Give it back with `release`.

    `tried` are the accounts that this request has left behind, `retried` says that it is not its first attempt.
    """
    state = pool.states.get(choice.account)
    if state is None:
        return replace(pool, retrying=pool.retrying + retried), ()
    source = _came_from(pool, request, tried)
    if resting(state, request, now):
        state = rests.asked(state, request, now)
    fitness = hybrid.chosen(state, pool.health_score, pool.token_bucket, now) if _is_hybrid(pool) else state.fitness
    state = replace(state, in_flight=state.in_flight + 1, last_used_at=now, fitness=fitness)
    sessions, moved = _attached(pool, request, choice, now)
    active, turns = pool.active, pool.turns
    if active.get(request.provider) != choice:
        active = {**active, request.provider: choice}
    if choice.placed:
        turns = {**turns, request.provider: choice.account}
    pool = replace(  # once: this is done for every request
        pool,
        states={**pool.states, choice.account: state},
        sessions=sessions,
        active=active,
        turns=turns,
        retrying=pool.retrying + retried,
    )
    pool, events = _announce(outage.asked(pool, request.provider, now), source, choice.account, request, now)
    return pool, moved + events


def _attached(
    pool: Pool, request: Request, choice: Choice, now: float
) -> tuple[dict[SessionId, Affinity], tuple[Event, ...]]:
    """The sessions, of which this one stays with the chosen account; a warm one that comes from another has moved."""
    session = _session_key(request)
    if session is None:
        return pool.sessions, ()
    before = pool.sessions.get(session)
    stays = before is not None and before.account == choice.account
    tokens = before.tokens if before else 0
    sessions = _remember(pool.sessions, session, Affinity(choice.account, now, tokens), now)
    if before is None or stays or not _is_warm(before, now) or before.account not in pool.states:
        return sessions, ()
    source = pool.states[before.account]
    why = obstacle(source, request, now) or choice.reason
    return sessions, (SessionMoved(before.account, choice.account, why, tokens),)


def ramp(
    pool: Pool, request: Request, choice: Choice, now: float, tried: Sequence[AccountId] = ()
) -> tuple[Pool, float]:
    """The pool, and for how long a request that comes over from another account waits before it is sent.

    So that a herd does not jump at once on the next account, and all of it from there on the one after.
    """
    state = pool.state(choice.account)
    source = pool.state(id_) if (id_ := _came_from(pool, request, tried)) and id_ != choice.account else None
    if state is None or resting(state, request, now):  # gone, or asked whether it has quota again
        return pool, 0.0
    if source is None or not (tried or resting(source, request, now)):
        return pool, 0.0
    at = min(max(now, state.ramp_at), now + RAMP_LONGEST_S)
    return with_state(pool, replace(state, ramp_at=at + RAMP_STEP_S)), at - now


def used(pool: Pool, request: Request, id_: AccountId, usage: Usage) -> Pool:
    """What an answer cost: so many tokens the session's prompt cache holds now."""
    key = _session_key(request)
    affinity = pool.sessions.get(key) if key is not None else None
    tokens = usage.input + usage.cache_read + usage.cache_write + usage.output
    if key is None or affinity is None or affinity.account != id_ or not tokens:
        return pool
    return replace(pool, sessions=pool.sessions | {key: replace(affinity, tokens=tokens)})


def made(pool: Pool, id_: AccountId, resources: Iterable[ResourceId]) -> Pool:
    """Remember that these are the account's. Beyond the bound the oldest are forgotten."""
    kept = {**pool.resources, **dict.fromkeys(resources, id_)}
    while len(kept) > RESOURCES_KEPT:
        del kept[next(iter(kept))]
    return replace(pool, resources=kept)


def release(pool: Pool, id_: AccountId, *, retried: bool) -> Pool:
    """The attempt is over, whatever came of it."""
    state = pool.state(id_)
    if state is not None:
        pool = with_state(pool, replace(state, in_flight=max(0, state.in_flight - 1)))
    return replace(pool, retrying=max(0, pool.retrying - 1)) if retried else pool


def observe(pool: Pool, id_: AccountId, outcome: Outcome, now: float) -> tuple[Pool, tuple[Event, ...]]:
    """Fold one outcome into the pool. Returns the new pool and what happened. An unknown account changes nothing."""
    state = pool.state(id_)
    if state is None:
        return pool, ()
    pool, reached = outage.observed(pool, state.account.kind.provider, outcome, now)
    if _is_hybrid(pool) and (fitness := hybrid.judged(state, outcome, pool.health_score, pool.token_bucket, now)):
        state = replace(state, fitness=fitness)
        pool = with_state(pool, state)
    pool, events = _folded(pool, state, outcome, now)
    return pool, reached + events


def _folded(pool: Pool, state: AccountState, outcome: Outcome, now: float) -> tuple[Pool, tuple[Event, ...]]:
    id_ = state.account.id
    match outcome:
        case Served():
            return _served(pool, state, outcome, now)
        case QuotaSpent():
            until_at = rests.until(state, outcome.until_at, outcome.family, now)
            rest = Cooldown(until_at, outcome.cause, outcome.text, outcome.family)
            return _read(*_rest(pool, id_, rest, now, alone=outcome.own), id_, outcome, now)
        case Throttled(wait_s=wait_s):
            if wait_s <= SHORT_THROTTLE_S:
                return _read(pool, (), id_, outcome, now)
            rest = Cooldown(rests.until(state, now + wait_s, None, now), Cause.THROTTLED, "rate limit")
            return _read(*_rest(pool, id_, rest, now), id_, outcome, now)
        case CredentialRejected(text=text, renewable=False) | AccountRefused(text=text):
            return _sign_in_needed(pool, state, text)
        case ClientRefused(text=text, client=client):
            if client in state.refuses:
                return pool, ()
            refused = replace(state, refuses=state.refuses | {client})
            return with_state(pool, refused), (ClientNotServed(id_, client, text),)
        case UpstreamFailed(overloaded=False):
            return _upstream_failed(pool, state, now)
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


def _served(pool: Pool, state: AccountState, outcome: Served, now: float) -> tuple[Pool, tuple[Event, ...]]:
    """A good answer, for all that share the account's limits. Every request comes here, so the pool is made once."""
    id_ = state.account.id
    states = {**pool.states, id_: replace(state, served=state.served + 1)}
    for member in sharing.group(pool, id_):
        after = rests.well(states[member.account.id], begun=outcome.begun)
        if outcome.windows or outcome.extra_usage:
            after = plan.read(after, outcome.windows, outcome.extra_usage, now)
        states[member.account.id] = after
    return _kept_to_plan(replace(pool, states=states), (), id_, now)


def _upstream_failed(pool: Pool, state: AccountState, now: float) -> tuple[Pool, tuple[Event, ...]]:
    """The provider fails for everybody now and then. One account that it always fails on rests a little.

    Never the last one that is ready: then it is the provider, and no rest would help.
    """
    state, rest = rests.upstream_failed(state, now)
    pool = with_state(pool, state)
    id_ = state.account.id
    if rest is None or isinstance(find(pool, any_client(state.account.kind.provider), now, {id_}), Exhausted):
        return pool, ()
    return rests.begin(pool, id_, rest, now, alone=True)


def _is_hybrid(pool: Pool) -> bool:
    return pool.strategy is Strategy.HYBRID


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
        ramp_at=0.0,
        upstream_failures=0,
        upstream_failed_at=0.0,
    )


def _read(
    pool: Pool, events: tuple[Event, ...], id_: AccountId, told: QuotaSpent | Throttled, now: float
) -> tuple[Pool, tuple[Event, ...]]:
    """Fold in what a refusal told of its account's quota, for all that share it; `events` go on.

    An account that is kept to its plan rests when it has spent it, or a model's part of it.
    """
    for state in sharing.group(pool, id_) if told.windows or told.extra_usage else ():
        pool = with_state(pool, plan.read(state, told.windows, told.extra_usage, now))
    return _kept_to_plan(pool, events, id_, now)


def _kept_to_plan(pool: Pool, events: tuple[Event, ...], id_: AccountId, now: float) -> tuple[Pool, tuple[Event, ...]]:
    pool, kept = rests.keep_to_plan(pool, id_, now)
    return pool, events + kept + _all_spent(pool, id_, kept, now)


def _rest(
    pool: Pool, id_: AccountId, rest: Cooldown, now: float, *, alone: bool = False
) -> tuple[Pool, tuple[Event, ...]]:
    pool, events = rests.begin(pool, id_, rest, now, alone=alone)
    return pool, events + _all_spent(pool, id_, events, now)


def _all_spent(pool: Pool, id_: AccountId, begun: Sequence[Event], now: float) -> tuple[Event, ...]:
    """What is to be said when nobody is left after rests began."""
    if not begun:
        return ()
    state = pool.state(id_)
    events: list[Event] = []
    for family in dict.fromkeys(event.family for event in begun if isinstance(event, CooldownStarted)):
        left = find(pool, any_client(state.account.kind.provider, family), now) if state else None
        if state and isinstance(left, Exhausted):
            stays_with = None if pool.failover else id_
            events.append(AllSpent(state.account.kind.provider, left.ready_at, family, stays_with))
    return tuple(events)


def _sign_in_needed(pool: Pool, state: AccountState, text: str) -> tuple[Pool, tuple[Event, ...]]:
    if state.sign_in is SignIn.NEEDED:
        return pool, ()
    pool = with_state(pool, replace(state, sign_in=SignIn.NEEDED, sign_in_text=text))
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
            moved = (*others, replace(rests.cut(rest, now), moved_to=target))
        pool = with_state(pool, replace(member, cooldowns=moved))
    return pool, (FailedOver(state.account.id, target, rest.text, rest.until_at),)


def _remember(
    sessions: dict[SessionId, Affinity], session: SessionId, affinity: Affinity, now: float
) -> dict[SessionId, Affinity]:
    """The sessions with this one as the newest. Those beyond the bound go, and those that went cold long ago."""
    kept = sessions.copy()  # five times as fast as dict() once something has been taken out
    kept.pop(session, None)
    kept[session] = affinity
    for oldest in islice(sessions, 2):  # two for each that comes, so that the cold ones run out
        cold = sessions[oldest].used_at < now - FORGET_SESSION_S
        if oldest != session and (cold or len(kept) > SESSIONS_KEPT):
            kept.pop(oldest, None)
    return kept
