"""The default strategy: spend first what a reset would throw away, and keep room where conversations go on. Pure.

A key that is paid by use serves when no plan can: plans are paid anyway. Among plans, each account gets a score from
two things, in shares of its 5 h window:

* urgency: how fast its long windows (week, month) would have to be spent to be empty at their reset, where 1.0 means
  "by filling every 5 h window from now on". What is lost at a reset nobody gets back, so the more urgent goes first.
* risk: how likely the 5 h window runs out under what goes on there and the new conversation. What goes on is judged by
  the conversations that are there and by the pace of late. A conversation that has to move reads its whole prompt anew,
  at full price.

The weights were chosen by simulation against a bound with perfect foresight (`make bench-policy`, docs/policy.md).
"""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import islice

import msgspec

from core.model import Account, AccountId, AccountKind, AccountState, ModelFamily, Pool, QuotaWindow, Request
from core.policy import timing
from core.policy.plan import weight
from core.wording import clock_time, percent, window_name

SHORT_S = 5 * timing.HOUR_S
SHORT_WINDOWS_IN = {"7d": 7.0, "weekly": 2.5, "monthly": 5.0}
"""How many 5 h windows a long one pays for: Go's prices say 12, 30 and 60 $; Claude's users report about 7."""
OF_OTHERS = 2.8
"""The same for windows of one model family and those that are not known."""
SESSION_SHARE = 0.3
"""What a conversation is expected to take of a 5 h window of the smallest plan."""
AHEAD_S = 900.0
"""So far ahead the pace of late is believed."""
RECENT_S = 1_800.0
COUNTED = 300
"""Conversations of the last half hour count as going on, the newest of them."""
URGENCY_CAP = 2.5
"""Nothing is more urgent than what cannot be spent any more even with every 5 h window."""
FRESH_BONUS = 0.05
"""A 5 h window begins with its first request: begun early, it ends early, and the next one begins."""


class Score(msgspec.Struct, frozen=True):
    """What speaks for an account, with the window that does."""

    value: float
    urgency: float
    urgent: QuotaWindow | None
    short: QuotaWindow | None


def best(pool: Pool, ready: Sequence[AccountState], request: Request, now: float) -> tuple[AccountState, str]:
    """Who should serve, of those that are ready, and why. `ready` must not be empty."""
    going_on = conversations(pool, now)
    plans = [state for state in ready if state.account.kind is not AccountKind.API_KEY] or ready
    scores = [(score(state, going_on[state.account.id], request.family, now), state) for state in plans]
    chosen, state = max(scores, key=lambda entry: (entry[0].value, -entry[1].last_used_at))
    others = [entry for entry, _ in scores if entry is not chosen]
    return state, _reason(state.account, chosen, others, now)


def conversations(pool: Pool, now: float) -> Counter[AccountId]:
    """How many conversations each account has at the moment."""
    newest = (pool.sessions[session] for session in islice(reversed(pool.sessions), COUNTED))
    return Counter(affinity.account for affinity in newest if now - affinity.used_at <= RECENT_S)


def score(state: AccountState, going_on: int, family: ModelFamily | None, now: float) -> Score:
    """How much speaks for giving the next conversation to this account."""
    share = SESSION_SHARE / weight(state.account)
    short, urgent, urgency, room, coming = None, None, 0.0, 1.0, 0.0
    for window in state.windows:
        length = timing.length_s(window)
        if length is None or window.family not in (None, family):
            continue
        current = timing.current(window, now)
        left = max(0.0, 1.0 - (current.utilization or 0.0))
        remaining_s = length if current.resets_at is None else max(current.resets_at - now, 1.0)
        if length <= SHORT_S:
            short, room = current, min(room, left)
            coming = max(coming, (timing.rate(window, now) or 0.0) * min(remaining_s, AHEAD_S))
            continue
        pays_for = left * SHORT_WINDOWS_IN.get(window.name, OF_OTHERS)
        needed = pays_for * SHORT_S / remaining_s
        room = min(room, pays_for)
        if needed > urgency:
            urgent, urgency = current, needed
    coming = max(coming, share * max(going_on, state.in_flight))
    risk = math.exp(-max(0.0, room - coming) / share)
    begun = short is not None and short.resets_at is not None
    value = math.sqrt(min(urgency, URGENCY_CAP)) - risk + (0.0 if begun else FRESH_BONUS)
    return Score(value, urgency, urgent, short)


def _reason(account: Account, chosen: Score, others: Sequence[Score], now: float) -> str:
    window = chosen.urgent
    if window and window.resets_at and all(chosen.urgency > other.urgency for other in others):
        left, until = percent(1.0 - (window.utilization or 0.0)), clock_time(window.resets_at, now)
        return f"most to lose: {left} of its {window_name(window)} is left until {until}"
    if chosen.short and chosen.short.utilization is not None:
        return f"most room: {window_name(chosen.short)} at {percent(chosen.short.utilization)}"
    if account.kind is AccountKind.API_KEY:
        return "paid by use; no plan can serve"
    return "not used yet"
