"""A stub of a panel for unit tests: registers tray icons, reads their menus, clicks rows."""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
from dbus_fast import DBusError, Message, MessageType, PropertyAccess, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusBool, DBusStr
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property, dbus_signal
from PIL import Image

from tray import linux, sni
from tray.items import Item
from tray.pystray_menu import menu

SECONDS = 10.0
RED = Image.new("RGBA", (2, 1), (200, 100, 50, 255))
ITEM = ("/StatusNotifierItem", "org.kde.StatusNotifierItem")
MENU = ("/MenuBar", "com.canonical.dbusmenu")


class Watcher(ServiceInterface):
    """The part of a panel that icons register with."""

    def __init__(self, *, hosted: bool = True) -> None:
        super().__init__(sni.WATCHER)
        self.hosted = hosted
        self.items: list[str] = []
        self.registered = anyio.Event()

    @dbus_method("RegisterStatusNotifierItem")
    def register(self, service: DBusStr) -> None:
        self.items.append(service)
        self.registered.set()

    @dbus_property(PropertyAccess.READ, "IsStatusNotifierHostRegistered")
    def is_hosted(self) -> DBusBool:
        return self.hosted

    @dbus_signal("StatusNotifierHostRegistered")
    def host_registered(self) -> None:
        """A panel has come."""


class Told:
    """What the app was told: whether any panel shows the icon."""

    def __init__(self) -> None:
        self.all: list[bool] = []
        self._news = threading.Semaphore(0)

    def __call__(self, shown: bool) -> None:
        self.all.append(shown)
        self._news.release()

    async def next(self) -> bool:
        assert await anyio.to_thread.run_sync(lambda: self._news.acquire(timeout=SECONDS))
        return self.all[-1]


class Panel:
    """A panel's connection: the watcher it offers, and the signals it has heard."""

    def __init__(self, bus: MessageBus, watcher: Watcher) -> None:
        self.bus = bus
        self.watcher = watcher
        self.signals: list[str] = []
        self.bodies: dict[str, list[Any]] = {}
        self._news = anyio.Event()

    async def offer_watcher(self) -> str:
        """Take the watcher's name, and wait for an icon. Returns the icon's name."""
        self.bus.export(sni.WATCHER_PATH, self.watcher)
        await self.bus.request_name(sni.WATCHER)
        with anyio.fail_after(SECONDS):
            await self.watcher.registered.wait()
        return self.watcher.items[-1]

    def heard(self, message: Message) -> None:
        if message.message_type is MessageType.SIGNAL and message.path in {ITEM[0], MENU[0]}:
            self.signals.append(message.member)
            self.bodies.setdefault(message.member, []).append(message.body)
            self._news.set()
            self._news = anyio.Event()

    def forget(self) -> None:
        """What was heard so far does not count."""
        self.signals.clear()
        self.bodies.clear()

    async def until_heard(self, signal: str) -> None:
        with anyio.fail_after(SECONDS):
            while signal not in self.signals:
                await self._news.wait()

    async def ask(self, item: str, where: tuple[str, str], member: str, signature: str = "", *body: Any) -> list[Any]:
        path, interface = where
        message = Message(
            destination=item, path=path, interface=interface, member=member, signature=signature, body=list(body)
        )
        with anyio.fail_after(SECONDS):
            reply = await self.bus.call(message)
        if reply.message_type is MessageType.ERROR:
            raise DBusError(reply.error_name or "", str(reply.body))
        return reply.body

    async def property(self, item: str, where: tuple[str, str], name: str) -> Any:
        path, interface = where
        (answer,) = await self.ask(item, (path, "org.freedesktop.DBus.Properties"), "Get", "ss", interface, name)
        return answer.value

    async def layout(self, item: str) -> list[Any]:
        """The rows as (id, properties, children)."""
        _, (_, _, rows) = await self.ask(item, MENU, "GetLayout", "iias", 0, -1, [])
        return [row.value for row in rows]

    async def click(self, item: str, row: int) -> None:
        await self.ask(item, MENU, "Event", "isvu", row, "clicked", Variant("i", 0), 0)


@asynccontextmanager
async def panel(address: str, *, hosted: bool = True) -> AsyncIterator[Panel]:
    bus = await MessageBus(bus_address=address).connect()
    panel = Panel(bus, Watcher(hosted=hosted))
    bus.add_message_handler(panel.heard)
    for interface in (ITEM[1], MENU[1]):
        rule = f"type='signal',interface='{interface}'"
        dbus = ("/org/freedesktop/DBus", "org.freedesktop.DBus")
        await panel.ask("org.freedesktop.DBus", dbus, "AddMatch", "s", rule)
    try:
        yield panel
    finally:
        bus.disconnect()
        await bus.wait_for_disconnect()


@asynccontextmanager
async def shown(icon: linux.Icon) -> AsyncIterator[None]:
    """The icon, visible, running in a thread as it runs in the main thread of the program."""
    visible = threading.Event()

    def setup(icon: linux.Icon) -> None:
        icon.visible = True
        visible.set()

    thread = threading.Thread(target=icon.run, args=[setup])
    thread.start()
    assert await anyio.to_thread.run_sync(visible.wait, SECONDS)
    try:
        yield
    finally:
        await anyio.to_thread.run_sync(icon.stop)
        await anyio.to_thread.run_sync(thread.join, SECONDS)
        assert not thread.is_alive()


def icon_with(items: list[Item], perform: Callable[[Any], None] = print, **options: Any) -> linux.Icon:
    return linux.Icon("tidegate", RED, "Work: 62 %", menu(lambda: items, perform), **options)


def values(row: list[Any]) -> dict[str, Any]:
    return {name: variant.value for name, variant in row[1].items()}
