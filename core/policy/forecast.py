"""What the present pace of a quota window comes to by its reset, and for how long all accounts last. Pure."""

from collections.abc import Iterable

import msgspec

from core.model import AccountState, QuotaWindow
from core.policy.timing import DAY_S, current, rate

LEAST_LOSS = 0.05
"""A smaller share that goes unused is not worth a word."""
LEAST_USE = 0.1
"""Of a day's worth: whoever spends less than this share of what is left in a day is not at work."""


class Forecast(msgspec.Struct, frozen=True):
    """What the present pace leads to. `dry_at`: it is full then, before its reset. `lost`: the share left at reset."""

    dry_at: float | None = None
    lost: float | None = None


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
        for window in (current(window, now) for window in state.windows if window.family is None):
            if window.utilization is None or (spending := rate(window, now)) is None:
                continue
            left[window.name] = left.get(window.name, 0.0) + weight * max(0.0, 1.0 - window.utilization)
            speed[window.name] = speed.get(window.name, 0.0) + weight * spending
    lasting = [left[name] / speed[name] for name in left if speed[name] * DAY_S > LEAST_USE * left[name]]
    return min(lasting, default=None)
