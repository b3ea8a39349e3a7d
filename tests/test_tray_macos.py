"""pystray's macOS back end, with ours on it, on a macOS that is a record (`fake_appkit`)."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from PIL import Image

from tests.fake_appkit import MacOS, MacPerson, macos
from tests.tray_person import running
from tray.icon_colours import Panel
from tray.items import Action, Button, Item, OpenDashboard, Quit, Submenu
from tray.pystray_menu import menu

ACCESSORY = 1
QUIT = Button("Quit", Quit())
DASHBOARD = Button("Open dashboard", OpenDashboard())


@pytest.fixture(name="here")
def macos_with_our_module() -> Iterator[tuple[MacOS, Any]]:
    with macos() as both:
        yield both


class Shown:
    """An icon in the menu bar."""

    def __init__(self, mac: MacOS, module: Any) -> None:
        self.mac = mac
        self.module = module
        self.person = MacPerson(mac)
        self.items: list[Item] = [DASHBOARD, QUIT]
        self.performed: list[Action] = []
        self.hosted: list[bool] = []
        rows = menu(lambda: self.items, self.performed.append)
        self.icon = module.Icon("tidegate", self.pictures("RGBA"), "Work", rows, on_host=self.hosted.append)

    def pictures(self, mode: str) -> list[Image.Image]:
        return [Image.new(mode, (size, size)) for size in self.module.SIZES]

    @contextmanager
    def run(self) -> Iterator["Shown"]:
        with running(self.icon, self.module.on_main_thread) as self.main:
            yield self

    def on_main(self, call: Any) -> Any:
        """Do something on the main thread; its answer."""
        answers: list[Any] = []
        self.mac.call_after(lambda: answers.append(call()))
        self.person.until(lambda: answers)
        return answers[0]

    @property
    def image(self) -> dict[str, Any]:
        return vars(vars(self.mac.button)["image"])


def test_program_lives_in_the_menu_bar_only(here: tuple[MacOS, Any]) -> None:
    mac, module = here

    module.prepare()

    assert mac.policy == ACCESSORY


@pytest.mark.parametrize(("contrast", "panel"), [(False, Panel.TINTING), (True, Panel.CONTRAST_DARK)])
def test_menu_bar_tints_unless_the_person_wants_contrast(here: tuple[MacOS, Any], contrast: bool, panel: Panel) -> None:
    mac, module = here
    mac.increased_contrast = contrast

    assert module.panel() is panel


def test_picture_is_there_for_usual_and_for_retina_screens_and_as_large_as_its_neighbours(
    here: tuple[MacOS, Any],
) -> None:
    with Shown(*here).run() as shown:
        forms = [vars(form) for form in shown.image["forms"]]

        assert [form["picture"].size for form in forms] == [(18, 18), (36, 36)]
        assert {form["points"] for form in forms} == {shown.image["points"]} == {(18, 18)}


def test_picture_without_colours_is_a_template_and_one_with_colours_is_not(here: tuple[MacOS, Any]) -> None:
    with Shown(*here).run() as shown:
        assert shown.image["template"] is False

        shown.on_main(lambda: setattr(shown.icon, "icon", shown.pictures("LA")))

        assert shown.image["template"] is True


def test_click_on_a_row_that_was_drawn_before_a_change_does_what_the_row_said(here: tuple[MacOS, Any]) -> None:
    with Shown(*here).run() as shown:

        def open_then_change_then_click() -> None:
            opened = shown.mac.menu
            opened.delegate.menuNeedsUpdate_(opened)
            rows = list(opened.items)
            shown.items[:] = [QUIT]
            shown.icon.update_menu()
            rows[0].target.activate_menu_item(rows[0])

        shown.on_main(open_then_change_then_click)

        assert shown.performed == [OpenDashboard()]


def test_rows_of_submenus_have_their_own_actions(here: tuple[MacOS, Any]) -> None:
    with Shown(*here).run() as shown:
        shown.items[:] = [
            DASHBOARD,
            Submenu("More", (Button("Key", OpenDashboard("key")), QUIT)),
            Button("Last", Quit()),
        ]

        shown.person.left_click("Key")
        shown.person.left_click("Open dashboard")
        shown.person.left_click("Last")
        shown.person.left_click()

        assert shown.performed == [OpenDashboard("key"), OpenDashboard(), Quit()]


def test_screen_readers_say_what_the_tooltip_says(here: tuple[MacOS, Any]) -> None:
    with Shown(*here).run() as shown:
        shown.on_main(lambda: setattr(shown.icon, "title", "Home: 5 %"))

        assert shown.person.tooltip() == "Home: 5 %"


def test_icon_touched_from_another_thread_fails_as_it_does_there(here: tuple[MacOS, Any]) -> None:
    """The record keeps AppKit's rule, so the other tests show that ours is kept to it."""
    with Shown(*here).run() as shown, pytest.raises(AssertionError, match="outside the main thread"):
        shown.icon.title = "Home: 5 %"


def test_icon_is_in_the_menu_bar_until_it_is_stopped(here: tuple[MacOS, Any]) -> None:
    with Shown(*here).run() as shown:
        assert shown.hosted == [True]
        assert vars(shown.mac.button)["hidden"] is False
    assert shown.mac.removed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_a_polite_kill_end_the_loop_and_not_the_process(here: tuple[MacOS, Any], number: int) -> None:
    with Shown(*here).run() as shown:
        shown.mac.call_after(lambda: shown.mac.handlers[number](number))

        shown.main.join(10)
        assert not shown.main.is_alive()
