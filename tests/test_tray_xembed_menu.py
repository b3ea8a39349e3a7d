"""The drawn menu on an X server, with a mouse and keys."""

import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

if sys.platform != "linux":
    pytest.skip("X is Linux's", allow_module_level=True)

from Xlib import X

from tests.desktop.stub_tray import Person, until, x_server
from tray import xembed_menu
from tray.items import Action, Button, Check, Item, Line, OpenDashboard, Order, Quit, Radio, Separator, Submenu
from tray.popup import Box, Mark, Row
from tray.popup_drawing import FRAME, REACHED
from tray.pystray_menu import menu
from tray.xembed_menu import Deed, MenuWindow
from tray.xembed_screen import Screen

pytestmark = pytest.mark.anyio

ICON = Box(400, 3, 24, 24)
ITEMS: list[Item] = [
    Line("Work: 62 %"),
    Radio("Work", Order("pin", {"account": "work"}), checked=True),
    Radio("Home", Order("pin", {"account": "home"}), checked=False),
    Separator(),
    Submenu("More", (Button("Open dashboard", OpenDashboard()),)),
    Button("Quit", Quit()),
]


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Iterator[Person]:
    with x_server() as name:
        monkeypatch.setenv("DISPLAY", name)
        with closing(Person(name)) as person:
            yield person


class Shown:
    """A menu, and what it told."""

    def __init__(self, items: list[Item]) -> None:
        self.performed: list[Action] = []
        self.closed = 0
        self.screen = Screen(lambda: None)
        self.menu = menu(lambda: items, self.performed.append)
        self.window = MenuWindow(self.screen, lambda row: row(None), self._count)

    def _count(self) -> None:
        self.closed += 1

    def open(self) -> None:
        self.window.open(self.menu, ICON)

    def close(self) -> None:
        self.screen.close()


@pytest.fixture
async def shown(person: Person) -> Any:
    with closing(Shown(ITEMS)) as shown:
        shown.open()
        await until(lambda: len(person.popups()) == 1, "the menu")
        await until(person.keys_are_held, "the menu has mouse and keys")
        yield shown


def middle(person: Person, index: int, number: int = 0) -> tuple[int, int]:
    """The middle of a row of ITEMS, counted as the metrics count."""
    x, y, _, _ = person.popups()[number]
    before = sum(9 if isinstance(item, Separator) else 27 for item in ITEMS[:index])
    return x + 60, y + 6 + before + 13


def reached(person: Person, index: int, number: int = 0) -> bool:
    x, y = middle(person, index, number)
    return person.look().getpixel((x - 50, y)) == REACHED


async def gone(person: Person) -> None:
    await until(lambda: not person.popups(), "the menu has closed")


@pytest.mark.usefixtures("shown")
async def test_menu_hangs_from_its_icon_and_has_its_rows(person: Person) -> None:
    ((x, y, width, height),) = person.popups()

    assert (x, y) == (ICON.x, ICON.bottom)
    assert height == 5 * 27 + 9 + 2 * 6
    picture = person.look()
    assert picture.getpixel((x, y)) == picture.getpixel((x + width - 1, y + height - 1)) == FRAME


async def test_click_on_a_row_does_it_once_and_closes(person: Person, shown: Shown) -> None:
    person.click(*middle(person, 2))

    await until(lambda: shown.performed, "the deed")
    assert shown.performed == [Order("pin", {"account": "home"})]
    await gone(person)
    assert shown.closed == 1


async def test_button_that_opened_the_menu_may_be_let_go_on_a_row(person: Person) -> None:
    person.point(10, 300)
    person.button("left", X.ButtonPress)
    with closing(Shown(ITEMS)) as shown:
        shown.open()
        await until(lambda: len(person.popups()) == 1, "the menu")
        person.point(*middle(person, 1))
        await until(lambda: reached(person, 1), "the row under the mouse")
        person.button("left", X.ButtonRelease)

        await until(lambda: shown.performed, "the deed")
        assert shown.performed == [Order("pin", {"account": "work"})]


