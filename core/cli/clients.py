"""Commands for the programs that use Tidegate."""

from typing import TYPE_CHECKING

import click

from core.cli.base import Session
from core.clients import CLIENTS, Offered, places, printed
from core.errors import NothingToDo, TidegateError

if TYPE_CHECKING:
    from core.connecting import Plan


@click.command()
@click.argument("client", required=False, type=click.Choice(list(CLIENTS)))
@click.option("--print", "print_", is_flag=True, help="Print what its settings need, and change nothing.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def connect(session: Session, client: str | None, *, print_: bool, dry_run: bool, yes: bool) -> None:
    """Point a program at Tidegate; without a name, list the programs."""
    from core import connecting  # noqa: PLC0415

    if client is None:
        known = connecting.connected(session.paths)
        for name, program in CLIENTS.items():
            state = f"connected: {known[name].file}" if name in known else "not connected"
            click.echo(f"{name:<14}{program.name} - {state}")
        return
    address = _address(session)
    if print_:
        place = places(CLIENTS[client], "~", connecting.here().environ)[0]
        click.echo(f"Merge this into {place}; it contains the local key:", err=True)
        click.echo(printed(CLIENTS[client], Offered(address, session.order("token")["key"])), nl=False)
        return
    where = connecting.here()
    plan = connecting.plan(session.paths, client, where, Offered(address, ""))
    _show(plan)
    if dry_run:
        return
    if not yes:
        click.confirm("Change this?", default=True, abort=True, err=True)
    key = session.order("client_key", client=client)["key"]
    offered = Offered(address, key, _models(session, key) if client == "opencode" else {})
    connecting.carry_out(session.paths, connecting.plan(session.paths, client, where, offered))
    click.echo(f"{CLIENTS[client].name} is connected. Undo: tidegate undo {client}")
    if said := connecting.tried(offered):
        click.echo(said, err=True)


def _show(plan: "Plan") -> None:
    from core.terminal import plain  # noqa: PLC0415

    click.echo(plain(f"{plan.file}:"))
    for change in plan.changes:
        click.echo(plain(f"  {change.path}: {change.before} -> {change.after}"))
    if not plan.changes:
        click.echo("  nothing changes but the key")
    for note in plan.notes:
        click.echo(plain(f"Note: {note}"))


def _address(session: Session) -> str:
    """Where Tidegate answers, or will when it runs."""
    address = session.order("snapshot")["address"]
    return str(address or f"http://127.0.0.1:{session.order('config_get', key='port')['port']}")


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

    names = list(connecting.connected(session.paths)) if client is None else [client]
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
    offered = Offered(_address(session), session.order("token")["key"])
    if said := connecting.tried(offered):
        click.echo(said, err=True)
    ctx.exit(connecting.run(command, offered))
