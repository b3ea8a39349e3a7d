"""Commands for the programs that use Tidegate."""

from typing import TYPE_CHECKING, Any

import click

from core.cli.base import Session, as_json, print_json
from core.clients import CLIENTS, Offered, belonging, entry, places, printed
from core.errors import NothingToDo, TidegateError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.connecting import Plan
    from core.connection_care import Program

_STATE_STYLES = {"connected": "green", "not connected": "dim"}


@click.command()
@click.argument("client", required=False, type=click.Choice(list(CLIENTS)))
@click.option("--mcp", is_flag=True, help="Give it Tidegate's tools as well: it can tell its accounts and switch.")
@click.option("--statusline", is_flag=True, help="Show account and quota in its status line as well.")
@click.option("--print", "print_", is_flag=True, help="Print what its settings need, and change nothing.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
@click.pass_obj
def connect(
    session: Session,
    client: str | None,
    *,
    mcp: bool,
    statusline: bool,
    print_: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Point a program at Tidegate; without a name, list the programs.

    What was added to it before (--mcp, --statusline) stays. The list is also there as JSON.
    """
    from core import connecting  # noqa: PLC0415

    if client is None:
        _list(session, as_json=as_json)
        return
    if as_json:
        raise UsageError("--json is for the list of programs", "Leave the program's name out.")
    wanted = [name for name, on in {"mcp": mcp, "statusline": statusline}.items() if on]
    names = connecting.entries(session.paths, client, wanted)
    offered = _offered(session)
    if print_:
        _print(session, names, offered)
        return
    for plan in connecting.plans(session.paths, names, connecting.here(), offered):
        _show(plan)
    if dry_run:
        return
    if not yes:
        click.confirm("Change this?", default=True, abort=True, err=True)
    said = _connect(session, names, offered)
    click.echo(f"{CLIENTS[client].name} is connected. Undo: tidegate undo {client}")
    if said:
        click.echo(said, err=True)


def _connect(session: Session, names: "Sequence[str]", offered: Offered) -> str:
    """Do it. Returns what keeps it from working, in words; empty when it works."""
    from core import connecting, remote  # noqa: PLC0415

    with session.orders() as order:  # an instance that starts meanwhile would find half of it

        def know(sha256: str) -> str:
            return str(order("know_client", client=names[0], sha256=sha256)["sha256"])

        def models(key: str) -> dict[str, str]:
            return remote.models(session.paths, key)

        return connecting.connect(session.paths, names, connecting.here(), offered, know=know, models=models).problem


def _offered(session: Session) -> Offered:
    """What programs are given, but for the key."""
    import os  # noqa: PLC0415

    from core.autostart import installation  # noqa: PLC0415

    with session.orders() as order:
        return Offered(_address(order), "", command=installation(session.paths.root, os.environ))


def _address(order: "Callable[..., Any]") -> str:
    """Where Tidegate answers, or will when it runs."""
    return str(order("snapshot")["address"] or f"http://127.0.0.1:{order('config_get', key='port')['port']}")


def _print(session: Session, names: "Sequence[str]", offered: Offered) -> None:
    """The settings for somebody who merges them by hand, with the key that all programs may have."""
    from dataclasses import replace  # noqa: PLC0415

    from core import connecting  # noqa: PLC0415

    given = replace(offered, key=session.order("token")["key"])
    for name in names:
        secret = "; it contains the local key" if name in CLIENTS else ""
        click.echo(f"Merge this into {places(entry(name), '~', connecting.here().environ)[0]}{secret}:", err=True)
        click.echo(printed(entry(name), given), nl=False)


def _show(plan: "Plan") -> None:
    from core.wording import plain  # noqa: PLC0415

    click.echo(plain(f"{plan.file}:"))
    for change in plan.changes:
        click.echo(plain(f"  {change.path}: {change.before} -> {change.after}"))
    if not plan.changes:
        click.echo("  nothing changes")
    for note in plan.notes:
        click.echo(plain(f"Note: {note}"))


def _list(session: Session, *, as_json: bool) -> None:
    from dataclasses import asdict  # noqa: PLC0415

    from core import config, connecting, connection_care  # noqa: PLC0415

    saved = config.peek(session.paths.config)
    known = saved.client_keys if saved else {}
    programs = connection_care.programs(session.paths, connecting.here(), known)
    if as_json:
        print_json([asdict(program) for program in programs])
    else:
        _show_programs(programs)


def _show_programs(programs: "Sequence[Program]") -> None:
    """Each with its state and what was added to it; below that the file, and the setting there that has its key."""
    from pathlib import Path  # noqa: PLC0415

    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from core.terminal import screen  # noqa: PLC0415
    from core.wording import plain  # noqa: PLC0415

    table, home = Table.grid(padding=(0, 2, 0, 0)), str(Path.home())
    for program in programs:
        text = Text(program.state, _STATE_STYLES.get(program.state, "yellow"), overflow="fold")
        if program.additions:
            text.append(f", with {' and '.join(program.additions)}", "not dim")
        file = f"~{program.file.removeprefix(home)}" if program.file.startswith(home) else program.file
        where = f"{file}: {program.key_setting}" if program.key_setting else file
        table.add_row(program.client, text.append(plain(f"\n{where}"), "dim") if where else text)
    screen().print(table)


@click.command()
@click.argument("client", required=False, type=click.Choice(list(CLIENTS)))
@click.pass_obj
def undo(session: Session, client: str | None) -> None:
    """Give a program its settings back as they were; without a name, every program. Needs no running Tidegate."""
    from core import connected, undoing  # noqa: PLC0415
    from core.wording import plain  # noqa: PLC0415

    known = connected.records(session.paths)
    names = [name for name in CLIENTS if belonging(name) & known.keys()]
    names = names if client is None else [client]
    if not names:
        raise NothingToDo("No program is connected", "See `tidegate connect`.")
    failed: list[TidegateError] = []
    for name in names:
        try:
            left = undoing.undo(session.paths, name)
        except TidegateError as exc:  # the others are undone all the same
            failed.append(exc)
            continue
        click.echo(f"{CLIENTS[name].name} has its settings back")
        for said in left:
            click.echo(plain(f"Note: {said}"))
        _forget_key(session, name)
    for other in failed[:-1]:
        click.echo(plain(f"Error: {other.title}\nHint: {other.hint}"), err=True)
    if failed:
        raise failed[-1]


def _forget_key(session: Session, name: str) -> None:
    from core import config  # noqa: PLC0415
    from core.wording import plain  # noqa: PLC0415

    saved = config.peek(session.paths.config)
    if saved is not None and name not in saved.client_keys:
        return
    try:
        session.order("know_client", client=name, sha256="")
    except TidegateError as exc:
        click.echo(plain(f"Its key stays good, since {exc.title[:1].lower()}{exc.title[1:]}."), err=True)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
@click.pass_context
def run(ctx: click.Context, command: tuple[str, ...]) -> None:
    """Start one program that uses Tidegate. Writes nothing: only its environment is another."""
    from core import client_run  # noqa: PLC0415

    session: Session = ctx.obj
    with session.orders() as order:
        offered = Offered(_address(order), order("token")["key"])
    if said := client_run.tried(offered):
        click.echo(said, err=True)
    ctx.exit(client_run.run(command, offered))
