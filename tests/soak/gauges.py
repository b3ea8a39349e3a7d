"""What a running Tidegate takes, looked at from outside again and again, and what growth is too much."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from core.files import Paths
from core.history import MAX_PENDING
from core.logs import LOG_BYTES, LOGS_KEPT
from tests.soak.slope import Slope, slope

WARM_UP_SHARE = 1 / 3
"""Of the time: caches fill up, every library has been used once, the history's first pages are in memory."""
KIB = 1024


@dataclass(frozen=True)
class Sample:
    """What it took at one moment."""

    at_s: float
    requests: int
    rss_kib: float
    fds: float
    threads: float
    tasks: float
    pending: float
    history_kib: float
    log_kib: float


@dataclass(frozen=True)
class Bound:
    """What may grow how fast: `of` a sample, for each `unit` of `per`."""

    name: str
    of: Callable[[Sample], float]
    per: Callable[[Sample], float]
    most: float
    unit: str

    def growth(self, samples: Sequence[Sample]) -> Slope:
        return slope([self.per(sample) for sample in samples], [self.of(sample) for sample in samples])


def _minutes(sample: Sample) -> float:
    return sample.at_s / 60


def _thousands(sample: Sample) -> float:
    return sample.requests / 1_000


GROWTH = (
    Bound("RSS", lambda s: s.rss_kib, _thousands, 512.0, "KiB per 1,000 requests"),
    Bound("descriptors", lambda s: s.fds, _minutes, 0.5, "a minute"),
    Bound("threads", lambda s: s.threads, _minutes, 0.1, "a minute"),
    Bound("tasks", lambda s: s.tasks, _minutes, 0.5, "a minute"),
    Bound("history", lambda s: s.history_kib, _thousands, 2_048.0, "KiB per 1,000 requests"),
)
"""Generous. An allocator and the pages that SQLite keeps grow for a while and then no more: half a KiB is more than any
request should leave behind, and one descriptor in two minutes is more than noise and less than harm."""


def warm(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Without the beginning."""
    return [sample for sample in samples if sample.at_s >= samples[-1].at_s * WARM_UP_SHARE]


def too_much(samples: Sequence[Sample]) -> list[str]:
    """What grew too fast or became too large."""
    found = [
        f"{bound.name} grew by {growth} {bound.unit}, more than {bound.most:g}"
        for bound in GROWTH
        if (growth := bound.growth(warm(samples))).is_surely_above(bound.most)
    ]
    if (log_kib := max(sample.log_kib for sample in samples)) > (LOGS_KEPT + 1) * LOG_BYTES / KIB + 64:
        found.append(f"the log took {log_kib:.0f} KiB")
    if (pending := max(sample.pending for sample in samples)) >= MAX_PENDING:
        found.append(f"{pending:.0f} rows of history waited")
    return found


def sampled(metrics: str, pid: int, paths: Paths, at_s: float, requests: int) -> Sample:
    """A look: `metrics` is what it says of itself, the rest is what the system and the disk say."""
    said = {
        sample.name: sample.value for family in text_string_to_metric_families(metrics) for sample in family.samples
    }
    return Sample(
        at_s,
        requests,
        said["process_resident_memory_bytes"] / KIB,
        said["process_open_fds"],
        _threads(pid),
        said["tidegate_tasks"],
        said["tidegate_history_pending_rows"],
        _kib(paths.root.glob(f"{paths.history.name}*")),
        _kib(paths.root.glob(f"{paths.log.name}*")),
    )


def _threads(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("Threads:"))


def _kib(files: Iterable[Path]) -> float:
    return sum(os.stat(path).st_size for path in files if path.exists()) / KIB  # noqa: PTH116 - one may just go
