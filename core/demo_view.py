"""How the demo looks in a terminal: accounts with their levels, who is active, the last moves, the agents at work.

`render` is a pure picture of a snapshot and a progress; it fits a terminal of 60 columns. Who draws it when is
`demo_run.py`.
"""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from core.demo import PIECES, Progress
from core.model import AccountView, Level, Move, Snapshot
from core.terminal import state
from core.wording import KIND_NAMES, clock_time, percent, window_name

_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.SPENT: "red", Level.UNKNOWN: "dim"}
_BAR_CELLS = 16
_SHOWN_MOVES = 4
_SHOWN_PROBLEMS = 3


def render(snapshot: Snapshot, progress: Progress | None, now: float) -> RenderableType:
    """The whole picture."""
    parts: list[RenderableType] = [_account(account, now) for account in snapshot.accounts]
    if snapshot.moves:
        parts.append(_moves(snapshot.moves[:_SHOWN_MOVES], now))
    if progress is not None:
        parts += [_agents(progress), _counts(progress)]
        parts += [Text(f"! {problem}", style="red") for problem in progress.problems[-_SHOWN_PROBLEMS:]]
    title = f"Tidegate demo at {snapshot.address}" if snapshot.address else "Tidegate demo"
    return Panel(Group(*parts), title=title, subtitle="simulated accounts, nothing leaves this machine")


def _account(account: AccountView, now: float) -> RenderableType:
    """A line for who and how, then a line with a bar for each quota window."""
    line = Text("> " if account.active else "  ", style="bold")
    line.append(account.label, style="bold" if account.active else "")
    line.append(f"  {KIND_NAMES[account.kind]}, {account.served} served", style="dim")
    standing = Text(f"    {state(account, now)}", style=_STYLES[account.level])
    windows = Table.grid(padding=(0, 2, 0, 0))
    for window in account.windows:
        style = _STYLES[window.level]
        filled = min(1.0, window.utilization or 0.0)
        windows.add_row(
            window_name(window),
            ProgressBar(1.0, filled, _BAR_CELLS, complete_style=style, finished_style=style),
            Text(percent(window.utilization), style=style, justify="right"),
            Text(f"resets {clock_time(window.resets_at, now)}" if window.resets_at is not None else "", style="dim"),
        )
    return Group(line, standing, Padding(windows, (0, 0, 1, 4)))


def _moves(moves: tuple[Move, ...], now: float) -> RenderableType:
    lines = []
    for move in moves:
        back = f", back {clock_time(move.until_at, now)}" if move.until_at is not None else ""
        lines.append(Text(f"{clock_time(move.at, now)}  {move.source} -> {move.target}: {move.text}{back}"))
    return Padding(Group(*lines), (0, 0, 1, 0))


def _agents(progress: Progress) -> RenderableType:
    table = Table.grid(padding=(0, 2, 0, 0))
    for session in progress.sessions:
        table.add_row(
            session.name,
            Text(session.account, style="cyan"),
            ProgressBar(PIECES, session.pieces, _BAR_CELLS),
            Text(session.question, style="dim", overflow="ellipsis", no_wrap=True),
        )
    return Padding(table, (0, 0, 1, 0))


def _counts(progress: Progress) -> Text:
    of = f" of {progress.planned}" if progress.planned is not None else ""
    broken = f", {progress.broken} not whole" if progress.broken else ""
    moved = "1 session moved" if progress.moves == 1 else f"{progress.moves} sessions moved"
    return Text(f"{progress.asked}{of} asked, {progress.whole} whole{broken}, {moved}")
