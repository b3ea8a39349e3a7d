"""A snapshot in a terminal: tables with level bars. Colour never says more than number and words do."""

import os
import sys
from collections.abc import Iterable, Iterator

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from core.answers import AccountInfo, Explanation, Line, Recounted
from core.event_wording import moves_text
from core.known import BY_KEY
from core.model import (
    AccountKind,
    AccountView,
    ExtraUsage,
    Level,
    ProviderName,
    Snapshot,
    Standing,
    Strategy,
    WindowView,
)
from core.wording import (
    FAILOVER_OFF_TEXT,
    KIND_NAMES,
    PROVIDER_NAMES,
    STRATEGY_WORDS,
    age_text,
    clock_time,
    headroom_text,
    notes,
    outlook,
    pause_text,
    percent,
    plain,
    span,
    state_text,
    window_name,
)

BAR_WIDTH = 10
_EIGHTHS = "▏▎▍▌▋▊▉"
_NUMBER_WIDTH = 4
"""Two digits, and what is between them and the account."""
LABEL_WIDTH = 24
"""So far states are lined up; a longer label moves its own to the right."""
_DAY_S = 86_400
LEVEL_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.SPENT: "red", Level.UNKNOWN: "dim"}

_STANDING_STYLES = {Standing.READY: "green", Standing.SIGN_IN: "red", Standing.DISABLED: "dim"}


