"""The command line. Orders go to the running instance when there is one, else they are obeyed on the spot.

Only click is imported here: `tidegate --help` and shell completion must be quick, so each command imports what it uses.
"""

import contextlib
import importlib
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import click

from core import __version__
from core.errors import NoDesktop, NothingToDo, TidegateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from core.files import Paths

VaultKind = Literal["keyring", "file"]
_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Session:
    """What the global options say."""

    data_dir: str | None
    vault: VaultKind

    @property
    def paths(self) -> "Paths":
        """The files of the installation that is meant."""
        from pathlib import Path  # noqa: PLC0415

        from core.files import Paths, default_paths  # noqa: PLC0415

        return Paths(Path(self.data_dir).expanduser().absolute()) if self.data_dir else default_paths()

    def order(self, command: str, /, **arguments: object) -> Any:
        """Have one command obeyed, by the running instance or here. Raises TidegateError."""
        with self.orders() as order:
            return order(command, **arguments)

    @contextlib.contextmanager
    def orders(self) -> "Iterator[Callable[..., Any]]":
        """Have several commands obeyed, all by the same instance."""
        from core import remote  # noqa: PLC0415

        if running := remote.find(self.paths):
            yield lambda command, /, **arguments: remote.call(running, command, arguments)
            return
        from core import app, threaded  # noqa: PLC0415

        with threaded.alone_in_thread(self.paths, app.Options(vault=self.vault)) as run:
            yield lambda command, /, **arguments: run(command, arguments)

    def tell(self, command: str, /, **arguments: object) -> None:
        """Have one command obeyed and print what it says."""
        click.echo(self.order(command, **arguments)["text"])


