from collections.abc import Iterator
from pathlib import Path

import pytest
from dbus_fast import BusType, DBusError, Message

from tests.desktop.bus import private_bus
from tray import bus as buses

pytestmark = pytest.mark.anyio


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with private_bus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        yield address


@pytest.mark.usefixtures("address")
async def test_names_are_looked_up_and_an_error_is_raised_as_one() -> None:
    async with buses.connected(BusType.SESSION) as bus:
        assert await buses.is_owned(bus, "org.freedesktop.DBus")
        assert not await buses.is_owned(bus, "org.example.Nobody")
        await buses.add_match(bus, "type='signal'")
        with pytest.raises(DBusError):
            await buses.call(bus, Message(destination="org.example.Nobody", path="/", member="Dance"))


async def test_connection_that_the_bus_closes_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with private_bus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        connection = buses.connected(BusType.SESSION)
        bus = await connection.__aenter__()

    await buses.ended(bus)
    await connection.__aexit__(None, None, None)
