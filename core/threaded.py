"""The core on a thread of its own: `in_thread` for a user interface on another one, `alone_in_thread` for one order."""

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import anyio.to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal

from core.app import Core, Options, alone, running
from core.errors import TidegateError
from core.files import Paths
from core.import_glance import Glance, arguments_for, glance, here
from core.model import Notification, Snapshot

log = logging.getLogger(__name__)

SWITCH_INTERVAL_S = 0.0005
"""A busy drawing thread holds the interpreter for this long, not for 5 ms, before a request gets its turn."""


class CoreInThread:
    """The core on a thread of its own, for a user interface on another one. Every method may be called from any."""

    def __init__(self, core: Core, portal: BlockingPortal) -> None:
        self._core = core
        self._portal = portal
        self._notify: Callable[[Notification], None] = _unheard

    def snapshot(self) -> Snapshot:
        """The picture of this moment: the Pool is immutable, so any thread may draw it."""
        return self._core.engine.snapshot()

    def do(self, name: str, **arguments: object) -> None:
        """Give a command and do not wait; what fails is told by a notification."""
        self._portal.start_task_soon(self._obey, name, arguments)

    def subscribe(self, changed: Callable[[], None], notify: Callable[[Notification], None]) -> None:
        """Call `changed` after every change and `notify` with each message, from the core's thread."""
        self._notify = notify
        self._portal.call(self._core.bus.subscribe, lambda _: changed())
        self._portal.call(self._core.on_notification, notify)

    def local_key(self) -> str:
        """The key that clients send. Raises VaultError."""
        return str(self._portal.call(self._core.commands.run, "token", {})["key"])

    def sign_in(self, kind: str) -> str:
        """Begin a sign-in (`claude` or `api-key`). Returns the address for the browser; its end is told."""
        offer = self._portal.call(self._core.commands.run, "begin_login", {"kind": kind})
        self._portal.start_task_soon(self._tell_the_end, offer["id"])
        return str(offer["url"])

    def look_around(self, found: Callable[[Glance], None]) -> None:
        """Without an account, see in the background what could be imported, and tell `found` from the core's thread."""
        self._portal.start_task_soon(self._look_around, found)

    def take_over(self) -> None:
        """Import what other programs have, and do not wait; what came of it is told by a notification."""
        self._portal.start_task_soon(self._take_over)

    def dashboard_url(self) -> str:
        """The status page; good once and for a minute."""
        return self._portal.call(self._core.page_link)

    def stop(self) -> None:
        """Whether the process may end. Raises TidegateError while a renewed login exists in memory only."""
        unsaved = self._portal.call(self._core.tokens.at_risk)
        if unsaved:
            labels = ", ".join(self._core.engine.label(id_) for id_ in unsaved)
            raise TidegateError(f"Not saved yet: {labels}", "Unlock the keychain; Tidegate saves it by itself.")

    async def _tell_the_end(self, id_: str) -> None:
        try:
            answer: dict[str, str] = {}
            while "text" not in answer:
                answer = await self._core.commands.run("await_login", {"id": id_, "for_s": 30.0})
        except TidegateError as exc:
            self._notify(Notification(exc.title, exc.hint, key="sign-in", urgent=True))
        else:
            self._notify(Notification(answer["text"], "", key="sign-in"))

    async def _obey(self, name: str, arguments: Mapping[str, object]) -> None:
        try:
            answer = await self._core.commands.run(name, arguments)
        except TidegateError as exc:
            self._notify(Notification(exc.title, exc.hint, key="command", urgent=True))
        else:
            if name in _TOLD:
                self._notify(Notification(answer["text"], "", key="command"))

    async def _look_around(self, found: Callable[[Glance], None]) -> None:
        if self._core.engine.pool.accounts:
            return
        try:
            seen = await anyio.to_thread.run_sync(glance, here(), self._core.clock())
        except Exception:  # the edge of a task: whatever lies in those files, the tray goes on
            log.exception("what other programs have could not be seen")
        else:
            found(seen)

    async def _take_over(self) -> None:
        try:
            answer = await self._core.commands.run("import", arguments_for(here()))
        except TidegateError as exc:
            self._notify(Notification(exc.title, exc.hint, key="import", urgent=True))
        else:
            self._notify(_imported(answer["lines"]))


_TOLD = frozenset({"remove", "refresh", "reset"})
"""Commands whose success the menu does not show, or not at once."""


def _imported(lines: Sequence[Mapping[str, Any]]) -> Notification:
    """What a person should read of an import."""
    taken = [line for line in lines if line["outcome"] in {"import", "update"}]
    title = f"Imported {', '.join(line['label'] for line in taken)}" if taken else "Nothing was imported"
    said = [f"{line['text']}." for line in lines if line["outcome"] == "problem"]
    if any(line["borrowed"] for line in taken):
        said.append("Borrowed logins end by themselves; the menu makes them Tidegate's own.")
    return Notification(title, " ".join(said), key="import")


def _unheard(message: Notification) -> None:
    log.warning("%s %s", message.title, message.body)


@contextmanager
def alone_in_thread(paths: Paths, options: Options) -> Iterator[Callable[[str, Mapping[str, object]], Any]]:
    """The commands of an installation that is not running, for a caller without an event loop."""
    with (
        start_blocking_portal("asyncio", name="tidegate-core") as portal,
        portal.wrap_async_context_manager(alone(paths, options)) as commands,
    ):
        yield lambda name, arguments: portal.call(commands.run, name, arguments)


@contextmanager
def in_thread(paths: Paths, options: Options) -> Iterator[CoreInThread]:
    """A whole instance on another thread, until the block ends. Raises what `running` raises."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    with (
        start_blocking_portal("asyncio", name="tidegate-core") as portal,
        portal.wrap_async_context_manager(running(paths, options)) as core,
    ):
        yield CoreInThread(core, portal)
