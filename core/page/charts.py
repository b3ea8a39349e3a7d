"""The view of the charts: how full the quota windows were, and which tokens were used. Pure.

What a script draws stands in `data-plot`, as JSON; the same is told by a summary and by a table, for eyes that the
drawing does not reach.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import pairwise

import msgspec

from core.answers import Curve, Points, QuotaReport, Tally, UsageReport, highest
from core.model import Move, QuotaWindow
from core.page.parts import attributes, move, table
from core.wording import clock_time, percent, tokens_text, window_name

RANGES: Mapping[int, str] = {1: "24 h", 7: "7 days", 30: "30 days"}
"""What can be looked back on, by days."""
_ROWS = {1: 24, 7: 28, 30: 30}
"""How many rows the table of utilization has."""
_EACH = {1: "hour", 7: "six hours", 30: "day"}
"""What a row of it covers."""
_FALL = 0.05
"""A line that falls by more than this was reset."""
_MOVES_SHOWN = 8
"""More failovers than this are folded."""
_MODELS = 5
"""So many models have a colour and a pattern of their own; the others are added up."""
_CACHED = "Read from prompt caches"


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a chart. Each point is a time and the share from then on; None is a gap."""

    label: str
    style: int
    """Which colour and dashes."""
    points: Points


@dataclass(frozen=True, slots=True)
class _Lines:
    """What a script draws as lines between 0 and 100 %. `marks` are failovers."""

    since_at: float
    at: float
    lines: tuple[_Line, ...]
    marks: tuple[float, ...] = ()
    kind: str = "lines"


@dataclass(frozen=True, slots=True)
class _Bars:
    """What a script draws as bars, one on the other: `stacks` are the heights of each series at `starts`."""

    since_at: float
    at: float
    span_s: float
    starts: tuple[float, ...]
    stacks: tuple[tuple[int, ...], ...]
    kind: str = "bars"


def view(quota: QuotaReport, usage: UsageReport, days: int) -> str:
    """All charts of the last so many days."""
    return (
        f'<form class="filter"><fieldset class="segments"><legend class="aside">Time</legend>{_ranges(days)}</fieldset>'
        f'</form><section aria-labelledby="utilization-title"><h2 id="utilization-title">Utilization</h2>'
        f'{_utilization(quota, days)}</section><section aria-labelledby="failovers-title">'
        f'<h2 id="failovers-title">Failovers</h2>{_failovers(quota)}</section>'
        f'<section aria-labelledby="tokens-title"><h2 id="tokens-title">Tokens</h2>{_tokens(usage)}</section>'
    )


def _ranges(days: int) -> str:
    return "".join(
        f'<label><input type="radio" name="days" {attributes({"id": f"days-{value}", "value": str(value)})}'
        f"{' checked' if value == days else ''}>{escape(said)}</label>"
        for value, said in RANGES.items()
    )


def _figure(id_: str, title: str, summary: str, plot: _Lines | _Bars, legend: str) -> str:
    """A chart with its title and its words. What is drawn is the script's own (`data-drawn`)."""
    drawn = attributes(
        {"id": f"{id_}-plot", "role": "img", "aria-label": f"{title}. {summary}", "data-plot": _json(plot)}
    )
    return (
        f'<figure id="{id_}"><figcaption><h3>{escape(title)}</h3><p class="soft">{escape(summary)}</p></figcaption>'
        f'<div class="plot" {drawn} data-drawn></div>{legend}</figure>'
    )


def _json(plot: _Lines | _Bars) -> str:
    return msgspec.json.encode(plot).decode()


def _legend(id_: str, kind: str, entries: Sequence[tuple[int, str, str]]) -> str:
    """What each line or pattern stands for, and its value. The script puts there what the mouse points at."""
    inside = "".join(
        f'<li><canvas {attributes({"id": f"{id_}-swatch-{place}", "data-swatch": f"{kind} {style}"})} width="64" '
        f'height="32" aria-hidden="true" data-drawn></canvas>{escape(label)} '
        f'<span class="value">{escape(value)}</span></li>'
        for place, (style, label, value) in enumerate(entries)
    )
    return f'<ul class="legend">{inside}<li class="when soft" id="{id_}-when" data-drawn></li></ul>'


def _as_table(id_: str, inside: str) -> str:
    return f'<details id="{id_}"><summary>Show as a table</summary>{inside}</details>'


# --- utilization -----------------------------------------------------------------------------------


def _utilization(quota: QuotaReport, days: int) -> str:
    if not quota.curves:
        return "<p>No utilization is known of this time. It is drawn here once an account has served.</p>"
    styles = {account: style for style, account in enumerate(dict.fromkeys(curve.account for curve in quota.curves))}
    groups: dict[str, list[_Line]] = {}
    for curve in quota.curves:
        if curve.points:
            points = (*curve.points, (quota.at, curve.points[-1][1]))
            groups.setdefault(_window(curve), []).append(_Line(curve.label, styles[curve.account], points))
    return "".join(
        _window_chart(f"window-{place}", f"{name[:1].upper()}{name[1:]} window", lines, quota, days)
        for place, (name, lines) in enumerate(groups.items())
    )


def _window(curve: Curve) -> str:
    return window_name(QuotaWindow(curve.window, family=curve.family))


