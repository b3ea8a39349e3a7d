"""What the clients of a soak have seen, added up while it goes on."""

import time
from collections import Counter
from dataclasses import dataclass, field

from tests.soak.answers import Verdict

FAULTS_KEPT = 50
"""The first ones say what is wrong; a thousand more say nothing new."""


@dataclass
class Ledger:
    """Requests by what was asked and how it ended, and all that must never be."""

    ends: Counter[tuple[str, str]] = field(default_factory=Counter)
    orders: Counter[str] = field(default_factory=Counter)
    weather: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    began_at: float = field(default_factory=time.monotonic)

    @property
    def requests(self) -> int:
        """All that have come to an end."""
        return self.ends.total()

    def ended(self, kind: str, verdict: Verdict) -> None:
        """A request is over."""
        self.ends[kind, verdict.end] += 1
        if verdict.end == "fault":
            self.fault(f"{kind}: {verdict.text}")

    def fault(self, text: str) -> None:
        """Something that must never be."""
        if len(self.faults) < FAULTS_KEPT:
            self.faults.append(f"{time.monotonic() - self.began_at:.0f} s: {text}")

    def table(self) -> list[tuple[str, int, int, int, int]]:
        """For each kind of request: served, refused, cut, left by the client."""
        ends = ("served", "refused", "cut", "left")
        return [(kind, *(self.ends[kind, end] for end in ends)) for kind in sorted({kind for kind, _ in self.ends})]
