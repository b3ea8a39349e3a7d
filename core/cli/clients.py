"""Commands for the programs that use Tidegate."""

import click

from core.cli.base import Session


@click.command()
@click.argument("client", type=click.Choice(["claude-code", "opencode"]))
@click.option("--print", "print_", is_flag=True, help="Print what the client's settings need.")
@click.pass_obj
def connect(session: Session, client: str, *, print_: bool) -> None:
    """Point a client at Tidegate."""
    from core.clients import CLIENTS  # noqa: PLC0415

    if not print_:
        raise click.UsageError("Nothing is written for you yet: add --print and paste it.")
    known = CLIENTS[client]
    address = session.order("snapshot")["address"]
    address = address or f"http://127.0.0.1:{session.order('config_get', key='port')['port']}"
    click.echo(f"Merge this into {known.file}; it contains the local key:", err=True)
    click.echo(known.settings(address, session.order("token")["key"]))
