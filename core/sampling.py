"""Which quota readings are kept: few enough to keep a month of them, and all that a chart could show.

Those of a window whose reading has changed: the first after a reset, any that is `STEP` or more from the one that was
kept last, else at most one in `EVERY_S`.
"""

from collections.abc import Callable, Iterable

from core.history_samples import SampleRow, WindowKey
from core.model import AccountState, QuotaWindow
from core.policy import timing
from core.policy.quota import RESET_JITTER_S

EVERY_S = 60.0
STEP = 0.015
"""Headers tell whole percents: two at once are worth a row of their own."""
MOST_REMEMBERED = 10_000
"""Windows. Who has more of them gets a row too many now and then."""


class Sampler:
    """Gives `keep` the readings that are worth it. Remembers the last one of each window that it gave."""

    def __init__(self, keep: Callable[[SampleRow], None]) -> None:
        self._keep = keep
        self._last: dict[WindowKey, SampleRow] = {}

    def take(self, states: Iterable[AccountState]) -> None:
        """Something about the windows of these accounts is news."""
        for state in states:
            for window in state.windows:
                key = WindowKey(state.account.id, window.name, window.family)
                last = self._last.get(key)
                if last is not None and last.utilization == window.utilization and last.resets_at == window.resets_at:
                    continue  # most of them: an answer brings news of one window
                if window.utilization is None or not _is_lasting(window):
                    continue
                row = SampleRow(window.seen_at, key, window.utilization, window.resets_at)
                if last is None or _worth(last, row):
                    self._remember(row)
                    self._keep(row)

    def _remember(self, row: SampleRow) -> None:
        if len(self._last) >= MOST_REMEMBERED:
            self._last.clear()
        self._last[row.key] = row


def _is_lasting(window: QuotaWindow) -> bool:
    """Whether a window has a course: a bucket of a minute is full and empty again before a chart could show it."""
    if timing.length_s(window) is not None:
        return True
    return window.resets_at is not None and window.resets_at - window.seen_at > timing.HOUR_S


def _worth(last: SampleRow, row: SampleRow) -> bool:
    if not _same_reset(last.resets_at, row.resets_at):
        if last.resets_at is not None and last.resets_at <= row.at:
            return True
    elif row.utilization == last.utilization:
        return False
    return abs(row.utilization - last.utilization) >= STEP or not 0 <= row.at - last.at < EVERY_S


def _same_reset(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) < RESET_JITTER_S