class Tidegate(click.Group):
    """Shows our errors as title and hint, with their exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except TidegateError as exc:
            from core.terminal import plain  # noqa: PLC0415

            click.echo(plain(f"Error: {exc.title}"), err=True)
            if exc.hint:
                click.echo(plain(f"Hint: {exc.hint}"), err=True)
            ctx.exit(exc.exit_code)


class Duration(click.ParamType[float]):
    """`90s`, `30m`, `1h`, `1h30m`, `2d`: a duration in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it."""
        if isinstance(value, float):
            return value
        parts = re.findall(r"(\d{1,6})([smhd])", value)
        if not parts or "".join(map("".join, parts)) != value:
            self.fail(f"{value!r} is no duration: write 90s, 30m, 1h or 2d.", param, ctx)
        return float(sum(int(number) * _UNIT_S[unit] for number, unit in parts))


@click.group(cls=Tidegate, invoke_without_command=True)
@click.option("--data-dir", metavar="DIR", help="Keep everything of Tidegate in this folder.")
@click.option("--vault", type=click.Choice(["keyring", "file"]), default="keyring", help="Where credentials rest.")
@click.version_option(__version__, prog_name="tidegate")
@click.pass_context
def main(ctx: click.Context, data_dir: str | None, vault: VaultKind) -> None:
    """Several coding-agent accounts that behave as one. Without a command: the tray icon."""
    for stream in (sys.stdout, sys.stderr):  # a console without UTF-8 shows ? rather than a crash
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    ctx.obj = Session(data_dir, vault)
    if ctx.invoked_subcommand is None:
        _offer_at_first(ctx.obj)
        # The tray stands above the core, which therefore does not import it: this names a program to start.
        importlib.import_module("tray.__main__").main(ctx.obj.paths, vault)


as_json = click.option("--json", "as_json", is_flag=True, help="For programs.")
label_option = click.option("--label", default="", help="What you want to call it.")
serves_option = click.option(
    "--serves", type=click.Choice(["any", "claude-code"]), default="any", help="Which clients it may serve."
)


def _offer_at_first(session: Session) -> None:
    """Before the first account, tell a person at a terminal what could be imported."""
    if not sys.stderr.isatty():
        return
    from core import config as config_  # noqa: PLC0415

    with contextlib.suppress(TidegateError):  # whoever needs the config tells what is wrong with it
        saved = config_.peek(session.paths.config)
        if saved is None or not saved.accounts:
            _offer_import(err=True)


def _offer_import(*, err: bool = False) -> None:
    import time  # noqa: PLC0415

    from core.import_offer import offer  # noqa: PLC0415
    from core.terminal import plain  # noqa: PLC0415

    if found := offer(time.time()):
        click.echo(plain(found), err=err)


# --- running it ------------------------------------------------------------------------------------


@main.command()
@click.option("--port", type=click.IntRange(0, 65_535), help="Listen here, not where the settings say; 0: anywhere.")
@click.pass_obj
def serve(session: Session, port: int | None) -> None:
    """Run without a tray icon, until Ctrl-C."""
    from core import serve as server  # noqa: PLC0415

    server.run(session.paths, session.vault, port)


@main.command()
@click.option("--headless", is_flag=True, help="In the terminal, without a tray icon.")
@click.option("--once", is_flag=True, help="End when every agent has its answers.")
@click.pass_context
def demo(ctx: click.Context, *, headless: bool, once: bool) -> None:
    """See it work: a simulated provider, three accounts and a failover, on throw-away state."""
    from core import demo_run  # noqa: PLC0415

    with contextlib.suppress(NoDesktop):
        if not headless:
            ctx.exit(importlib.import_module("tray.__main__").demo(once=once))
    ctx.exit(demo_run.in_terminal(once=once))


# --- accounts that come and go ---------------------------------------------------------------------


@main.group()
@click.pass_obj
def add(session: Session) -> None:
    """Add an account. Keys are asked for, or read from standard input; never give one as an argument."""
    _offer_at_first(session)


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


@main.command()
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


@main.command("import")
@click.argument("path", required=False)
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


@main.command()
@click.argument("file", default="-")
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


# --- looking ---------------------------------------------------------------------------------------


def _print_json(value: object) -> None:
    import json  # noqa: PLC0415

    click.echo(json.dumps(value, indent=2))


@main.command("list")
@as_json
@click.pass_obj
def list_(session: Session, *, as_json: bool) -> None:
    """The accounts."""
    import msgspec  # noqa: PLC0415

    from core import terminal  # noqa: PLC0415
    from core.model import Snapshot  # noqa: PLC0415

    answer = session.order("snapshot")
    if as_json:
        _print_json(answer["accounts"])
    elif answer["accounts"]:
        terminal.show_accounts(msgspec.convert(answer, Snapshot))
    else:
        click.echo("No account yet. Add one: tidegate add api-key, add go, or add claude --paste; or tidegate import.")
        _offer_import()


@main.command()
@as_json
@click.pass_obj
def status(session: Session, *, as_json: bool) -> None:
    """Who serves, and why. Exit code 3 when no account is ready."""
    import msgspec  # noqa: PLC0415

    from core import terminal  # noqa: PLC0415
    from core.model import Snapshot, Standing  # noqa: PLC0415

    answer = session.order("snapshot")
    snapshot = msgspec.convert(answer, Snapshot)
    if as_json:
        _print_json(answer)
    else:
        terminal.show_status(snapshot)
        if not snapshot.accounts:
            _offer_import()
    if not any(view.standing is Standing.READY for view in snapshot.accounts):
        raise NothingToDo("No account is ready", "See `tidegate list`." if snapshot.accounts else "See `tidegate add`.")


@main.command()
@click.argument("account")
@as_json
@click.pass_obj
def info(session: Session, account: str, *, as_json: bool) -> None:
    """Everything about one account: whose it is, its quota and login with their ages, what went wrong."""
    import msgspec  # noqa: PLC0415

    from core import terminal  # noqa: PLC0415
    from core.orders import AccountInfo  # noqa: PLC0415

    answer = session.order("info", account=account)
    if as_json:
        _print_json(answer)
    else:
        terminal.show_account(msgspec.convert(answer, AccountInfo))


@main.command()
@click.option("--provider", type=click.Choice(["anthropic", "opencode-go"]), help="Of one provider only.")
@click.option("--model", default="", help="The model that is asked for: some windows count one family only.")
@click.option("--session", "conversation", help="The id of a conversation that is going on; else a new one.")
@as_json
@click.pass_obj
def explain(session: Session, provider: str | None, model: str, conversation: str | None, *, as_json: bool) -> None:
    """Who would serve the next request of Claude Code, and why each other account would not."""
    import msgspec  # noqa: PLC0415

    from core import terminal  # noqa: PLC0415
    from core.orders import Explanation  # noqa: PLC0415

    answer = session.order("explain", provider=provider, model=model, session=conversation)
    if as_json:
        _print_json(answer)
    else:
        terminal.show_explanation(msgspec.convert(answer, Explanation))


@main.command()
@click.option("-n", "limit", type=click.IntRange(1, 1_000), default=20, show_default=True, help="So many, the newest.")
@as_json
@click.pass_obj
def history(session: Session, limit: int, *, as_json: bool) -> None:
    """What happened: failovers, conversations that moved, sign-ins needed, windows that filled up."""
    import msgspec  # noqa: PLC0415

    from core import terminal  # noqa: PLC0415
    from core.orders import Recounted  # noqa: PLC0415

    answer = session.order("history", limit=limit)
    if as_json:
        _print_json(answer)
    else:
        terminal.show_history(msgspec.convert(answer, Recounted))


@main.command()
@click.pass_obj
def token(session: Session) -> None:
    """Print the local key, which clients send to Tidegate."""
    click.echo(session.order("token")["key"])


# --- deciding --------------------------------------------------------------------------------------


@main.command()
@click.argument("account")
@click.pass_obj
def enable(session: Session, account: str) -> None:
    """Let an account serve; `all` for every account."""
    session.tell("enable", account=account)


@main.command()
@click.argument("account")
@click.pass_obj
def disable(session: Session, account: str) -> None:
    """Keep an account from serving; `all` for every account."""
    session.tell("disable", account=account)


@main.command()
@click.argument("account")
@click.argument("label")
@click.pass_obj
def rename(session: Session, account: str, label: str) -> None:
    """Call an account something else."""
    session.tell("rename", account=account, label=label)


@main.command()
@click.argument("account")
@click.option("--for", "for_s", type=Duration(), help="For how long: 30m, 1h, 2d. Else until unpinned.")
@click.pass_obj
def pin(session: Session, account: str, for_s: float | None) -> None:
    """Have one account serve its provider."""
    session.tell("pin", account=account, for_s=for_s)


@main.command()
@click.argument("account")
@click.pass_obj
def use(session: Session, account: str) -> None:
    """Have one account serve until unpinned: the short way to say `pin`."""
    session.tell("pin", account=account)


@main.command()
@click.argument("account", required=False)
@click.pass_obj
def unpin(session: Session, account: str | None) -> None:
    """Let Tidegate choose again."""
    session.tell("unpin", account=account)


@main.command()
@click.option("--for", "for_s", type=Duration(), help="For how long: 30m, 1h, 2d. Else until resumed.")
@click.pass_obj
def pause(session: Session, for_s: float | None) -> None:
    """Let nothing through; what is under way comes to its end."""
    session.tell("pause", for_s=for_s)


@main.command()
@click.pass_obj
def resume(session: Session) -> None:
    """Let requests through again."""
    session.tell("resume")


@main.command()
@click.argument("accounts", nargs=-1, required=True, metavar="ACCOUNT...")
@click.pass_obj
def order(session: Session, accounts: tuple[str, ...]) -> None:
    """Put these accounts first, in this order."""
    session.tell("order", accounts=accounts)


@main.command()
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
        _print_json({"strategy": current, "strategies": STRATEGY_WORDS})
    else:
        terminal.show_strategies(current)


@main.command()
@click.argument("account")
@click.pass_obj
def refresh(session: Session, account: str) -> None:
    """Renew a login now; `all` for every login."""
    session.tell("refresh", account=account)


@main.command()
@click.argument("account")
@click.pass_obj
def reset(session: Session, account: str) -> None:
    """Forget what is held against an account; `all` for every account.

    That is its rests, failures, clients that were refused, and a sign-in that seemed to be missing: its credential is
    tried again. What was read of its quota stays, and is read anew when its provider can be asked now.
    """
    session.tell("reset", account=account)


@main.command()
@click.argument("account")
@click.argument("clients", type=click.Choice(["any", "claude-code"]))
@click.pass_obj
def serves(session: Session, account: str, clients: str) -> None:
    """Choose which clients an account may serve."""
    session.tell("serves", account=account, serves=clients)


@main.command("plan-limits")
@click.argument("account")
@click.argument("switch", type=click.Choice(["on", "off"]))
@click.pass_obj
def plan_limits(session: Session, account: str, switch: str) -> None:
    """Keep a subscription within its plan: never into paid extra usage."""
    session.tell("plan_limits", account=account, on=switch == "on")


@main.command()
@click.argument("account")
@click.argument("switch", type=click.Choice(["on", "off"]))
@click.pass_obj
def mute(session: Session, account: str, switch: str) -> None:
    """Have no notification about an account, except when it needs you."""
    session.tell("mute", account=account, on=switch == "on")


@main.group()
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
        _print_json(settings)
    elif key is not None:
        click.echo(settings[key])
    else:
        for name, text in settings.items():
            click.echo(f"{name} = {text}")


@config.command("set")
@click.argument("key")
@click.argument("value")
@click.pass_obj
def config_set(session: Session, key: str, value: str) -> None:
    """Change a setting."""
    session.tell("config_set", key=key, text=value)


# --- clients ---------------------------------------------------------------------------------------


@main.command()
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


if __name__ == "__main__":
    main()
