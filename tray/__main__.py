"""`tidegate`: the tray icon on the main thread, the core on its own.

There is one of it for each installation. Who starts it again wants to see it, and gets that instead of an error.
"""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from anyio.from_thread import BlockingPortal, start_blocking_portal

from core import allocation, app, autostart, languages, programs, remote, threaded
from core.errors import InstanceRunning, TidegateError
from core.files import Paths, default_paths
from tray import app as tray
from tray import backend, faceless, logind
from tray.seams import Autostart, Core, End

if TYPE_CHECKING:
    from core import demo_run
    from core.demo import Summary

START_S = 15.0
"""The first start opens the vault, which may have to ask the person; ten at once wait for it this long."""
LOOK_AGAIN_S = 0.1

log = logging.getLogger(__name__)


def main(paths: Paths | None = None, vault: app.VaultKind = "keyring", again: Sequence[str] = ()) -> None:
    """Show the tray and serve, until the person quits; or have the instance that runs already shown.

    `again`: the global options with which autostart finds this installation. Raises TidegateError when it cannot begin.
    """
    paths = paths or default_paths()
    deadline = time.monotonic() + START_S
    while not _shown(paths):
        try:
            return _serve(paths, vault, again)
        except InstanceRunning:  # it is starting, or a command has the installation for a moment
            if time.monotonic() > deadline:
                raise
            time.sleep(LOOK_AGAIN_S)
    return None


def _shown(paths: Paths) -> bool:
    """Whether there is an instance already; then its person sees it."""
    running = remote.find(paths)
    if running is None:
        return False
    shown = remote.show(running)
    if shown.by_icon:
        click.echo("Tidegate is running already: its icon opens the status page.")
        return True
    click.echo(f"Tidegate is running already, without an icon, at {running.address}. See also: tidegate status")
    if programs.open_url(shown.url):
        click.echo("Its status page opens in your browser.")
    else:
        click.echo(f"Open its status page within a minute: {shown.url}")
    return True


def _serve(paths: Paths, vault: app.VaultKind, again: Sequence[str]) -> None:
    allocation.share_one_heap()
    chosen = backend.choose()  # first: without a desktop nothing else should start
    options = app.Options(vault=vault)
    app.keep_log(paths, options)
    languages.speak()
    at_login = autostart.of_this_system(again)
    with threaded.in_thread(paths, options) as core:
        app.settle()
        heeding = logind.Heeding(core.checkpoint, core.woke, lambda: os.kill(os.getpid(), signal.SIGTERM))
        with logind.heeded(heeding):
            end = show(core, chosen, autostart=at_login, log_folder=str(paths.root))
    if end is End.AGAIN:
        programs.become(at_login.command)
    if core.is_hanging:
        os._exit(1)  # the usual end waits for threads that may hang as well


def show(core: Core, chosen: backend.Backend, *, autostart: Autostart | None = None, log_folder: str = "") -> End:
    """Show the icon for as long as it is wanted. One that fails does not end the core.

    Raises TidegateError when there was no desktop to show it in.
    """
    first = True
    while True:
        try:
            return tray.run(core, chosen, autostart=autostart, log_folder=log_folder)
        except TidegateError as exc:
            if first:
                raise
            log.warning("the icon is not shown again: %s", exc.title)
        except Exception:  # the edge of the face
            log.exception("the icon has failed; Tidegate goes on serving without it")
        first = False
        if not faceless.wait(core):
            return End.QUIT


def demo(*, once: bool = False) -> int:
    """The demo in the tray. Returns the exit code; with `once` it ends by itself."""
    from core import demo_run  # noqa: PLC0415 - the simulated provider was a quarter of what a start imports

    chosen = backend.choose()
    languages.speak()
    with _demo_in_thread() as (portal, stage):
        core = threaded.CoreInThread(stage.core, portal.call(asyncio.get_running_loop))
        plan = demo_run.ONCE if once else demo_run.ENDLESS
        playing = portal.start_task_soon(stage.play, plan)
        try:
            tray.run(core, chosen, ends=playing.add_done_callback if once else None)
            summary: Summary | None = playing.result() if playing.done() and not playing.cancelled() else None
        finally:
            playing.cancel()
    if summary is None:
        return 0
    click.echo(summary.text)
    return 0 if summary.ok else 1


@contextmanager
def _demo_in_thread() -> "Iterator[tuple[BlockingPortal, demo_run.Stage]]":
    from core import demo_run  # noqa: PLC0415

    with (
        start_blocking_portal("asyncio", name="tidegate-core") as portal,
        portal.wrap_async_context_manager(demo_run.staged()) as stage,
    ):
        yield portal, stage


if __name__ == "__main__":
    from core.cli import main as command_line

    command_line()
