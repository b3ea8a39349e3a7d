"""How full the quota windows were, in a terminal: a row of cells for each, the higher the fuller."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from core.answers import Curve, QuotaReport, highest
from core.model import QuotaWindow
from core.terminal import LEVEL_STYLES, speaks_unicode
from core.wording import clock_time, level, percent, plain, window_name

MOST_CELLS = 72
LEAST_CELLS = 12
_BLOCKS = "▁▂▃▄▅▆▇█"
_TENTHS = "0123456789"
_LABEL_WIDTH = 16
_BESIDE = 11
"""Two spaces after each column but the last, and the percent."""
_NOT_KNOWN = " "


def show_courses(report: QuotaReport, console: Console) -> None:
    """The course of every window, the accounts in their order."""
    if not report.curves:
        console.print("How full the windows were is not known for this time.")
        return
    labels = [Text(plain(curve.label)).cell_len for curve in report.curves]
    label_width = min(_LABEL_WIDTH, max(labels))
    window_width = max(Text(_name(curve)).cell_len for curve in report.curves)
    room = console.width - label_width - window_width - _BESIDE
    cells = max(LEAST_CELLS, min(MOST_CELLS, room))
    signs = _BLOCKS if speaks_unicode() else _TENTHS
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(max_width=label_width, no_wrap=True, overflow="crop")
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    last = None
    for curve in report.curves:
        label = "" if curve.account == last else plain(curve.label)
        last = curve.account
        table.add_row(
            Text(label), Text(_name(curve)), _chart(curve, report, cells, signs), percent(curve.points[-1][1])
        )
    began = clock_time(report.since_at, report.at)
    table.add_row("", "", Text(f"{began}{'now':>{cells - len(began)}}", "dim"), "")
    console.print(table)
    told = "The higher, the fuller" if signs == _BLOCKS else "Tenths that were spent"
    console.print(Text(f"{told}; blank: not known, as after a reset.", "dim"))


def _name(curve: Curve) -> str:
    return plain(window_name(QuotaWindow(curve.window, family=curve.family)))


def _chart(curve: Curve, report: QuotaReport, cells: int, signs: str) -> Text:
    chart = Text()
    for share in highest(curve.points, report.since_at, report.at, cells):
        sign = _NOT_KNOWN if share is None else signs[max(0, min(len(signs) - 1, int(share * len(signs))))]
        chart.append(sign, LEVEL_STYLES[level(share)])
    return chart
