"""`tidegate serve`: the core alone, until the process is told to end."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress

import click

from core import allocation, app
from core.blocking import blocking
from core.files import Paths
from core.model import Snapshot
from core.wording import STANDING_NAMES, plain

SAVE_WITHIN_S = 15.0
"""A service manager waits 90 s, a person at a terminal less."""


def run(paths: Paths, vault: app.VaultKind, port: int | None) -> None:
    """Serve until Ctrl-C or SIGTERM. Raises TidegateError when it cannot begin."""
    allocation.share_one_heap()
    options = app.Options(vault=vault, port=port)
    app.keep_log(paths, options)
    asyncio.run(_serve(paths, options))


async def _serve(paths: Paths, options: app.Options) -> None:
    ended = asyncio.Event()
    on_end(ended.set)
    async with app.running(paths, options) as core:
        snapshot = core.engine.snapshot()
        found = "" if snapshot.accounts else await _importable(core.clock())
        for line in greeting(snapshot, core.problems, found):
            click.echo(plain(line))
        app.settle()
        await ended.wait()
        click.echo("Stopping…")
        await save_logins(core)


async def _importable(now: float) -> str:
    from core.import_offer import offer  # noqa: PLC0415 - only who has no account needs all that reads imports

    return await blocking(offer, now)


def on_end(end: Callable[[], None]) -> None:
    """Call `end` when the process is asked to end; the second time it ends at once, as by a crash."""
    loop = asyncio.get_running_loop()
    # What is ignored stays so: in the background of a shell Ctrl-C is for others.
    numbers = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not signal.SIG_IGN]

    def asked() -> None:
        end()
        for number in numbers:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    with suppress(NotImplementedError):  # Windows: Ctrl-C raises KeyboardInterrupt, which ends as orderly
        for number in numbers:
            loop.add_signal_handler(number, asked)


async def save_logins(core: app.Core, within_s: float = SAVE_WITHIN_S) -> None:
    """Give the vault a last chance to take what it did not take yet, and say what becomes of it."""
    unsaved = core.tokens.unsaved()
    if not unsaved:
        return
    labels = ", ".join(core.engine.label(id_) for id_ in unsaved)
    click.echo(plain(f"Not saved yet: the login of {labels}. Trying for {within_s:.0f} s; stop again to end now."))
    await core.tokens.save(within_s)
    left, at_risk = core.tokens.unsaved(), core.tokens.at_risk()
    for id_ in unsaved:
        click.echo(plain(_parting(core.engine.label(id_), saved=id_ not in left, sealed=id_ not in at_risk)))


def _parting(label: str, *, saved: bool, sealed: bool) -> str:
    """What became of a login that was not saved when the process was asked to end."""
    if saved:
        return f"The login of {label} is saved."
    if sealed:
        return f"The login of {label} is not in the vault, but sealed in the recovery file: the next start takes it up."
    return f"The login of {label} could not be saved anywhere and is lost now. Sign in again: tidegate add claude"


def greeting(snapshot: Snapshot, problems: tuple[str, ...], found: str = "") -> list[str]:
    """What the person reads at the start: where it listens, who can serve, what to do next.

    `found` tells of accounts that could be imported.
    """
    lines = [f"Tidegate {snapshot.version} listens on {snapshot.address}"]
    lines += [f"Note: {text}" for text in problems]
    if snapshot.accounts:
        states = (f"{account.label} ({STANDING_NAMES[account.standing]})" for account in snapshot.accounts)
        lines.append(f"Accounts: {', '.join(states)}")
    else:
        lines.append("No account yet. Add one: tidegate add claude, tidegate add api-key, or tidegate add go")
        lines += [found] if found else []
    lines.append("Point a client at it: tidegate connect claude-code --print, tidegate connect opencode --print")
    lines.append("Stop with Ctrl-C.")
    return lines
