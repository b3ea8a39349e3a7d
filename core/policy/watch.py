"""What is worth saying about quota: past 70 and 90 %, dry before the reset, begun anew, paid extra. Once each. Pure.

What was told is remembered with the window's reset, so a restart does not say it again and a new window is news again.
"""

from msgspec.structs import replace

from core.model import (
    AccountState,
    Alert,
    Event,
    ExtraUsageBegan,
    Level,
    QuotaWindow,
    Told,
    WindowFilled,
    WindowReset,
)
from core.policy import plan, quota
from core.policy.forecast import forecast
from core.policy.timing import current as current_of
from core.policy.timing import length_s
from core.wording import level

DRY_FROM = 0.5
"""Below, a forecast says more about the last half hour than about the window."""
DRY_AHEAD = 0.05
"""A window that runs dry in the last twentieth of its length is as good as one that lasts."""
_PAID = Told("", None, Alert.PAID, None)
_ALERTS = {Level.WARN: Alert.WARN, Level.SPENT: Alert.SPENT}


def look(state: AccountState, now: float) -> tuple[AccountState, tuple[Event, ...]]:
    """The account with what is told now, and the events that tell it."""
    events: list[Event] = []
    told: list[Told] = []
    for window in state.windows:
        before = [entry for entry in state.told if (entry.window, entry.family) == (window.name, window.family)]
        known = [entry for entry in before if _same_period(entry, window, now)]
        if len(known) < len(before) and any(entry.alert is Alert.SPENT for entry in before):
            events.append(WindowReset(state.account.id, current_of(window, now)))
        current = current_of(window, now)
        dry_at = _dry_at(current, now)
        alert = _alert(current, dry_at, {entry.alert for entry in known})
        if alert:
            told_now = {alert} if dry_at is None else {alert, Alert.DRY}
            known += [Told(window.name, window.family, each, window.resets_at) for each in sorted(told_now)]
            events.append(WindowFilled(state.account.id, current, alert, dry_at))
        told += known
    if plan.in_use(state, now):
        if _PAID not in state.told:
            events.append(ExtraUsageBegan(state.account.id))
        told.append(_PAID)
    return (state if tuple(told) == state.told else replace(state, told=tuple(told))), tuple(events)


def _alert(window: QuotaWindow, dry_at: float | None, told: set[Alert]) -> Alert | None:
    """What is to be told of a window of hours or days, the gravest only."""
    if length_s(window) is None or window.resets_at is None or Alert.SPENT in told:
        return None
    alert = _ALERTS.get(level(window.utilization))
    if alert and alert not in told:
        return alert
    return Alert.DRY if dry_at is not None and Alert.DRY not in told else None


def _dry_at(window: QuotaWindow, now: float) -> float | None:
    """When the window will be full, if that is well before its reset and enough of it is spent to tell."""
    dry_at, length = forecast(window, now).dry_at, length_s(window)
    if dry_at is None or length is None or window.resets_at is None or (window.utilization or 0.0) < DRY_FROM:
        return None
    return dry_at if window.resets_at - dry_at > DRY_AHEAD * length else None


def _same_period(told: Told, window: QuotaWindow, now: float) -> bool:
    """Whether the window is still the one that was told of."""
    if told.resets_at is None or window.resets_at is None:
        return told.resets_at is window.resets_at
    return now < told.resets_at and abs(window.resets_at - told.resets_at) < quota.RESET_JITTER_S
