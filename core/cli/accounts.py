"""Commands by which accounts come and go."""

import sys

import click

from core.cli.base import Session, as_json, label_option, offer_at_first, serves_option


@click.group()
@click.pass_obj
def add(session: Session) -> None:
    """Add an account. Keys are asked for, or read from standard input; never give one as an argument."""
    offer_at_first(session)


def _add_key(session: Session, kind: str, label: str, serves: str) -> None:
    from core.typed import secret  # noqa: PLC0415
    from core.wording import TERMS  # noqa: PLC0415

    session.tell("add_key", kind=kind, key=secret("Key"), label=label, serves=serves)
    click.echo(TERMS)


@add.command("api-key")
@label_option
@serves_option
@click.pass_obj
def add_api_key(session: Session, label: str, serves: str) -> None:
    """An Anthropic API key."""
    _add_key(session, "api-key", label, serves)


@add.command("go")
@label_option
@serves_option
@click.pass_obj
def add_go(session: Session, label: str, serves: str) -> None:
    """An OpenCode Go key."""
    _add_key(session, "go", label, serves)


@add.command("claude")
@click.option("--paste", is_flag=True, help="Show an address to open anywhere, and read the code it ends with.")
@label_option
@serves_option
@click.pass_obj
def add_claude(session: Session, *, paste: bool, label: str, serves: str) -> None:
    """A Claude subscription: sign in with the browser."""
    from core import sign_in  # noqa: PLC0415

    sign_in.run(session.orders(), {"kind": "claude", "label": label, "serves": serves}, paste=paste)


@add.command("console")
@click.option("--paste", is_flag=True, help="Show an address to open anywhere, and read the code it ends with.")
@label_option
@serves_option
@click.pass_obj
def add_console(session: Session, *, paste: bool, label: str, serves: str) -> None:
    """An Anthropic API key, made by signing in to the Console with the browser."""
    from core import sign_in  # noqa: PLC0415

    sign_in.run(session.orders(), {"kind": "api-key", "label": label, "serves": serves}, paste=paste)


@click.command()
@click.argument("account")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--revoke/--keep",
    default=None,
    help="End its login at the provider too, or leave it. Without either you are asked at a terminal, else it is left.",
)
@click.pass_obj
def remove(session: Session, account: str, *, yes: bool, revoke: bool | None) -> None:
    """Remove an account and delete its credential."""
    with session.orders() as order:
        known = order("info", account=account)
        if not yes:
            click.confirm(f"Remove {known['label']} and delete its credential?", abort=True)
        if revoke is None and known["own_login"] and not yes and sys.stdin.isatty():
            revoke = click.confirm("End its login at the provider too? Other programs' logins stay")
        click.echo(order("remove", account=known["id"], revoke=bool(revoke))["text"])


@click.command("import")
@click.argument("path", required=False, type=click.Path())
@click.option("--from", "source", metavar="NAME", help="Of one program: claude-code, opencode, ccflare, …")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
@click.pass_context
def import_(
    ctx: click.Context, path: str | None, source: str | None, *, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Take over accounts that other programs have, or what `tidegate export` wrote.

    The files of other programs stay as they are; their logins are borrowed, not renewed. The passphrase of a sealed
    export is asked for, or read from standard input.
    """
    from core import transfer  # noqa: PLC0415

    if path is not None and source is not None:
        raise click.UsageError("Say either PATH or --from.")
    asks = not (yes or as_json)
    ctx.exit(transfer.take_over(ctx.obj.orders(), path, source, dry_run=dry_run, ask=asks, as_json=as_json))


@click.command()
@click.argument("file", default="-", type=click.Path())
@click.option("--with-credentials", is_flag=True, help="Take keys and access tokens along, sealed with a passphrase.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@click.pass_obj
def export(session: Session, file: str, *, with_credentials: bool, force: bool) -> None:
    """Write accounts and settings to a file (`-`: standard output), for `tidegate import`.

    Without --with-credentials it holds no secret. With it the passphrase is asked for, or read from standard input.
    Keys go along for good, subscription logins only for the hours until their access token ends: two owners of one
    login would sign each other out. So sign in once where you import it.
    """
    from core import transfer  # noqa: PLC0415

    transfer.write_out(session.paths, session.vault, file, with_credentials=with_credentials, force=force)


@click.command()
@click.argument("account")
@click.argument("label")
@click.pass_obj
def rename(session: Session, account: str, label: str) -> None:
    """Call an account something else."""
    session.tell("rename", account=account, label=label)
