"""A quota window in time: how long it is, what a reading is worth after its reset, and how fast it is spent. Pure.

The rate is a decaying mean of what readings show: recent use counts, an old rush does not. Windows of a minute (API
keys) have none.
"""

import math
import re
from functools import lru_cache

from msgspec.structs import replace

from core.model import QuotaWindow, WindowStatus

HOUR_S = 3_600.0
DAY_S = 86_400.0
MEMORY = 0.1
"""The mean forgets over this share of the window's length: half an hour of a 5 h window, 17 hours of a week."""
LEAST_STEP_S = 60.0
"""A window that began just now has no mean yet."""
_NAMED_S = {"rolling": 5 * HOUR_S, "weekly": 7 * DAY_S, "monthly": 30 * DAY_S}
_SPAN = re.compile(r"(\d+)([hd])(?:_.*)?")
_UNIT_S = {"h": HOUR_S, "d": DAY_S}


def length_s(window: QuotaWindow) -> float | None:
    """How long the window is, by its name; None for buckets of a minute and names that do not say."""
    return _length_s(window.name)


@lru_cache(maxsize=256)  # the same dozen names come with every answer
def _length_s(name: str) -> float | None:
    span = _SPAN.fullmatch(name)
    return int(span[1]) * _UNIT_S[span[2]] if span else _NAMED_S.get(name)


def current(window: QuotaWindow, now: float) -> QuotaWindow:
    """The window as far as it is known now: a reading ends at its reset, and then nothing is spent."""
    if window.resets_at is None or window.resets_at > now:
        return window
    return replace(window, utilization=0.0, resets_at=None, status=WindowStatus.UNKNOWN)


def paced(before: QuotaWindow | None, after: QuotaWindow) -> QuotaWindow:
    """`after` with its pace, worked out from the reading before it: the exact mean of a use that was even between them.

    Until there are two readings, the mean since the window began. A reset in between keeps the pace: whoever worked
    before it goes on working.
    """
    length = length_s(after)
    if length is None or after.utilization is None:
        kept = before.rate if before else None
        return after if kept == after.rate else replace(after, rate=kept)
    if before is None or before.rate is None or before.utilization is None:
        return replace(after, rate=_mean_rate(after, length))
    passed_s = max(0.0, after.seen_at - before.seen_at)
    used = max(0.0, after.utilization - (current(before, after.seen_at).utilization or 0.0))
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
