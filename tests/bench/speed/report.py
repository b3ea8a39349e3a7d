"""What the readings say: medians of rounds, what was added to no proxy at all, ratios to nginx, goals. Pure."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Readings = Mapping[str, float]
Round = Mapping[str, Readings]
"""Of each subject."""
DIRECT, NGINX, TIDEGATE = "direct", "nginx", "tidegate"
NOTHING = "–"
NO_ANSWER = 0.0
"""The digest when there was no good one."""


@dataclass(frozen=True, slots=True)
class Results:
    """All of one run."""

    about: Mapping[str, str]
    """When, on what, with which versions."""
    rounds: Sequence[Round]
    once: Round = field(default_factory=dict)
    """What was measured once."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Subjects that did not start, and why."""
    compares: Mapping[str, Mapping[str, Readings]] = field(default_factory=dict)
    """Tidegate beside itself: what was compared, its variants, their readings."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table of rounds. `added`: without what it takes with no proxy between."""

    title: str
    reading: str
    unit: str
    added: bool = False
    scale: float = 1.0
    more_is_better: bool = False


ROWS = (
    Row("added latency, p50", "answer_p50_us", "ms", added=True, scale=1e-3),
    Row("added latency, p99", "answer_p99_us", "ms", added=True, scale=1e-3),
    Row("added to the first byte of a stream, p50", "first_byte_p50_us", "ms", added=True, scale=1e-3),
    Row("added to the first byte of a stream, p99", "first_byte_p99_us", "ms", added=True, scale=1e-3),
    Row("added latency of a 200 KB request, p50", "large_p50_us", "ms", added=True, scale=1e-3),
    Row("processor time of a request, 1 connection", "answer_cpu_us", "µs"),
    Row("processor time of a request, 32 connections", "rate_cpu_us", "µs"),
    Row("requests a second, 32 connections", "rate_per_s", "/s", more_is_better=True),
    Row("added delay of an event, 50 streams, p50", "event_delay_p50_us", "ms", added=True, scale=1e-3),
    Row("added delay of an event, 50 streams, p99", "event_delay_p99_us", "ms", added=True, scale=1e-3),
    Row("processor time of 1 M paced events", "paced_cpu_s_per_million", "s"),
    Row("events a second, unpaced", "flood_per_s", "/s", more_is_better=True),
    Row("request of 10 MB", "big_p50_us", "ms", scale=1e-3),
    Row("start to first answer", "start_s", "s"),
    Row("idle memory (RSS)", "idle_rss_mib", "MiB"),
    Row("idle memory of its own", "idle_private_mib", "MiB"),
)


def values(results: Results, row: Row, subject: str) -> list[float]:
    """One value for each round in which it was measured."""
    found = []
    for one in results.rounds:
        value = one.get(subject, {}).get(row.reading, math.nan)
        if row.added:
            value -= one.get(DIRECT, {}).get(row.reading, math.nan)
        if not math.isnan(value):
            found.append(value * row.scale)
    return found


def ratios(results: Results, row: Row, subject: str, base: str = NGINX) -> list[float]:
    """To `base`, round by round, so that what else the machine did falls on both."""
    found = []
    for one in results.rounds:
        both = Results({}, [one])
        mine, theirs = values(both, row, subject), values(both, row, base)
        if mine and theirs and theirs[0] > 0:
            found.append(mine[0] / theirs[0])
    return found


def wrong(results: Results, subject: str) -> float:
    """Answers with another status, cut, without all of their events."""
    return sum(
        value for one in results.rounds for name, value in one.get(subject, {}).items() if name.endswith("_errors")
    )


def altered(results: Results, subject: str) -> list[str]:
    """The measures in which bodies were not those that came without a proxy."""
    found = []
    for one in results.rounds:
        for name, value in one.get(subject, {}).items():
            kind, _, what = name.rpartition("_")
            same = {"digest": {one.get(DIRECT, {}).get(name, value), NO_ANSWER}, "differing": {0.0}}
            if what in same and value not in same[what]:
                found.append(kind)
    return list(dict.fromkeys(found))


def spread(found: Sequence[float]) -> str:
    """The median, and between what the rounds were."""
    if not found:
        return NOTHING
    middle = number(statistics.median(found))
    return middle if len(found) == 1 else f"{middle} ({number(min(found))}–{number(max(found))})"


def number(value: float) -> str:
    """With as many digits as mean something."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}"


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal, and what was measured of it."""

    title: str
    limit: float
    measured: Callable[[Results], Sequence[float]]
    at_least: bool = False
    unit: str = ""

    def line(self, results: Results) -> str:
        """A row of the table."""
        found = self.measured(results)
        sign = "≥" if self.at_least else "≤"
        return f"| {self.title} | {sign} {number(self.limit)}{self.unit} | {spread(found)} | {self.verdict(found)} |"

    def verdict(self, found: Sequence[float]) -> str:
        """By the median."""
        if not found:
            return "not measured"
        middle = statistics.median(found)
        return "met" if (middle >= self.limit if self.at_least else middle <= self.limit) else "**not met**"


def _row(reading: str) -> Row:
    return next(row for row in ROWS if row.reading == reading)


