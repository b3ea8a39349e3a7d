"""Sleep and shutdown, told by a login manager of the tests on a system bus of the tests."""

import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import anyio
import anyio.to_thread
import pytest
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusBool, DBusSignature, DBusStr
from dbus_fast.service import ServiceInterface, dbus_method, dbus_signal

from tests.desktop.bus import private_bus
from tray.logind import MANAGER, NAME, PATH, Heeding, heeded

pytestmark = pytest.mark.anyio

SECONDS = 10.0


class LoginManager(ServiceInterface):
    """Hands out locks as pipes: who has the other end sees when a lock is let go."""

    def __init__(self, *, hands_out: bool = True) -> None:
        super().__init__(MANAGER)
        self.locks: list[int] = []
        self.asked: list[tuple[str, str]] = []
        self._hands_out = hands_out
        self._news = anyio.Event()

    @dbus_method("Inhibit")
    def inhibit(self, what: DBusStr, _who: DBusStr, _why: DBusStr, mode: DBusStr) -> Annotated[int, DBusSignature("h")]:
        self.asked.append((what, mode))
        self._news.set()
        self._news = anyio.Event()
        if not self._hands_out:
            raise PermissionError("not for you")
        ours, theirs = os.pipe()
        self.locks.append(ours)
        self._theirs = theirs
        return theirs

    @dbus_signal("PrepareForSleep")
    def prepare_for_sleep(self, begins: bool) -> DBusBool:
        return begins

    @dbus_signal("PrepareForShutdown")
    def prepare_for_shutdown(self, begins: bool) -> DBusBool:
        return begins

    async def until_asked(self, times: int) -> None:
        with anyio.fail_after(SECONDS):
            while len(self.asked) < times:
                await self._news.wait()
            if self._hands_out:
                await anyio.lowlevel.checkpoint()
                os.close(self._theirs)  # it has been sent

    async def until_let_go(self, lock: int) -> None:
        with anyio.fail_after(SECONDS):
            await anyio.wait_readable(lock)
        assert os.read(lock, 1) == b""


class Told:
    """What was told, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._condition = threading.Condition()
        self.fails = False

    def heeding(self) -> Heeding:
        return Heeding(lambda: self.take("sleeps"), lambda: self.take("woke"), lambda: self.take("ends"))

    def take(self, line: str) -> None:
        with self._condition:
            self.lines.append(line)
            self._condition.notify_all()
        if self.fails:
            raise RuntimeError("a full disk")

    async def until(self, *lines: str) -> None:
        def wait() -> bool:
            with self._condition:
                return self._condition.wait_for(lambda: self.lines == list(lines), SECONDS)

        assert await anyio.to_thread.run_sync(wait), self.lines


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with private_bus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        yield address


@asynccontextmanager
async def managing(address: str, manager: LoginManager) -> AsyncIterator[LoginManager]:
    bus = await MessageBus(address, negotiate_unix_fd=True).connect()
    bus.export(PATH, manager)
    await bus.request_name(NAME)
    yield manager
    bus.disconnect()
    await bus.wait_for_disconnect()
    for lock in manager.locks:
        os.close(lock)


@asynccontextmanager
async def heeding(told: Told) -> AsyncIterator[None]:
    """Entered and left without blocking the loop that the login manager runs on."""
    manager = heeded(told.heeding())
    await anyio.to_thread.run_sync(manager.__enter__)
    yield
    await anyio.to_thread.run_sync(manager.__exit__, None, None, None)


async def test_machine_waits_until_everything_is_saved_and_is_heeded_when_it_wakes(address: str) -> None:
    told = Told()
    async with managing(address, LoginManager()) as manager, heeding(told):
        await manager.until_asked(1)
        assert manager.asked == [("sleep:shutdown", "delay")]

        manager.prepare_for_sleep(True)
        await manager.until_let_go(manager.locks[0])
        assert told.lines == ["sleeps"], "first saved, then let go"

        manager.prepare_for_sleep(False)
        await told.until("sleeps", "woke")
        await manager.until_asked(2)


async def test_shutdown_ends_the_program_and_the_machine_waits_for_that(address: str) -> None:
    told = Told()
    async with managing(address, LoginManager()) as manager:
        async with heeding(told):
            await manager.until_asked(1)
            manager.prepare_for_shutdown(True)
            await told.until("ends")
        await manager.until_let_go(manager.locks[0])


async def test_shutdown_that_is_called_off_is_no_news(address: str) -> None:
    told = Told()
    async with managing(address, LoginManager()) as manager, heeding(told):
        await manager.until_asked(1)
        manager.prepare_for_shutdown(False)
        manager.prepare_for_sleep(False)
        await told.until("woke")


async def test_without_a_lock_sleep_is_heeded_all_the_same(address: str) -> None:
    told = Told()
    async with managing(address, LoginManager(hands_out=False)) as manager, heeding(told):
        await manager.until_asked(1)
        manager.prepare_for_sleep(True)
        manager.prepare_for_sleep(False)
        await told.until("sleeps", "woke")


async def test_what_cannot_be_saved_does_not_keep_the_machine_awake(address: str) -> None:
    told = Told()
    told.fails = True
    async with managing(address, LoginManager()) as manager, heeding(told):
        await manager.until_asked(1)
        manager.prepare_for_sleep(True)
        await manager.until_let_go(manager.locks[0])
        manager.prepare_for_sleep(False)
        await told.until("sleeps", "woke")


async def test_end_of_the_bus_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    with private_bus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        async with managing(address, LoginManager()) as manager:
            entered = heeded(told.heeding())
            await anyio.to_thread.run_sync(entered.__enter__)
            await manager.until_asked(1)
    await anyio.to_thread.run_sync(entered.__exit__, None, None, None)


@pytest.mark.parametrize("bus", ["unix:path=/nowhere/bus", "nonsense"])
def test_without_a_bus_nothing_is_told_and_nothing_fails(monkeypatch: pytest.MonkeyPatch, bus: str) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus)

    with heeded(Told().heeding()):
        pass
