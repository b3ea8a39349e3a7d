"""Commands that coding agents start."""

import click

from core.cli.base import Session


@click.command()
@click.pass_obj
def mcp(session: Session) -> None:
    """Serve tools to a coding agent (MCP on stdin and stdout): account status, switching, why, usage."""
    from core.mcp import run  # noqa: PLC0415

    run(session.paths)


@click.command()
@click.pass_obj
def statusline(session: Session) -> None:
    """Print a line for Claude Code's status bar: account, quota, forecast."""
    from core.statusline import show  # noqa: PLC0415

    show(session.paths.root)
