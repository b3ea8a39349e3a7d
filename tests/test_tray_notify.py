import concurrent.futures
import logging
import queue
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest
from dbus_fast import BusType
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusInt32, DBusSignature, DBusStr, DBusUInt32
from dbus_fast.service import ServiceInterface, dbus_method, dbus_signal

from core.model import Notification, NotificationAction
from tests.desktop.bus import private_bus
from tray.notify import KEPT, OPEN, Notifier, body

pytestmark = pytest.mark.anyio

SECONDS = 10.0
ActionsList = Annotated[list[str], DBusSignature("as")]
Hints = Annotated[dict[str, Any], DBusSignature("a{sv}")]


class Daemon(ServiceInterface):
    """A notification daemon that keeps what it gets."""

    def __init__(self) -> None:
        super().__init__("org.freedesktop.Notifications")
        self.shown: dict[int, tuple[str, str, int]] = {}
        self.buttons: dict[int, dict[str, str]] = {}
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
        actions: ActionsList,
        hints: Hints,
        _timeout: DBusInt32,
    ) -> DBusUInt32:
        id_ = len(self.shown) + len(self.closed) + 1
        self.shown[id_] = (title, text, hints["urgency"].value)
        self.buttons[id_] = dict(zip(actions[1::2], actions[::2], strict=True))
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

    @dbus_signal("ActionInvoked")
    def action_invoked(self, id_: int, action: str) -> Annotated[tuple[int, str], DBusSignature("us")]:
        return id_, action

    def press(self, label: str) -> None:
        """Press a button of the newest message; "" is the message itself."""
        id_ = max(self.buttons)
        self.action_invoked(id_, self.buttons[id_][label])

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
    try:
        yield daemon
    finally:
        bus.disconnect()
        await bus.wait_for_disconnect()


@asynccontextmanager
async def notifying() -> AsyncIterator[Notifier]:
    """A notifier, entered and left without blocking the loop that the daemon runs on."""
    notifier = await anyio.to_thread.run_sync(Notifier().__enter__)
    try:
        yield notifier
    finally:
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


BACK = NotificationAction("Switch back", "pin", {"account": "work"})


@pytest.mark.parametrize(("label", "action"), [("Switch back", BACK), ("", OPEN)])
async def test_button_and_the_message_itself_are_told_when_they_are_pressed(
    address: str, label: str, action: NotificationAction
) -> None:
    pressed: queue.SimpleQueue[NotificationAction] = queue.SimpleQueue()
    async with serving(address) as daemon, notifying() as notifier:
        shown = anyio.Event()
        here = anyio.lowlevel.current_token()
        notifier.listen(pressed.put, lambda: anyio.from_thread.run_sync(shown.set, token=here))
        notifier.show(Notification("Work → Home", "", "failover", actions=(BACK, NotificationAction("Details"))))
        await daemon.until(1)
        assert set(daemon.buttons[1]) == {"", "Switch back", "Details"}
        await shown.wait()  # before it has the daemon's answer, the library knows no button

        daemon.press(label)

        assert await anyio.to_thread.run_sync(partial(pressed.get, timeout=SECONDS)) == action


async def test_daemon_that_is_restarted_shows_the_next_message(address: str) -> None:
    async with notifying() as notifier:
        for title in ("First", "Second"):
            async with serving(address) as daemon:
                notifier.show(Notification(title, "", "same"))
                assert await daemon.until(1) == [(title, "", 1)]


async def test_what_asks_the_person_to_act_is_shown_when_a_daemon_comes_up_and_the_rest_is_not(address: str) -> None:
    news: queue.SimpleQueue[bool | None] = queue.SimpleQueue()
    async with notifying() as notifier:
        notifier.listen(lambda _: None, lambda: news.put(notifier.available()))
        notifier.show(Notification("Work → Home", "", "failover"))
        for number in range(KEPT + 1):
            notifier.show(Notification(f"Sign in {number}", "", f"login-{number}", urgent=True))
        assert await anyio.to_thread.run_sync(partial(news.get, timeout=SECONDS)) is False
        await anyio.to_thread.run_sync(partial(_until_through, notifier))

        async with serving(address) as daemon:
            shown = await daemon.until(KEPT)
            assert [title for title, _, _ in shown] == [f"Sign in {number}" for number in range(1, KEPT + 1)]
            assert [await anyio.to_thread.run_sync(partial(news.get, timeout=SECONDS)) for _ in range(2)] == [
                *(None, True)
            ]


def _until_through(notifier: Notifier) -> None:
    """All that was to be shown has been tried."""
    concurrent.futures.wait(tuple(notifier._under_way), SECONDS)


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
