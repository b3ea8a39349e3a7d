"""Commands that show what is."""

import contextlib

import click

from core.cli.base import Session, as_json, offer_import, print_json
from core.errors import NothingToDo, TidegateError


@click.command("list")
@as_json
@click.pass_obj
def list_(session: Session, *, as_json: bool) -> None:
    """The accounts."""
    import msgspec  # noqa: PLC0415

    from core import terminal  # noqa: PLC0415
    from core.model import Snapshot  # noqa: PLC0415

    answer = session.order("snapshot")
    if as_json:
        print_json(answer["accounts"])
    elif answer["accounts"]:
        terminal.show_accounts(msgspec.convert(answer, Snapshot))
    else:
        click.echo("No account yet. Add one: tidegate add api-key, add go, or add claude --paste; or tidegate import.")
        offer_import()


@click.command()
@as_json
@click.option("--watch", is_flag=True, help="Go on showing it as it changes, until Ctrl-C.")
@click.pass_obj
def status(session: Session, *, as_json: bool, watch: bool) -> None:
    """Who serves, and why. Exit code 3 when no account is ready."""
    if watch:
        _watch(session, as_json=as_json)
        return
    import msgspec  # noqa: PLC0415

    from core import terminal  # noqa: PLC0415
    from core.model import Snapshot, Standing  # noqa: PLC0415

    answer = session.order("snapshot")
    snapshot = msgspec.convert(answer, Snapshot)
    if as_json:
        print_json(answer)
    else:
        terminal.show_status(snapshot)
        if not snapshot.accounts:
            offer_import()
    if not any(view.standing is Standing.READY for view in snapshot.accounts):
        raise NothingToDo("No account is ready", "See `tidegate list`." if snapshot.accounts else "See `tidegate add`.")


def _watch(session: Session, *, as_json: bool) -> None:
    """The picture of the instance that runs, now and after each change; as JSON one in each line."""
    from core import remote  # noqa: PLC0415

    running = remote.find(session.paths)
    if running is None:
        raise TidegateError("Tidegate is not running", "Start it: tidegate, or without a desktop: tidegate serve")
    with contextlib.suppress(KeyboardInterrupt):
        if as_json:
            import msgspec  # noqa: PLC0415

            for snapshot in remote.events(running):
                click.echo(msgspec.json.encode(snapshot))
        else:
            from core import terminal  # noqa: PLC0415

            terminal.watch_status(remote.events(running))


@click.command()
@click.argument("account")
@as_json
@click.pass_obj
def info(session: Session, account: str, *, as_json: bool) -> None:
    """Everything about one account: whose it is, its quota and login with their ages, what went wrong."""
    import msgspec  # noqa: PLC0415

    from core import terminal  # noqa: PLC0415
    from core.answers import AccountInfo  # noqa: PLC0415

    answer = session.order("info", account=account)
    if as_json:
        print_json(answer)
    else:
        terminal.show_account(msgspec.convert(answer, AccountInfo))


@click.command()
@click.option("--provider", type=click.Choice(["anthropic", "opencode-go"]), help="Of one provider only.")
@click.option("--model", default="", help="The model that is asked for: some windows count one family only.")
@click.option("--session", "conversation", help="The id of a conversation that is going on; else a new one.")
@as_json
@click.pass_obj
def explain(session: Session, provider: str | None, model: str, conversation: str | None, *, as_json: bool) -> None:
    """Who would serve the next request of Claude Code, and why each other account would not."""
    import msgspec  # noqa: PLC0415

    from core import terminal  # noqa: PLC0415
    from core.answers import Explanation  # noqa: PLC0415

    answer = session.order("explain", provider=provider, model=model, session=conversation)
    if as_json:
        print_json(answer)
    else:
        terminal.show_explanation(msgspec.convert(answer, Explanation))


@click.command()
@click.option("-n", "limit", type=click.IntRange(1, 1_000), default=20, show_default=True, help="So many, the newest.")
@click.option("--requests", is_flag=True, help="The requests of programs instead, one by one.")
@as_json
@click.pass_obj
def history(session: Session, limit: int, *, requests: bool, as_json: bool) -> None:
    """What happened: failovers, conversations that moved, sign-ins needed, windows that filled up."""
    import msgspec  # noqa: PLC0415

    from core import requests_view, terminal  # noqa: PLC0415
    from core.answers import Recounted, RequestsReport  # noqa: PLC0415

    answer = session.order("requests" if requests else "history", limit=limit)
    if as_json:
        print_json(answer)
    elif requests:
        requests_view.show(msgspec.convert(answer, RequestsReport))
    else:
        terminal.show_history(msgspec.convert(answer, Recounted))


@click.command()
@click.pass_obj
def token(session: Session) -> None:
    """Print the local key, which clients send to Tidegate."""
    click.echo(session.order("token")["key"])
