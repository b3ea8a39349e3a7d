"""Pictures in windows of their own on an X server."""

import sys
from collections.abc import Iterator
from contextlib import closing

import pytest
from PIL import Image

if sys.platform != "linux":
    pytest.skip("X is Linux's", allow_module_level=True)

from tests.desktop.stub_tray import Person, until, x_server
from tray.popup import Box
from tray.xembed_screen import Screen
from tray.xembed_sheet import MENU, Sheet

pytestmark = pytest.mark.anyio

RED, BLUE = (200, 60, 50), (40, 90, 220)


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Iterator[Person]:
    with x_server() as name:
        monkeypatch.setenv("DISPLAY", name)
        with closing(Person(name)) as person:
            yield person


async def test_picture_is_shown_changed_and_taken_away(person: Person) -> None:
    with closing(Screen(lambda: None)) as screen:
        sheet = Sheet(screen, MENU, Box(100, 50, 30, 20), Image.new("RGB", (30, 20), RED))
        screen.flush()
        await until(lambda: person.popups() == [(100, 50, 30, 20)], "the window")
        await until(lambda: person.look().getpixel((129, 69)) == RED, "the picture")

        sheet.show(Box(110, 60, 40, 30), Image.new("RGB", (40, 30), BLUE))
        screen.flush()
        await until(lambda: person.popups() == [(110, 60, 40, 30)], "the window elsewhere")
        await until(lambda: person.look().getpixel((149, 89)) == BLUE, "the other picture")

        sheet.close()
        screen.flush()
        await until(lambda: person.popups() == [], "nothing")


async def test_compositor_is_told_what_kind_of_window_it_is(person: Person) -> None:
    with closing(Screen(lambda: None)) as screen:
        sheet = Sheet(screen, MENU, Box(0, 0, 9, 9), Image.new("RGB", (9, 9)))

        kind = sheet.window.get_full_property(screen.atom("_NET_WM_WINDOW_TYPE"), screen.atom("ATOM"))

        assert list(kind.value) == [person.display.intern_atom("_NET_WM_WINDOW_TYPE_POPUP_MENU")]
