"""The tray application: draws what the core reports, and hands the person's clicks to the core.

The main thread belongs to the desktop's icon. One worker, the thread that pystray starts for its icon, does all
the rest in turn: it draws, acts on clicks, shows messages. So nothing here needs a lock, and a slow click never
freezes the menu. Without news it sleeps, until something on the screen ends by itself.
"""

import contextlib
import logging
import math
import queue
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, assert_never

from core import programs
from core.errors import TidegateError
from core.import_glance import Glance
from core.model import AccountKind, Notification, Snapshot
from tray import clipboard, icon, menu, pystray_menu
from tray.backend import Backend, TrayIcon
from tray.items import Action, CopyAddress, CopyKey, Import, Item, OpenDashboard, Order, Quit, SignIn
from tray.notify import Notifier

NAME = "tidegate"
REDRAW_S = 0.2
"""The least time between two drawings: more than five a second nobody sees, and panels have been killed by it."""
LONGEST_SLEEP_S = 300.0
"""While a rest or a window is running out. The clock that wakes us stands still while the machine sleeps."""
HOST_PATIENCE_S = 10.0
"""After a login the panel may come up later than we do; restarted, it is away for a second or two."""
PICTURE_SIZE = 64
"""Of the program's icon in notifications; some daemons show it as large as it is."""

log = logging.getLogger(__name__)


class Core(Protocol):
    """The core, as the tray sees it. Every method may be called from any thread."""

    def snapshot(self) -> Snapshot:
        """The picture of this moment. Cheap: it is called for each drawing."""

    def do(self, name: str, **arguments: object) -> None:
        """Give the core a command and do not wait. What comes of it shows in the snapshot or as a notification.

        The names and arguments are those of `core.commands`.
        """

    def subscribe(self, changed: Callable[[], None], notify: Callable[[Notification], None]) -> None:
        """Have `changed` called after every change of the snapshot, and `notify` with each message."""

    def local_key(self) -> str:
        """The key that clients of the proxy send."""

    def sign_in(self, kind: str) -> str:
        """Begin a sign-in. Returns the address for the browser; how it ends comes as a notification."""

    def look_around(self, found: Callable[[Glance], None]) -> None:
        """Have `found` called, soon and at most once, with what other programs have that could be imported."""

    def take_over(self) -> None:
        """Import it, and do not wait. What comes of it shows in the snapshot and as a notification."""

    def dashboard_url(self) -> str:
        """Where a browser finds the dashboard; empty while there is none."""

    def stop(self) -> None:
        """Stop, and wait until it is safe to end the process. Raises TidegateError when it is not; twice is fine."""


@dataclass(frozen=True, slots=True)
class _Changed:
    """There is a new snapshot."""


@dataclass(frozen=True, slots=True)
class _Hosted:
    """A panel shows the icon, or none does."""

    shown: bool


@dataclass(frozen=True, slots=True)
class _Ended:
    """The icon is gone."""


_Message = Action | Notification | Glance | _Changed | _Hosted | _Ended


