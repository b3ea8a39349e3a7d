"""Messages to the person through the desktop's own notifications, with buttons where the desktop has them.

Showing one never raises and never blocks the caller: a message is not worth a stopped tray. That none can be shown
is logged once, and `available()` knows it, so that the menu can tell instead. What asks the person to act is shown
when a notification daemon comes up after all, as it may right after login.
"""

import asyncio
import contextlib
import html
import logging
import sys
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from anyio.from_thread import BlockingPortal, start_blocking_portal

from core.model import Notification, NotificationAction

if TYPE_CHECKING:
    from desktop_notifier import DesktopNotifier

APP_NAME = "Tidegate"
SHOW_S = 10.0
"""A notification daemon that is being started by the bus takes a second or two."""
WAITING = 16
"""Messages under way. More than a handful at once help nobody."""
REMEMBERED = 32
"""Messages that a later one with the same key takes off the screen."""
KEPT = 4
"""Urgent messages that wait for a notification daemon. More at once would be a wall."""
OPEN = NotificationAction("Open")
"""What a click on the message itself does."""

log = logging.getLogger(__name__)


class Notifier:
    """Shows notifications, from any thread, between `with` and its end. `icon` is a picture file."""

    def __init__(self, icon: Path | None = None) -> None:
        self._icon = icon
        self._pressed: Callable[[NotificationAction], None] = lambda _: None
        self._changed: Callable[[], None] = lambda: None
        self._stack = contextlib.ExitStack()
        self._portal: BlockingPortal | None = None
        self._desktop: DesktopNotifier | None = None
        self._works: bool | None = None
        self._shown: OrderedDict[str, str] = OrderedDict()
        self._kept: OrderedDict[str, Notification] = OrderedDict()
        self._under_way: set[Future[None]] = set()
        self._waiting: asyncio.Task[None] | None = None
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

    def listen(self, pressed: Callable[[NotificationAction], None], changed: Callable[[], None]) -> None:
        """Have `pressed` called with the button that was, and `changed` when `available()` has another answer.

        Both from a thread of the notifier's: they hand their work on and return.
        """
        self._pressed, self._changed = pressed, changed

    def available(self) -> bool | None:
        """Whether the last message was shown; None before the first, and when a daemon has come up since."""
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
        if works:
            self._kept.pop(notification.key, None)
        else:
            if self._works is not False:
                log.warning("the desktop shows no notifications; see the menu or `tidegate status` instead")
            self._keep(notification)
        self._is(works)

    def _is(self, works: bool | None) -> None:
        before, self._works = self._works, works
        if works is not before:
            self._changed()

    def _keep(self, notification: Notification) -> None:
        """Until a daemon comes up."""
        if notification.urgent:
            self._kept[notification.key] = notification
            self._kept.move_to_end(notification.key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        if self._waiting is None and sys.platform == "linux":
            self._waiting = asyncio.create_task(self._until_daemon(), name="notification daemon")

    async def _until_daemon(self) -> None:
        from tray import bus, notify_daemon  # noqa: PLC0415 - there is none on other systems

        try:
            await notify_daemon.comes_up()
        except bus.ERRORS as exc:
            log.debug("no notification daemon can be waited for: %s", exc)
            return
        finally:
            self._waiting = None
        log.info("a notification daemon has come up")
        self._is(None)
        for notification in tuple(self._kept.values()):
            await self._show(notification)

    async def _send(self, notification: Notification) -> bool:
        """Hand it to the desktop. Returns whether the desktop took it."""
        from desktop_notifier import Button, DesktopNotifier, Icon, Urgency  # noqa: PLC0415 - slow, often not needed

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
            buttons=[Button(action.label, partial(self._press, action)) for action in notification.actions],
            on_clicked=partial(self._press, OPEN),
            on_dispatched=dispatched.set,
            thread=notification.key,
        )
        if not dispatched.is_set():  # `send` does not raise: only this tells
            return False
        self._shown[notification.key] = id_
        if len(self._shown) > REMEMBERED:
            self._shown.popitem(last=False)
        return True

    def _press(self, action: NotificationAction) -> None:
        log.debug("pressed in a message: %s", action.label)
        self._pressed(action)

    async def _disconnect(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            await asyncio.wait({self._waiting})
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
