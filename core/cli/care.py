"""Commands for who looks after an installation: what is wrong, what was logged, what was used, the status page."""

import contextlib
import sys
from itertools import chain
from typing import TYPE_CHECKING

import click

from core.cli.base import Session, as_json, print_json
from core.errors import TidegateError

if TYPE_CHECKING:
    from core.doctor.judge import Row
    from core.logs import Entry

_LEVEL_STYLES = {"DEBUG": "dim", "WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}
_VERDICT_STYLES = {"ok": "green", "note": "yellow", "problem": "red"}
_SHELLS = {"bash": "~/.bashrc", "zsh": "~/.zshrc", "fish": "~/.config/fish/completions/tidegate.fish"}


@click.command()
@as_json
@click.option("--report", is_flag=True, help="For a bug report: without names, addresses and ids.")
@click.pass_context
def doctor(ctx: click.Context, *, as_json: bool, report: bool) -> None:
    """Look for what is wrong, and say what to do. Exit code 1 when there is a problem."""
    import os  # noqa: PLC0415
    from dataclasses import asdict  # noqa: PLC0415
    from getpass import getuser  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    from core.doctor import gather, judge  # noqa: PLC0415
    from core.doctor.report import report as for_others  # noqa: PLC0415

    session: Session = ctx.obj
    facts = gather.gather(session.paths, session.vault, session.orders, os.environ)
    rows = judge.judge(facts)
    if report:
        click.echo(for_others(facts, str(Path.home()), getuser()), nl=False)
    elif as_json:
        print_json({"healthy": judge.healthy(rows), "checks": [asdict(row) for row in rows]})
    else:
        _show_rows(rows)
    ctx.exit(0 if judge.healthy(rows) else 1)


def _show_rows(rows: "tuple[Row, ...]") -> None:
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from core.terminal import screen  # noqa: PLC0415
    from core.wording import plain  # noqa: PLC0415

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for row in rows:
        said = Text(plain(row.text))
        if row.fix:
            said.append(plain(f"\n-> {row.fix}"), "bold")
        table.add_row(Text(row.verdict, _VERDICT_STYLES[row.verdict]), row.check, said)
    screen().print(table)


@click.command()
@click.option("-n", "count", type=click.IntRange(0, 100_000), default=20, show_default=True, help="So many entries.")
@click.option("-f", "--follow", "follows", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@as_json
@click.pass_obj
def logs(session: Session, count: int, *, follows: bool, as_json: bool) -> None:
    """Print the end of the log. What one client's request has led to carries the same [id]."""
    from core.log_reading import follow, tail  # noqa: PLC0415

    with contextlib.suppress(KeyboardInterrupt):
        entries, seen = tail(session.paths, count)
        for entry in chain(entries, follow(session.paths, seen) if follows else ()):
            _print_entry(entry, as_json=as_json)


def _print_entry(entry: "Entry", *, as_json: bool) -> None:
    from rich.text import Text  # noqa: PLC0415

    from core import logs  # noqa: PLC0415
    from core.terminal import screen  # noqa: PLC0415
    from core.wording import plain  # noqa: PLC0415

    if as_json:
        click.echo(logs.as_json(entry))
    else:
        text = Text(plain(logs.as_text(entry)), _LEVEL_STYLES.get(entry.level, ""))
        screen(soft_wrap=True).print(text)
    sys.stdout.flush()  # a pipe shows it now


@click.command()
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes a shell complete Tidegate's commands: add it to the shell's own settings."""
    from click.shell_completion import get_completion_class  # noqa: PLC0415

    kind = get_completion_class(shell)
    root = ctx.find_root()
    assert kind is not None  # noqa: S101 - the three are click's own
    click.echo(kind(root.command, {}, "tidegate", "_TIDEGATE_COMPLETE").source())
    if sys.stdout is not None and sys.stdout.isatty():
        click.echo(f"# To have it always: tidegate completion {shell} >> {_SHELLS[shell]}", err=True)


@click.command()
@click.pass_obj
def dashboard(session: Session) -> None:
    """Open the status page of the Tidegate that runs; without a browser, print its link."""
    from core import programs, remote  # noqa: PLC0415

    running = remote.find(session.paths)
    if running is None:
        raise TidegateError("Tidegate is not running", "Start it: tidegate, or without a desktop: tidegate serve")
    shown = remote.show(running)
    if shown.by_icon:
        click.echo("Tidegate's icon opens the status page in your browser.")
    elif not programs.open_url(shown.url):
        click.echo(shown.url)


@click.command()
@click.option("--days", type=click.IntRange(1, 366), default=7, show_default=True, help="So far back.")
@click.option("--plot", is_flag=True, help="Also draw the tokens and how full the quota windows were, over time.")
@as_json
@click.pass_obj
def usage(session: Session, days: int, *, plot: bool, as_json: bool) -> None:
    """Requests and tokens by account and model, as history has them."""
    import msgspec  # noqa: PLC0415

    from core.answers import QuotaReport, UsageReport  # noqa: PLC0415
    from core.courses import MOST_DAYS  # noqa: PLC0415
    from core.usage_view import show  # noqa: PLC0415

    used = session.order("usage", days=days)
    quota = session.order("quota", days=min(days, MOST_DAYS)) if plot else None
    if as_json:
        print_json({"usage": used, "quota": quota} if plot else used)
    else:
        show(msgspec.convert(used, UsageReport), msgspec.convert(quota, QuotaReport) if quota else None)