class App:
    """The tray of one core. `run()` once, from the main thread."""

    def __init__(
        self,
        core: Core,
        backend: Backend,
        notifier: Notifier,
        open_url: Callable[[str], bool] = programs.open_url,
        host_patience_s: float = HOST_PATIENCE_S,
    ) -> None:
        self._core = core
        self._backend = backend
        self._notifier = notifier
        self._open_url = open_url
        self._host_patience_s = host_patience_s
        self._inbox: queue.SimpleQueue[_Message] = queue.SimpleQueue()
        self._dirty = threading.Event()
        self._draw_at = 0.0
        self._drawn_at = -math.inf
        self._hostless_at = math.inf
        self._found: Glance | None = None
        self._items: tuple[Item, ...] = ()
        self._state: icon.IconState | None = None
        self._icon = self._make_icon()

    def _make_icon(self) -> TrayIcon:
        return self._backend.icon(
            NAME,
            self._images(icon.state_of(self._core.snapshot())),
            "Tidegate",
            pystray_menu.menu(
                lambda: menu.build(self._core.snapshot(), time.time(), self._found),
                self._inbox.put,
                double_ampersands=self._backend.double_ampersands,
            ),
            on_host=lambda shown: self._inbox.put(_Hosted(shown)),
        )

    def run(self) -> None:
        """Show the icon until the person quits or the desktop session is over.

        In the last case the core still runs. Raises TidegateError when there is no desktop.
        """
        self._core.subscribe(self._changed, self._inbox.put)
        self._core.look_around(self._inbox.put)
        try:
            self._icon.run(self._work)
        finally:
            self._inbox.put(_Ended())

    def quit(self) -> None:
        """Do what the menu's Quit does. From any thread, and from a signal's handler."""
        self._inbox.put(Quit())

    def _changed(self) -> None:
        """Called from the core's thread, possibly thousands of times a second: one entry in the inbox is enough."""
        if not self._dirty.is_set():
            self._dirty.set()
            self._inbox.put(_Changed())

    # --- the worker --------------------------------------------------------------------------------

    def _work(self, shown: TrayIcon) -> None:
        self._backend.run_on_ui(lambda: setattr(shown, "visible", True))
        message: _Message | None = None
        while not isinstance(message, _Ended):
            try:
                message = self._next()
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
                self._draw_at = min(self._draw_at, self._drawn_at + REDRAW_S)
            case _Hosted(shown=shown):
                log.info("the tray icon is %s", "in a panel" if shown else "nowhere: no panel takes it")
                self._hostless_at = math.inf if shown else time.monotonic() + self._host_patience_s
            case Notification():
                self._notifier.show(message)
            case Glance():
                self._found = message
                self._draw_at = min(self._draw_at, self._drawn_at + REDRAW_S)
            case _Ended():
                pass
            case _:
                self._act(message)

    def _say_there_is_no_panel(self) -> None:
        log.warning("no panel shows tray icons; Tidegate keeps running")
        self._tell("No panel shows Tidegate's icon", "Tidegate keeps running. In a terminal: tidegate status")

    # --- drawing -----------------------------------------------------------------------------------

    def _draw(self) -> None:
        """Bring icon, menu and tooltip up to date, each only if it changed."""
        self._draw_at = math.inf
        self._dirty.clear()  # before looking: what changes from here on asks for another drawing
        snapshot, now = self._core.snapshot(), time.time()
        ends_at = menu.changes_at(snapshot, now)
        sleep_s = math.inf if ends_at is None else min(LONGEST_SLEEP_S, ends_at - now)
        self._draw_at = time.monotonic() + max(REDRAW_S, sleep_s)
        items = menu.build(snapshot, now, self._found)
        state, title = icon.state_of(snapshot), menu.tooltip(snapshot, now)
        images = self._images(state) if state != self._state else None
        other_menu = items != self._items
        self._state, self._items = state, items

        def show() -> None:
            if images is not None:
                self._icon.icon = images
            if other_menu:
                self._icon.update_menu()
            self._icon.title = title

        self._backend.run_on_ui(show)

    def _images(self, state: icon.IconState) -> object:
        images = [icon.draw(state, size, self._backend.dark) for size in self._backend.sizes]
        return images if len(images) > 1 else images[0]

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
                self._copy(address, "The address is on the clipboard", otherwise=address)
            case CopyKey():
                self._copy(
                    self._core.local_key(), "The key is on the clipboard", otherwise="See it with: tidegate token"
                )
            case OpenDashboard(place=place):
                self._open_dashboard(place)
            case Quit():
                self._core.stop()
                self._inbox.put(_Ended())  # before the icon ends: its end waits for this worker's
                self._backend.run_on_ui(self._icon.stop)
            case _:
                assert_never(action)

    def _sign_in(self, kind: AccountKind) -> None:
        url = self._core.sign_in(kind.value)
        if not self._open_url(url):
            self._copy(url, "Open the address that is on the clipboard", otherwise="In a terminal: tidegate add claude")

    def _open_dashboard(self, place: str) -> None:
        url = self._core.dashboard_url()
        if not url or not self._open_url(f"{url}#{place}" if place else url):
            self._tell("There is no dashboard to open", "In a terminal: tidegate status")

    def _copy(self, text: str, done: str, *, otherwise: str) -> None:
        if clipboard.copy(text):
            self._tell(done, "")
        else:
            self._tell("There is no clipboard program", otherwise)

    def _tell(self, title: str, body: str) -> None:
        self._notifier.show(Notification(title, body, key="tray"))


@contextlib.contextmanager
def _ending_signals(end: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C and a polite kill end the program as Quit does."""
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: end()) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(
    core: Core,
    backend: Backend,
    *,
    ends: Callable[[Callable[[object], None]], object] | None = None,
    host_patience_s: float = HOST_PATIENCE_S,
) -> None:
    """Show the tray for `core` until the end of `App.run()`, with the desktop's notifications. Ctrl-C quits too.

    `ends` is told what to call when the tray should quit by itself (`add_done_callback` of a future fits).
    """
    with tempfile.TemporaryDirectory(prefix="tidegate-") as folder:
        picture = Path(folder) / "tidegate.png"
        icon.render(icon.application(PICTURE_SIZE), PICTURE_SIZE).save(picture)
        with Notifier(picture) as notifier:
            app = App(core, backend, notifier, host_patience_s=host_patience_s)
            if ends is not None:
                ends(lambda _: app.quit())
            with _ending_signals(app.quit):
                app.run()
