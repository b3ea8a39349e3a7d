import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from dbus_fast import BusType
from dbus_fast.aio import MessageBus

from tests.desktop.bus import private_bus
from tray import bus as buses
from tray.notify_daemon import NAME, comes_up

pytestmark = pytest.mark.anyio

SECONDS = 10.0


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with private_bus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        yield address


@pytest.mark.usefixtures("address")
async def test_daemon_that_takes_its_name_is_noticed_and_one_that_is_there_at_once() -> None:
    waiting = asyncio.create_task(comes_up())
    async with buses.connected(BusType.SESSION) as bus:
        await bus.request_name("org.example.Other")
        assert not await buses.is_owned(bus, NAME)
        await bus.request_name(NAME)
        await asyncio.wait_for(waiting, SECONDS)
        await asyncio.wait_for(comes_up(), SECONDS)


async def test_end_of_the_session_ends_the_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with private_bus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        witness = await MessageBus(address).connect()
        waiting = asyncio.create_task(comes_up())
        await asyncio.wait_for(_two_connections(witness), SECONDS)
        witness.disconnect()

    with pytest.raises(buses.ERRORS):
        await asyncio.wait_for(waiting, SECONDS)


async def _two_connections(witness: MessageBus) -> None:
    """The witness sees another connection than its own."""
    from dbus_fast import Message  # noqa: PLC0415

    while True:
        names = await buses.call(
            witness,
            Message(
                destination="org.freedesktop.DBus",
                path="/org/freedesktop/DBus",
                interface="org.freedesktop.DBus",
                member="ListNames",
            ),
        )
        if len([name for name in names.body[0] if name.startswith(":")]) > 1:
            return


async def test_without_a_bus_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/bus")

    with pytest.raises(buses.ERRORS):
        await comes_up()
