import logging
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import anyio
import pytest
from dbus_fast import BusType
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusInt32, DBusSignature, DBusStr, DBusUInt32
from dbus_fast.service import ServiceInterface, dbus_method, dbus_signal

from core.model import Notification
from tests.desktop.bus import private_bus
from tray.notify import Notifier, body

pytestmark = pytest.mark.anyio

SECONDS = 10.0
ActionsList = Annotated[list[str], DBusSignature("as")]
Hints = Annotated[dict[str, Any], DBusSignature("a{sv}")]


class Daemon(ServiceInterface):
    """A notification daemon that keeps what it gets."""

    def __init__(self) -> None:
        super().__init__("org.freedesktop.Notifications")
        self.shown: dict[int, tuple[str, str, int]] = {}
        self.closed: list[int] = []
        self._news = anyio.Event()

    async def until(self, count: int) -> list[tuple[str, str, int]]:
        with anyio.fail_after(SECONDS):
            while len(self.shown) + len(self.closed) < count:
                await self._news.wait()
        return list(self.shown.values())

    @dbus_method("Notify")
    def notify(
        self,
        _app: DBusStr,
        _replaces: DBusUInt32,
        _icon: DBusStr,
        title: DBusStr,
        text: DBusStr,
        _actions: ActionsList,
        hints: Hints,
        _timeout: DBusInt32,
    ) -> DBusUInt32:
        id_ = len(self.shown) + len(self.closed) + 1
        self.shown[id_] = (title, text, hints["urgency"].value)
        self._news.set()
        self._news = anyio.Event()
        return id_

    @dbus_method("CloseNotification")
    def close_notification(self, id_: DBusUInt32) -> None:
        self.closed.append(id_)
        del self.shown[id_]

    @dbus_method("GetCapabilities")
    def get_capabilities(self) -> ActionsList:
        return ["body"]

    @dbus_method("GetServerInformation")
    def get_server_information(self) -> Annotated[tuple[str, str, str, str], DBusSignature("ssss")]:
        return "stub", "test", "1", "1.2"

    @dbus_signal("NotificationClosed")
    def notification_closed(self, id_: int) -> Annotated[tuple[int, int], DBusSignature("uu")]:
        return id_, 3


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with private_bus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        yield address


@asynccontextmanager
async def serving(address: str) -> AsyncIterator[Daemon]:
    bus = await MessageBus(address, BusType.SESSION).connect()
    daemon = Daemon()
    bus.export("/org/freedesktop/Notifications", daemon)
    await bus.request_name("org.freedesktop.Notifications")
    yield daemon
    bus.disconnect()
    await bus.wait_for_disconnect()


@asynccontextmanager
async def notifying() -> AsyncIterator[Notifier]:
    """A notifier, entered and left without blocking the loop that the daemon runs on."""
    notifier = await anyio.to_thread.run_sync(Notifier().__enter__)
    yield notifier
    await anyio.to_thread.run_sync(notifier.__exit__, None, None, None)


async def test_notification_reaches_the_daemon_with_its_urgency_and_an_escaped_body(address: str) -> None:
    async with serving(address) as daemon, notifying() as notifier:
        notifier.show(Notification("Calm", "a < b & c", "one"))
        notifier.show(Notification("Urgent", "", "two", urgent=True))

        assert sorted(await daemon.until(2)) == [("Calm", "a &lt; b &amp; c", 1), ("Urgent", "", 2)]


async def test_later_notification_with_the_same_key_takes_the_earlier_off_the_screen(address: str) -> None:
    async with serving(address) as daemon, notifying() as notifier:
        notifier.show(Notification("First", "", "same"))
        await daemon.until(1)
        notifier.show(Notification("Second", "", "same"))

        assert [title for title, _, _ in await daemon.until(2)] == ["Second"]
        assert daemon.closed == [1]


class Warnings(logging.Handler):
    """The log, with a flag for the first line."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self.first = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self.first.set()


@pytest.fixture
def warnings() -> Iterator[Warnings]:
    handler = Warnings()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


@pytest.mark.usefixtures("address")
def test_desktop_without_notifications_is_said_once_and_never_raises(warnings: Warnings) -> None:
    with Notifier() as notifier:
        assert notifier.available() is None
        notifier.show(Notification("First", "", "one"))
        assert warnings.first.wait(SECONDS)
        assert notifier.available() is False
        notifier.show(Notification("Second", "", "two"))

    assert len(warnings.lines) == 1
    assert "shows no notifications" in warnings.lines[0]


def test_without_a_bus_nothing_raises(monkeypatch: pytest.MonkeyPatch, warnings: Warnings) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/bus")
    with Notifier() as notifier:
        notifier.show(Notification("First", "", "one"))
        assert warnings.first.wait(SECONDS)

    assert notifier.available() is False


async def test_daemon_that_comes_later_is_found(address: str, warnings: Warnings) -> None:
    async with notifying() as notifier:
        notifier.show(Notification("Too early", "", "one"))
        assert await anyio.to_thread.run_sync(warnings.first.wait, SECONDS)

        async with serving(address) as daemon:
            notifier.show(Notification("In time", "", "one"))

            assert await daemon.until(1) == [("In time", "", 1)]


def test_show_outside_of_its_time_is_ignored() -> None:
    notifier = Notifier()

    notifier.show(Notification("Before", "", "one"))

    assert notifier.available() is None


@pytest.mark.parametrize(("platform", "text"), [("linux", "a &amp; b"), ("win32", "a & b"), ("darwin", "a & b")])
def test_body_is_markup_on_linux_only(platform: str, text: str) -> None:
    assert body("a & b", platform) == text