def _ratio(reading: str) -> Callable[[Results], Sequence[float]]:
    return lambda results: ratios(results, _row(reading), TIDEGATE)


def _value(reading: str) -> Callable[[Results], Sequence[float]]:
    return lambda results: values(results, _row(reading), TIDEGATE)


def _once(reading: str) -> Callable[[Results], Sequence[float]]:
    def find(results: Results) -> Sequence[float]:
        found = results.once.get(TIDEGATE, {})
        return [found[reading]] if reading in found else []

    return find


def _best_pooling_peer(results: Results) -> Sequence[float]:
    """How many times as many requests as the best pooling peer in Python."""
    found = [ratios(results, _row("rate_per_s"), TIDEGATE, peer) for peer in POOLING_PEERS]
    return min((one for one in found if one), key=statistics.median, default=[])


POOLING_PEERS = ("tokenbiryani", "litellm")
GOALS = (
    Goal("added latency p50, of nginx's", 1.3, _ratio("answer_p50_us"), unit="×"),
    Goal("first byte p50, of nginx's", 1.3, _ratio("first_byte_p50_us"), unit="×"),
    Goal("requests a second on one core", 12_000, _value("rate_per_s"), at_least=True),
    Goal("requests a second, of nginx's", 0.3, _ratio("rate_per_s"), at_least=True, unit="×"),
    Goal("processor time of paced events, of nginx's", 1.3, _ratio("paced_cpu_s_per_million"), unit="×"),
    Goal("processor time of a request at 32 connections, of nginx's", 2.0, _ratio("rate_cpu_us"), unit="×"),
    Goal("idle memory (RSS)", 40, _value("idle_rss_mib"), unit=" MiB"),
    Goal("each of 1,000 streams", 30, _once("streams_1000_kib_each"), unit=" KiB"),
    Goal("start to first answer", 0.35, _value("start_s"), unit=" s"),
    Goal("memory (private) gained in 80,000 requests after 20,000", 1024, _once("growth_private_kib"), unit=" KiB"),
    Goal("descriptors gained in them", 0, _once("growth_fds")),
    Goal("threads gained in them", 0, _once("growth_threads")),
    Goal("tasks gained in them", 0, _once("growth_tasks")),
    Goal("wakeups a second when idle", 1, _once("wakeups_per_s")),
)
PEER_GOALS = (
    Goal("requests a second, of the best pooling peer in Python", 20, _best_pooling_peer, at_least=True, unit="×"),
)


def text(results: Results, goals: Sequence[Goal] = GOALS) -> str:
    """The report, as Markdown."""
    subjects = [name for name in dict.fromkeys(name for one in results.rounds for name in one) if name != DIRECT]
    parts = [
        "\n".join(f"- {name}: {value}" for name, value in results.about.items()),
        "\n".join(["| goal | | measured | |", "| --- | ---: | ---: | --- |", *(goal.line(results) for goal in goals)]),
        _rounds(results, subjects),
        _table("measured once", results.once),
        *(_table(title, variants) for title, variants in results.compares.items()),
        "\n".join(f"- {name} was not measured: {why}" for name, why in results.missing.items()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _rounds(results: Results, subjects: Sequence[str]) -> str:
    lines = [
        f"| medians of {len(results.rounds)} rounds (least–most) | {' | '.join(subjects)} |",
        f"| --- |{' ---: |' * len(subjects)}",
    ]
    for row in ROWS:
        cells = []
        for subject in subjects:
            found = ratios(results, row, subject)
            times = f", {number(statistics.median(found))}×" if found and subject != NGINX else ""
            cells.append(spread(values(results, row, subject)) + times)
        if any(cell != NOTHING for cell in cells):
            lines.append(f"| {row.title}, {row.unit} | {' | '.join(cells)} |")
    lines.append("| answers that were wrong | " + " | ".join(f"{wrong(results, one):.0f}" for one in subjects) + " |")
    changed = (", ".join(altered(results, one)) or "none" for one in subjects)
    lines.append("| bodies that were not as sent | " + " | ".join(changed) + " |")
    return "\n".join(lines)


def _table(title: str, columns: Mapping[str, Readings]) -> str:
    """Readings by their names, side by side; nothing when there are none."""
    names = list(dict.fromkeys(name for readings in columns.values() for name in readings))
    if not names:
        return ""
    lines = [f"| {title} | {' | '.join(columns)} |", f"| --- |{' ---: |' * len(columns)}"]
    for name in names:
        cells = [number(readings[name]) if name in readings else NOTHING for readings in columns.values()]
        lines.append(f"| {name.replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def placed(document: str, block: str, name: str) -> str:
    """`document` with `block` between the marks of that name. Raises ValueError when they are not there."""
    opening, closing = f"<!-- {name}: written by the benchmark -->", f"<!-- {name}: end -->"
    before, begun, rest = document.partition(opening)
    _, ended, after = rest.partition(closing)
    if not begun or not ended:
        raise ValueError(f"the marks of {name} are not there")
    return f"{before}{opening}\n\n{block.strip()}\n\n{closing}{after}"
