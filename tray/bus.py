"""Connections to the message buses of a Linux system: the session's and the machine's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from dbus_fast import BusType, DBusError, DBusFastError, Message, MessageType
from dbus_fast.aio import MessageBus

CALL_S = 5.0
"""Who answers at all answers within a second."""
ERRORS = (DBusFastError, OSError, EOFError, KeyError)
"""There is no bus, it went away, or the answer was an error. A TimeoutError is an OSError.

KeyError: dbus-fast looks for $HOME without asking whether there is one.
"""
_DBUS = "org.freedesktop.DBus"
_DBUS_PATH = "/org/freedesktop/DBus"


@asynccontextmanager
async def connected(bus_type: BusType, *, fds: bool = False) -> AsyncIterator[MessageBus]:
    """A connection, closed with the block. With `fds` it takes file descriptors. Raises one of ERRORS."""
    async with asyncio.timeout(CALL_S):
        bus = await MessageBus(bus_type=bus_type, negotiate_unix_fd=fds).connect()
    try:
        yield bus
    finally:
        bus.disconnect()
        with suppress(TimeoutError):
            async with asyncio.timeout(CALL_S):
                await ended(bus)


async def ended(bus: MessageBus) -> None:
    """Return when the connection is closed, whoever closed it."""
    with suppress(OSError, EOFError, DBusFastError):
        # Shielded: who gives up waiting would else cancel the future that all others wait for.
        await asyncio.shield(bus.wait_for_disconnect())  # type: ignore[no-untyped-call]  # dbus-fast forgot it


async def call(bus: MessageBus, message: Message) -> Message:
    """Call a method and return its answer. Raises one of ERRORS."""
    async with asyncio.timeout(CALL_S):
        reply = await bus.call(message)
    if reply.message_type is MessageType.ERROR:
        raise DBusError(reply.error_name or "unknown", str(reply.body[0] if reply.body else ""))
    return reply


async def add_match(bus: MessageBus, rule: str) -> None:
    """Have the signals that `rule` describes delivered here. Raises one of ERRORS."""
    await _ask(bus, "AddMatch", rule)


async def is_owned(bus: MessageBus, name: str) -> bool:
    """Whether somebody has this name. Raises one of ERRORS."""
    return bool((await _ask(bus, "NameHasOwner", name))[0])


async def _ask(bus: MessageBus, member: str, word: str) -> list[Any]:
    message = Message(destination=_DBUS, path=_DBUS_PATH, interface=_DBUS, member=member, signature="s", body=[word])
    return (await call(bus, message)).body
