"""The notification daemon of a Linux desktop: when it comes up."""

import asyncio

from dbus_fast import BusType, Message

from tray import bus as buses

NAME = "org.freedesktop.Notifications"
_RULE = f"type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='{NAME}'"


async def comes_up() -> None:
    """Return when a daemon takes its name on the session bus. Raises one of `bus.ERRORS`."""
    up = asyncio.Event()

    def heard(message: Message) -> None:
        if message.member == "NameOwnerChanged" and message.body[0] == NAME and message.body[2]:
            up.set()

    async with buses.connected(BusType.SESSION) as bus:
        bus.add_message_handler(heard)
        await buses.add_match(bus, _RULE)
        if await buses.is_owned(bus, NAME):
            return
        waiting = [asyncio.ensure_future(up.wait()), asyncio.ensure_future(buses.ended(bus))]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()
        if not up.is_set():
            raise EOFError("the session bus has gone")
