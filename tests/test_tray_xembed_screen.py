"""The connection to an X server: what it tells, what it draws, how it ends."""

import sys
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from PIL import Image

if sys.platform != "linux":
    pytest.skip("X is Linux's", allow_module_level=True)

from Xlib import X

from tests.desktop.stub_tray import Person, argb_visual, until, x_server
from tray.popup import Box
from tray.xembed_screen import UNREACHABLE, Screen, UnusableScreenError, has_display

pytestmark = pytest.mark.anyio


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Iterator[Person]:
    with x_server() as name:
        monkeypatch.setenv("DISPLAY", name)
        person = Person(name)
        yield person
        person.close()


def window(screen: Screen, width: int, height: int) -> Any:
    made = screen.root.create_window(
        10, 10, width, height, 0, screen.screen.root_depth, override_redirect=True, event_mask=X.ButtonPressMask
    )
    made.map()
    return made


async def test_picture_of_any_size_arrives_as_it_was_drawn(person: Person) -> None:
    screen = Screen(lambda: None)
    image = Image.radial_gradient("L").resize((700, 400)).convert("RGB")  # more than one request may carry
    shown = window(screen, *image.size)

    screen.put(shown, image)
    screen.flush()

    await until(lambda: person.look().crop((10, 10, 710, 410)) == image, "the picture")
    assert screen.shot(shown, *image.size) == image
    screen.close()


async def test_what_a_busy_server_does_not_take_at_once_is_sent_when_it_does(person: Person) -> None:
    screen = Screen(lambda: None)
    shown = window(screen, 200, 160)
    screen.flush()
    await until(person.popups, "the window")

    person.display.grab_server()  # which listens to nobody else then
    person.display.sync()
    screen.put(shown, Image.new("RGB", (200, 160)))
    screen.flush()  # half of what fits on the way
    screen.destroy(shown)
    screen.flush()
    await anyio.sleep(0.1)
    assert screen.display.display.data_send, "it is not sent yet"
    person.display.ungrab_server()
    person.display.sync()

    await until(lambda: not person.popups(), "the window has gone")
    await until(lambda: not screen.display.display.data_send, "nothing is left to be sent")
    screen.close()


@pytest.mark.usefixtures("person")
async def test_window_that_cannot_be_seen_has_no_picture() -> None:
    screen = Screen(lambda: None)
    hidden = screen.root.create_window(0, 0, 10, 10, 0, screen.screen.root_depth)

    assert screen.shot(hidden, 10, 10) is None
    screen.close()


async def test_events_go_to_the_listener_of_their_window_until_it_is_forgotten(person: Person) -> None:
    screen = Screen(lambda: None)
    shown, heard = window(screen, 50, 50), []
    screen.listen(shown, heard.append)
    screen.flush()

    person.click(20, 20)
    await until(lambda: heard, "a click")
    screen.forget(shown)
    other: list[Any] = []
    second = window(screen, 50, 50)
    screen.listen(second, other.append)
    screen.flush()
    person.click(20, 20)
    await until(lambda: other, "a click on the window above")

    assert [event.type for event in heard] == [X.ButtonPress]
    screen.close()


async def test_end_of_the_server_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    with x_server() as name:
        monkeypatch.setenv("DISPLAY", name)
        screen = Screen(lambda: told.append("ended"))
    await until(lambda: told, "the end")

    screen.close()
    assert told == ["ended"]


@pytest.mark.usefixtures("person")
async def test_what_the_server_says_about_a_window_that_has_gone_changes_nothing() -> None:
    told: list[str] = []
    screen = Screen(lambda: told.append("ended"))
    gone = window(screen, 50, 50)
    gone.destroy()

    gone.configure(width=20)
    screen.put(gone, Image.new("RGB", (5, 5)))
    screen.flush()

    assert screen.pointer().width == 1, "the connection still works"
    assert told == []
    screen.close()


async def test_scale_is_what_the_desktop_set(person: Person) -> None:
    screen = Screen(lambda: None)
    scales = [screen.scale()]
    for dpi in (144, 192, 10, 9999):
        person.set_dpi(dpi)
        scales.append(screen.scale())

    assert scales == [1.0, 1.5, 2.0, 1.0, 4.0]
    screen.close()


async def test_monitor_at_the_mouse_is_the_whole_screen_when_there_is_one(person: Person) -> None:
    screen = Screen(lambda: None)
    person.point(300, 200)

    where = screen.pointer()

    assert where == Box(300, 200, 1, 1)
    assert screen.monitor(where) == Box(0, 0, 800, 480)
    screen.close()


async def test_monitor_is_the_one_that_the_point_is_on(person: Person) -> None:
    left, right = Box(0, 0, 500, 480), Box(500, 0, 300, 480)
    for name, box in (("left", left), ("right", right)):
        split = f"{box.width}/100x{box.height}/100+{box.x}+{box.y}"
        output = "screen" if box is left else "none"
        await anyio.run_process(["xrandr", "-d", person.name, "--setmonitor", name, split, output])
    screen = Screen(lambda: None)

    assert screen.monitor(Box(10, 10, 1, 1)) == left
    assert screen.monitor(Box(700, 10, 1, 1)) == right
    screen.close()


async def test_screen_of_few_colours_is_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    with x_server("320x200x16") as name:
        monkeypatch.setenv("DISPLAY", name)

        with pytest.raises(UnusableScreenError):
            Screen(lambda: None)


async def test_only_a_visual_with_transparency_is_taken_for_one(person: Person) -> None:
    screen = Screen(lambda: None)

    assert screen.argb_visual(argb_visual(person.display))
    assert not screen.argb_visual(screen.screen.root_visual)
    assert not screen.argb_visual(0)
    screen.close()


# python-xlib leaves a socket open when nobody listens at the display.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_display_without_a_server_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":9999")

    with pytest.raises(UNREACHABLE):
        Screen(lambda: None)


@pytest.mark.parametrize(
    ("display", "wayland", "expected"), [(":0", "", True), ("", "", False), (":0", "wayland-0", False)]
)
def test_x_server_that_serves_a_wayland_session_is_left_alone(
    display: str, wayland: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.setenv("WAYLAND_DISPLAY", wayland)

    assert has_display() is expected
