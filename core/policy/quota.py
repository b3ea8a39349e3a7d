"""Quota windows: merging readings, letting them expire, and the one number an account is compared by."""

from collections.abc import Iterable

from msgspec.structs import replace

from core.model import AccountState, ExtraUsage, ModelFamily, QuotaWindow
from core.policy import timing

RESET_JITTER_S = 60.0
"""Resets that the provider tells differ by a second or two from answer to answer; a new window is hours away."""


def merge(known: Iterable[QuotaWindow], seen: Iterable[QuotaWindow]) -> tuple[QuotaWindow, ...]:
    """Known windows overwritten by newer readings of the same window; windows that were not mentioned stay."""
    merged = {(window.name, window.family): window for window in known}
    for window in seen:
        key = (window.name, window.family)
        before = merged.get(key)
        if before is None or before.seen_at <= window.seen_at:
            merged[key] = timing.paced(before, window)
    return tuple(merged.values())


def news(before: AccountState, after: AccountState) -> bool:
    """Whether what was read of an account says something else than before, and not only the same again."""
    if after.windows is before.windows and after.extra_usage is before.extra_usage:
        return False
    known = {(window.name, window.family): window for window in before.windows}
    of_windows = any(_differs(known.get((window.name, window.family)), window) for window in after.windows)
    return of_windows or _said(before.extra_usage) != _said(after.extra_usage)


def _said(extra: ExtraUsage | None) -> ExtraUsage | None:
    return replace(extra, seen_at=0.0) if extra else None


def _differs(before: QuotaWindow | None, after: QuotaWindow) -> bool:
    if before is None or (before.utilization, before.status) != (after.utilization, after.status):
        return True
    if before.resets_at is None or after.resets_at is None:
        return before.resets_at is not after.resets_at
    return abs(before.resets_at - after.resets_at) >= RESET_JITTER_S


def tightest(windows: Iterable[QuotaWindow], family: ModelFamily | None, now: float) -> QuotaWindow | None:
    """The fullest known window that counts a request for `family`, None when nothing is known."""
    counting = (timing.current(window, now) for window in windows if window.family in (None, family))
    known = [window for window in counting if window.utilization is not None]
    return max(known, key=lambda window: window.utilization or 0.0, default=None)


def utilization(windows: Iterable[QuotaWindow], family: ModelFamily | None, now: float) -> float:
    """The tightest window's utilization. Unknown counts as unspent: a new account deserves its first request."""
    window = tightest(windows, family, now)
    return (window.utilization or 0.0) if window else 0.0
