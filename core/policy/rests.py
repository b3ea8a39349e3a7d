"""Rests: how one begins, is shared, is asked about, and ends. Pure.

An account rests after a refusal. A rest that the provider gave a time for ends then; one without a time ends after a
back-off that grows; and none is believed blindly, because quota is given back early and readings go stale: once in a
while, when nobody else is ready, one request may ask.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from core.model import (
    AccountId,
    AccountState,
    Cause,
    Cooldown,
    CooldownStarted,
    Event,
    ModelFamily,
    Pool,
    Request,
)
from core.policy import plan, sharing
from core.policy.readiness import live, resting

UNKNOWN_RESET_S = 60.0
UNKNOWN_RESET_MAX_S = 1800.0
"""A full window whose reset nobody told is asked again after 1, 2, 4 … 30 minutes."""
LONGEST_REST_S = 8 * 86_400.0
"""No window is longer than a week (spending caps reset monthly and are asked again): a wild reset is cut here."""
ASK_EVERY_S = 600.0
"""How often a request that nobody can serve may ask whether a rest is over; refusals are free, but not instant."""
MAX_FAILURES = 16
UPSTREAM_FAILURES = 5
UPSTREAM_MEMORY_S = 300.0
"""So many failures of the provider in a row, each within this time of the last, and the account is left alone …"""
UPSTREAM_REST_S = 30.0
UPSTREAM_REST_MAX_S = 300.0
"""… for 30 s, 60 s … 5 minutes, while somebody else is ready."""
_ASKED_ABOUT = frozenset({Cause.QUOTA, Cause.CREDIT, Cause.THROTTLED})
"""Not `PLAN`: asking would be paid for. Not `UPSTREAM`: it is over soon."""


def with_state(pool: Pool, state: AccountState) -> Pool:
    """The pool with this account's state replaced."""
    return replace(pool, states={**pool.states, state.account.id: state})


def until(state: AccountState, told_at: float | None, family: ModelFamily | None, now: float) -> float:
    """The end of a rest: what the provider told, else a back-off that grows with the failures in a row."""
    if told_at is not None and told_at > now:
        return min(told_at, now + LONGEST_REST_S)
    # Requests that were in flight together fail together: that is one failure, and the rest it began goes on.
    begun = max((c.until_at for c in state.cooldowns if c.family == family), default=now)
    if begun > now:
        return begun
    return now + min(UNKNOWN_RESET_S * 2.0 ** min(state.failures, MAX_FAILURES), UNKNOWN_RESET_MAX_S)


def begin(
    pool: Pool, id_: AccountId, rest: Cooldown, now: float, *, alone: bool = False
) -> tuple[Pool, tuple[Event, ...]]:
    """Begin a cooldown of the account and, unless it is meant `alone`, of all that share its limits."""
    events: list[Event] = []
    for state in sharing.group(pool, id_):
        if alone and state.account.id != id_:
            continue
        rested, begins = _rested(state, rest, now)
        pool = with_state(pool, rested)
        if begins:
            events.append(CooldownStarted(state.account.id, rest.until_at, rest.cause, rest.text, rest.family))
    return pool, tuple(events)


def _rested(state: AccountState, rest: Cooldown, now: float) -> tuple[AccountState, bool]:
    """With this cooldown, and whether it begins: one that a longer rest of the same scope covers is no news."""
    kept = live(state, now)
    same = next((c for c in kept if c.family == rest.family), None)
    if same and same.until_at >= rest.until_at:
        return replace(state, cooldowns=kept), False
    others = tuple(c for c in kept if c is not same)
    if rest.cause in _ASKED_ABOUT:
        rest = replace(rest, ask_at=now + ASK_EVERY_S)
    if same:
        return replace(state, cooldowns=(*others, replace(rest, moved_to=same.moved_to))), False
    failures = min(state.failures + 1, MAX_FAILURES)
    return replace(state, cooldowns=(*others, rest), failures=failures), True


def keep_to_plan(pool: Pool, id_: AccountId, now: float) -> tuple[Pool, tuple[Event, ...]]:
    """Let an account rest that is kept to its plan and has just been seen to have spent it, or a model's part of it."""
    state = pool.state(id_)
    events: tuple[Event, ...] = ()
    if state is None or not state.account.plan_limits_only:
        return pool, events
    for family in dict.fromkeys((None, *(window.family for window in state.windows))):
        rest = plan.rest(state, family, now)
        if rest and rest.family == family:
            pool, begun = begin(pool, id_, cut(rest, now), now, alone=True)
            events += begun
    return pool, events


def cut(rest: Cooldown, now: float) -> Cooldown:
    """The rest, no longer than any may be."""
    return replace(rest, until_at=min(rest.until_at, now + LONGEST_REST_S))


def well(state: AccountState, *, begun: bool = False) -> AccountState:
    """A good answer ends the account's row of failures, and a rest that it was to test.

    Only such: an answer that was on its way when the rest began says nothing about it. One that has only `begun` may
    still fail, as those before it did.
    """
    row = state.upstream_failures if begun else 0
    if not (state.cooldowns or state.failures or row != state.upstream_failures):
        return state
    kept = tuple(c for c in state.cooldowns if not c.asked)
    return replace(state, failures=0, upstream_failures=row, cooldowns=kept)


def upstream_failed(state: AccountState, now: float) -> tuple[AccountState, Cooldown | None]:
    """After an answer in which the provider failed, and the rest that a long row of them comes to."""
    row = state.upstream_failures if now - state.upstream_failed_at < UPSTREAM_MEMORY_S else 0
    row = min(row + 1, UPSTREAM_FAILURES + MAX_FAILURES)
    state = replace(state, upstream_failures=row, upstream_failed_at=now)
    if row < UPSTREAM_FAILURES:
        return state, None
    rest_s = min(UPSTREAM_REST_S * 2.0 ** (row - UPSTREAM_FAILURES), UPSTREAM_REST_MAX_S)
    return state, Cooldown(now + rest_s, Cause.UPSTREAM, "the provider keeps failing on it")


# --- asking whether a rest is over -----------------------------------------------------------------


def asked(state: AccountState, request: Request, now: float) -> AccountState:
    """One request asks now; the next one waits its time."""
    covers = {c for c in state.cooldowns if c.until_at > now and c.family in (None, request.family)}
    later = (replace(c, ask_at=now + ASK_EVERY_S, asked=True) if c in covers else c for c in state.cooldowns)
    return replace(state, cooldowns=tuple(later))


def may_ask(states: Iterator[AccountState], request: Request, now: float) -> AccountState | None:
    """Of accounts that only rest, the one whose rest ends soonest among those that may be asked about now."""
    due: list[tuple[float, AccountState]] = []
    for state in states:
        rest = resting(state, request, now)
        covering = [c for c in live(state, now) if c.family in (None, request.family)]
        if rest in covering and all(c.ask_at is not None and c.ask_at <= now for c in covering):
            due.append((rest.until_at if rest else 0.0, state))
    return min(due, key=lambda entry: entry[0])[1] if due else None
