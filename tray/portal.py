"""What the person has chosen for the whole desktop, asked of the portal that all Linux desktops have.

https://flatpak.github.io/xdg-desktop-portal/docs/doc-org.freedesktop.portal.Settings.html
"""

import asyncio
import logging

from dbus_fast import BusType, Message, Variant
from dbus_fast.aio import MessageBus

from tray import bus

NAME = "org.freedesktop.portal.Desktop"
PATH = "/org/freedesktop/portal/desktop"
INTERFACE = "org.freedesktop.portal.Settings"
ANSWER_S = 1.0
"""The icon waits for the answer. A portal that hangs must not keep it away."""
_HIGHER = 1

log = logging.getLogger(__name__)


async def wants_contrast() -> bool:
    """Whether the person wants higher contrast. No when nobody knows; no portal is started for the question."""
    try:
        async with asyncio.timeout(ANSWER_S), bus.connected(BusType.SESSION) as session:
            return await bus.is_owned(session, NAME) and await _contrast(session) == _HIGHER
    except bus.ERRORS as exc:
        log.debug("the desktop does not say whether it wants contrast: %s", exc)
        return False


async def _contrast(session: MessageBus) -> object:
    question = Message(
        destination=NAME,
        path=PATH,
        interface=INTERFACE,
        member="Read",  # ReadOne is younger
        signature="ss",
        body=["org.freedesktop.appearance", "contrast"],
    )
    (value,) = (await bus.call(session, question)).body
    while isinstance(value, Variant):  # Read wraps it twice
        value = value.value
    return value
