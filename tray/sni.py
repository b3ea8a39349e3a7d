"""The icon on the session bus, as a StatusNotifierItem: Xfce, Plasma, GNOME with AppIndicator, waybar. No GTK, no X.

A panel that is started or restarted later gets the icon as well.
https://www.freedesktop.org/wiki/Specifications/StatusNotifierItem/
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from html import escape
from typing import Annotated, Any

from dbus_fast import BusType, DBusError, ErrorType, Message, MessageType, PropertyAccess
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusBool, DBusInt32, DBusObjectPath, DBusSignature, DBusStr
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property, dbus_signal
from PIL import Image

from core.errors import NoDesktop
from tray import bus, dbusmenu

ITEM_PATH = "/StatusNotifierItem"
ITEM_INTERFACE = "org.kde.StatusNotifierItem"
WATCHER = "org.kde.StatusNotifierWatcher"
WATCHER_PATH = "/StatusNotifierWatcher"
PLASMA = "org.kde.plasmashell"
"""It opens its own menu when a left click is answered with an error (StatusNotifierItem.qml of 5.27)."""
_HOST_SIGNALS = {"StatusNotifierHostRegistered", "StatusNotifierHostUnregistered"}
_DBUS = "org.freedesktop.DBus"

WATCHER_SIGNALS = (
    f"type='signal',sender='{_DBUS}',member='NameOwnerChanged',arg0='{WATCHER}'",
    f"type='signal',interface='{WATCHER}'",
)

log = logging.getLogger(__name__)

Pixmap = tuple[int, int, bytes]
Pixmaps = Annotated[list[list[Any]], DBusSignature("a(iiay)")]
"""Width, height, and pixels as ARGB in network order, one for each size."""


def pixmap(image: Image.Image) -> Pixmap:
    """The image as StatusNotifierItem wants it."""
    red, green, blue, alpha = image.convert("RGBA").split()
    return image.width, image.height, Image.merge("RGBA", (alpha, red, green, blue)).tobytes()


def tooltip(name: str, text: str) -> tuple[str, str]:
    """Title and text of a tooltip.

    The title should be plain text and the text markup, but waybar reads both as markup and shows nothing when it is
    wrong, and Plasma takes as markup only what has a tag in it. So words that need escaping go into a tag.
    https://github.com/Alexays/Waybar/blob/master/src/modules/sni/item.cpp (set_tooltip_markup)
    """
    escaped = escape(text, quote=False)
    return (text, "") if escaped == text else (name, f"<span>{escaped}</span>")


@asynccontextmanager
async def session_bus() -> AsyncIterator[MessageBus]:
    """A connection to the session bus. Raises NoDesktop when there is none."""
    async with AsyncExitStack() as ends:
        try:
            session = await ends.enter_async_context(bus.connected(BusType.SESSION))
        except bus.ERRORS as exc:
            raise NoDesktop(
                "There is no desktop session to show an icon in",
                "Run `tidegate serve` to run without one.",
            ) from exc
        yield session


class StatusNotifierItem(ServiceInterface):
    """The icon as panels see it. `open_menu` and `activate` must not block."""

    def __init__(self, name: str, text: str, open_menu: Callable[[], None], activate: Callable[[], None]) -> None:
        super().__init__(ITEM_INTERFACE)
        self._name = name
        self._open_menu = open_menu
        self._activate = activate
        self.pixmaps: list[Pixmap] = []
        self.text = text
        self.shown = False
        self.left_to_panel = False
        """The panel draws the menu when a click is not taken, and does it better: in its colours, in its place."""

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

    @dbus_property(PropertyAccess.READ, "IconAccessibleDesc")
    def icon_accessible_desc(self) -> DBusStr:
        """What the picture says: GNOME's extension gives it to screen readers."""
        return self.text

    @dbus_property(PropertyAccess.READ, "ToolTip")
    def tool_tip(self) -> Annotated[list[Any], DBusSignature("(sa(iiay)ss)")]:
        """Icon name, icon, title, text."""
        return ["", [], *tooltip(self._name.capitalize(), self.text)]

    @dbus_property(PropertyAccess.READ, "ItemIsMenu")
    def item_is_menu(self) -> DBusBool:
        """A left click opens the menu too: it is the switcher. Plasma, Xfce and waybar do so, GNOME always."""
        return True

    @dbus_property(PropertyAccess.READ, "Menu")
    def menu(self) -> DBusObjectPath:
        """Where the menu is."""
        return dbusmenu.PATH

    @dbus_method("Activate")
    def activate(self, _x: DBusInt32, _y: DBusInt32) -> None:
        """A left click on a panel that does not know `ItemIsMenu` (LXQt, Plasma 5), a double click on GNOME."""
        if self.left_to_panel:
            raise DBusError(ErrorType.UNKNOWN_METHOD, "The menu is the panel's to open")
        self._open_menu()

    @dbus_method("SecondaryActivate")
    def secondary_activate(self, _x: DBusInt32, _y: DBusInt32) -> None:
        """A middle click."""
        self._activate()

    @dbus_method("ContextMenu")
    def context_menu(self, _x: DBusInt32, _y: DBusInt32) -> None:
        """Asked by panels that draw no menus of others, and where theirs could not be made (waybar, Plasma)."""
        self._open_menu()

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


