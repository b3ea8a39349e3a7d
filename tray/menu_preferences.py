"""The part of the menu that is seldom needed: how Tidegate starts, tells and looks, and what it is."""

from collections.abc import Iterator
from dataclasses import dataclass

from core import deeds
from core.model import QuietHours, Snapshot
from core.words import translate as _
from tray.items import Button, Check, Item, OpenFolder, Order, Radio, Separator, StartAtLogin, Submenu
from tray.menu_words import switch, tell

NIGHT = QuietHours(22 * 60, 7 * 60)
"""The hours that are offered; others are set with `tidegate config set quiet_hours`."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What the desktop's side knows, and no snapshot tells."""

    autostart: bool | None = None
    """Whether Tidegate starts at login; None where it cannot."""
    notifications: bool = True
    """Whether anything shows them."""
    log_folder: str = ""
    """Where the log is; empty while none is kept."""


def preferences(snapshot: Snapshot, desk: Desk) -> Submenu:
    """Everything that is chosen once."""
    style = snapshot.icon
    return Submenu(
        _("Preferences"),
        (
            _autostart(desk),
            switch(deeds.setting(_("Notifications"), "notifications", on=snapshot.notifications)),
            *(() if desk.notifications else (tell(_("Nothing on this desktop shows notifications")),)),
            _quiet_hours(snapshot.quiet_hours),
            switch(deeds.setting(_("Coloured icon"), "icon.colours", on=style.colours)),
            switch(deeds.setting(_("Percent on the icon"), "icon.number", on=style.number)),
            Separator(),
            _about(snapshot, desk),
        ),
    )


def _autostart(desk: Desk) -> Item:
    if desk.autostart is None:
        return tell(_("Tidegate cannot start at login here"))
    return Check(_("Start at login"), StartAtLogin(on=not desk.autostart), checked=desk.autostart)


def _quiet_hours(current: QuietHours | None) -> Submenu:
    offered = dict.fromkeys((None, NIGHT, current))
    title = _("Quiet hours: {hours}").format(hours=_hours(current))
    return Submenu(title, tuple(Radio(_hours(hours), _be_quiet(hours), checked=hours == current) for hours in offered))


def _be_quiet(hours: QuietHours | None) -> Order:
    text = "off" if hours is None else f"{_clock(hours.from_min)}-{_clock(hours.to_min)}"
    return Order("config_set", {"key": "quiet_hours", "text": text})


def _hours(hours: QuietHours | None) -> str:
    return _("off") if hours is None else f"{_clock(hours.from_min)}–{_clock(hours.to_min)}"


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _about(snapshot: Snapshot, desk: Desk) -> Submenu:
    def rows() -> Iterator[Item]:
        yield tell(_("Version {version}").format(version=snapshot.version))
        yield tell(_("Free software, MIT licence"))
        if desk.log_folder:
            yield Button(_("Show the log files"), OpenFolder(desk.log_folder))

    return Submenu(_("About Tidegate"), tuple(rows()))
