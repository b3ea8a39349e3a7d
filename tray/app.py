"""The tray application: draws what the core reports, and hands the person's clicks to the core.

The main thread belongs to the desktop's icon. One worker, the thread that pystray starts for its icon, does all
the rest in turn: it draws, acts on clicks, shows messages. So nothing here needs a lock, and a slow click never
freezes the menu. Without news it sleeps, until something on the screen ends by itself.

Core and tray fail apart. A worker that fails takes the icon down, rather than leave a picture that only looks alive;
a core that fails is shown as such, with the way to start it again.
"""

import contextlib
import logging
import math
import os
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import assert_never

from PIL.Image import Image

from core import programs
from core.errors import TidegateError
from core.import_glance import Glance
from core.model import AccountId, AccountKind, LoginState, Notification, NotificationAction, Snapshot
from core.words import translate as _
from tray import clipboard, ending, icon, icon_application, menu, menu_failed, pystray_menu
from tray.backend import Backend, TrayIcon
from tray.icon_colours import Panel
from tray.items import (
    Action,
    CopyAddress,
    CopyKey,
    Import,
    Item,
    OpenDashboard,
    OpenFolder,
    Order,
    Quit,
    SignIn,
    StartAgain,
    StartAtLogin,
)
from tray.menu_preferences import Desk
from tray.notify import Notifier
from tray.panel_advice import advice
from tray.seams import Autostart, Core, End

NAME = "tidegate"
REDRAW_S = 0.2
"""The least time between two drawings: more than five a second nobody sees, and panels have been killed by it."""
LONGEST_SLEEP_S = 300.0
"""While a rest or a window is running out. The clock that wakes us stands still while the machine sleeps."""
HOST_PATIENCE_S = 10.0
"""After a login the panel may come up later than we do; restarted, it is away for a second or two."""
PICTURE_SIZE = 64
"""Of the program's icon in notifications; some daemons show it as large as it is."""
WORKER_S = 5.0
"""For what the worker is doing when the icon is gone."""
SHOWN_AGAIN_S = 3.0
"""Starts in such a burst are one wish to see Tidegate, not so many browser tabs."""
_START_AGAIN = "start again"
"""In a message's button: an order of the tray's own, the core has none of this name."""
_FAILED = icon.IconState(None, sign=icon.Sign.OFFLINE)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Changed:
    """There is a new snapshot."""


@dataclass(frozen=True, slots=True)
class _Hosted:
    """A panel shows the icon, or none does."""

    shown: bool


@dataclass(frozen=True, slots=True)
class _DeskChanged:
    """Look at what the desktop's side is like."""


