"""The tray icon on Linux: a pystray back end that speaks StatusNotifierItem on the session bus. No GTK, no X.

A panel that is started or restarted later gets the icon as well, and `on_host` says whether any panel shows it.
https://www.freedesktop.org/wiki/Specifications/StatusNotifierItem/
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

from dbus_fast import BusType, DBusError, DBusFastError, Message, MessageType, PropertyAccess
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusBool, DBusInt32, DBusObjectPath, DBusSignature, DBusStr
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property, dbus_signal
from PIL import Image

from core.errors import NoDesktop
from tray import dbusmenu
from tray.toolkit import Icon as PystrayIcon
from tray.toolkit import MenuItem

ITEM_PATH = "/StatusNotifierItem"
ITEM_INTERFACE = "org.kde.StatusNotifierItem"
WATCHER = "org.kde.StatusNotifierWatcher"
WATCHER_PATH = "/StatusNotifierWatcher"
_HOST_SIGNALS = {"StatusNotifierHostRegistered", "StatusNotifierHostUnregistered"}
_DBUS = "org.freedesktop.DBus"
_DBUS_PATH = "/org/freedesktop/DBus"

WATCHER_SIGNALS = (
    f"type='signal',sender='{_DBUS}',member='NameOwnerChanged',arg0='{WATCHER}'",
    f"type='signal',interface='{WATCHER}'",
)
CALL_ERRORS = (DBusError, OSError, EOFError)
"""The answer was an error, none came in time (a TimeoutError is an OSError), or the bus has gone."""
CALL_S = 5.0
"""A panel that is starting answers within a second; one that hangs must not hang us."""

log = logging.getLogger(__name__)

Pixmap = tuple[int, int, bytes]
Pixmaps = Annotated[list[list[Any]], DBusSignature("a(iiay)")]
"""Width, height, and pixels as ARGB in network order, one for each size."""


def pixmap(image: Image.Image) -> Pixmap:
    """The image as StatusNotifierItem wants it."""
    red, green, blue, alpha = image.convert("RGBA").split()
    return image.width, image.height, Image.merge("RGBA", (alpha, red, green, blue)).tobytes()


@asynccontextmanager
async def session_bus() -> AsyncIterator[MessageBus]:
    """A connection to the session bus. Raises NoDesktop when there is none."""
    try:
        async with asyncio.timeout(CALL_S):
            bus = await MessageBus(bus_type=BusType.SESSION).connect()
    # KeyError: dbus-fast looks for $HOME without asking whether there is one.
    except (OSError, DBusFastError, TimeoutError, KeyError) as exc:
        raise NoDesktop(
            "There is no desktop session to show an icon in",
            "Run `tidegate serve` to run without one.",
        ) from exc
    try:
        yield bus
    finally:
        bus.disconnect()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CALL_S):
                await _disconnected(bus)


async def _disconnected(bus: MessageBus) -> None:
    """Return when the connection is closed, whoever closed it."""
    with contextlib.suppress(OSError, EOFError, DBusFastError):
        await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # dbus-fast forgot the annotation


class StatusNotifierItem(ServiceInterface):
    """The icon as panels see it."""

    def __init__(self, name: str, text: str, activate: Callable[[], None]) -> None:
        super().__init__(ITEM_INTERFACE)
        self._name = name
        self._activate = activate
        self.pixmaps: list[Pixmap] = []
        self.text = text
        self.shown = False

    @dbus_property(PropertyAccess.READ, "Category")
    def category(self) -> DBusStr:
        """What kind of program this is."""
        return "ApplicationStatus"

    @dbus_property(PropertyAccess.READ, "Id")
    def id(self) -> DBusStr:
        """The same at each start: panels remember by it where the icon sits."""
        return self._name

    @dbus_property(PropertyAccess.READ, "Title")
    def title(self) -> DBusStr:
        """Read out by screen readers, listed in the panel's settings."""
        return self._name.capitalize()

    @dbus_property(PropertyAccess.READ, "Status")
    def status(self) -> DBusStr:
        """Shown or hidden."""
        return "Active" if self.shown else "Passive"

    @dbus_property(PropertyAccess.READ, "WindowId")
    def window_id(self) -> DBusInt32:
        """There is no window."""
        return 0

    @dbus_property(PropertyAccess.READ, "IconName")
    def icon_name(self) -> DBusStr:
        """No theme has our icon: it is drawn."""
        return ""

    @dbus_property(PropertyAccess.READ, "IconPixmap")
    def icon_pixmap(self) -> Pixmaps:
        """The icon, in every size we draw; the panel takes the nearest."""
        return [list(pixels) for pixels in self.pixmaps]

    @dbus_property(PropertyAccess.READ, "ToolTip")
    def tool_tip(self) -> Annotated[list[Any], DBusSignature("(sa(iiay)ss)")]:
        """Icon name, icon, title, text. The title is plain text, the text would be markup."""
        return ["", [], self.text, ""]

    @dbus_property(PropertyAccess.READ, "ItemIsMenu")
    def item_is_menu(self) -> DBusBool:
        """A left click opens the menu too: it is the switcher."""
        return True

    @dbus_property(PropertyAccess.READ, "Menu")
    def menu(self) -> DBusObjectPath:
        """Where the menu is."""
        return dbusmenu.PATH

    @dbus_method("Activate")
    def activate(self, _x: DBusInt32, _y: DBusInt32) -> None:
        """A left click on a panel that does not know `ItemIsMenu`, a double click on GNOME."""
        self._activate()

    @dbus_method("SecondaryActivate")
    def secondary_activate(self, _x: DBusInt32, _y: DBusInt32) -> None:
        """A middle click."""
        self._activate()

    @dbus_method("ContextMenu")
    def context_menu(self, _x: DBusInt32, _y: DBusInt32) -> None:
        """Asked of items that have no `Menu`. Ours has."""

    @dbus_method("Scroll")
    def scroll(self, _delta: DBusInt32, _orientation: DBusStr) -> None:
        """Nothing scrolls."""

    @dbus_signal("NewIcon")
    def new_icon(self) -> None:
        """Read `IconPixmap` again."""

    @dbus_signal("NewToolTip")
    def new_tool_tip(self) -> None:
        """Read `ToolTip` again."""

    @dbus_signal("NewStatus")
    def new_status(self) -> DBusStr:
        """Shown or hidden."""
        return "Active" if self.shown else "Passive"


