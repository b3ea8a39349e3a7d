"""Commands by which the person decides who serves, and how."""

import click

from core.cli.base import Duration, Session, as_json, print_json


@click.command()
@click.argument("account")
@click.pass_obj
def enable(session: Session, account: str) -> None:
    """Let an account serve; `all` for every account."""
    session.tell("enable", account=account)


@click.command()
@click.argument("account")
@click.pass_obj
def disable(session: Session, account: str) -> None:
    """Keep an account from serving; `all` for every account."""
    session.tell("disable", account=account)


@click.command()
@click.argument("account")
@click.option("--for", "for_s", type=Duration(), help="For how long: 30m, 1h, 2d. Else until unpinned.")
@click.pass_obj
def pin(session: Session, account: str, for_s: float | None) -> None:
    """Have one account serve its provider."""
    session.tell("pin", account=account, for_s=for_s)


@click.command()
@click.argument("account")
@click.pass_obj
def use(session: Session, account: str) -> None:
    """Have one account serve until unpinned: the short way to say `pin`."""
    session.tell("pin", account=account)


@click.command()
@click.argument("account", required=False)
@click.pass_obj
def unpin(session: Session, account: str | None) -> None:
    """Let Tidegate choose again."""
    session.tell("unpin", account=account)


@click.command()
@click.option("--for", "for_s", type=Duration(), help="For how long: 30m, 1h, 2d. Else until resumed.")
@click.pass_obj
def pause(session: Session, for_s: float | None) -> None:
    """Let nothing through; what is under way comes to its end."""
    session.tell("pause", for_s=for_s)


@click.command()
@click.pass_obj
def resume(session: Session) -> None:
    """Let requests through again."""
    session.tell("resume")


@click.command()
@click.argument("accounts", nargs=-1, required=True, metavar="ACCOUNT...")
@click.pass_obj
def order(session: Session, accounts: tuple[str, ...]) -> None:
    """Put these accounts first, in this order."""
    session.tell("order", accounts=accounts)


@click.command()
@click.argument("name", required=False)
@as_json
@click.pass_obj
def strategy(session: Session, name: str | None, *, as_json: bool) -> None:
    """Choose the order in which ready accounts are tried, or list what there is to choose from."""
    from core import terminal  # noqa: PLC0415
    from core.model import Strategy  # noqa: PLC0415
    from core.wording import STRATEGY_WORDS  # noqa: PLC0415

    if name is not None:
        session.tell("strategy", name=name)
        return
    current = Strategy(session.order("strategy")["text"])
    if as_json:
        print_json({"strategy": current, "strategies": {name.value: words for name, words in STRATEGY_WORDS.items()}})
    else:
        terminal.show_strategies(current)


@click.command()
@click.argument("account")
@click.pass_obj
def refresh(session: Session, account: str) -> None:
    """Renew a login now; `all` for every login."""
    session.tell("refresh", account=account)


@click.command()
@click.argument("account")
@click.pass_obj
def reset(session: Session, account: str) -> None:
    """Forget what is held against an account; `all` for every account.

    That is its rests, failures, clients that were refused, and a sign-in that seemed to be missing: its credential is
    tried again. What was read of its quota stays, and is read anew when its provider can be asked now.
    """
    session.tell("reset", account=account)


@click.command()
@click.argument("account")
@click.argument("clients", type=click.Choice(["any", "claude-code"]))
@click.pass_obj
def serves(session: Session, account: str, clients: str) -> None:
    """Choose which clients an account may serve."""
    session.tell("serves", account=account, serves=clients)


@click.command("plan-limits")
@click.argument("account")
@click.argument("switch", type=click.Choice(["on", "off"]))
@click.pass_obj
def plan_limits(session: Session, account: str, switch: str) -> None:
    """Keep a subscription within its plan: never into paid extra usage."""
    session.tell("plan_limits", account=account, on=switch == "on")


@click.command()
@click.argument("account")
@click.argument("switch", type=click.Choice(["on", "off"]))
@click.pass_obj
def mute(session: Session, account: str, switch: str) -> None:
    """Have no notification about an account, except when it needs you."""
    session.tell("mute", account=account, on=switch == "on")


@click.group()
def config() -> None:
    """Settings."""


@config.command("get")
@click.argument("key", required=False)
@as_json
@click.pass_obj
def config_get(session: Session, key: str | None, *, as_json: bool) -> None:
    """Print one setting, or all of them."""
    settings = session.order("config_get", key=key)
    if as_json:
        print_json(settings)
    elif key is not None:
        click.echo(settings[key])
    else:
        for name, text in settings.items():
            click.echo(f"{name} = {text}")


@config.command("set", context_settings={"ignore_unknown_options": True})  # some values are below zero
@click.argument("key")
@click.argument("value")
@click.pass_obj
def config_set(session: Session, key: str, value: str) -> None:
    """Change a setting."""
    session.tell("config_set", key=key, text=value)
