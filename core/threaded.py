"""The core on a thread of its own: `in_thread` for a user interface on another one, `alone_in_thread` for one order.

Neither thread takes the other along: the core goes on when the interface fails, and tells it when its own end comes.
A core that hangs is no different from one that has ended, except that it may come back.
"""

import asyncio
import logging
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import AbstractContextManager, contextmanager, suppress
from inspect import isawaitable
from typing import Any, TypeVar, TypeVarTuple, cast, overload

from anyio.from_thread import start_blocking_portal

from core import heartbeat
from core.app import Core, Options, alone, running
from core.blocking import blocking
from core.errors import TidegateError
from core.files import Paths
from core.import_glance import Glance, arguments_for, glance, here
from core.model import Notification, NotificationAction, Snapshot
from core.words import translate as _

log = logging.getLogger(__name__)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

SWITCH_INTERVAL_S = 0.0005
"""A busy drawing thread holds the interpreter for this long, not for 5 ms, before a request gets its turn."""
SAVE_WITHIN_S = 15.0
"""At the end of a desktop session, for logins that the vault does not take."""
CHECKPOINT_S = 4.0
"""Before a sleep: logind waits 5 s and then sleeps anyway (InhibitDelayMaxSec)."""
ANSWER_S = 20.0
"""More than any answer takes: saving at the end of a session, or a keychain that is slow to take the local key."""
END_LOOK_S = 0.2


