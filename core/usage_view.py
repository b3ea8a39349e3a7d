"""What was used, in a terminal: a table by account and model, tokens over time as bars, and the course of quota.

The bars are `terminal`'s own, and no chart library's: one more start-up cost and one more dependency for a bar a day.
"""

from datetime import datetime, timedelta

from rich.table import Table
from rich.text import Text

from core.answers import QuotaReport, Tally, UsageReport, UsedIn
from core.quota_view import show_courses
from core.terminal import screen, speaks_unicode
from core.wording import percent, plain

PLOT_WIDTH = 50
_BESIDE = 20
"""What a bar has to its left and right."""
_HOUR_S = 3_600.0


def show(report: UsageReport, quota: QuotaReport | None = None) -> None:
    """The table; with `quota` also the bars, and how full the windows were."""
    console = screen()
    if report.by:
        console.print(_table(report))
    else:
        console.print("Nothing was asked in this time.")
    if quota is None:
        return
    if report.by:
        console.print()
        console.print(_bars(report, console.width - _BESIDE))
    console.print()
    show_courses(quota, console)


def _table(report: UsageReport) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_footer=len(report.by) > 1)
    table.add_column("Account", footer="Total")
    table.add_column("Model")
    total = _cells(report.total)
    for name, foot in zip(
        ("Requests", "Input", "Output", "Cache read", "Cache written", "From cache"), total, strict=True
    ):
        table.add_column(name, footer=foot, justify="right")
    for one in report.by:
        table.add_row(Text(plain(one.label)), Text(plain(one.model)), *_cells(one))
    return table


def _cells(tally: Tally) -> tuple[str, ...]:
    """The numbers of a row; the last is the share of what was read that prompt caches had."""
    share = "" if tally.from_cache is None else percent(tally.from_cache)
    counts = (tally.requests, tally.input, tally.output, tally.cache_read, tally.cache_write)
    return (*map(short, counts), share)


def short(count: int) -> str:
    """`950`, `12.3k`, `4.5M`."""
    for size, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.1f}{unit}"
    return str(count)


def _bars(report: UsageReport, room: int) -> Table:
    """A bar for each span, also for those in which nothing was used."""
    width = max(1, min(PLOT_WIDTH, room))
    mark = "█" if speaks_unicode() else "#"
    spans = _all_spans(report)
    most = max(span.tokens for span in spans) or 1
    table = Table("", "Tokens", "", box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for span in spans:
        bar = mark * -(-span.tokens * width // most)  # rounded up: little is not nothing
        table.add_row(_when(span.at, report.span_s), Text(bar, "green"), short(span.tokens))
    return table


def _all_spans(report: UsageReport) -> list[UsedIn]:
    known = {span.at: span for span in report.spans}
    at = min(known)
    spans = []
    while at <= report.at:
        spans.append(known.get(at, UsedIn(at=at)))
        at += report.span_s
    return spans


def _when(at: float, span_s: float) -> str:
    began = datetime.fromtimestamp(at).astimezone()
    if span_s > _HOUR_S:
        # The middle of the span: where the clock was put back since, its beginning is an hour before midnight.
        return f"{began + timedelta(seconds=span_s / 2):%a %d %b}"
    return f"{began:%a %H:%M}"
