"""pystray's Windows back end, with ours on it, on a Windows that is a record (`fake_win32`)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from PIL import Image

from tests.fake_win32 import Windows, WindowsPerson, windows
from tests.tray_person import running
from tray.icon_colours import Panel
from tray.items import Action, Button, Item, Quit
from tray.pystray_menu import menu

WM_CLOSE, WM_QUERYENDSESSION, WM_ENDSESSION, WM_SETTINGCHANGE = 0x10, 0x11, 0x16, 0x1A
WM_DISPLAYCHANGE, WM_DPICHANGED, WM_TASKBARCREATED = 0x7E, 0x2E0, 0xC001
LEFT, RIGHT, DOUBLE, MOVE = 0x0202, 0x0205, 0x0203, 0x0200
BLACK, WHITE = 0x000000, 0xFFFFFF
QUIT = Button("Quit", Quit())


@pytest.fixture(name="here")
def windows_with_our_module() -> Iterator[tuple[Windows, Any]]:
    with windows() as both:
        yield both


class Shown:
    """An icon in the taskbar."""

    def __init__(self, system: Windows, module: Any, items: Sequence[Item] = (QUIT,)) -> None:
        self.windows = system
        self.person = WindowsPerson(system)
        self.performed: list[Action] = []
        self.hosted: list[bool] = []
        rows = menu(lambda: items, self._perform, double_ampersands=True)
        pictures = [Image.new("RGBA", (size, size), (size, 0, 0, 255)) for size in module.SIZES]
        self.icon = module.Icon("tidegate", pictures, "Work: 62 %", rows, on_host=self._on_host)

    def _perform(self, action: Action) -> None:
        self.performed.append(action)
        self.windows.news.tell()

    def _on_host(self, shown: bool) -> None:
        self.hosted.append(shown)
        self.windows.news.tell()

    @contextmanager
    def run(self) -> Iterator["Shown"]:
        with running(self.icon, lambda call: call()) as self.main:
            yield self

    def until_handled(self) -> None:
        """Whatever was posted before has been handled: messages are taken in turn."""
        self.person.left_click()

    def click(self, button: int) -> None:
        self.windows.post(self.windows.taskbar["callback"], 0, button)


def test_windows_is_told_who_we_are_and_that_we_draw_for_every_scale(here: tuple[Windows, Any]) -> None:
    system, module = here

    module.prepare()

    assert system.said == [("app id", "Tidegate"), ("dpi awareness", -4)]


@pytest.mark.parametrize(
    ("light", "contrast", "panel"),
    [
        (False, None, Panel.DARK),
        (True, None, Panel.LIGHT),
        (True, BLACK, Panel.CONTRAST_DARK),
        (False, WHITE, Panel.CONTRAST_LIGHT),
    ],
)
def test_panel_is_the_taskbar_as_the_person_chose_it(
    here: tuple[Windows, Any], light: bool, contrast: int | None, panel: Panel
) -> None:
    system, module = here
    system.light, system.contrast = light, contrast

    assert module.panel() is panel


def test_taskbar_nobody_has_chosen_a_colour_for_is_dark(here: tuple[Windows, Any]) -> None:
    system, module = here
    system.has_theme, system.light = False, True

    assert module.panel() is Panel.DARK


@pytest.mark.parametrize("button", [LEFT, RIGHT])
def test_either_button_opens_the_menu_and_the_program_comes_to_the_front_for_it(
    here: tuple[Windows, Any], button: int
) -> None:
    with Shown(*here).run() as shown:
        shown.windows.choice = "Quit"

        shown.click(button)

        shown.person.until(lambda: shown.performed == [Quit()])
        assert shown.windows.said[:2] == [("foreground",), ("menu",)]


def test_moving_over_the_icon_and_double_clicks_open_nothing_more(here: tuple[Windows, Any]) -> None:
    with Shown(*here).run() as shown:
        shown.click(MOVE)
        shown.click(DOUBLE)
        shown.until_handled()

        assert shown.windows.said.count(("menu",)) == 1


def test_menu_that_is_open_stays_when_something_changes_and_goes_when_it_is_left(here: tuple[Windows, Any]) -> None:
    with Shown(*here).run() as shown:
        shown.windows.meanwhile = shown.icon.update_menu  # the record fails when an open menu is destroyed

        shown.person.left_click("Quit")

        shown.person.until(lambda: shown.performed == [Quit()])
        assert shown.windows.menus == {}


def test_menu_without_rows_does_not_open(here: tuple[Windows, Any]) -> None:
    shown = Shown(*here, items=())
    with shown.run():
        shown.click(LEFT)
        shown.windows.post(WM_QUERYENDSESSION)
        shown.person.until(lambda: ("default", WM_QUERYENDSESSION) in shown.windows.said)

        assert ("menu",) not in shown.windows.said


@pytest.mark.parametrize(("dpi", "size"), [(96, 16), (120, 20), (144, 24), (168, 28), (192, 32), (288, 48)])
def test_picture_has_exactly_the_size_of_the_taskbars_icons(here: tuple[Windows, Any], dpi: int, size: int) -> None:
    here[0].dpi = dpi
    with Shown(*here).run() as shown:
        assert shown.person.picture().size == (size, size)
        assert shown.person.picture().getpixel((3, 3)) == (size, 0, 0, 255)


@pytest.mark.parametrize("message", [WM_DPICHANGED, WM_DISPLAYCHANGE])
def test_picture_follows_the_scale(here: tuple[Windows, Any], message: int) -> None:
    with Shown(*here).run() as shown:
        shown.windows.dpi = 192

        shown.windows.post(message)

        shown.until_handled()
        assert shown.person.picture().size == (32, 32)


@pytest.mark.parametrize(("side", "drawn"), [(16, 16), (18, 20), (36, 40), (64, 48)])
def test_size_that_is_not_drawn_is_made_from_the_next_larger_one(
    here: tuple[Windows, Any], side: int, drawn: int
) -> None:
    pictures = [Image.new("RGBA", (size, size), (size, 0, 0, 255)) for size in here[1].SIZES]

    made = here[1].fitting(pictures, side)

    assert (made.size, made.getpixel((8, 8))) == ((side, side), (drawn, 0, 0, 255))


def test_pictures_that_are_replaced_are_given_back(here: tuple[Windows, Any]) -> None:
    with Shown(*here).run() as shown:
        for _ in range(10):
            shown.icon.icon = list(shown.icon.icon)

        assert len(shown.windows.icons) == 1


def test_picture_without_colours_is_taken_too(here: tuple[Windows, Any]) -> None:
    with Shown(*here).run() as shown:
        shown.icon.icon = [Image.new("LA", (16, 16), (0, 96))]

        assert shown.person.picture().getpixel((3, 3)) == (0, 0, 0, 96)


@pytest.mark.parametrize(
    ("title", "tip"), [("Work: 62 %", "Work: 62 %"), ("x" * 200, "x" * 127), ("🌊" * 100, "🌊" * 63)]
)
def test_title_that_is_too_long_is_cut_between_letters(here: tuple[Windows, Any], title: str, tip: str) -> None:
    assert here[1].cut(title) == tip


def test_long_title_reaches_the_taskbar(here: tuple[Windows, Any]) -> None:
    with Shown(*here).run() as shown:
        shown.icon.title = "x" * 200

        assert shown.person.tooltip() == "x" * 127


def test_taskbar_that_starts_later_or_again_gets_the_icon(here: tuple[Windows, Any]) -> None:
    here[0].taskbar_is_there = False
    shown = Shown(*here)
    with shown.run():
        shown.person.until(lambda: shown.hosted == [False])
        window = shown.icon._hwnd
        shown.windows.taskbar_is_there, shown.windows.taskbar = True, {"hWnd": window}

        shown.windows.post(WM_TASKBARCREATED)

        shown.person.until(lambda: shown.hosted == [False, True])
        assert shown.person.tooltip() == "Work: 62 %"


def test_new_colours_of_the_taskbar_are_told_once(here: tuple[Windows, Any]) -> None:
    with Shown(*here).run() as shown:
        shown.windows.post(WM_SETTINGCHANGE)
        shown.until_handled()
        assert shown.hosted == [True]

        shown.windows.light = True
        shown.windows.post(WM_SETTINGCHANGE)
        shown.windows.post(WM_SETTINGCHANGE)
        shown.until_handled()

        assert shown.hosted == [True, True]


def test_shutdown_of_windows_is_not_held_up(here: tuple[Windows, Any]) -> None:
    with Shown(*here).run() as shown:
        shown.windows.post(WM_QUERYENDSESSION)
        shown.until_handled()
        assert ("default", WM_QUERYENDSESSION) in shown.windows.said, "pystray would answer 0, which is no"
        assert shown.main.is_alive()

        shown.windows.post(WM_ENDSESSION, 0)  # somebody else said no
        shown.until_handled()
        assert shown.main.is_alive()

        shown.windows.post(WM_ENDSESSION, 1)
        shown.main.join(10)
        assert not shown.main.is_alive()


def test_polite_request_to_close_ends_it(here: tuple[Windows, Any]) -> None:
    with Shown(*here).run() as shown:
        shown.windows.post(WM_CLOSE)

        shown.main.join(10)
        assert not shown.main.is_alive()


def test_ctrl_c_ends_it_without_waiting_for_a_message(here: tuple[Windows, Any]) -> None:
    with Shown(*here).run() as shown:
        (handler,) = shown.windows.console

        assert handler(0)

        shown.main.join(10)
        assert not shown.main.is_alive()
    assert shown.windows.console == []


def test_picture_that_windows_does_not_take_is_an_error(here: tuple[Windows, Any]) -> None:
    system, module = here
    vars(system)["CreateIconFromResourceEx"] = lambda *_: 0

    with pytest.raises(OSError, match="did not take"):
        module._handle(Image.new("RGBA", (16, 16)))
