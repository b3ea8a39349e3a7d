"""What time it is at the provider: its own word (`Date`), carried on by a clock that nobody can set.

The wall clock is believed once, at the start. When somebody sets it later, no login seems to end or to live longer.
"""

import sys
import time
from collections.abc import Callable

import msgspec

TOLERANCE_S = 5.0
"""A `Date` has whole seconds and was under way: a smaller difference says nothing."""


def steady() -> float:
    """Seconds since some moment: they never jump, and they go on while the machine sleeps."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":  # time.monotonic() stands still in sleep there, this clock does not
        return time.clock_gettime(time.CLOCK_MONOTONIC)
    return time.monotonic()


class Anchor(msgspec.Struct, frozen=True):
    """One moment as two clocks showed it: the provider's time, and the steady one's reading."""

    at: float
    steady: float

    def now(self, steady: float) -> float:
        """The provider's time when the steady clock shows `steady`."""
        return self.at + steady - self.steady

    def corrected(self, said_at: float, steady: float) -> "Anchor":
        """After the provider said that it is `said_at`."""
        return self if abs(said_at - self.now(steady)) <= TOLERANCE_S else Anchor(said_at, steady)


class ServerClock:
    """The provider's time in Unix seconds: call it. Logins are judged by it; what is shown goes through `on_wall`."""

    def __init__(self, wall: Callable[[], float], steady: Callable[[], float] = steady) -> None:
        self._wall = wall
        self._steady = steady
        self._anchor = Anchor(wall(), steady())

    def __call__(self) -> float:
        """The time there, as far as it is known."""
        return self._anchor.now(self._steady())

    def heed(self, date: str | None) -> None:
        """Set it by the `Date` of an answer; one that is missing or does not read says nothing."""
        from email.utils import parsedate_to_datetime  # noqa: PLC0415 - slow to load, and keys need no clock

        try:
            said_at = parsedate_to_datetime(date or "").timestamp()
        except (ValueError, OverflowError):
            return
        self._anchor = self._anchor.corrected(said_at, self._steady())

    def on_wall(self, at: float | None) -> float | None:
        """What the person's own clock shows at that moment, as it is set now."""
        return None if at is None else at - self() + self._wall()
