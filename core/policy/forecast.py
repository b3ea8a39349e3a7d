"""Pace: how fast a quota window is being spent, and what that comes to at its reset. Pure.

The pace is a decaying mean of what readings show: recent use counts, an old rush does not. Nothing is predicted for
windows of a minute (API keys).
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from msgspec.structs import replace

from core.model import AccountState, QuotaWindow
from core.policy import quota

HOUR_S = 3_600.0
DAY_S = 86_400.0
MEMORY = 0.1
"""The mean forgets over this share of the window's length: half an hour of a 5 h window, 17 hours of a week."""
LEAST_STEP_S = 60.0
"""A window that began just now has no mean yet."""
LEAST_LOSS = 0.05
"""A smaller share that goes unused is not worth a word."""
_NAMED_S = {"rolling": 5 * HOUR_S, "weekly": 7 * DAY_S, "monthly": 30 * DAY_S}
_SPAN = re.compile(r"(\d+)([hd])(?:_.*)?")
_UNIT_S = {"h": HOUR_S, "d": DAY_S}


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the present pace leads to. `dry_at`: it is full then, before its reset. `lost`: the share left at reset."""

    dry_at: float | None = None
    lost: float | None = None


def length_s(window: QuotaWindow) -> float | None:
    """How long the window is, by its name; None for buckets of a minute and names that do not say."""
    span = _SPAN.fullmatch(window.name)
    if span:
        return int(span[1]) * _UNIT_S[span[2]]
    return _NAMED_S.get(window.name)


def paced(before: QuotaWindow | None, after: QuotaWindow) -> QuotaWindow:
    """`after` with its pace, worked out from the reading before it: the exact mean of a use that was even between them.

    Until there are two readings, the mean since the window began. A reset in between keeps the pace: whoever worked
    before it goes on working.
    """
    length = length_s(after)
    if length is None or after.utilization is None:
        return replace(after, rate=before.rate if before else None)
    if before is None or before.rate is None or before.utilization is None:
        return replace(after, rate=_mean_rate(after, length))
    passed_s = max(0.0, after.seen_at - before.seen_at)
    used = max(0.0, after.utilization - (quota.current(before, after.seen_at).utilization or 0.0))
    memory_s = MEMORY * length
    # (1 - e^-x) / passed_s, which stays exact for answers that ran side by side (0 s apart).
    weight = -math.expm1(-passed_s / memory_s) / passed_s if passed_s > 0 else 1 / memory_s
    return replace(after, rate=before.rate * math.exp(-passed_s / memory_s) + used * weight)


def _mean_rate(window: QuotaWindow, length: float) -> float | None:
    if window.utilization is None or window.resets_at is None:
        return None
    elapsed_s = length - (window.resets_at - window.seen_at)
    return window.utilization / elapsed_s if elapsed_s > LEAST_STEP_S else None


def rate(window: QuotaWindow, now: float) -> float | None:
    """The share spent per second of late. Silence since the last reading counts as rest; None is unknown."""
    length = length_s(window)
    if window.rate is None or length is None:
        return None
    return window.rate * math.exp(-max(0.0, now - window.seen_at) / (MEMORY * length))


def pace(window: QuotaWindow, now: float) -> float | None:
    """Utilization against the elapsed share of the window: above 1.0 it is spent faster than time passes."""
    length = length_s(window)
    if length is None or window.utilization is None or window.resets_at is None or window.resets_at <= now:
        return None
    elapsed = 1 - (window.resets_at - now) / length
    return window.utilization / elapsed if elapsed > 0 else None


def forecast(window: QuotaWindow, now: float) -> Forecast:
    """When the window runs dry at the present pace, or what its reset will throw away."""
    speed = rate(window, now)
    if speed is None or window.utilization is None or window.resets_at is None or window.resets_at <= now:
        return Forecast()
    left, remaining_s = max(0.0, 1.0 - window.utilization), window.resets_at - now
    spent = speed * remaining_s
    if left > 0 and spent >= left:
        return Forecast(dry_at=now + left / speed)
    lost = left - spent
    return Forecast(lost=lost if lost >= LEAST_LOSS else None)


def headroom_s(states: Iterable[tuple[AccountState, float]], now: float) -> float | None:
    """For how long the accounts together last at the present pace of all, each with its plan's weight.

    The shortest over the sorts of windows (`5h`, `7d`); resets on the way are not counted, so it is a lower bound.
    None when nothing is being spent.
    """
    left: dict[str, float] = {}
    speed: dict[str, float] = {}
    for state, weight in states:
        for window in (quota.current(window, now) for window in state.windows if window.family is None):
            if window.utilization is None or (spending := rate(window, now)) is None:
                continue
            left[window.name] = left.get(window.name, 0.0) + weight * max(0.0, 1.0 - window.utilization)
            speed[window.name] = speed.get(window.name, 0.0) + weight * spending
    lasting = [left[name] / speed[name] for name in left if speed[name] * DAY_S > MEMORY * left[name]]
    return min(lasting, default=None)
