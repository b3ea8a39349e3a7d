"""The process after its icon has failed: Tidegate goes on serving, and waits for somebody who wants the icon back."""

import logging
import queue

from core import programs
from core.model import Notification, NotificationAction
from core.words import translate as _
from tray import ending
from tray.app import notifications
from tray.seams import Core

_SHOW = "show the icon"
"""In a message's button: an order of the tray's own, the core has none of this name."""

log = logging.getLogger(__name__)


def wait(core: Core) -> bool:
    """Serve without an icon. Returns whether one is wanted again; else the process is to end."""
    wishes: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def pressed(action: NotificationAction) -> None:
        if action.order == _SHOW:
            wishes.put(True)
        elif action.order:
            core.do(action.order, **action.arguments)
        else:
            programs.open_url(core.dashboard_url())

    def failed(reason: str) -> None:
        if reason:
            wishes.put(False)  # nothing serves and nothing is shown: a service manager may start both

    with (
        notifications() as notifier,
        core.subscribed(lambda: None, notifier.show, failed),
        core.answering(lambda: wishes.put(True)),
        ending.asked_to_end(lambda: wishes.put(False)),
    ):
        notifier.listen(pressed, lambda: None)
        notifier.show(
            Notification(
                _("Tidegate's icon has failed"),
                _("Tidegate goes on serving. Start it again to have the icon back; the log tells what happened."),
                key="icon",
                urgent=True,
                actions=(NotificationAction(_("Show the icon"), _SHOW),),
            )
        )
        wanted = wishes.get()
    if not wanted:
        core.finish()
    return wanted