def speaks_unicode() -> bool:
    """Whether standard output can show bars and arrows."""
    return (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")


def screen(*, soft_wrap: bool = False) -> Console:
    """Where tables and texts go. With NO_COLOR nothing is styled at all: rich by itself would still print bold."""
    plainly = bool(os.environ.get("NO_COLOR"))
    return Console(highlight=False, soft_wrap=soft_wrap, color_system=None if plainly else "auto")


def show_accounts(snapshot: Snapshot, console: Console | None = None) -> None:
    """Each account with its quota windows below it: one under the other, so that it reads on a narrow terminal too."""
    console = console or screen()
    name_width = max((cell_len(window_name(w)) for view in snapshot.accounts for w in view.windows), default=0)
    label_width = min(LABEL_WIDTH, max((cell_len(plain(view.label)) for view in snapshot.accounts), default=0))
    table = Table.grid(padding=(0, 2, 0, 0))
    for number, view in enumerate(snapshot.accounts, 1):
        lines: list[RenderableType] = [_heading(view, snapshot.at, label_width, console.width - _NUMBER_WIDTH)]
        lines += [Text(plain(note), "dim") for note in notes(view, snapshot.at)]
        if view.windows:
            ages = [age_text(window.seen_at, snapshot.at) for window in view.windows]
            lines.append(_windows(view.windows, ages, snapshot.at, name_width))
        table.add_row(Text(str(number), justify="right"), Group(*lines))
    console.print(table)


def _heading(view: AccountView, now: float, label_width: int, width: int) -> Text:
    """Who an account is and how: in one line if it is wide enough for it."""
    label, standing = plain(view.label), state(view, now)
    told = ", ".join([kind(view)] + [f"{view.served} requests"] * bool(view.served) + ["serves now"] * view.active)
    padding = " " * max(2, label_width + 2 - cell_len(label))
    text = Text(label, "bold" if view.active else "")
    text.append(f"{padding}{standing}", f"{_STANDING_STYLES.get(view.standing, 'yellow')} not bold")
    return text.append(f"{'  ' if cell_len(f'{text.plain}  {told}') <= width else chr(10)}{told}", "dim not bold")


def watch_status(snapshots: Iterable[Snapshot]) -> None:
    """`show_status` again and again: on a terminal in its own place, else below each other."""
    console = screen()
    if not console.is_terminal:
        for snapshot in snapshots:
            show_status(snapshot, console)
            console.print()
            console.file.flush()
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        for snapshot in snapshots:
            with console.capture() as shown:
                show_status(snapshot, console)
            live.update(Text.from_ansi(shown.get()), refresh=True)


def show_status(snapshot: Snapshot, console: Console | None = None) -> None:
    """Where Tidegate answers, who serves and why, then the accounts."""
    console = console or screen()
    where = f"running at {snapshot.address}" if snapshot.address else "not running"
    console.print(Text(f"Tidegate {snapshot.version}: {where}, strategy {snapshot.strategy}"))
    if snapshot.pause:
        console.print(Text(pause_text(snapshot.pause, snapshot.at)))
    if not snapshot.failover:
        console.print(Text(FAILOVER_OFF_TEXT))
    for view in snapshot.accounts:
        if view.active:
            console.print(Text(plain(f"{view.label} serves {view.provider}: {view.reason}")))
    for provider in ProviderName:
        if lasting := headroom_text(snapshot, provider):
            console.print(Text(f"{PROVIDER_NAMES[provider]}: {lasting}"))
    if snapshot.accounts:
        console.print()
        show_accounts(snapshot, console)
    for move in snapshot.moves[:3]:
        arrow = "→" if speaks_unicode() else "->"
        console.print(
            Text(plain(f"{clock_time(move.at, snapshot.at)}  {move.source} {arrow} {move.target}: {move.text}"), "dim")
        )


def show_account(info: AccountInfo) -> None:
    """Everything about one account."""
    now = info.at
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    rows = [
        ("Account", info.label),
        ("Id", info.id),
        ("Kind", kind(info)),
        ("State", state(info, now)),
        *(("", note) for note in notes(info, now)),
        ("Serving because", info.reason),
        ("Serves clients", info.serves.value),
        ("Plan limits only", "yes: it rests when its plan is spent" if info.plan_limits_only else ""),
        ("Notifications", "none about it, but what you must do" if info.muted else ""),
        ("E-mail", info.email),
        ("Account uuid", "" if info.account_uuid.startswith(BY_KEY) else info.account_uuid),
        ("Organisation", info.organization_uuid),
        ("Borrowed from", info.borrowed_from),
        ("Added", _ago(info.added_at, now)),
        ("Login" if info.kind is AccountKind.CLAUDE else "Key", _credential(info)),
        ("Requests served", str(info.served)),
        ("Last used", _ago(info.last_used_at, now)),
    ]
    for name, value in rows:
        if value:
            table.add_row(name, Text(plain(value)))
    if info.extra_usage:
        table.add_row("Extra usage", Text(_extra_usage(info.extra_usage, now)))
    for error in info.errors:
        table.add_row("Error", Text(plain(f"{_ago(error.at, now)}: {error.text}")))
    console = screen()
    console.print(table)
    if info.windows:
        ages = [f"read {_ago(window.seen_at, now)}" if window.seen_at else "" for window in info.windows]
        console.print()
        console.print(_windows(info.windows, ages, now))


def show_explanation(explanation: Explanation) -> None:
    """Who would serve next, and why the others would not, for each provider."""
    console = screen(soft_wrap=True)
    if explanation.pause:
        console.print(Text(f"{pause_text(explanation.pause, explanation.at)}."))
    for number, line in enumerate(explanation.lines):
        if number:
            console.print()
        console.print(Text(f"{PROVIDER_NAMES[line.provider]}, strategy {explanation.strategy}", "bold"))
        for said, turn in zip(_places(line), line.turns, strict=True):
            until = "" if turn.until_at is None else f" until {clock_time(turn.until_at, explanation.at)}"
            console.print(Text(plain(f"{said} {turn.label} - {turn.reason}{until}"), "" if turn.serves else "dim"))
        if line.lost_since_at is not None:
            since = clock_time(line.lost_since_at, explanation.at)
            console.print(Text(f"Not reached since {since}: one request at a time asks, the others wait."))


def _places(line: Line) -> Iterator[str]:
    """How each place in the line is said, as wide as the others."""
    for number, turn in enumerate(line.turns):
        yield "Not: " if not turn.serves else "Then:" if number else "Next:"


def show_history(recounted: Recounted) -> None:
    """What happened, newest first, and what moving conversations cost."""
    console = screen(soft_wrap=True)
    for entry in recounted.entries:
        text = Text(f"{clock_time(entry.at, recounted.at):>12}  ", "dim")
        console.print(text.append(plain(entry.text), ""))
    if not recounted.entries:
        console.print("Nothing has happened yet.")
    if cost := moves_text(recounted.moves, recounted.tokens, recounted.within_s):
        console.print(Text(f"\n{cost}."))


def show_strategies(current: Strategy) -> None:
    """All strategies, each with what it does, the current one marked."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for strategy, words in STRATEGY_WORDS.items():
        is_on = strategy is current
        table.add_row("*" if is_on else "", Text(strategy, "bold" if is_on else ""), Text(words))
    screen().print(table)


def kind(view: AccountView) -> str:
    """`Claude subscription (max)`."""
    return plain(f"{KIND_NAMES[view.kind]} ({view.plan})" if view.plan else KIND_NAMES[view.kind])


def state(view: AccountView, now: float) -> str:
    """`5 h window full until 14:32`; what is borrowed or pinned is said too."""
    words = state_text(view, now)
    if view.borrowed_from and view.borrowed_from not in words:
        words += f" (borrowed from {view.borrowed_from})"
    if view.pinned:
        until = f" until {clock_time(view.pinned_until_at, now)}" if view.pinned_until_at is not None else ""
        words += f" (pinned{until})"
    return plain(words)


def _credential(info: AccountInfo) -> str:
    """`renewed 2 h 05 min ago, ends at 22:02, renewed again at 21:31 (generation 7)`; of a key its generation."""
    if info.generation is None:
        return "cannot be read"
    said = []
    if info.renewed_at is not None:
        said.append(f"renewed {_ago(info.renewed_at, info.at)}")
    if info.login.ends_at is not None:
        ended = info.login.ends_at <= info.at
        said.append(f"{'ended' if ended else 'ends'} at {clock_time(info.login.ends_at, info.at)}")
    if info.renewal_due_at is not None:
        due = info.renewal_due_at <= info.at
        said.append("renewal due now" if due else f"renewed again at {clock_time(info.renewal_due_at, info.at)}")
    return f"{', '.join(said)} (generation {info.generation})" if said else f"generation {info.generation}"


def _extra_usage(extra: ExtraUsage, now: float) -> str:
    on = {None: "unknown", True: "on", False: "off"}[extra.enabled]
    use = ", in use" if extra.in_use else ""
    spent = "" if extra.utilization is None else f", {percent(extra.utilization)} of its limit spent"
    return f"{on}{use}{spent}" + (f", read {_ago(extra.seen_at, now)}" if extra.seen_at else "")


def _ago(at: float, now: float) -> str:
    """`3 min ago`, and for what is long past the day; empty for never."""
    if not at:
        return ""
    return f"{span(now - at)} ago" if now - at < _DAY_S else clock_time(at, now)


def _windows(windows: Iterable[WindowView], ages: Iterable[str], now: float, name_width: int = 0) -> Table:
    """A row for each window: its name, a gauge, the share in numbers, its reset, and what the pace leads to."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(min_width=name_width, no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column()
    for window, age in zip(windows, ages, strict=True):
        said = [f"resets {clock_time(window.resets_at, now)}"] if window.resets_at is not None else []
        said += [f"pace {window.pace:.1f}"] if window.pace is not None else []
        text = Text(", ".join([*said, age] if age else said), "dim")
        if ahead := outlook(window, now):
            text.append(f"{chr(10) if text else ''}{plain(ahead)}", "yellow not dim" if window.dry_at else "dim")
        table.add_row(plain(window_name(window)), _gauge(window), percent(window.utilization), text)
    return table


def _gauge(window: WindowView) -> Text:
    """How full a window is, in steps of an eighth of a character where the terminal has those."""
    share = min(1.0, max(0.0, window.utilization or 0.0))
    if not speaks_unicode():
        filled = round(BAR_WIDTH * share)
        return Text("#" * filled + "-" * (BAR_WIDTH - filled), LEVEL_STYLES[window.level])
    filled, eighths = divmod(round(BAR_WIDTH * 8 * share), 8)
    bar = "█" * filled + (_EIGHTHS[eighths - 1] if eighths else "")
    return Text(bar, LEVEL_STYLES[window.level]).append("░" * (BAR_WIDTH - len(bar)), "dim")
