"""The person of the desktop tests: looks at the screen and at the bus, clicks, takes pictures."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from PIL import Image, ImageChops, ImageGrab
from Xlib import X
from Xlib.display import Display

DBUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
WATCHER = ("org.kde.StatusNotifierWatcher", "/StatusNotifierWatcher", "org.kde.StatusNotifierWatcher")
DBUSMENU = "com.canonical.dbusmenu"
PROPERTIES = "org.freedesktop.DBus.Properties"
CALL_S = 5.0
LOOK_AGAIN_S = 0.05
"""A screen does not tell when it changes."""

Address = tuple[str, str, str]
"""Service, object, interface."""
Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Row:
    """A menu row as the panel reads it from the bus."""

    id: int
    label: str
    enabled: bool
    kind: str
    """"radio", "checkmark", "separator" or nothing."""
    checked: bool
    children: tuple["Row", ...]

    def walk(self) -> Iterator["Row"]:
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True)
class Shown:
    """A notification as the daemon got it."""

    app: str
    title: str
    body: str
    icon: str


class Robot:
    """Eyes and hands on one session."""

    def __init__(self, environment: Mapping[str, str], artifacts: Path, bus: MessageBus) -> None:
        self._environment = environment
        self._artifacts = artifacts
        self._bus = bus
        self._news = anyio.Event()
        self.notifications: list[Shown] = []

    @classmethod
    @asynccontextmanager
    async def connected(cls, environment: Mapping[str, str], artifacts: Path) -> AsyncIterator["Robot"]:
        """A robot on the session's bus, and an ear that hears every message on it."""
        address = environment["DBUS_SESSION_BUS_ADDRESS"]
        bus = await MessageBus(bus_address=address).connect()
        ear = await MessageBus(bus_address=address).connect()
        robot = cls(environment, artifacts, bus)
        try:
            ear.add_message_handler(robot._hear)
            await _call(ear, (*DBUS[:2], "org.freedesktop.DBus.Monitoring"), "BecomeMonitor", "asu", [], 0)
            yield robot
        finally:
            ear.disconnect()
            bus.disconnect()

    def _hear(self, message: Message) -> bool:
        if message.message_type is MessageType.METHOD_CALL and message.member == "Notify":
            app, _replaces, icon, title, body = message.body[:5]
            self.notifications.append(Shown(app, title, body, icon))
        self._news.set()
        self._news = anyio.Event()
        # A monitor that answered a call would be thrown off the bus; replies to the ear itself must go on.
        return message.message_type is MessageType.METHOD_CALL

    # --- the bus -----------------------------------------------------------------------------------

    async def call(self, where: Address, member: str, signature: str = "", *body: Any) -> Any:
        """Call a method; its answer, without the list round it when it is one value."""
        answer = await _call(self._bus, where, member, signature, *body)
        return answer[0] if len(answer) == 1 else answer

    async def property(self, where: Address, name: str) -> Any:
        service, path, interface = where
        return (await self.call((service, path, PROPERTIES), "Get", "ss", interface, name)).value

    async def until(self, holds: Callable[[], Any], seconds: float) -> Any:
        """Wait until `holds()` (a coroutine) is true, asking again whenever something passes on the bus."""
        with anyio.fail_after(seconds):
            while True:
                news = self._news
                if answer := await holds():
                    return answer
                await news.wait()

    async def until_owned(self, name: str, seconds: float) -> None:
        await self.until(lambda: self.call(DBUS, "NameHasOwner", "s", name), seconds)

    async def until_host_is_registered(self, seconds: float) -> None:
        """A panel shows tray icons."""

        async def registered() -> bool:
            owned = await self.call(DBUS, "NameHasOwner", "s", WATCHER[0])
            return bool(owned) and await self.property(WATCHER, "IsStatusNotifierHostRegistered")

        await self.until(registered, seconds)

    async def until_xembed_tray(self, seconds: float) -> None:
        """A panel takes windows of tray icons."""

        def owned(_screen: Image.Image) -> bool:
            display = Display(self._environment["DISPLAY"])
            try:
                return bool(display.get_selection_owner(display.intern_atom("_NET_SYSTEM_TRAY_S0")) != X.NONE)
            finally:
                display.close()

        await self.until_seen(owned, seconds, "XEmbed tray")

    async def until_item(self, seconds: float) -> str:
        """The bus name of the one tray icon, once it is registered."""

        async def item() -> str | None:
            if not await self.call(DBUS, "NameHasOwner", "s", WATCHER[0]):
                return None
            items = await self.property(WATCHER, "RegisteredStatusNotifierItems")
            return items[0].partition("/")[0].rstrip("@") if items else None  # GNOME says `:1.7@/…`

        return str(await self.until(item, seconds))

    async def until_notified(self, title: str, seconds: float) -> Shown:
        """The notification with this title, once the daemon has got it."""

        async def found() -> Shown | None:
            return next((shown for shown in self.notifications if shown.title == title), None)

        shown = await self.until(found, seconds)
        assert isinstance(shown, Shown)
        return shown

    async def menu(self, service: str) -> Row:
        """The whole menu of a tray icon, as a panel asks for it when it opens."""
        menu = (service, "/MenuBar", DBUSMENU)
        await self.call(menu, "AboutToShow", "i", 0)
        _, root = await self.call(menu, "GetLayout", "iias", 0, -1, [])
        return _row(root)

    async def click_row(self, service: str, start: str) -> None:
        """Click the first row whose label starts so."""
        row = next(row for row in (await self.menu(service)).walk() if row.label.startswith(start))
        await self.call((service, "/MenuBar", DBUSMENU), "Event", "isvu", row.id, "clicked", Variant("i", 0), 0)

    # --- the screen --------------------------------------------------------------------------------

    def look(self) -> Image.Image:
        return ImageGrab.grab(xdisplay=self._environment["DISPLAY"]).convert("RGB")

    def screenshot(self, name: str) -> Path:
        """Keep a picture of the screen among the artifacts."""
        path = self._artifacts / f"{name}.png"
        self.look().save(path)
        return path

    async def until_seen(self, seen: Callable[[Image.Image], Any], seconds: float, what: str) -> Any:
        """Wait until the screen shows something; the last look is kept when it does not."""
        with anyio.move_on_after(seconds):
            while True:
                if answer := seen(self.look()):
                    return answer
                await anyio.sleep(LOOK_AGAIN_S)
        raise AssertionError(f"{what}: not on the screen after {seconds} s, see {self.screenshot('missing')}")

    async def until_icon(self, colour: Colour, seconds: float, area: Box | None = None) -> Box:
        """Where the panel shows an icon with water of this colour. `area`: where the panel is, if not at the top."""
        where = area or PANEL
        box = await self.until_seen(lambda screen: colour_box(screen, colour, where), seconds, f"icon in {colour}")
        assert isinstance(box, tuple)
        return box

    def popups(self) -> list[Box]:
        """Where menus, tooltips and notifications are: mapped windows that no window manager touches."""
        display = Display(self._environment["DISPLAY"])
        try:
            found = []
            for window in display.screen().root.query_tree().children:
                attributes, geometry = window.get_attributes(), window.get_geometry()
                if attributes.map_state == X.IsViewable and attributes.override_redirect and geometry.width > 1:
                    found.append((geometry.x, geometry.y, geometry.x + geometry.width, geometry.y + geometry.height))
            return found
        finally:
            display.close()

    async def until_popup(self, least_height: int, seconds: float) -> Box:
        """The menu, once it is on the screen."""

        def popup(_screen: Image.Image) -> Box | None:
            return next((box for box in self.popups() if box[3] - box[1] >= least_height), None)

        box = await self.until_seen(popup, seconds, "menu")
        assert isinstance(box, tuple)
        return box

    async def open_menu(self, icon: tuple[int, int], least_height: int, seconds: float) -> Box:
        """Click the icon until its menu is on the screen: a panel that has just drawn it may not know the menu yet."""
        for _ in range(3):
            await self.click(*icon)
            with suppress(AssertionError):
                return await self.until_popup(least_height, seconds / 4)
        return await self.until_popup(least_height, seconds / 4)

    async def click(self, x: int, y: int, button: int = 1) -> None:
        """Click with the mouse."""
        # Without --sync, which waits for ever for a mouse that is there already.
        await self._xdotool("mousemove", str(x), str(y), "click", str(button))

    async def point(self, x: int, y: int) -> None:
        """Move the mouse."""
        await self._xdotool("mousemove", str(x), str(y))

    async def press(self, *keys: str) -> None:
        """Press keys, one after the other, by their X names."""
        await self._xdotool("key", *keys)

    async def _xdotool(self, *words: str) -> None:
        await anyio.run_process(["xdotool", *words], env=dict(self._environment))


