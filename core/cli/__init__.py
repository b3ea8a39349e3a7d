"""The command line. Orders go to the running instance when there is one, else they are obeyed on the spot."""

import contextlib
import importlib
import sys
from typing import Any

import click

from core import __version__
from core.cli.base import Session, VaultKind, offer_at_first, starting
from core.errors import TidegateError

_COMMANDS = {
    "serve": "running",
    "demo": "running",
    "autostart": "running",
    "add": "accounts",
    "remove": "accounts",
    "rename": "accounts",
    "import": "accounts",
    "export": "accounts",
    "list": "looking",
    "status": "looking",
    "info": "looking",
    "explain": "looking",
    "history": "looking",
    "usage": "care",
    "token": "looking",
    "use": "deciding",
    "pin": "deciding",
    "unpin": "deciding",
    "enable": "deciding",
    "disable": "deciding",
    "order": "deciding",
    "strategy": "deciding",
    "pause": "deciding",
    "resume": "deciding",
    "refresh": "deciding",
    "reset": "deciding",
    "serves": "deciding",
    "plan-limits": "deciding",
    "mute": "deciding",
    "config": "deciding",
    "connect": "clients",
    "undo": "clients",
    "run": "clients",
    "dashboard": "care",
    "doctor": "care",
    "logs": "care",
    "completion": "care",
    "mcp": "agents",
    "statusline": "agents",
}
"""The module beside this one that has the command: it is imported when the command is meant."""


class Tidegate(click.Group):
    """Shows our errors as title and hint, with their exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except TidegateError as exc:
            from core.wording import plain  # noqa: PLC0415

            click.echo(plain(f"Error: {exc.title}"), err=True)
            if exc.hint:
                click.echo(plain(f"Hint: {exc.hint}"), err=True)
            ctx.exit(exc.exit_code)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The commands, in the order of the help."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of this name."""
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"core.cli.{_COMMANDS[cmd_name]}")
        commands = (value for value in vars(module).values() if isinstance(value, click.Command))
        return next(command for command in commands if command.name == cmd_name)


@click.group(cls=Tidegate, invoke_without_command=True)
@click.option("--data-dir", metavar="DIR", type=click.Path(), help="Keep everything of Tidegate in this folder.")
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
        offer_at_first(ctx.obj)
        # The tray stands above the core, which therefore does not import it: this names a program to start.
        with starting():
            importlib.import_module("tray.__main__").main(ctx.obj.paths, vault, ctx.obj.options)
