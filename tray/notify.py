"""Messages to the person through the desktop's own notifications.

Showing one never raises and never blocks the caller: a message is not worth a stopped tray. That none can be shown
is logged once, and `available()` knows it, so that the menu or the dashboard can tell instead.
"""

import asyncio
import contextlib
import html
import logging
import sys
from collections import OrderedDict
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from anyio.from_thread import BlockingPortal, start_blocking_portal

from core.model import Notification

if TYPE_CHECKING:
    from desktop_notifier import DesktopNotifier

APP_NAME = "Tidegate"
SHOW_S = 10.0
"""A notification daemon that is being started by the bus takes a second or two."""
WAITING = 16
"""Messages under way. More than a handful at once help nobody."""
REMEMBERED = 32
"""Messages that a later one with the same key takes off the screen."""

log = logging.getLogger(__name__)


class Notifier:
    """Shows notifications, from any thread, between `with` and its end. `icon` is a picture file."""

    def __init__(self, icon: Path | None = None) -> None:
        self._icon = icon
        self._stack = contextlib.ExitStack()
        self._portal: BlockingPortal | None = None
        self._desktop: DesktopNotifier | None = None
        self._works: bool | None = None
        self._shown: OrderedDict[str, str] = OrderedDict()
        self._under_way: set[Future[None]] = set()
        self._turn = asyncio.Lock()

    def __enter__(self) -> Self:
        # desktop-notifier logs every failure with its traceback; one line of ours says it.
        logging.getLogger("desktop_notifier").setLevel(logging.ERROR)
        self._portal = self._stack.enter_context(start_blocking_portal(name="notifications"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        portal, self._portal = self._portal, None
        if portal is not None:
            for future in tuple(self._under_way):
                future.cancel()
            portal.call(self._disconnect)
        self._stack.close()

    def available(self) -> bool | None:
        """Whether the last message was shown; None before the first."""
        return self._works

    def show(self, notification: Notification) -> None:
        """Show it soon. One with the same key that is still on the screen goes."""
        if self._portal is None:
            return
        if len(self._under_way) >= WAITING:
            log.warning("too many messages at once, not shown: %s", notification.title)
            return
        future = self._portal.start_task_soon(self._show, notification, name=f"notification {notification.key}")
        self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)

    async def _show(self, notification: Notification) -> None:
        # In turn: desktop-notifier connects to the bus once for each that comes before the first is through.
        async with self._turn:
            try:
                async with asyncio.timeout(SHOW_S):
                    works = await self._send(notification)
            except Exception:  # the edge: whatever a desktop does, the tray goes on
                log.debug("notification failed", exc_info=True)
                works = False
            if not works:
                await self._forget_desktop()
        if not works and self._works is not False:
            log.warning("the desktop shows no notifications; see the menu or `tidegate status` instead")
        self._works = works

    async def _send(self, notification: Notification) -> bool:
        """Hand it to the desktop. Returns whether the desktop took it."""
        from desktop_notifier import DesktopNotifier, Icon, Urgency  # noqa: PLC0415 - slow to import, often not needed

        if self._desktop is None:
            self._desktop = DesktopNotifier(APP_NAME, Icon(path=self._icon) if self._icon else None)
        before = self._shown.pop(notification.key, None)
        if before is not None:
            with contextlib.suppress(KeyError):  # the person has closed it already
                await self._desktop.clear(before)
        dispatched = asyncio.Event()
        id_ = await self._desktop.send(
            notification.title,
            body(notification.body, sys.platform),
            Urgency.Critical if notification.urgent else Urgency.Normal,
            on_dispatched=dispatched.set,
        )
        if not dispatched.is_set():  # `send` does not raise: only this tells
            return False
        self._shown[notification.key] = id_
        if len(self._shown) > REMEMBERED:
            self._shown.popitem(last=False)
        return True

    async def _disconnect(self) -> None:
        async with self._turn:
            await self._forget_desktop()

    async def _forget_desktop(self) -> None:
        """Let the bus go: desktop-notifier would open another at each failure, and closes none."""
        desktop, self._desktop = self._desktop, None
        bus = getattr(getattr(desktop, "_backend", None), "bus", None)
        if bus is not None:
            bus.disconnect()
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                async with asyncio.timeout(SHOW_S):
                    await bus.wait_for_disconnect()


def body(text: str, platform: str) -> str:
    """The text as the desktop wants it: on Linux it is markup, where a bare `&` spoils the whole message."""
    return html.escape(text, quote=False) if platform == "linux" else text
