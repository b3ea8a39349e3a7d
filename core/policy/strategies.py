"""The order in which ready accounts are tried: one function for each strategy. Pure.

Each gets the accounts that can serve the request, in the person's order and never none, and answers with one of them
and the reason in words.
"""

from collections.abc import Callable, Mapping, Sequence

from core.model import AccountId, AccountState, Choice, Pool, QuotaWindow, Request, Strategy
from core.policy import balanced, hybrid, quota, timing
from core.wording import percent, window_name

IN_FLIGHT_WEIGHT = 0.02
"""What a request in flight counts for, as a share of a window, so that parallel new sessions spread."""

Ready = Sequence[AccountState]


def _sticky(pool: Pool, ready: Ready, request: Request, _now: float) -> Choice:
    last = pool.active.get(request.provider)
    if last and any(s.account.id == last.account for s in ready):
        return Choice(last.account, "it served last")
    return Choice(_next(pool, ready, last.account if last else None), "next in your order")


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
    last = pool.active.get(request.provider)
    return Choice(_next(pool, ready, last.account if last else None), "next in turn")


def _rotate(pool: Pool, ready: Ready, request: Request, _now: float) -> Choice:
    return Choice(_next(pool, ready, pool.turns.get(request.provider)), "next in turn")


def _priority(_pool: Pool, ready: Ready, _request: Request, _now: float) -> Choice:
    return Choice(ready[0].account.id, "first in your order")


def _drain_soonest(_pool: Pool, ready: Ready, _request: Request, now: float) -> Choice:
    def ends_at(state: AccountState) -> tuple[float, float]:
        window = _longest(state, now)
        return (window.resets_at if window and window.resets_at else float("inf")), state.last_used_at

    best = min(ready, key=ends_at)
    window = _longest(best, now)
    if window is None or window.resets_at is None:
        return Choice(best.account.id, "no reset is known")
    left = percent(None if window.utilization is None else 1 - window.utilization)
    return Choice(best.account.id, f"its {window_name(window)} resets first, with {left} left")


def _hybrid(pool: Pool, ready: Ready, request: Request, now: float) -> Choice:
    last = pool.active.get(request.provider)
    state, reason = hybrid.best(ready, last.account if last else None, pool.health_score, pool.token_bucket, now)
    return Choice(state.account.id, reason)


def _next(pool: Pool, ready: Ready, last: AccountId | None) -> AccountId:
    """The first ready account after `last` in the person's order, round the end."""
    order = [s.account.id for s in pool.accounts]
    start = order.index(last) + 1 if last in order else 0
    candidates = {s.account.id for s in ready}
    return next(id_ for id_ in order[start:] + order[:start] if id_ in candidates)


def _longest(state: AccountState, now: float) -> QuotaWindow | None:
    """The account's longest window that is running: the one whose reset throws most away."""
    running = (timing.current(window, now) for window in state.windows if window.family is None)
    known = [window for window in running if window.resets_at is not None and timing.length_s(window)]
    return max(known, key=lambda window: timing.length_s(window) or 0.0, default=None)


def _balanced(pool: Pool, ready: Ready, request: Request, now: float) -> Choice:
    state, reason = balanced.best(pool, ready, request, now)
    return Choice(state.account.id, reason)


STRATEGIES: Mapping[Strategy, Callable[[Pool, Ready, Request, float], Choice]] = {
    Strategy.BALANCED: _balanced,
    Strategy.LEAST_UTILIZED: _least_utilized,
    Strategy.DRAIN_SOONEST: _drain_soonest,
    Strategy.STICKY: _sticky,
    Strategy.ROUND_ROBIN: _round_robin,
    Strategy.ROTATE: _rotate,
    Strategy.HYBRID: _hybrid,
    Strategy.PRIORITY: _priority,
}