class Icon(PystrayIcon):  # type: ignore[misc]  # pystray has no types
    """A pystray icon: `run()` blocks the main thread, everything else may be called from any thread.

    `icon` is one image, or a sequence of the same picture in several sizes. `on_host` is told whether a panel
    shows the icon, at the start and whenever that changes. It and the clicks run on the loop that draws the menu:
    a callback hands its work on and returns.
    """

    HAS_NOTIFICATION = False

    def __init__(self, *args: Any, on_host: Callable[[bool], None] = lambda _: None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._on_host = on_host
        self._hosted: bool | None = None
        self._watchers = 0
        self._item = StatusNotifierItem(self.name, self.title, self)
        self._rows = dbusmenu.DBusMenu(lambda: self.menu, self._clicked)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()

    def run(self, setup: Callable[["Icon"], None] | None = None) -> None:
        """Show the icon until `stop()`, or until the session ends. Raises NoDesktop when there is no session."""
        asyncio.run(self._serve(setup))

    async def _serve(self, setup: Callable[["Icon"], None] | None) -> None:
        # The bus comes first: pystray's setup thread, once started, waits for ever for an icon that fails to run.
        async with session_bus() as bus:
            self._loop = asyncio.get_running_loop()
            self._loop.set_exception_handler(_on_lost_future)
            bus.export(ITEM_PATH, self._item)
            bus.export(dbusmenu.PATH, self._rows)
            try:
                self._start_setup(setup)
                self._mark_ready()
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._until_session_ends(bus), name="session bus")
                    await self._watch(bus, tasks)
                    await self._stopping.wait()
                    bus.disconnect()
            finally:
                self._loop = None

    async def _until_session_ends(self, bus: MessageBus) -> None:
        await _disconnected(bus)
        if not self._stopping.is_set():
            log.info("the desktop session has ended")
            self._stopping.set()

    # --- the panel ---------------------------------------------------------------------------------

    async def _watch(self, bus: MessageBus, tasks: asyncio.TaskGroup) -> None:
        """Register with the panel that is there, and with any that comes later."""

        def heard(message: Message) -> None:
            if message.message_type is not MessageType.SIGNAL:
                return
            if message.member == "NameOwnerChanged" and message.body[0] == WATCHER:
                self._watchers += 1
                if message.body[2]:
                    tasks.create_task(self._register(bus), name="register with the panel")
                else:
                    self._host(shown=False)
            elif message.interface == WATCHER and message.member in _HOST_SIGNALS:
                tasks.create_task(self._ask_for_a_host(bus), name="ask for a host")

        bus.add_message_handler(heard)
        try:
            for rule in WATCHER_SIGNALS:
                await _call(bus, _add_match(rule))
        except CALL_ERRORS as exc:
            log.warning("a panel that starts later will not show the icon: %s", exc)
        await self._register(bus)

    async def _register(self, bus: MessageBus) -> None:
        try:
            await _call(bus, _to_watcher(WATCHER, "RegisterStatusNotifierItem", bus.unique_name))
        except CALL_ERRORS as exc:
            log.debug("no panel takes the icon yet: %s", exc)
            self._host(shown=False)
        else:
            await self._ask_for_a_host(bus)

    async def _ask_for_a_host(self, bus: MessageBus) -> None:
        question = _to_watcher(f"{_DBUS}.Properties", "Get", WATCHER, "IsStatusNotifierHostRegistered")
        asked = self._watchers
        try:
            (answer,) = await _call(bus, question)
            shown = bool(answer.value)
        except CALL_ERRORS as exc:
            log.debug("the panel does not say whether it shows icons: %s", exc)
            shown = False
        if asked == self._watchers:  # else the answer is from a panel that has gone since
            self._host(shown=shown)

    def _host(self, *, shown: bool) -> None:
        if shown is not self._hosted:
            self._hosted = shown
            self._on_host(shown)

    # --- what pystray asks of a back end ------------------------------------------------------------

    def _clicked(self, row: MenuItem) -> None:
        try:
            row(self)
        except Exception:  # the edge: a row that fails must not take the icon along
            log.exception("the menu row %r failed", row.text)

    def _show(self) -> None:
        self._item.shown = True
        self._post(self._item.new_status)

    def _hide(self) -> None:
        self._item.shown = False
        self._post(self._item.new_status)

    def _update_icon(self) -> None:
        images = self.icon if isinstance(self.icon, Sequence) else (self.icon,)
        self._item.pixmaps = [pixmap(image) for image in images]
        self._icon_valid = True
        self._post(self._item.new_icon)

    def _update_title(self) -> None:
        self._item.text = self.title
        self._post(self._item.new_tool_tip)

    def _update_menu(self) -> None:
        self._post(self._rows.refresh)

    def _stop(self) -> None:
        self._post(self._stopping.set)

    def _post(self, call: Callable[[], object]) -> None:
        """Run `call` on the loop; without one there is nobody to tell."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop closed in between
                loop.call_soon_threadsafe(call)


def _on_lost_future(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """When the bus goes, dbus-fast drops the messages under way as failed futures that nobody asks for."""
    if isinstance(context.get("exception"), OSError | EOFError):
        log.debug("a message to the panel was lost: %s", context["exception"])
    else:
        loop.default_exception_handler(context)


async def _call(bus: MessageBus, message: Message) -> list[Any]:
    """Call a method and return its answer's body. Raises one of CALL_ERRORS."""
    async with asyncio.timeout(CALL_S):
        reply = await bus.call(message)
    if reply.message_type is MessageType.ERROR:
        raise DBusError(reply.error_name or "unknown", str(reply.body[0] if reply.body else ""))
    return reply.body


def _add_match(rule: str) -> Message:
    return Message(destination=_DBUS, path=_DBUS_PATH, interface=_DBUS, member="AddMatch", signature="s", body=[rule])


def _to_watcher(interface: str, member: str, *words: str | None) -> Message:
    return Message(
        destination=WATCHER,
        path=WATCHER_PATH,
        interface=interface,
        member=member,
        signature="s" * len(words),
        body=list(words),
    )
