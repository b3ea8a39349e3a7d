"""The menu in place of the usual one when the core has failed: what happened, and the way out."""

from core.words import translate as _
from tray.items import Button, Item, Line, OpenFolder, Quit, Separator, StartAgain
from tray.menu_preferences import Desk
from tray.menu_words import TEXT_LENGTH, shorten


def build(reason: str, desk: Desk) -> tuple[Item, ...]:
    """The whole menu. Nothing in it needs the core."""
    log = (Button(_("Show the log files"), OpenFolder(desk.log_folder)),) if desk.log_folder else ()
    return (
        Line(tooltip(reason)),
        Button(_("Start again"), StartAgain()),
        *log,
        Separator(),
        Button(_("Quit Tidegate"), Quit()),
    )


def tooltip(reason: str) -> str:
    """The same in a line, for the mouse that rests on the icon."""
    return shorten(_("Not running: {reason}").format(reason=reason), TEXT_LENGTH)
