"""The last requests, in a terminal: a line for each."""

from rich.table import Table
from rich.text import Text

from core.answers import RequestEntry, RequestsReport
from core.request_wording import outcome_text, went_wrong
from core.terminal import screen
from core.usage_view import short
from core.wording import clock_time, plain


def show(report: RequestsReport) -> None:
    """A table, the newest first."""
    console = screen()
    if not report.entries:
        console.print("Nothing has been asked yet.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("When", "Account", "Model", "Outcome"):
        table.add_column(name)
    for name in ("Read", "Written", "Took"):
        table.add_column(name, justify="right")
    for entry in report.entries:
        table.add_row(*_cells(entry, report.at))
    console.print(table)


def _cells(entry: RequestEntry, now: float) -> tuple[Text, ...]:
    outcome = outcome_text(entry.outcome, entry.status)
    if entry.attempts > 1:
        outcome += f", {entry.attempts} attempts"
    style = "red" if went_wrong(entry.outcome, entry.status) else ""
    read = entry.input + entry.cache_read + entry.cache_write
    return (
        Text(clock_time(entry.at, now), "dim"),
        Text(plain(entry.label or "nobody")),
        Text(plain(entry.model)),
        Text(plain(outcome), style),
        Text(short(read)),
        Text(short(entry.output)),
        Text(f"{entry.duration_s:.1f} s"),
    )