PANEL: Box = (0, 0, 1024, 32)
PANEL_BELOW: Box = (0, 608, 1024, 640)


def colour_box(screen: Image.Image, colour: Colour, area: Box, tolerance: int = 24) -> Box | None:
    """The smallest box round all pixels of about this colour in an area, None when there is none."""
    part = screen.crop(area)
    difference = ImageChops.difference(part, Image.new("RGB", part.size, colour))
    bands = [band.point(lambda value: 255 if value <= tolerance else 0) for band in difference.split()]
    box = ImageChops.darker(ImageChops.darker(bands[0], bands[1]), bands[2]).getbbox()
    return None if box is None else (box[0] + area[0], box[1] + area[1], box[2] + area[0], box[3] + area[1])


def centre(box: Box) -> tuple[int, int]:
    return (box[0] + box[2]) // 2, (box[1] + box[3]) // 2


def _row(layout: Any) -> Row:
    id_, properties, children = layout
    values = {name: variant.value for name, variant in properties.items()}
    return Row(
        id=id_,
        label=values.get("label", ""),
        enabled=values.get("enabled", True),
        kind=values.get("toggle-type") or ("separator" if values.get("type") == "separator" else ""),
        checked=bool(values.get("toggle-state", 0)),
        children=tuple(_row(child.value) for child in children),
    )


async def _call(bus: MessageBus, where: Address, member: str, signature: str, *body: Any) -> list[Any]:
    service, path, interface = where
    message = Message(
        destination=service, path=path, interface=interface, member=member, signature=signature, body=list(body)
    )
    with anyio.fail_after(CALL_S):
        reply = await bus.call(message)
    assert reply.message_type is not MessageType.ERROR, f"{member}: {reply.error_name} {reply.body}"
    return reply.body
