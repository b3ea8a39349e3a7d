"""The portal here is a stub on a bus of its own."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from dbus_fast import DBusError, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusStr, DBusVariant
from dbus_fast.service import ServiceInterface, dbus_method

from tests.desktop.bus import private_bus
from tray import portal

pytestmark = pytest.mark.anyio


class Settings(ServiceInterface):
    """The part of the portal that tells settings."""

    def __init__(self, answer: Callable[[], Variant]) -> None:
        super().__init__(portal.INTERFACE)
        self._answer = answer
        self.asked: list[tuple[str, str]] = []

    @dbus_method("Read")
    def read(self, namespace: DBusStr, key: DBusStr) -> DBusVariant:
        self.asked.append((namespace, key))
        return Variant("v", self._answer())


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with private_bus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        yield address


@asynccontextmanager
async def settings(address: str, answer: Callable[[], Variant]) -> AsyncIterator[Settings]:
    bus = await MessageBus(bus_address=address).connect()
    told = Settings(answer)
    bus.export(portal.PATH, told)
    await bus.request_name(portal.NAME)
    try:
        yield told
    finally:
        bus.disconnect()
        await bus.wait_for_disconnect()


@pytest.mark.parametrize(("contrast", "wanted"), [(0, False), (1, True), (7, False)])
async def test_contrast_is_as_the_person_chose_it(address: str, contrast: int, wanted: bool) -> None:
    async with settings(address, lambda: Variant("u", contrast)) as told:
        assert await portal.wants_contrast() is wanted

    assert told.asked == [("org.freedesktop.appearance", "contrast")]


async def test_desktop_that_does_not_know_the_setting_wants_none(address: str) -> None:
    def unknown() -> Variant:
        raise DBusError("org.freedesktop.portal.Error.NotFound", "Requested setting not found")

    async with settings(address, unknown):
        assert await portal.wants_contrast() is False


@pytest.mark.usefixtures("address")
async def test_without_a_portal_or_a_bus_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await portal.wants_contrast() is False

    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/bus")
    assert await portal.wants_contrast() is False


async def test_portal_that_hangs_is_not_waited_for(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portal, "ANSWER_S", 0.05)
    silent = await MessageBus(bus_address=address).connect()
    silent.add_message_handler(lambda message: message.path == portal.PATH)  # taken, never answered
    await silent.request_name(portal.NAME)

    with anyio.fail_after(5):
        assert await portal.wants_contrast() is False

    silent.disconnect()
    await silent.wait_for_disconnect()
