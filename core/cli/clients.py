"""Commands for the programs that use Tidegate."""

from typing import TYPE_CHECKING, Any

import click

from core.cli.base import Session
from core.clients import CLIENTS, Offered, additions, entry, places, printed
from core.errors import NothingToDo, TidegateError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.connecting import Plan


@click.command()
@click.argument("client", required=False, type=click.Choice(list(CLIENTS)))
@click.option("--mcp", is_flag=True, help="Give it Tidegate's tools as well: it can tell its accounts and switch.")
@click.option("--statusline", is_flag=True, help="Show account and quota in its status line as well.")
@click.option("--print", "print_", is_flag=True, help="Print what its settings need, and change nothing.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def connect(
    session: Session, client: str | None, *, mcp: bool, statusline: bool, print_: bool, dry_run: bool, yes: bool
) -> None:
    """Point a program at Tidegate; without a name, list the programs."""
    from core import connecting  # noqa: PLC0415

    if client is None:
        _list(session)
        return
    wanted = [name for name, on in {"mcp": mcp, "statusline": statusline}.items() if on]
    names = (client, *_added(session, client, wanted))
    command, where = _command(session), connecting.here()
    with session.orders() as order:
        address = _address(order)
        printed_key = order("token")["key"] if print_ else ""
    if print_:
        offered = Offered(address, printed_key, command=command)
        for name in names:
            secret = "; it contains the local key" if name == client else ""
            click.echo(f"Merge this into {places(entry(name), '~', where.environ)[0]}{secret}:", err=True)
            click.echo(printed(entry(name), offered), nl=False)
        return
    for name in names:
        _show(connecting.plan(session.paths, name, where, Offered(address, "", command=command)))
    if dry_run:
        return
    if not yes:
        click.confirm("Change this?", default=True, abort=True, err=True)
    key = session.order("client_key", client=client)["key"]
    offered = Offered(address, key, _models(session, key) if client == "opencode" else {}, command)
    connecting.carry_out_together(session.paths, names, where, offered)
    click.echo(f"{CLIENTS[client].name} is connected. Undo: tidegate undo {client}")
    if said := connecting.tried(offered):
        click.echo(said, err=True)


def _list(session: Session) -> None:
    from core import connecting  # noqa: PLC0415

    known = connecting.connected(session.paths)
    for name, program in CLIENTS.items():
        added = [f"with {addition}" for addition, its_name in additions(name).items() if its_name in known]
        state = f"connected: {', '.join([known[name].file, *added])}" if name in known else "not connected"
        click.echo(f"{name:<14}{program.name} - {state}")


def _added(session: Session, client: str, wanted: "Sequence[str]") -> tuple[str, ...]:
    """The entries of what is to be added, and of what has been. Raises UsageError for what the program cannot have."""
    from core import connecting  # noqa: PLC0415

    possible, known = additions(client), connecting.connected(session.paths)
    for missing in (name for name in wanted if name not in possible):
        can = ", ".join(name for name in CLIENTS if missing in additions(name))
        raise UsageError(f"{CLIENTS[client].name} cannot have --{missing}", f"That is for {can}.")
    return tuple(name for addition, name in possible.items() if addition in wanted or name in known)


def _command(session: Session) -> tuple[str, ...]:
    """What starts this installation: with its folder, so that nothing has to be found out at each start."""
    import os  # noqa: PLC0415

    from core.autostart import program  # noqa: PLC0415

    words = (*program(os.environ), "--data-dir", str(session.paths.root))
    # Claude Code on Windows has a shell read the line, for which a backslash is no part of a name.
    return tuple(word.replace("\\", "/") for word in words) if os.name == "nt" else words


def _show(plan: "Plan") -> None:
    from core.terminal import plain  # noqa: PLC0415

    click.echo(plain(f"{plan.file}:"))
    for change in plan.changes:
        click.echo(plain(f"  {change.path}: {change.before} -> {change.after}"))
    if not plan.changes:
        click.echo("  nothing changes but the key" if plan.client in CLIENTS else "  nothing changes")
    for note in plan.notes:
        click.echo(plain(f"Note: {note}"))


def _address(order: "Callable[..., Any]") -> str:
    """Where Tidegate answers, or will when it runs."""
    return str(order("snapshot")["address"] or f"http://127.0.0.1:{order('config_get', key='port')['port']}")


def _models(session: Session, key: str) -> dict[str, str]:
    """The models that the accounts can serve, as far as Tidegate runs and the provider tells."""
    from core import remote  # noqa: PLC0415

    running = remote.find(session.paths)
    return remote.models(running, key) if running else {}


@click.command()
@click.argument("client", required=False, type=click.Choice(list(CLIENTS)))
@click.pass_obj
def undo(session: Session, client: str | None) -> None:
    """Give a program its settings back as they were; without a name, every program. Needs no running Tidegate."""
    from core import connecting  # noqa: PLC0415
    from core.terminal import plain  # noqa: PLC0415

    known = connecting.connected(session.paths)
    names = [name for name in CLIENTS if {name, *additions(name).values()} & known.keys()]
    names = names if client is None else [client]
    if not names:
        raise NothingToDo("No program is connected")
    for name in names:
        left = connecting.undo(session.paths, name)
        click.echo(f"{CLIENTS[name].name} has its settings back")
        for said in left:
            click.echo(plain(f"Note: {said}"))
        try:
            session.order("forget_client_key", client=name)
        except NothingToDo:
            pass
        except TidegateError as exc:
            click.echo(plain(f"Its key stays good, since {exc.title[:1].lower()}{exc.title[1:]}."), err=True)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
@click.pass_context
def run(ctx: click.Context, command: tuple[str, ...]) -> None:
    """Start one program that uses Tidegate. Writes nothing: only its environment is another."""
    from core import connecting  # noqa: PLC0415

    session: Session = ctx.obj
    with session.orders() as order:
        offered = Offered(_address(order), order("token")["key"])
    if said := connecting.tried(offered):
        click.echo(said, err=True)
    ctx.exit(connecting.run(command, offered))