async def test_click_outside_closes_and_does_nothing(person: Person, shown: Shown) -> None:
    person.click(20, 400)

    await gone(person)
    assert shown.performed == []


async def test_row_that_can_only_be_read_stays_as_it_is_when_clicked(person: Person, shown: Shown) -> None:
    person.click(*middle(person, 0))
    person.point(*middle(person, 5))

    await until(lambda: reached(person, 5), "the menu is still there")
    assert shown.performed == []


async def test_mouse_that_rests_on_a_submenu_opens_it_and_its_row_can_be_clicked(person: Person, shown: Shown) -> None:
    person.point(*middle(person, 4))
    await until(lambda: len(person.popups()) == 2, "the submenu")

    person.click(*middle(person, 0, 1))

    await until(lambda: shown.performed, "the deed")
    assert shown.performed == [OpenDashboard()]
    await gone(person)


async def test_keys_alone_reach_and_do_everything(person: Person, shown: Shown) -> None:
    person.press("Down", "Down", "Down", "Right")
    await until(lambda: len(person.popups()) == 2, "the submenu")
    person.press("Left")
    await until(lambda: len(person.popups()) == 1, "the submenu has closed")
    assert reached(person, 4)

    person.press("Up", "Return")

    await until(lambda: shown.performed, "the deed")
    assert shown.performed == [Order("pin", {"account": "home"})]


@pytest.mark.usefixtures("shown")
async def test_escape_closes_and_the_keys_are_free_again(person: Person) -> None:
    person.press("Escape")
    await gone(person)

    assert not person.keys_are_held()


async def test_new_words_are_drawn_while_it_is_open_and_the_row_reached_stays(person: Person) -> None:
    items: list[Item] = [Line("short"), *ITEMS[1:]]
    with closing(Shown(items)) as shown:
        shown.open()
        await until(lambda: len(person.popups()) == 1, "the menu")
        person.point(*middle(person, 2))
        await until(lambda: reached(person, 2), "the row under the mouse")
        before = person.popups()[0][2]

        items[0] = Line("words that are much longer than those before")
        shown.window.renew(shown.menu)

        await until(lambda: person.popups()[0][2] > before, "a wider menu")
        assert reached(person, 2)


async def test_second_click_on_the_icon_closes(person: Person, shown: Shown) -> None:
    shown.open()

    await gone(person)
    assert shown.closed == 1


async def test_menu_closes_when_another_program_does_not_let_go_of_the_keys(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xembed_menu, "GRAB_TRIES", 1)
    window = person.root.create_window(0, 0, 50, 50, 0, X.CopyFromParent, override_redirect=True)
    window.map()
    window.grab_keyboard(False, X.GrabModeAsync, X.GrabModeAsync, X.CurrentTime)
    with closing(Shown(ITEMS)) as shown:
        shown.open()

        await until(lambda: shown.closed, "the menu gives up")
        await until(lambda: person.popups() == [(0, 0, 50, 50)], "the menu has closed")


async def test_menu_is_twice_as_large_where_the_desktop_says_so(person: Person) -> None:
    person.set_dpi(192)
    with closing(Shown(ITEMS)) as shown:
        shown.open()
        await until(lambda: len(person.popups()) == 1, "the menu")

        assert person.popups()[0][3] == 2 * (5 * 27 + 9 + 2 * 6)


def test_every_kind_of_row_becomes_the_row_that_draws_it() -> None:
    items: list[Item] = [Line("a"), Radio("b", Quit(), checked=True), Check("c", None, checked=False), Separator()]
    items += [Submenu("d", (Button("e", Quit()),)), Button("f", Quit())]

    line, radio, check, separator, more, button = xembed_menu.rows(menu(lambda: items, print))

    assert (line.text, line.enabled, line.mark) == ("a", False, Mark.NONE)
    assert (radio.mark, radio.checked, radio.enabled) == (Mark.RADIO, True, True)
    assert (check.mark, check.checked, check.enabled) == (Mark.CHECK, False, False)
    assert separator == Row()
    assert [row.text for row in more.rows] == ["e"]
    assert button.deed == Deed(Quit(), None)
