"""A plan and what may be paid beyond it: when the plan is spent, and whether extra usage pays. Pure.

For an account that the person keeps to its plan, `rest` is the one answer to "may it send?". It is worked out from what
is known, not remembered, so it holds for a reading however it came, after a restart, and only while the person says so.
"""

import re
from functools import lru_cache

from msgspec.structs import replace

from core.model import (
    Account,
    AccountKind,
    AccountState,
    Cause,
    Cooldown,
    ExtraUsage,
    ModelFamily,
    QuotaWindow,
    WindowStatus,
)
from core.policy import quota
from core.policy.timing import HOUR_S, length_s

PLAN_SPENT = "plan spent (you keep it to plan limits)"
_TIMES = re.compile(r"(?<!\d)(\d{1,3})x$")
_TIER_SIZE = re.compile(r"_(\d{1,3}x)$")
_SIZES = {"max": 5.0}
GO_SIZE = 2.7
"""A 5 h window of OpenCode Go (12 $) against one of Claude Pro, as users measured it: an estimate."""
SHORTEST_S = 5 * HOUR_S
"""The shortest window of any plan: after this long one of them has begun anew."""


def weight(account: Account) -> float:
    """What the account's plan holds, in plans of the smallest size; 1.0 when that is not known."""
    if account.kind is AccountKind.GO:
        return GO_SIZE
    return _size(account.identity.plan)


@lru_cache(maxsize=256)
def _size(plan: str) -> float:
    named = _TIMES.search(plan)
    return float(named[1]) if named else _SIZES.get(plan, 1.0)


def name_of(kind: str, tier: str) -> str:
    """A plan as it is named, with its size where the provider tells one: `max 20x`, which `weight` reads.

    `kind` and `tier` are the provider's: `claude_max` or `max`, `default_claude_max_20x`.
    """
    size = _TIER_SIZE.search(tier)
    return " ".join(filter(None, (kind.removeprefix("claude_"), size[1] if size else "")))


def read(state: AccountState, windows: tuple[QuotaWindow, ...], told: ExtraUsage | None, now: float) -> AccountState:
    """The account with what an answer or a usage endpoint told of its quota."""
    known = state.extra_usage
    if known is not None and known.in_use and not in_use(state, now):
        known = replace(known, in_use=False)  # the reset that ended it may not be in the new windows any more
    return replace(state, windows=quota.merge(state.windows, windows), extra_usage=merged(known, told))


def merged(known: ExtraUsage | None, told: ExtraUsage | None) -> ExtraUsage | None:
    """Each thing as it was said last: headers say whether extra usage pays, the usage endpoint how much of it is spent.

    `seen_at` stays with an `in_use` that is taken over, since that is what ends by itself.
    """
    if known is None or told is None:
        return told or known
    older, newer = (told, known) if told.seen_at < known.seen_at else (known, told)
    taken_over = newer.in_use is None and older.in_use
    return ExtraUsage(
        older.enabled if newer.enabled is None else newer.enabled,
        older.in_use if newer.in_use is None else newer.in_use,
        older.utilization if newer.utilization is None else newer.utilization,
        older.seen_at if taken_over else newer.seen_at,
    )


def in_use(state: AccountState, now: float) -> bool:
    """Whether the latest answer was paid with extra usage, and no window of the plan has begun anew since."""
    extra = state.extra_usage
    return extra is not None and bool(extra.in_use) and now < _renewed_at(state, extra)


def spent(window: QuotaWindow, now: float) -> bool:
    """Whether nothing is left of the window: full or refusing, and not begun anew."""
    return _full(window) and now < _ends_at(window)


def spent_until(state: AccountState, family: ModelFamily | None, now: float) -> float | None:
    """Until when the plan does not cover a request for `family`; None while it does.

    An answer that was paid with extra usage, although no window is known to be full, says that the plan is spent too.
    """
    if state.account.kind is AccountKind.API_KEY:  # pays for what it uses; its windows are buckets of a minute
        return None
    full = [window for window in state.windows if spent(window, now)]
    if full or state.extra_usage is None or not in_use(state, now):
        return max((_ends_at(window) for window in full if window.family in (None, family)), default=None)
    return _renewed_at(state, state.extra_usage)


def rest(state: AccountState, family: ModelFamily | None, now: float) -> Cooldown | None:
    """The rest of an account that is kept to its plan, as far as a request for `family` is concerned."""
    until_at = spent_until(state, family, now) if state.account.plan_limits_only else None
    if until_at is None:
        return None
    scope = None if until_at == spent_until(state, None, now) else family
    return Cooldown(until_at, Cause.PLAN, PLAN_SPENT, scope)


def _full(window: QuotaWindow) -> bool:
    at_its_end = window.utilization is not None and window.utilization >= 1.0
    return at_its_end or window.status is WindowStatus.REJECTED


def _ends_at(window: QuotaWindow) -> float:
    """The window's reset. Where none was told it ends a whole window later, rather too late than at a price."""
    return window.resets_at if window.resets_at is not None else window.seen_at + (length_s(window) or SHORTEST_S)


def _renewed_at(state: AccountState, extra: ExtraUsage) -> float:
    """When the first window that may have been the cause begins anew after `extra` was seen.

    That is a window of the whole account, or a model's that was full.
    """
    causes = (w for w in state.windows if _full(w) or (w.family is None and w.resets_at is not None))
    ends = (_ends_at(window) for window in causes)
    return min([extra.seen_at + SHORTEST_S, *(at for at in ends if at > extra.seen_at)])
