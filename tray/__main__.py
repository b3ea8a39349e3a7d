"""`tidegate`: the tray icon on the main thread, the core on its own."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from anyio.from_thread import BlockingPortal, start_blocking_portal

from core import app, demo_run, threaded
from core.demo import Summary
from core.files import Paths, default_paths
from tray import app as tray
from tray import backend

log = logging.getLogger(__name__)


def main(paths: Paths | None = None, vault: app.VaultKind = "keyring") -> None:
    """Show the tray and serve, until the person quits. Raises TidegateError when it cannot begin."""
    paths = paths or default_paths()
    options = app.Options(vault=vault)
    chosen = backend.choose()  # first: without a desktop nothing else should start
    app.keep_log(paths, options)
    with threaded.in_thread(paths, options) as core:
        tray.run(core, chosen)


def demo(*, once: bool = False) -> int:
    """The demo in the tray. Returns the exit code; with `once` it ends by itself."""
    chosen = backend.choose()
    with _demo_in_thread() as (portal, stage):
        core = threaded.CoreInThread(stage.core, portal)
        plan = demo_run.ONCE if once else demo_run.ENDLESS
        playing = portal.start_task_soon(stage.play, plan)
        try:
            tray.run(core, chosen, ends=playing.add_done_callback if once else None)
            summary: Summary | None = playing.result() if playing.done() and not playing.cancelled() else None
        finally:
            playing.cancel()
    if summary is None:
        return 0
    print(summary.text)  # noqa: T201 - the demo's last word, to the terminal it was started from
    return 0 if summary.ok else 1


@contextmanager
def _demo_in_thread() -> Iterator[tuple[BlockingPortal, demo_run.Stage]]:
    with (
        start_blocking_portal("asyncio", name="tidegate-core") as portal,
        portal.wrap_async_context_manager(demo_run.staged()) as stage,
    ):
        yield portal, stage


if __name__ == "__main__":
    from core.cli import main as command_line

    command_line()
