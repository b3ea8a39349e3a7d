import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from core.doctor.desktop import look
from core.doctor.facts import Desktop

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have a tray of their own")


@pytest.fixture
def bus() -> Iterator[str]:
    """A session bus with nobody on it."""
    daemon = shutil.which("dbus-daemon")
    assert daemon, "apt-get install dbus"
    program = subprocess.Popen(
        [daemon, "--session", "--nofork", "--print-address=1"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "XDG_DATA_DIRS": "/nonexistent", "XDG_DATA_HOME": "/nonexistent"},
    )
    assert program.stdout
    with program:
        yield program.stdout.readline().strip()
        program.terminate()


def test_without_a_display_or_a_bus_there_is_no_desktop(bus: str) -> None:
    assert look({}) == Desktop(session=False)
    assert look({"DISPLAY": ":0"}) == Desktop(session=False)
    assert look({"DBUS_SESSION_BUS_ADDRESS": bus}) == Desktop(session=False)


@pytest.mark.parametrize("address", ["unix:path=/nonexistent/bus", "no address"])
def test_bus_that_does_not_answer_is_none(address: str) -> None:
    assert look({"WAYLAND_DISPLAY": "w", "DBUS_SESSION_BUS_ADDRESS": address}) == Desktop(session=False)


def test_bus_with_nobody_on_it_shows_nothing(bus: str) -> None:
    found = look({"WAYLAND_DISPLAY": "w", "DBUS_SESSION_BUS_ADDRESS": bus})
    assert (found.session, found.tray) == (True, "none")


def test_who_owns_the_names_shows_icons_and_messages(bus: str) -> None:
    from jeepney import DBusAddress, new_method_call  # type: ignore[import-untyped]  # noqa: PLC0415
    from jeepney.io.blocking import open_dbus_connection  # type: ignore[import-untyped]  # noqa: PLC0415

    driver = DBusAddress("/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus")
    with open_dbus_connection(bus) as panel:
        for name in ("org.kde.StatusNotifierWatcher", "org.freedesktop.Notifications"):
            panel.send_and_get_reply(new_method_call(driver, "RequestName", "su", (name, 0)), timeout=5)

        found = look({"WAYLAND_DISPLAY": "w", "DBUS_SESSION_BUS_ADDRESS": bus})

    assert found == Desktop(session=True, tray="status-notifier", notifications=True)
