"""A snapshot in a terminal: tables with level bars. Colour never says more than number and words do."""

import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from core.model import AccountView, Level, Snapshot, Standing, WindowView
from core.wording import KIND_NAMES, STANDING_NAMES, clock_time, percent, window_name

BAR_WIDTH = 10
_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.SPENT: "red", Level.UNKNOWN: "dim"}


def speaks_unicode() -> bool:
    """Whether standard output can show bars and arrows."""
    return (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")


def plain(text: str) -> str:
    """The text without control characters: a provider's words could steer the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def show_accounts(snapshot: Snapshot) -> None:
    """One row for each account."""
    table = Table("#", "Account", "Kind", "State", "Quota", "Served", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, view in enumerate(snapshot.accounts, 1):
        quota = Text("\n").join(_window(window, snapshot.at) for window in view.windows)
        label = Text(plain(view.label), style="bold" if view.active else "")
        table.add_row(
            str(number), label, KIND_NAMES[view.kind], Text(state(view, snapshot.at)), quota, str(view.served)
        )
    Console(highlight=False).print(table)


def show_status(snapshot: Snapshot) -> None:
    """Where Tidegate answers, who serves and why, then the accounts."""
    console = Console(highlight=False)
    where = f"running at {snapshot.address}" if snapshot.address else "not running"
    console.print(Text(f"Tidegate {snapshot.version}: {where}, strategy {snapshot.strategy}"))
    for view in snapshot.accounts:
        if view.active:
            console.print(Text(plain(f"{view.label} serves {view.provider}: {view.reason}")))
    if snapshot.accounts:
        console.print()
        show_accounts(snapshot)
    for move in snapshot.moves[:3]:
        arrow = "→" if speaks_unicode() else "->"
        console.print(
            Text(plain(f"{clock_time(move.at, snapshot.at)}  {move.source} {arrow} {move.target}: {move.text}"), "dim")
        )


def show_account(view: AccountView, now: float) -> None:
    """Everything about one account."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    rows = {
        "Account": view.label,
        "Id": view.id,
        "Kind": KIND_NAMES[view.kind],
        "State": state(view, now),
        "Serving because": view.reason,
        "Serves clients": view.serves.value,
        "E-mail": view.email,
        "Plan": view.plan,
        "Borrowed from": view.borrowed_from,
        "Requests served": str(view.served),
        "Last used": clock_time(view.last_used_at, now) if view.last_used_at else "",
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, Text(plain(value)))
    for window in view.windows:
        table.add_row("Quota", _window(window, now))
    Console(highlight=False).print(table)


def state(view: AccountView, now: float) -> str:
    """`resting: 5 h window full, until 14:32`; a pin is said too."""
    words = STANDING_NAMES[view.standing]
    if view.detail and view.standing is not Standing.DISABLED:
        words += f": {view.detail}"
    if view.until_at is not None:
        words += f", until {clock_time(view.until_at, now)}"
    if view.borrowed_from:
        words += f" (borrowed from {view.borrowed_from})"
    if view.pinned:
        until = f" until {clock_time(view.pinned_until_at, now)}" if view.pinned_until_at is not None else ""
        words += f" (pinned{until})"
    return plain(words)


def _window(window: WindowView, now: float) -> Text:
    full, empty = ("█", "░") if speaks_unicode() else ("#", "-")
    filled = round(BAR_WIDTH * min(1.0, max(0.0, window.utilization or 0.0)))
    text = Text(plain(f"{window_name(window)} "))
    text.append(full * filled + empty * (BAR_WIDTH - filled), style=_STYLES[window.level])
    text.append(f" {percent(window.utilization)}")
    if window.resets_at is not None:
        text.append(f", resets {clock_time(window.resets_at, now)}", style="dim")
    return text