def _window_chart(id_: str, title: str, lines: Sequence[_Line], quota: QuotaReport, days: int) -> str:
    rows = _highest(lines, quota, _ROWS[days])
    summary = ". ".join(_course(line) for line in lines)
    drawn = tuple(lines)
    if max(map(_falls, lines)) > len(rows):
        until_now = [*rows, (quota.at, rows[-1][1])]
        drawn = tuple(
            replace(line, points=[(at, row[place]) for at, row in until_now]) for place, line in enumerate(lines)
        )
        summary += f". The lines show the highest of each {_EACH[days]}"
    plot = _Lines(quota.since_at, quota.at, drawn, tuple(move.at for move in quota.moves))
    legend = _legend(id_, "line", [(line.style, line.label, percent(line.points[-1][1])) for line in lines])
    told = ((clock_time(at, quota.at), *map(percent, row)) for at, row in reversed(rows))
    shown = table(f"{title}: the highest utilization", ("From", *(line.label for line in lines)), told)
    return _figure(id_, title, summary, plot, legend) + _as_table(f"{id_}-table", shown)


def _falls(line: _Line) -> int:
    """How often it was reset. With many, a line says less than the highest of each part of the time."""
    shares = [share or 0.0 for _, share in line.points]
    return sum(after < before - _FALL for before, after in pairwise(shares))


def _course(line: _Line) -> str:
    """`Work: now 34 %, at most 100 %`."""
    highest = max((share for _, share in line.points if share is not None), default=None)
    return f"{line.label}: now {percent(line.points[-1][1])}, at most {percent(highest)}"


def _highest(lines: Sequence[_Line], quota: QuotaReport, rows: int) -> list[tuple[float, list[float | None]]]:
    """For each part of the time, the oldest first: when it began, and the highest share of each line in it."""
    span_s = (quota.at - quota.since_at) / rows
    columns = [highest(line.points, quota.since_at, quota.at, rows) for line in lines]
    return [(quota.since_at + row * span_s, [column[row] for column in columns]) for row in range(rows)]


def _failovers(quota: QuotaReport) -> str:
    if not quota.moves:
        return "<p>None in this time.</p>"
    shown = _listed(quota.moves[:_MOVES_SHOWN], quota.at)
    more = quota.moves[_MOVES_SHOWN:]
    if not more:
        return shown
    return f'{shown}<details id="more-moves"><summary>{len(more)} more</summary>{_listed(more, quota.at)}</details>'


def _listed(moves: Sequence[Move], now: float) -> str:
    return f'<ul class="entries">{"".join(move(happened, now) for happened in moves)}</ul>'


# --- tokens ----------------------------------------------------------------------------------------


def _tokens(usage: UsageReport) -> str:
    if not usage.spans:
        return "<p>No tokens were used in this time.</p>"
    starts = _starts(usage)
    series = _by_model(usage, len(starts))
    stacks = tuple(tuple(span.tokens for span in spans) for spans in series.values())
    bars = _Bars(usage.since_at, usage.at, usage.span_s, starts, stacks)
    legend = [(style, name, tokens_text(sum(stacks[style]))) for style, name in enumerate(series)]
    said = f"{tokens_text(usage.total.tokens)} tokens of {usage.total.requests} requests"
    whole = [_sum(spans) for spans in zip(*series.values(), strict=True)]
    shares = [tally.from_cache for tally in whole]
    course = (*zip(starts, shares, strict=True), (usage.at, shares[-1]))
    share = _Lines(usage.since_at, usage.at, (_Line(_CACHED, 0, course),))
    from_cache = percent(usage.total.from_cache)
    cached = f"{from_cache} of all tokens that were read came from prompt caches"
    rows = [
        (clock_time(start, usage.at), *(tokens_text(stack[place]) for stack in stacks), percent(shares[place]))
        for place, start in reversed([*enumerate(starts)])
        if whole[place].requests
    ]
    shown = table("Tokens by model", ("From", *series, _CACHED), rows)
    return (
        _figure("tokens", "By model", said, bars, _legend("tokens", "bar", legend))
        + _figure("cached", _CACHED, cached, share, _legend("cached", "line", [(0, _CACHED, from_cache)]))
        + _as_table("tokens-table", shown)
    )


def _starts(usage: UsageReport) -> tuple[float, ...]:
    """When each span began, also of those in which nothing was used."""
    known_at, span_s = usage.spans[0].at, usage.span_s
    first, last = (int((at - known_at) // span_s) for at in (usage.since_at, usage.at))
    return tuple(known_at + place * span_s for place in range(first, last + 1))


def _by_model(usage: UsageReport, count: int) -> dict[str, list[Tally]]:
    """What each model used in each span, the most used first, and all others together."""
    first_at = _starts(usage)[0]
    found: dict[str, list[Tally]] = {}
    for rank, used in enumerate(usage.models):
        name = (used.model or "no model") if rank < _MODELS or len(usage.models) == _MODELS + 1 else "other models"
        spans = found.setdefault(name, [Tally()] * count)
        for span in used.spans:
            place = round((span.at - first_at) / usage.span_s)
            spans[place] = _sum((spans[place], span))
    return found


def _sum(tallies: Sequence[Tally]) -> Tally:
    return Tally(
        requests=sum(tally.requests for tally in tallies),
        input=sum(tally.input for tally in tallies),
        output=sum(tally.output for tally in tallies),
        cache_read=sum(tally.cache_read for tally in tallies),
        cache_write=sum(tally.cache_write for tally in tallies),
    )
