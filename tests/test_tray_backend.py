import queue
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from dbus_fast import Variant
from PIL import Image

from core.errors import NoDesktop
from core.model import AccountId
from tests import fake_appkit, fake_linux_panel, fake_win32
from tests.desktop.bus import private_bus
from tests.test_tray_portal import settings
from tests.tray_person import SECONDS, Person, Row, running
from tray import backend, linux
from tray.backend import Backend
from tray.icon_colours import Panel
from tray.items import Action, Button, Check, Item, Line, OpenDashboard, Order, Quit, Radio, Separator, Submenu
from tray.pystray_menu import menu

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

    assert chosen.icon is linux.Icon
    assert chosen.sizes == backend.LINUX_SIZES


@LINUX_ONLY
@pytest.mark.parametrize(("contrast", "panel"), [(0, Panel.DARK), (1, Panel.CONTRAST_DARK)])
def test_linux_desktop_with_high_contrast_gets_such_an_icon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contrast: int, panel: Panel
) -> None:
    with private_bus(tmp_path) as address, start_blocking_portal() as thread:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
        with thread.wrap_async_context_manager(settings(address, lambda: Variant("u", contrast))):
            assert backend.choose("linux").panel() is panel


# python-xlib leaves a socket open when nobody listens at the display.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@LINUX_ONLY
@pytest.mark.parametrize("address", ["", "unix:path=/nowhere/bus", "nonsense"])
def test_linux_without_a_session_bus_says_so_and_points_to_serve(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
    monkeypatch.setenv("DISPLAY", ":9999")

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


# --- the contract of every tray --------------------------------------------------------------------


def pin(name: str) -> Order:
    return Order("pin", {"account": AccountId(name)})


MENU: tuple[Item, ...] = (
    Line("Work: least used"),
    Radio("Work & co", pin("work"), checked=True),
    Radio("me_and@example.org", pin("me"), checked=False),
    Separator(),
    Submenu("Accounts", (Button("Remove Work", Order("remove", {})), Check("Mute", Order("mute", {}), checked=True))),
    Button("Copy key", None),
    Button("Open dashboard", OpenDashboard()),
    Button("Quit", Quit()),
)


@dataclass
class Shown:
    """An icon that is shown, and what came of it."""

    person: Person
    backend: Backend
    icon: Any
    items: list[Item] = field(default_factory=lambda: list(MENU))
    performed: list[Action] = field(default_factory=list)
    hosted: queue.SimpleQueue[bool] = field(default_factory=queue.SimpleQueue)

    def pictures(self, red: int) -> tuple[Image.Image, ...]:
        """One for each size: told by how red they are."""
        return tuple(Image.new("RGBA", (size, size), (red, 20, size, 255)) for size in self.backend.sizes)


@contextmanager
def desk(system: str, folder: Path) -> Iterator[tuple[Any, Backend, Callable[[], None]]]:
    """A desktop of this system: the person, the back end that is chosen there, and what brings the panel."""
    if system == "win32":
        with fake_win32.windows() as (windows, _):
            yield fake_win32.WindowsPerson(windows), backend.choose("win32"), lambda: None
    elif system == "darwin":
        with fake_appkit.macos() as (mac, _):
            yield fake_appkit.MacPerson(mac), backend.choose("darwin"), lambda: None
    else:
        with fake_linux_panel.linux(folder) as person:
            yield person, Backend(linux.Icon, backend.LINUX_SIZES), person.find_icon


@pytest.fixture(params=["linux", "win32", "darwin"])
def shown(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shown]:
    with ExitStack() as ends:
        person, chosen, come = ends.enter_context(desk(request.param, tmp_path))
        here = Shown(person, chosen, None)
        rows = menu(lambda: here.items, here.performed.append, double_ampersands=chosen.double_ampersands)
        here.icon = chosen.icon("tidegate", here.pictures(1), "Work: 62 %", rows, on_host=here.hosted.put)
        ends.enter_context(running(here.icon, chosen.run_on_ui))
        come()
        yield here


class TestEveryTray:
    """What the tray application relies on, wherever it runs."""

    def test_menu_is_on_the_screen_as_it_was_built(self, shown: Shown) -> None:
        rows = shown.person.left_click()

        heading, work, other, separator, accounts, copy, dashboard, last = rows
        assert [row.label for row in rows] == [getattr(item, "label", "") for item in MENU]
        assert (heading.enabled, copy.enabled, dashboard.enabled, last.enabled) == (False, False, True, True)
        assert (work.checked, other.checked, bool(other.mark)) == (True, False, other.mark != "")
        assert separator == Row("")
        assert [(row.label, row.checked) for row in accounts.rows] == [("Remove Work", False), ("Mute", True)]

    @pytest.mark.parametrize(
        ("label", "action"),
        [
            ("me_and@example.org", pin("me")),
            ("Remove Work", Order("remove", {})),
            ("Mute", Order("mute", {})),
            ("Quit", Quit()),
        ],
    )
    def test_click_on_a_row_performs_its_action_once(self, shown: Shown, label: str, action: Action) -> None:
        shown.person.left_click(label)

        shown.person.left_click()  # whatever the first click led to is over when the menu is there again
        assert shown.performed == [action]

    def test_menu_is_fresh_each_time_it_opens(self, shown: Shown) -> None:
        shown.person.left_click()
        shown.items[:] = [Button("Quit", Quit())]
        shown.backend.run_on_ui(shown.icon.update_menu)

        assert shown.person.left_click("Quit") == (Row("Quit"),)
        shown.person.left_click()
        assert shown.performed == [Quit()]

    def test_picture_fits_the_panel_and_follows_the_state(self, shown: Shown) -> None:
        size = shown.person.PICTURE
        assert shown.person.picture().size == (size, size)
        assert shown.person.picture().getpixel((3, 3)) == (1, 20, size, 255)

        done: list[bool] = []

        def show() -> None:
            shown.icon.icon = shown.pictures(200)
            done.append(True)

        shown.backend.run_on_ui(show)
        shown.person.left_click()
        assert done
        assert shown.person.picture().getpixel((3, 3)) == (200, 20, size, 255)

    def test_title_is_the_tooltip_and_follows_the_state(self, shown: Shown) -> None:
        assert shown.person.tooltip() == "Work: 62 %"

        shown.backend.run_on_ui(lambda: setattr(shown.icon, "title", "Home: 5 %"))
        shown.person.left_click()

        assert shown.person.tooltip() == "Home: 5 %"

    def test_it_is_told_that_a_panel_shows_the_icon(self, shown: Shown) -> None:
        while not shown.hosted.get(timeout=SECONDS):
            pass  # the panel may come later

    def test_icon_can_be_drawn_for_its_panel(self, shown: Shown) -> None:
        assert shown.backend.panel() in Panel
