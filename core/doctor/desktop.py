"""Whether this desktop shows tray icons and messages: two questions to the session bus, and one to the X server."""

import os
import sys
from collections.abc import Mapping

from core.doctor.facts import Desktop, Tray

ANSWER_S = 2.0
_WATCHER = "org.kde.StatusNotifierWatcher"
_MESSAGES = "org.freedesktop.Notifications"


def look(environ: Mapping[str, str] = os.environ) -> Desktop:
    """What is here. Nothing is started by asking."""
    if sys.platform != "linux":
        return Desktop(None)
    has_display = any(environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    names = _names(environ.get("DBUS_SESSION_BUS_ADDRESS", ""))
    if not has_display or names is None:
        return Desktop(session=False)
    tray: Tray = "status-notifier" if _WATCHER in names else "xembed" if _has_xembed(environ) else "none"
    return Desktop(session=True, tray=tray, notifications=_MESSAGES in names)


def _names(address: str) -> frozenset[str] | None:
    """The names on the session bus, owned or startable (a daemon may sleep until it is wanted); None without a bus."""
    from jeepney import DBusAddress, DBusErrorResponse, new_method_call  # type: ignore[import-untyped]  # noqa: PLC0415
    from jeepney.io.blocking import open_dbus_connection  # type: ignore[import-untyped]  # noqa: PLC0415
    from jeepney.wrappers import unwrap_msg  # type: ignore[import-untyped]  # noqa: PLC0415

    if not address:
        return None
    driver = DBusAddress("/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus")
    try:
        with open_dbus_connection(address) as bus:
            asked = (
                bus.send_and_get_reply(new_method_call(driver, question), timeout=ANSWER_S)
                for question in ("ListNames", "ListActivatableNames")
            )
            return frozenset(name for answer in asked for name in unwrap_msg(answer)[0])
    except (OSError, ValueError, DBusErrorResponse):
        return None


def _has_xembed(environ: Mapping[str, str]) -> bool:
    """Whether somebody owns the X server's tray: panels before StatusNotifier, and many of today."""
    display = environ.get("DISPLAY")
    if not display:
        return False
    from Xlib.display import Display  # noqa: PLC0415
    from Xlib.error import DisplayError, XError  # noqa: PLC0415

    try:
        server = Display(display)
    except (DisplayError, OSError):
        return False
    try:
        atom = server.intern_atom(f"_NET_SYSTEM_TRAY_S{server.get_default_screen()}")
        return bool(server.get_selection_owner(atom))
    except (XError, OSError):
        return False
    finally:
        server.close()
