"""Commands that run Tidegate, now or at login."""

import contextlib
import importlib

import click

from core.cli.base import Session, as_json, print_json, starting
from core.errors import NoDesktop


@click.command()
@click.option("--port", type=click.IntRange(0, 65_535), help="Listen here, not where the settings say; 0: anywhere.")
@click.pass_obj
def serve(session: Session, port: int | None) -> None:
    """Run without a tray icon, until Ctrl-C."""
    with starting():
        from core import serve as server  # noqa: PLC0415

        server.run(session.paths, session.vault, port)


@click.command()
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


@click.group()
def autostart() -> None:
    """Start when you log in, or not."""


@autostart.command("on")
@click.option("--headless", is_flag=True, help="Without an icon, by systemd.")
@click.pass_obj
def autostart_on(session: Session, *, headless: bool) -> None:
    """Start this installation when you log in."""
    click.echo(session.autostart().switch_on(headless=headless).text)
    if headless:
        click.echo("Now: systemctl --user start tidegate. From boot on, without a login: loginctl enable-linger")


@autostart.command("off")
@click.pass_obj
def autostart_off(session: Session) -> None:
    """Do not start when you log in."""
    click.echo(session.autostart().switch_off().text)


@autostart.command("status")
@as_json
@click.pass_obj
def autostart_status(session: Session, *, as_json: bool) -> None:
    """Say what happens when you log in."""
    from dataclasses import asdict  # noqa: PLC0415

    status = session.autostart().status()
    if as_json:
        print_json(asdict(status))
    else:
        click.echo(status.text)
