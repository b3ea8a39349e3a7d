"""The tooltip of an icon in an XEmbed tray."""

import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

if sys.platform != "linux":
    pytest.skip("X is Linux's", allow_module_level=True)

import anyio

from tests.desktop.stub_tray import Person, until, x_server
from tray import xembed_tooltip
from tray.popup import Box
from tray.xembed_screen import Screen
from tray.xembed_tooltip import Tooltip

pytestmark = pytest.mark.anyio

ICON = Box(700, 3, 24, 24)


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Iterator[Person]:
    with x_server() as name:
        monkeypatch.setenv("DISPLAY", name)
        monkeypatch.setattr(xembed_tooltip, "REST_S", 0.02)
        with closing(Person(name)) as person:
            yield person


async def test_words_appear_below_the_icon_on_the_screen_and_go_with_the_mouse(person: Person) -> None:
    with closing(Screen(lambda: None)) as screen:
        tooltip = Tooltip(screen)

        tooltip.rest("Tidegate: Work — 5 h 62 % used", ICON)
        await until(person.popups, "the tooltip")
        ((x, y, width, _),) = person.popups()
        assert y == ICON.bottom
        assert x + width == 800

        tooltip.leave()
        await until(lambda: not person.popups(), "no tooltip")


@pytest.mark.parametrize("end", ["leave", "drop"])
async def test_mouse_that_only_passes_by_gets_no_tooltip(person: Person, end: str) -> None:
    with closing(Screen(lambda: None)) as screen:
        tooltip = Tooltip(screen)

        tooltip.rest("Tidegate", ICON)
        getattr(tooltip, end)()
        await anyio.sleep(3 * xembed_tooltip.REST_S)

        assert person.popups() == []
