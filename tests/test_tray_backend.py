import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import NoDesktop
from tests.desktop.bus import private_bus
from tray import backend, sni

LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="the Linux tray speaks D-Bus")


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)


@LINUX_ONLY
@pytest.mark.parametrize("display", ["DISPLAY", "WAYLAND_DISPLAY"])
def test_linux_with_a_desktop_has_our_own_tray(tmp_path: Path, display: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with private_bus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        monkeypatch.setenv(display, ":0")

        chosen = backend.choose("linux")

    assert chosen.icon is sni.Icon
    assert chosen.sizes == backend.LINUX_SIZES


@LINUX_ONLY
@pytest.mark.parametrize("address", ["", "unix:path=/nowhere/bus", "nonsense"])
def test_linux_without_a_session_bus_says_so_and_points_to_serve(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
    monkeypatch.setenv("DISPLAY", ":0")

    with pytest.raises(NoDesktop) as caught:
        backend.choose("linux")

    assert "no desktop session" in caught.value.title
    assert "tidegate serve" in caught.value.hint


@LINUX_ONLY
def test_linux_without_a_display_says_so_and_points_to_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with private_bus(tmp_path) as address:  # a login over ssh has a session bus, too
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)

        with pytest.raises(NoDesktop) as caught:
            backend.choose("linux")

    assert "tidegate serve" in caught.value.hint


@pytest.mark.skipif(sys.platform == "darwin", reason="there the libraries are installed")
def test_system_whose_tray_cannot_be_loaded_says_so_and_points_to_serve() -> None:
    with pytest.raises(NoDesktop) as caught:
        backend.choose("darwin")

    assert "tidegate serve" in caught.value.hint


@LINUX_ONLY
def test_pystray_is_imported_without_a_display_and_leaves_no_trace_in_the_environment() -> None:
    script = "import os; from tray.toolkit import Icon; print(Icon.__module__, os.environ.get('PYSTRAY_BACKEND'))"

    done = subprocess.run([sys.executable, "-c", script], env={"HOME": "/"}, capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["pystray._base", "None"]