@dataclass(frozen=True, slots=True)
class _Failed:
    """The core has failed or hangs; without a reason it answers again."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Show:
    """Somebody started Tidegate a second time."""


@dataclass(frozen=True, slots=True)
class _SessionEnds:
    """The process is to end, and nobody is asked."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """The icon is gone."""


_Message = Action | Notification | Glance | _Changed | _Hosted | _DeskChanged | _Failed | _Show | _SessionEnds | _Ended


class App:
    """The tray of one core. `run()` once, from the main thread."""

    def __init__(
        self,
        core: Core,
        backend: Backend,
        notifier: Notifier,
        open_url: Callable[[str], bool] = programs.open_url,
        *,
        host_patience_s: float = HOST_PATIENCE_S,
        autostart: Autostart | None = None,
        log_folder: str = "",
    ) -> None:
        self._core = core
        self._backend = backend
        self._notifier = notifier
        self._open_url = open_url
        self._host_patience_s = host_patience_s
        self._autostart = autostart
        self._desk = Desk(log_folder=log_folder)
        self._inbox: queue.SimpleQueue[_Message] = queue.SimpleQueue()
        self._dirty = threading.Event()
        self._draw_at = 0.0
        self._drawn_at = -math.inf
        self._hostless_at = math.inf
        self._shown_at = -math.inf
        self._found: Glance | None = None
        self._failure = ""
        self._unsaved: frozenset[AccountId] = frozenset()
        self._end = End.QUIT
        self._worker: threading.Thread | None = None
        self._worker_failure: BaseException | None = None
        self._items: tuple[Item, ...] = ()
        self._look: tuple[icon.IconState, Panel] | None = None
        self._icon = self._make_icon()

    def _make_icon(self) -> TrayIcon:
        return self._backend.icon(
            NAME,
            self._images(icon.state_of(self._core.snapshot()), self._backend.panel()),
            "Tidegate",
            pystray_menu.menu(
                lambda: self._menu(self._core.snapshot(), time.time()),
                self._inbox.put,
                double_ampersands=self._backend.double_ampersands,
            ),
            on_host=lambda shown: self._inbox.put(_Hosted(shown)),
        )

    def run(self) -> End:
        """Show the icon until the person quits or the desktop session is over. The core may still run then.

        Raises TidegateError when there is no desktop, and whatever ended the icon or its worker.
        """
        self._notifier.listen(self._pressed, lambda: self._inbox.put(_DeskChanged()))
        with (
            self._core.subscribed(self._changed, self._inbox.put, lambda reason: self._inbox.put(_Failed(reason))),
            self._core.answering(lambda: self._inbox.put(_Show())),
        ):
            self._core.look_around(self._inbox.put)
            self._inbox.put(_DeskChanged())
            try:
                self._icon.run(self._work)
            finally:
                self._inbox.put(_Ended())
                if self._worker:
                    self._worker.join(WORKER_S)
        if self._worker_failure:
            raise self._worker_failure
        return self._end

    def end(self) -> None:
        """Save what can be saved and end, without asking. From any thread, and from a signal's handler."""
        self._inbox.put(_SessionEnds())

    def _pressed(self, action: NotificationAction) -> None:
        """A button of a message, or the message itself."""
        if action.order == _START_AGAIN:
            self._inbox.put(StartAgain())
        else:
            self._inbox.put(Order(action.order, action.arguments) if action.order else OpenDashboard())

    def _changed(self) -> None:
        """Called from the core's thread, possibly thousands of times a second: one entry in the inbox is enough."""
        if not self._dirty.is_set():
            self._dirty.set()
            self._inbox.put(_Changed())

    # --- the worker --------------------------------------------------------------------------------

    def _work(self, shown: TrayIcon) -> None:
        self._worker = threading.current_thread()
        try:
            self._backend.run_on_ui(lambda: setattr(shown, "visible", True))
            self._work_through()
        except BaseException as exc:  # noqa: BLE001 - the edge of a thread; `run` raises it where it is seen
            self._worker_failure = exc
            self._backend.run_on_ui(self._icon.stop)

    def _work_through(self) -> None:
        message: _Message | None = None
        while not isinstance(message, _Ended):
            message = self._next()
            try:
                self._on_time() if message is None else self._take(message)
            except TidegateError as exc:
                log.warning("%s. %s", exc.title, exc.hint)
                self._notifier.show(Notification(exc.title, exc.hint, key="tray", urgent=True))
            except Exception:  # the edge of a thread: one click that fails must not end all others
                log.exception("the tray could not do this: %s", type(message).__name__)

    def _next(self) -> _Message | None:
        """The next message, None when it is time to do something without one."""
        try:
            return self._inbox.get(timeout=self._patience())
        except queue.Empty:
            return None

    def _patience(self) -> float | None:
        """How long nothing is to be done, None for ever."""
        next_at = min(self._draw_at, self._hostless_at)
        return None if next_at == math.inf else max(0.0, next_at - time.monotonic())

    def _on_time(self) -> None:
        now = time.monotonic()
        if self._hostless_at <= now:
            self._hostless_at = math.inf
            self._say_there_is_no_panel()
        if self._draw_at <= now:
            self._drawn_at = now
            self._draw()

    def _take(self, message: _Message) -> None:
        match message:
            case _Changed():
                self._draw_soon()
            case _Hosted(shown=shown):
                log.info("the tray icon is %s", "in a panel" if shown else "nowhere: no panel takes it")
                self._hostless_at = math.inf if shown else time.monotonic() + self._host_patience_s
                if self._look and self._look[1] is not self._backend.panel():
                    self._draw_soon()
            case Notification():
                self._notifier.show(message)
            case Glance():
                self._found = message
                self._draw_soon()
            case _DeskChanged():
                self._look_at_desk()
            case _Failed(reason=reason):
                self._say_that_it_failed(reason)
            case _Show():
                self._show()
            case _SessionEnds():
                self._core.finish()
                self._leave(End.QUIT)
            case _Ended():
                pass
            case _:
                self._act(message)

    def _draw_soon(self) -> None:
        self._draw_at = min(self._draw_at, self._drawn_at + REDRAW_S)

    def _say_there_is_no_panel(self) -> None:
        wanted = advice(os.environ.get("XDG_CURRENT_DESKTOP", ""))
        log.warning("no panel shows tray icons; Tidegate keeps running. %s", wanted)
        body = " ".join((_("Tidegate keeps running."), _in_a_terminal("tidegate dashboard")))
        self._tell(_("No panel shows Tidegate's icon"), body)

    def _say_that_it_failed(self, reason: str) -> None:
        self._failure = reason
        self._draw_soon()
        if not reason:
            self._notifier.show(Notification(_("Tidegate answers again"), "", key="failed"))
            return
        told = _("{reason}. Programs get no answer until it is started again.").format(reason=reason)
        again = NotificationAction(_("Start again"), _START_AGAIN)
        self._notifier.show(Notification(_("Tidegate has failed"), told, key="failed", urgent=True, actions=(again,)))

    def _show(self) -> None:
        """Have the person see Tidegate. No panel can be asked to open its menu."""
        now = time.monotonic()
        if not self._failure and now - self._shown_at > SHOWN_AGAIN_S:
            self._open_dashboard("")
        self._shown_at = now

    def _leave(self, end: End) -> None:
        self._end = end
        self._inbox.put(_Ended())  # before the icon ends: its end waits for this worker's
        self._backend.run_on_ui(self._icon.stop)

    # --- drawing -----------------------------------------------------------------------------------

    def _draw(self) -> None:
        """Bring icon, menu and tooltip up to date, each only if it changed."""
        self._draw_at = math.inf
        self._dirty.clear()  # before looking: what changes from here on asks for another drawing
        snapshot, now = self._core.snapshot(), time.time()
        ends_at = menu.changes_at(snapshot, now)
        sleep_s = math.inf if ends_at is None else min(LONGEST_SLEEP_S, ends_at - now)
        self._draw_at = time.monotonic() + max(REDRAW_S, sleep_s)
        items = self._menu(snapshot, now)
        state = _FAILED if self._failure else icon.state_of(snapshot)
        look = (replace(state, style=snapshot.icon), self._backend.panel())
        title = menu_failed.tooltip(self._failure) if self._failure else menu.tooltip(snapshot, now)
        self._tell_unsaved(snapshot)
        images = self._images(*look) if look != self._look else None
        other_menu = items != self._items
        self._look, self._items = look, items

        def show() -> None:
            if images is not None:
                self._icon.icon = images
            if other_menu:
                self._icon.update_menu()
            self._icon.title = title

        self._backend.run_on_ui(show)

    def _menu(self, snapshot: Snapshot, now: float) -> tuple[Item, ...]:
        if self._failure:
            return menu_failed.build(self._failure, self._desk)
        return menu.build(snapshot, now, self._found, self._desk)

    def _tell_unsaved(self, snapshot: Snapshot) -> None:
        """Logins that the vault does not take, once for each time that it begins."""
        views = {view.id: view for view in snapshot.accounts if view.login.state is LoginState.UNSAVED}
        for id_ in views.keys() - self._unsaved:
            title = _("Not saved: the login of {account}").format(account=views[id_].label)
            body = _("Unlock the keychain; Tidegate saves it by itself.")
            self._notifier.show(Notification(title, body, key=f"unsaved-{id_}", urgent=True))
        self._unsaved = frozenset(views)

    def _images(self, state: icon.IconState, panel: Panel) -> tuple[Image, ...]:
        return tuple(icon.draw(state, size, panel) for size in self._backend.sizes)

    # --- clicks ------------------------------------------------------------------------------------

    def _act(self, action: Action) -> None:
        match action:
            case Order(name=name, arguments=arguments):
                self._core.do(name, **arguments)
            case SignIn(kind=kind):
                self._sign_in(kind)
            case Import():
                self._core.take_over()
            case CopyAddress():
                address = self._core.snapshot().address
                self._copy(address, _("The address is on the clipboard"), otherwise=address)
            case CopyKey():
                see = _("See it with: {command}").format(command="tidegate token")
                self._copy(self._core.local_key(), _("The key is on the clipboard"), otherwise=see)
            case OpenDashboard(place=place):
                self._open_dashboard(place)
            case OpenFolder(path=path):
                self._open_folder(path)
            case StartAtLogin(on=on):
                self._start_at_login(on)
            case StartAgain():
                if self._failure:
                    self._leave(End.AGAIN)
            case Quit():
                self._core.stop()
                self._leave(End.QUIT)
            case _:
                assert_never(action)

    def _sign_in(self, kind: AccountKind) -> None:
        url = self._core.sign_in(kind.value)
        if not self._open_url(url):
            otherwise = _in_a_terminal("tidegate add claude")
            self._copy(url, _("Open the address that is on the clipboard"), otherwise=otherwise)

    def _open_folder(self, path: str) -> None:
        if not self._open_url(Path(path).as_uri()):
            self._tell(_("Nothing here opens folders"), path)

    def _start_at_login(self, on: bool) -> None:
        if self._autostart is not None:
            self._autostart.switch_on() if on else self._autostart.switch_off()
            self._look_at_desk()

    def _look_at_desk(self) -> None:
        """Have the menu show what the desktop's side is like."""
        at_login = None if self._autostart is None else self._autostart.status().on
        self._desk = replace(self._desk, autostart=at_login, notifications=self._notifier.available() is not False)
        self._draw_soon()

    def _open_dashboard(self, place: str) -> None:
        url = self._core.dashboard_url()
        if not url or not self._open_url(f"{url}#{place}" if place else url):
            self._tell(_("There is no dashboard to open"), _in_a_terminal("tidegate status"))

    def _copy(self, text: str, done: str, *, otherwise: str) -> None:
        if clipboard.copy(text):
            self._tell(done, "")
        else:
            self._tell(_("There is no clipboard program"), otherwise)

    def _tell(self, title: str, body: str) -> None:
        self._notifier.show(Notification(title, body, key="tray"))


def _in_a_terminal(command: str) -> str:
    return _("In a terminal: {command}").format(command=command)


@contextlib.contextmanager
def notifications() -> Iterator[Notifier]:
    """Messages with the program's own picture."""
    with tempfile.TemporaryDirectory(prefix="tidegate-") as folder:
        picture = Path(folder) / "tidegate.png"
        icon_application.render(PICTURE_SIZE).save(picture)
        with Notifier(picture) as notifier:
            yield notifier


def run(
    core: Core,
    backend: Backend,
    *,
    ends: Callable[[Callable[[object], None]], object] | None = None,
    host_patience_s: float = HOST_PATIENCE_S,
    autostart: Autostart | None = None,
    log_folder: str = "",
) -> End:
    """Show the tray for `core` until the end of `App.run()`, with the desktop's notifications. Ctrl-C quits too.

    `ends` is told what to call when the tray should quit by itself (`add_done_callback` of a future fits).
    """
    with notifications() as notifier:
        app = App(core, backend, notifier, host_patience_s=host_patience_s, autostart=autostart, log_folder=log_folder)
        if ends is not None:
            ends(lambda _: app.end())
        with ending.asked_to_end(app.end):
            return app.run()