class CoreInThread:
    """The core on a thread of its own, for a user interface on another one. Every method may be called from any.

    While it `is_hanging`, nothing that waits for it would come to an end.
    """

    def __init__(self, core: Core, loop: asyncio.AbstractEventLoop) -> None:
        self._core = core
        self.loop = loop
        self._ending = asyncio.Event()
        self._under_way: set[asyncio.Task[Any]] = set()
        self._notify: Callable[[Notification], None] = _unheard
        self._tell_end: Callable[[str], None] | None = None
        self._ended = ""
        self.is_hanging = False
        self._guard = threading.Lock()

    def snapshot(self) -> Snapshot:
        """The picture of this moment: the Pool is immutable, so any thread may draw it."""
        return self._core.engine.snapshot()

    def do(self, name: str, /, **arguments: object) -> None:
        """Give a command and do not wait; what fails is told by a notification."""
        self._post(self._obey, name, arguments)

    @contextmanager
    def subscribed(
        self,
        changed: Callable[[], None],
        notify: Callable[[Notification], None],
        ended: Callable[[str], None],
    ) -> Iterator[None]:
        """Until the block ends, call `changed` after every change and `notify` with each message.

        `ended` is called when the core has failed or hangs, with what is known of the reason; at once if that was
        before; with none when one that hung answers again. The first two from the core's thread, `ended` from any.
        """
        self._notify = notify
        with self._guard:
            self._tell_end = ended
            failure = self._failure()
        if failure:
            ended(failure)
        stops: list[Callable[[], None]] = []
        with suppress(NoAnswer):
            stops.append(self._ask(self._core.bus.subscribe, lambda _: changed()))
            stops.append(self._ask(self._core.on_notification, notify))
        try:
            yield
        finally:
            self._notify, self._tell_end = _unheard, None
            with suppress(NoAnswer):
                for stop in stops:
                    self._ask(stop)

    def answering(self, shows: Callable[[], None]) -> AbstractContextManager[None]:
        """Until the block ends, call `shows` when somebody starts Tidegate again. From the core's thread."""
        return self._core.doorbell.answered(shows)

    def checkpoint(self) -> None:
        """Have everything on the disk that was learned: the machine goes to sleep, and may not wake up."""
        self._ask(self._core.checkpoint, CHECKPOINT_S)

    def woke(self) -> None:
        """The machine has slept: connections may be dead, and rests and windows over."""
        self._post(self._core.woke)

    def finish(self) -> None:
        """The session ends, whatever we say: give the vault a last chance to take what it did not take."""
        with suppress(NoAnswer):
            self._ask(self._core.tokens.save, SAVE_WITHIN_S)

    def failed(self, exc: BaseException) -> None:
        """The core's thread has ended by itself."""
        self._ended = str(exc) or type(exc).__name__
        log.critical("the core has failed: %s", self._ended, exc_info=exc)
        self._tell_failure()

    def hangs(self, where: str | None) -> None:
        """The core's loop stands at `where`, or goes on."""
        self.is_hanging = where is not None
        self._tell_failure()
        if where is None:  # last: it may be the log that hangs
            log.warning("the core answers again")
        else:
            log.critical("the core does not answer, it is here:\n%s", where)

    def local_key(self) -> str:
        """The key that clients send. Raises VaultError."""
        return str(self._ask(self._ordered, "token", {})["key"])

    def sign_in(self, kind: str) -> str:
        """Begin a sign-in (`claude` or `api-key`). Returns the address for the browser; its end is told."""
        offer = self._ask(self._ordered, "begin_login", {"kind": kind})
        self._post(self._tell_the_end, offer["id"])
        return str(offer["url"])

    def look_around(self, found: Callable[[Glance], None]) -> None:
        """Without an account, see in the background what could be imported, and tell `found` from the core's thread."""
        self._post(self._look_around, found)

    def take_over(self) -> None:
        """Import what other programs have, and do not wait; what came of it is told by a notification."""
        self._post(self._take_over)

    def dashboard_url(self) -> str:
        """The status page; good once and for a minute."""
        return self._ask(self._core.page_link)

    def stop(self) -> None:
        """Whether the process may end. Raises TidegateError while a renewed login exists in memory only."""
        if self._failure():
            return
        unsaved = self._ask(self._core.tokens.at_risk)
        if unsaved:
            labels = ", ".join(self._core.engine.label(id_) for id_ in unsaved)
            raise TidegateError(f"Not saved yet: {labels}", "Unlock the keychain; Tidegate saves it by itself.")

    def end(self) -> None:
        """Have the core's thread end, in its own time."""
        with suppress(RuntimeError):  # it has
            self.loop.call_soon_threadsafe(self._ending.set)

    async def until_end(self) -> None:
        """For the core's thread: wait for `end`, then leave what is asked. `running` waits for the commands in it."""
        await self._ending.wait()
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _failure(self) -> str:
        """Why nobody gets an answer; empty while they do."""
        return self._ended or (_("It does not answer any more") if self.is_hanging else "")

    def _tell_failure(self) -> None:
        with self._guard:
            failure, tell = self._failure(), self._tell_end
        if tell:
            tell(failure)

    @overload
    def _ask(self, function: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T: ...

    @overload
    def _ask(self, function: Callable[[*Ts], T], *args: *Ts) -> T: ...

    def _ask(self, function: Callable[[*Ts], Any], *args: *Ts) -> Any:
        """What the core's thread answers. Raises NoAnswer when it has failed or hangs, and what `function` raises."""
        answer = self._start(function, *args)
        try:
            return answer.result(ANSWER_S)
        except CancelledError as exc:  # it failed meanwhile
            raise NoAnswer(_("Tidegate has failed"), self._failure()) from exc
        except TimeoutError as exc:
            if answer.cancel():
                raise NoAnswer(_("Tidegate does not answer"), _("In half a minute it can be started again.")) from exc
            raise

    def _post(self, function: Callable[[*Ts], Any], *args: *Ts) -> None:
        """Have it done in the core's thread, and do not wait. A defect in it is logged. Raises NoAnswer."""
        self._start(function, *args).add_done_callback(_log_defect)

    def _start(self, function: Callable[[*Ts], Any], *args: *Ts) -> Future[Any]:
        if failure := self._failure():
            raise NoAnswer(_("Tidegate has failed"), failure)
        called = self._called(function, *args)
        try:
            return asyncio.run_coroutine_threadsafe(called, self.loop)
        except RuntimeError as exc:
            called.close()
            raise NoAnswer(_("Tidegate has failed"), str(exc)) from exc

    async def _called(self, function: Callable[[*Ts], Any], *args: *Ts) -> Any:
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        answer = function(*args)
        return await answer if isawaitable(answer) else answer

    async def _ordered(self, name: str, arguments: Mapping[str, object]) -> Any:
        """Obeyed in the core's thread: also the commands are made there, by the first order."""
        return await self._core.commands.run(name, arguments)

    async def _tell_the_end(self, id_: str) -> None:
        try:
            answer: dict[str, str] = {}
            while "text" not in answer:
                answer = await self._ordered("await_login", {"id": id_, "for_s": 30.0})
        except TidegateError as exc:
            self._notify(Notification(exc.title, exc.hint, key="sign-in", urgent=True))
        else:
            self._notify(Notification(answer["text"], "", key="sign-in"))

    async def _obey(self, name: str, arguments: Mapping[str, object]) -> None:
        try:
            answer = await self._ordered(name, arguments)
        except TidegateError as exc:
            self._notify(Notification(exc.title, exc.hint, key="command", urgent=True))
        else:
            if name == "connect":
                self._notify(_now_connected(answer, arguments))
            elif name in _TOLD:
                self._notify(Notification(answer["text"], "", key="command"))

    async def _look_around(self, found: Callable[[Glance], None]) -> None:
        if self._core.engine.pool.accounts:
            return
        found(await blocking(glance, here(), self._core.clock()))

    async def _take_over(self) -> None:
        try:
            answer = await self._ordered("import", arguments_for(here()))
        except TidegateError as exc:
            self._notify(Notification(exc.title, exc.hint, key="import", urgent=True))
        else:
            self._notify(_imported(answer["lines"]))


class NoAnswer(TidegateError):
    """The core's thread has failed, or is about to be found to hang."""


_TOLD = frozenset({"remove", "refresh", "reset", "undo"})
"""Commands whose success the menu does not show, or not at once."""


def _now_connected(answer: Mapping[str, Any], order: Mapping[str, object]) -> Notification:
    """What was changed in another program's settings, and the way back."""
    changed = f"In {answer['file']}: {', '.join(answer['settings'])}." if answer["settings"] else ""
    body = " ".join(filter(None, (changed, *answer["notes"])))
    return Notification(answer["text"], body, key="command", actions=(NotificationAction(_("Undo"), "undo", order),))


def _imported(lines: Sequence[Mapping[str, Any]]) -> Notification:
    """What a person should read of an import."""
    taken = [line for line in lines if line["outcome"] in {"import", "update"}]
    title = f"Imported {', '.join(line['label'] for line in taken)}" if taken else "Nothing was imported"
    said = [f"{line['text']}." for line in lines if line["outcome"] == "problem"]
    if any(line["borrowed"] for line in taken):
        said.append("Borrowed logins end by themselves; the menu makes them Tidegate's own.")
    return Notification(title, " ".join(said), key="import")


def _log_defect(done: Future[Any]) -> None:
    if not done.cancelled() and (exc := done.exception()):
        log.error("the core could not do what it was told", exc_info=exc)


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
    """A whole instance on another thread, until the block ends. Raises what `running` raises.

    One that hangs then is left behind: it goes with the process, if that goes without waiting for its threads.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    started: Future[CoreInThread] = Future()

    async def serve() -> None:
        async with running(paths, options) as core:
            here = CoreInThread(core, asyncio.get_running_loop())
            started.set_result(here)
            await here.until_end()

    # Not `start_blocking_portal`: it does not tell when its thread dies, nor of what.
    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as exc:  # noqa: BLE001 - the edge of the thread
            if not started.done():
                started.set_exception(exc)
            else:
                started.result().failed(exc)

    thread = threading.Thread(target=run, name="tidegate-core", daemon=True)
    thread.start()
    core = started.result()
    with heartbeat.watched(core.loop, thread, core.hangs):
        try:
            yield core
        finally:
            core.end()
            while thread.is_alive() and not core.is_hanging:
                thread.join(END_LOOK_S)