class Registration:
    """Offers the icon to the panel that is there and to each that comes, and tells whether any shows it."""

    def __init__(self, session: MessageBus, item: StatusNotifierItem, hosted: Callable[[bool], None]) -> None:
        self._session = session
        self._item = item
        self._hosted = hosted
        self._watchers = 0

    async def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Register, and listen from now on."""

        def heard(message: Message) -> None:
            if message.message_type is not MessageType.SIGNAL:
                return
            if message.member == "NameOwnerChanged" and message.body[0] == WATCHER:
                self._watchers += 1
                if message.body[2]:
                    tasks.create_task(self._register(), name="register with the panel")
                else:
                    self._hosted(False)
            elif message.interface == WATCHER and message.member in _HOST_SIGNALS:
                tasks.create_task(self._ask_for_a_host(), name="ask for a host")

        self._session.add_message_handler(heard)
        try:
            for rule in WATCHER_SIGNALS:
                await bus.add_match(self._session, rule)
        except bus.ERRORS as exc:
            log.warning("a panel that starts later will not show the icon: %s", exc)
        await self._register()

    async def _register(self) -> None:
        try:
            # By the connection's own name, which every watcher that was tried takes. The specification's well-known
            # name (org.kde.StatusNotifierItem-PID-ID) has no reader, and inside Flatpak nobody may own it.
            await bus.call(self._session, _to_watcher(WATCHER, "RegisterStatusNotifierItem", self._session.unique_name))
        except bus.ERRORS as exc:
            log.debug("no panel takes the icon yet: %s", exc)
            self._hosted(False)
        else:
            await self._ask_for_a_host()

    async def _ask_for_a_host(self) -> None:
        # Asked, and not believed of the signal: waybar announces a host also when the last one has gone.
        # https://github.com/Alexays/Waybar/blob/master/src/modules/sni/watcher.cpp (nameVanished)
        question = _to_watcher(f"{_DBUS}.Properties", "Get", WATCHER, "IsStatusNotifierHostRegistered")
        asked = self._watchers
        try:
            self._item.left_to_panel = await bus.is_owned(self._session, PLASMA)
            (answer,) = (await bus.call(self._session, question)).body
            shown = bool(answer.value)
        except bus.ERRORS as exc:
            log.debug("the panel does not say whether it shows icons: %s", exc)
            shown = False
        if asked == self._watchers:  # else the answer is from a panel that has gone since
            self._hosted(shown)


def _to_watcher(interface: str, member: str, *words: str | None) -> Message:
    return Message(
        destination=WATCHER,
        path=WATCHER_PATH,
        interface=interface,
        member=member,
        signature="s" * len(words),
        body=list(words),
    )
