"""The icon in an XEmbed tray. The tray here is a stub; tests/desktop has a real one."""

import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from PIL import Image

if sys.platform != "linux":
    pytest.skip("X is Linux's", allow_module_level=True)

from tests.desktop.stub_tray import GREY, Person, StubTray, until, x_server
from tray.popup import Box
from tray.xembed import TrayWindow, fitting
from tray.xembed_screen import Screen

pytestmark = pytest.mark.anyio

RED, BLUE = (200, 60, 50), (40, 90, 220)
PLACE = (603, 3)


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Iterator[Person]:
    with x_server() as name:
        monkeypatch.setenv("DISPLAY", name)
        person = Person(name)
        yield person
        person.close()


class Icon:
    """An icon, and what it told."""

    def __init__(self) -> None:
        self.screen = Screen(lambda: None)
        self.docked: list[bool] = []
        self.pressed: list[int] = []
        self.window = TrayWindow(self.screen, "tidegate", self.pressed.append, self.docked.append)

    def close(self) -> None:
        self.screen.close()

    def show(self, colour: tuple[int, int, int] = RED, *sizes: int) -> None:
        self.window.show([half(colour, size) for size in sizes or (16, 24, 32)], "Work: 62 %")


def half(colour: tuple[int, int, int], size: int) -> Image.Image:
    """The left half in a colour, the right half transparent."""
    image = Image.new("RGBA", (size, size))
    image.paste((*colour, 255), (0, 0, size // 2, size))
    return image


def halves(person: Person) -> tuple[Any, Any]:
    """The colours in the left and in the right half of where the tray puts the icon."""
    screen = person.look()
    return screen.getpixel((PLACE[0] + 5, PLACE[1] + 12)), screen.getpixel((PLACE[0] + 19, PLACE[1] + 12))


async def test_icon_docks_with_the_tray_that_is_there_and_shows_the_panel_where_it_is_transparent(
    person: Person,
) -> None:
    with closing(StubTray(person.name)) as tray, closing(Icon()) as icon:
        icon.show()

        await until(tray.asked, "the icon asks the tray")
        await until(lambda: halves(person) == (RED, GREY), "the icon")
        assert icon.docked == [True]
        assert icon.window.place() == Box(*PLACE, 24, 24)


async def test_tray_that_composes_gets_the_transparency_itself(person: Person) -> None:
    with closing(StubTray(person.name, argb=True)) as tray, closing(Icon()) as icon:
        icon.show()

        await until(tray.asked, "the icon asks the tray")
        await until(lambda: icon.docked == [True], "docked")
        pixels = tray.icons[0].get_image(0, 0, 24, 24, 2, 0xFFFFFFFF)
        await until(lambda: tray.icons[0].get_image(0, 0, 24, 24, 2, 0xFFFFFFFF).data[3] == 255, "the icon")
        pixels = tray.icons[0].get_image(0, 0, 24, 24, 2, 0xFFFFFFFF)
        assert pixels.depth == 32
        assert bytes(pixels.data[:4]) == bytes([*reversed(RED), 255])
        assert bytes(pixels.data[92:96]) == bytes(4)


async def test_icon_docks_with_a_tray_that_comes_later(person: Person) -> None:
    with closing(Icon()) as icon:
        icon.show()
        assert icon.docked == []

        with closing(StubTray(person.name)) as tray:
            tray.announce()

            await until(tray.asked, "the icon asks the tray")
            await until(lambda: icon.docked == [True], "docked")


@pytest.mark.parametrize("politely", [True, False])
async def test_icon_docks_again_with_a_tray_that_was_restarted(person: Person, politely: bool) -> None:
    with closing(StubTray(person.name)) as first, closing(Icon()) as icon:
        icon.show()
        await until(first.asked, "the icon asks the tray")
        await until(lambda: icon.docked == [True], "docked")

        if politely:
            first.throw_out()
        first.close()
        await until(lambda: icon.docked[-1] is False, "told that the tray has gone")
        assert person.popups() == [], "nothing of the icon stays on the screen"
        with closing(StubTray(person.name)) as second:
            second.announce()

            await until(second.asked, "the icon asks the tray")
            await until(lambda: halves(person) == (RED, GREY), "the icon")
        assert icon.docked[:3] == [True, False, True]


async def test_new_picture_and_new_size_are_drawn(person: Person) -> None:
    with closing(StubTray(person.name)) as tray, closing(Icon()) as icon:
        icon.show()
        await until(tray.asked, "the icon asks the tray")
        await until(lambda: halves(person) == (RED, GREY), "the icon")

        icon.show(BLUE)
        await until(lambda: halves(person) == (BLUE, GREY), "the new picture")
        tray.icons[0].configure(width=12, height=12)
        tray.display.sync()

        def small() -> bool:
            screen = person.look()
            return [screen.getpixel((PLACE[0] + x, PLACE[1] + 6)) for x in (2, 9, 14)] == [BLUE, GREY, GREY]

        await until(small, "the new size")


async def test_hidden_icon_leaves_the_tray_and_comes_back(person: Person) -> None:
    with closing(StubTray(person.name)) as tray, closing(Icon()) as icon:
        icon.show()
        await until(tray.asked, "the icon asks the tray")
        await until(lambda: halves(person) == (RED, GREY), "the icon")

        icon.window.hide()
        await until(lambda: halves(person) == (GREY, GREY), "the empty tray")
        icon.show()

        await until(tray.asked, "the icon asks again")
        await until(lambda: halves(person) == (RED, GREY), "the icon")


async def test_every_button_is_told(person: Person) -> None:
    with closing(StubTray(person.name)) as tray, closing(Icon()) as icon:
        icon.show()
        await until(tray.asked, "the icon asks the tray")
        await until(lambda: halves(person) == (RED, GREY), "the icon")

        for button in ("left", "right", "middle"):
            person.click(PLACE[0] + 5, PLACE[1] + 5, button)
        await until(lambda: len(icon.pressed) == 3, "three clicks")

        assert icon.pressed == [1, 3, 2]


async def test_mouse_that_rests_on_the_icon_gets_its_words_until_it_clicks(person: Person) -> None:
    with closing(StubTray(person.name)) as tray, closing(Icon()) as icon:
        icon.show()
        await until(tray.asked, "the icon asks the tray")
        await until(lambda: halves(person) == (RED, GREY), "the icon")

        person.point(PLACE[0] + 5, PLACE[1] + 5)
        await until(lambda: len(person.popups()) == 2, "the tooltip beside the stub's panel")
        person.button("left")

        await until(lambda: len(person.popups()) == 1, "no tooltip")
        assert icon.pressed == [1]


def test_picture_drawn_for_the_size_is_taken_as_it_is_and_others_are_scaled_from_the_next_larger() -> None:
    images = [Image.new("RGBA", (size, size), (size, 0, 0, 255)) for size in (44, 16, 24)]

    assert fitting(images, 24) is images[2]
    assert (fitting(images, 20).size, fitting(images, 20).getpixel((5, 5))) == ((20, 20), (24, 0, 0, 255))
    assert (fitting(images, 64).size, fitting(images, 64).getpixel((5, 5))) == ((64, 64), (44, 0, 0, 255))
