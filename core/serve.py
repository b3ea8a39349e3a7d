"""`tidegate serve`: the core alone, until the process is told to end."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress

import click

from core import app
from core.files import Paths
from core.model import Snapshot
from core.wording import STANDING_NAMES


def run(paths: Paths, vault: app.VaultKind, port: int | None) -> None:
    """Serve until Ctrl-C or SIGTERM. Raises TidegateError when it cannot begin."""
    options = app.Options(vault=vault, port=port)
    app.keep_log(paths, options)
    asyncio.run(_serve(paths, options))


async def _serve(paths: Paths, options: app.Options) -> None:
    ended = asyncio.Event()
    on_end(ended.set)
    async with app.running(paths, options) as core:
        for line in greeting(core.engine.snapshot(), core.problems):
            click.echo(line)
        await ended.wait()
        click.echo("Stopping…")


def on_end(end: Callable[[], None]) -> None:
    """Call `end` when the process is asked to end; the second time it ends at once."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):

        def asked(number: int = number) -> None:
            end()
            loop.remove_signal_handler(number)

        with suppress(NotImplementedError):  # Windows: Ctrl-C raises KeyboardInterrupt, which ends as orderly
            loop.add_signal_handler(number, asked)


def greeting(snapshot: Snapshot, problems: tuple[str, ...]) -> list[str]:
    """What the person reads at the start: where it listens, who can serve, what to do next."""
    lines = [f"Tidegate {snapshot.version} listens on {snapshot.address}"]
    lines += [f"Note: {text}" for text in problems]
    if snapshot.accounts:
        states = (f"{account.label} ({STANDING_NAMES[account.standing]})" for account in snapshot.accounts)
        lines.append(f"Accounts: {', '.join(states)}")
    else:
        lines.append("No account yet. Add one: tidegate add claude, tidegate add api-key, or tidegate add go")
    lines.append("Point a client at it: tidegate connect claude-code --print, tidegate connect opencode --print")
    lines.append("Stop with Ctrl-C.")
    return lines
