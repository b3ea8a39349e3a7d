"""Why each account is, or is not, next to serve. Pure.

The order and the words are those of the real choice, since it is the real choice that is asked: again and again, each
time without those that have been named.
"""

import msgspec

from core.model import AccountId, AccountState, Choice, Pool, Request
from core.policy import sharing
from core.policy.pool import FAILOVER_OFF, choose
from core.policy.readiness import bar, obstacle, resting

IN_ORDER = 10
"""A request is sent three times at most. Beyond that many nobody needs the order, and each place costs a choice."""
MORE = "ready, further back in the line"


class Turn(msgspec.Struct, frozen=True):
    """One account's place in the line."""

    account: AccountId
    label: str
    serves: bool
    """It would be sent the request, should those before it in the line fail."""
    reason: str
    """Why it would be next, or why it cannot serve."""
    until_at: float | None = None
    """Until when it cannot; None when no time is known, or when no time will mend it."""


def explain(pool: Pool, request: Request, now: float) -> tuple[Turn, ...]:
    """Every account of the request's provider: first those that would be tried, in that order, then the others.

    Of many that are ready the first ten are named in order. The others stand in the order in which they come back,
    those that nobody knows it of last. A pause is left aside: it is nobody's in particular.
    """
    pool, line = msgspec.structs.replace(pool, pause=None), dict[AccountId, Turn]()
    while len(line) < IN_ORDER and isinstance(choice := choose(pool, request, now, line.keys()), Choice):
        label = pool.states[choice.account].account.label
        line[choice.account] = Turn(choice.account, label, serves=True, reason=choice.reason)
    members = (s for s in pool.accounts if s.account.kind.provider is request.provider)
    full = len(line) == IN_ORDER
    left_out = [_left_out(pool, state, request, now, full=full) for state in members if state.account.id not in line]
    left_out.sort(key=lambda turn: (not turn.serves, float("inf") if turn.until_at is None else turn.until_at))
    return (*line.values(), *left_out)


def _left_out(pool: Pool, state: AccountState, request: Request, now: float, *, full: bool) -> Turn:
    """Why no choice fell on this account. A ready one is left out for another's sake, or the line is full."""
    rest = resting(state, request, now)
    until_at = rest.until_at if rest and not bar(state, request) else None
    why = obstacle(state, request, now)
    if not why and full:
        return Turn(state.account.id, state.account.label, serves=True, reason=MORE)
    why = why or _for_anothers_sake(pool, state)
    return Turn(state.account.id, state.account.label, serves=False, reason=why, until_at=until_at)


def _for_anothers_sake(pool: Pool, state: AccountState) -> str:
    if not pool.failover:
        return FAILOVER_OFF
    others = [s.account.label for s in sharing.group(pool, state.account.id) if s is not state]
    if others:
        return f"shares its limits with {', '.join(others)}, and nothing is left of them"
    return "another account has what the request names"
