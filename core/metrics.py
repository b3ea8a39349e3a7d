"""What a Prometheus server reads at `/-/metrics`: counts since the start, and the picture as it is now.

Counting costs a request two additions, after its answer. The text format is a few lines and its client library would be
one more in every start, so it is written here; the tests hold it to that library's own parser. Accounts go by their
label. Format: https://prometheus.io/docs/instrumenting/exposition_formats/ (text, version 0.0.4).
"""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from core import __version__
from core.history import EventRow, RequestRow
from core.model import AccountId, Move, Snapshot, Standing

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[tuple[str, str], ...]
Kind = Literal["counter", "gauge"]


class Family(msgspec.Struct, frozen=True):
    """One metric: its samples differ in their labels."""

    name: str
    kind: Kind
    help: str
    samples: Mapping[Labels, float]


class Metrics:
    """The counts of one running instance. Belongs to its loop."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[AccountId | None, str, str]] = Counter()
        self._attempts = 0
        self._failovers: Counter[tuple[str, str]] = Counter()
        self._tokens: Counter[tuple[AccountId | None, str]] = Counter()

    def count(self, row: RequestRow | EventRow) -> None:
        """Add what history was given."""
        if isinstance(row, RequestRow):
            self._requests[row.account, row.provider, row.outcome] += 1
            self._attempts += row.attempts
            tokens, account, usage = self._tokens, row.account, row.usage
            tokens[account, "input"] += usage.input
            tokens[account, "output"] += usage.output
            tokens[account, "cache_read"] += usage.cache_read
            tokens[account, "cache_write"] += usage.cache_write
        elif isinstance(row.event, Move):
            self._failovers[row.event.source, row.event.target] += 1

    def text(self, snapshot: Snapshot, pending: int, tasks: int) -> str:
        """The answer to a scrape. `pending`: rows of history that wait to be written; `tasks`: of the loop."""
        labels = {view.id: view.label for view in snapshot.accounts}

        def label(id_: AccountId | None) -> str:
            return "" if id_ is None else labels.get(id_, id_)

        families = (*self._counted(label), *_pictured(snapshot), *_process(pending, tasks))
        return "".join(_written(family) for family in families)

    def _counted(self, label: Callable[[AccountId | None], str]) -> Iterator[Family]:
        yield Family(
            "tidegate_requests_total",
            "counter",
            "Requests of clients that are over, by who served last (empty: nobody) and how the last attempt ended.",
            _summed(
                ((("account", label(id_)), ("provider", provider), ("outcome", outcome)), count)
                for (id_, provider, outcome), count in self._requests.items()
            ),
        )
        yield Family("tidegate_attempts_total", "counter", "Sendings to an account.", {(): self._attempts})
        yield Family(
            "tidegate_failovers_total",
            "counter",
            "Moves from one account to another because the first could not serve.",
            _summed(((("from", source), ("to", target)), count) for (source, target), count in self._failovers.items()),
        )
        yield Family(
            "tidegate_tokens_total",
            "counter",
            "Tokens that answers have counted.",
            _summed(((("account", label(id_)), ("kind", kind)), count) for (id_, kind), count in self._tokens.items()),
        )


def _summed(samples: Iterable[tuple[Labels, float]]) -> Mapping[Labels, float]:
    """Two accounts that were called the same, one after the other, are one series."""
    sums: dict[Labels, float] = {}
    for labels, value in samples:
        sums[labels] = sums.get(labels, 0) + value
    return sums


def _pictured(snapshot: Snapshot) -> Iterator[Family]:
    accounts = snapshot.accounts
    windows = [(view, window) for view in accounts for window in view.windows]

    def of(label: str, provider: str, name: str, family: str | None) -> Labels:
        return (("account", label), ("provider", provider), ("window", name), ("family", family or ""))

    yield Family(
        "tidegate_build_info", "gauge", "Which Tidegate this is.", {(("version", snapshot.version or __version__),): 1}
    )
    yield Family(
        "tidegate_window_utilization_ratio",
        "gauge",
        "Spent share of a quota window, 0 to 1 (more when the provider says so).",
        {
            of(view.label, view.provider, window.name, window.family): window.utilization
            for view, window in windows
            if window.utilization is not None
        },
    )
    yield Family(
        "tidegate_window_resets_at_seconds",
        "gauge",
        "When a quota window begins anew, in Unix time.",
        {
            of(view.label, view.provider, window.name, window.family): window.resets_at
            for view, window in windows
            if window.resets_at is not None
        },
    )
    yield Family(
        "tidegate_account_ready",
        "gauge",
        "1 for an account that may serve now.",
        {
            (("account", view.label), ("provider", view.provider)): float(view.standing is Standing.READY)
            for view in accounts
        },
    )
    yield Family(
        "tidegate_accounts_ready",
        "gauge",
        "Accounts that may serve now.",
        {(): sum(view.standing is Standing.READY for view in accounts)},
    )
    yield Family(
        "tidegate_requests_in_flight",
        "gauge",
        "Attempts that are under way.",
        {(("account", view.label), ("provider", view.provider)): view.in_flight for view in accounts},
    )


def _process(pending: int, tasks: int) -> Iterator[Family]:
    yield Family("tidegate_history_pending_rows", "gauge", "Rows of history not yet on the disk.", {(): pending})
    yield Family("tidegate_tasks", "gauge", "Tasks on the event loop.", {(): tasks})
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        rss = pages * os.sysconf("SC_PAGE_SIZE")
        yield Family("process_resident_memory_bytes", "gauge", "Resident memory.", {(): rss})
        opened = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a Path for each would be thrown away
        yield Family("process_open_fds", "gauge", "Open file descriptors.", {(): opened})


def _written(family: Family) -> str:
    lines = [f"# HELP {family.name} {_escaped(family.help)}", f"# TYPE {family.name} {family.kind}"]
    for labels, value in family.samples.items():
        said = ",".join(f'{name}="{_quoted(text)}"' for name, text in labels)
        lines.append(f"{family.name}{{{said}}} {value:.17g}" if said else f"{family.name} {value:.17g}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')
