"""Which tray the icon is in: of a panel on the bus, or of one that knows only XEmbed. Both are stubs here."""

import gc
import os
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from dbus_fast import DBusError

if sys.platform != "linux":
    pytest.skip("the Linux tray", allow_module_level=True)

from core.errors import NoDesktop
from tests.desktop.bus import private_bus
from tests.desktop.stub_panel import ITEM, SECONDS, Told, icon_with, panel, shown
from tests.desktop.stub_tray import GREY, Person, StubTray, until, x_server
from tray import linux, sni
from tray.items import Button, Item, Line, OpenDashboard, Quit

pytestmark = pytest.mark.anyio

RED = (200, 100, 50)
PLACE = (610, 10)
DBUS = ("org.freedesktop.DBus", ("/org/freedesktop/DBus", "org.freedesktop.DBus"))
ITEMS: list[Item] = [Button("Quit", Quit()), Button("Open dashboard", OpenDashboard())]


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with private_bus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        monkeypatch.delenv("DISPLAY", raising=False)
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        yield address


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch, address: str) -> Iterator[Person]:
    assert address
    with x_server() as name:
        monkeypatch.setenv("DISPLAY", name)
        monkeypatch.setattr(linux, "GRACE_S", 0.05)
        with closing(Person(name)) as person:
            yield person


def icon_of(person: Person) -> Any:
    """What is where the stub tray puts icons."""
    return person.look().getpixel(PLACE)


@asynccontextmanager
async def in_tray(person: Person, told: Told, performed: list[Any] | None = None) -> AsyncIterator[StubTray]:
    """An icon that an XEmbed tray shows."""
    with closing(StubTray(person.name)) as tray:
        perform = [].append if performed is None else performed.append
        async with shown(icon_with(ITEMS, perform, on_host=told)):
            await until(tray.asked, "the icon asks the tray")
            await until(lambda: icon_of(person) == RED, "the icon")
            yield tray


# --- which tray ------------------------------------------------------------------------------------


async def test_icon_is_in_an_xembed_tray_where_no_panel_speaks_on_the_bus(person: Person) -> None:
    told = Told()
    async with in_tray(person, told):
        await told.next()
        await told.next()
        assert told.all == [False, True]


async def test_panel_on_the_bus_is_preferred_and_the_x_server_is_not_even_asked(person: Person, address: str) -> None:
    told = Told()
    async with panel(address) as desktop:
        desktop.bus.export(sni.WATCHER_PATH, desktop.watcher)
        await desktop.bus.request_name(sni.WATCHER)
        with closing(StubTray(person.name)) as tray:
            icon = icon_with(ITEMS, on_host=told)
            async with shown(icon):
                assert await told.next() is True
                await anyio.sleep(3 * linux.GRACE_S)

                assert icon._screen is None
                assert not tray.asked()


async def test_icon_moves_to_a_panel_that_comes_and_is_never_in_two(person: Person, address: str) -> None:
    told = Told()
    async with panel(address) as desktop, in_tray(person, told):
        while not await told.next():
            pass
        await desktop.offer_watcher()

        await until(lambda: icon_of(person) == GREY, "the icon has left the XEmbed tray")
        assert told.all == [False, True], "it was somewhere all the time"


async def test_icon_goes_back_to_the_xembed_tray_when_the_panel_goes(person: Person, address: str) -> None:
    told = Told()
    async with panel(address) as desktop, in_tray(person, told) as tray:
        await desktop.offer_watcher()
        await until(lambda: icon_of(person) == GREY, "the icon has left the XEmbed tray")

        await desktop.bus.release_name(sni.WATCHER)

        await until(tray.asked, "the icon asks the tray again")
        await until(lambda: icon_of(person) == RED, "the icon")
        while told.all[-1] is not True:
            await told.next()
        assert told.all == [False, True, False, True]


async def test_menu_that_closes_while_the_panel_goes_does_not_keep_the_icon_from_the_xembed_tray(
    person: Person, address: str
) -> None:
    async with panel(address) as desktop, in_tray(person, Told()) as tray:
        item = await desktop.offer_watcher()
        await until(lambda: icon_of(person) == GREY, "the icon has left the XEmbed tray")
        await desktop.ask(item, ITEM, "Activate", "ii", 0, 0)
        await until(person.keys_are_held, "the menu has the keys")

        await desktop.bus.release_name(sni.WATCHER)
        person.press("Escape")

        await until(tray.asked, "the icon asks the tray again")
        await until(lambda: icon_of(person) == RED, "the icon")


async def test_xembed_tray_alone_is_enough_where_there_is_no_bus(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/bus")
    performed: list[Any] = []
    await linux.probe()
    async with in_tray(person, Told(), performed):
        person.click(*PLACE)
        await until(lambda: len(person.popups()) == 2, "the menu beside the stub's panel")
        await until(person.keys_are_held, "the menu has the keys")
        person.press("Down", "Return")

        await until(lambda: performed == [Quit()], "the deed")


@pytest.mark.usefixtures("address")
async def test_end_of_the_x_server_ends_an_icon_that_has_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/bus")
    monkeypatch.setattr(linux, "GRACE_S", 0.05)
    with x_server() as name:
        monkeypatch.setenv("DISPLAY", name)
        ready = threading.Event()
        thread = threading.Thread(target=icon_with(ITEMS).run, args=[lambda _: ready.set()])
        thread.start()
        assert await anyio.to_thread.run_sync(ready.wait, SECONDS)

    await anyio.to_thread.run_sync(thread.join, SECONDS)
    assert not thread.is_alive()


# --- a loop that breaks ----------------------------------------------------------------------------

in_pieces = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""A loop that breaks leaves tasks and sockets that nobody ends."""


@pytest.fixture
def swept() -> Iterator[None]:
    """The pieces are found here, and not by a later test. What their ends leave is found in the next round."""
    yield
    for _ in range(3):
        gc.collect()


@asynccontextmanager
async def that_breaks(icon: linux.Icon) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """The icon, shown by a thread, and how to break its loop. Somebody keeps the icon: no garbage collection helps."""
    visible, failure = threading.Event(), list[Exception]()

    def show(icon: linux.Icon) -> None:
        icon.visible = True
        visible.set()

    def run() -> None:
        try:
            icon.run(show)
        except Exception as exc:  # noqa: BLE001 - what the program does with it is its own affair
            failure.append(exc)

    async def broken() -> None:
        loop: Any = icon._loop
        os.close(loop._selector.fileno())
        icon.title = "wake up"
        await anyio.to_thread.run_sync(thread.join, SECONDS)
        assert not thread.is_alive()
        assert failure

    thread = threading.Thread(target=run)
    thread.start()
    assert await anyio.to_thread.run_sync(visible.wait, SECONDS)
    yield broken


@in_pieces
@pytest.mark.usefixtures("swept")
async def test_icon_whose_loop_breaks_is_no_longer_on_the_bus(address: str) -> None:
    async with panel(address) as desktop, that_breaks(icon_with(ITEMS)) as broken:
        item = await desktop.offer_watcher()

        await broken()

        with anyio.fail_after(SECONDS):
            while await desktop.ask(*DBUS, "NameHasOwner", "s", item) != [False]:  # noqa: ASYNC110 - the bus has no event of ours
                await anyio.sleep(0.02)


@in_pieces
@pytest.mark.usefixtures("swept")
async def test_icon_whose_loop_breaks_leaves_the_xembed_tray(person: Person) -> None:
    with closing(StubTray(person.name)) as tray:
        async with that_breaks(icon_with(ITEMS)) as broken:
            await until(tray.asked, "the icon asks the tray")
            await until(lambda: icon_of(person) == RED, "the icon")

            await broken()

            await until(lambda: icon_of(person) == GREY, "the icon has left the tray")


# --- clicks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("button", ["left", "right"])
async def test_click_in_an_xembed_tray_opens_the_menu_below_the_icon(person: Person, button: str) -> None:
    performed: list[Any] = []
    async with in_tray(person, Told(), performed):
        person.click(*PLACE, button)

        await until(lambda: len(person.popups()) == 2, "the menu")
        assert person.popups()[1][1] == 3 + 24
        await until(person.keys_are_held, "the menu has the keys")
        person.press("Down", "Return")
        await until(lambda: performed == [Quit()], "the deed")


async def test_middle_click_opens_the_dashboard_and_the_wheel_does_nothing(person: Person) -> None:
    performed: list[Any] = []
    async with in_tray(person, Told(), performed):
        person.click(*PLACE, "up")
        person.click(*PLACE, "middle")

        await until(lambda: performed == [OpenDashboard()], "the deed")
        assert len(person.popups()) == 1


@pytest.mark.parametrize("method", ["Activate", "ContextMenu"])
async def test_panel_that_hands_the_click_to_us_gets_the_menu_at_the_mouse(
    person: Person, address: str, method: str
) -> None:
    performed: list[Any] = []
    icon = icon_with(ITEMS, performed.append)
    async with panel(address) as desktop, shown(icon):
        item = await desktop.offer_watcher()
        person.point(300, 100)

        await desktop.ask(item, ITEM, method, "ii", 0, 0)

        await until(person.popups, "the menu")
        assert person.popups()[0][:2] == (300, 101)
        await until(person.keys_are_held, "the menu has the keys")
        person.press("Down", "Return")
        await until(lambda: performed == [Quit()], "the deed")
        await until(lambda: icon._screen is None, "the X server is left alone again")


async def test_where_there_are_no_windows_the_click_opens_the_dashboard(address: str) -> None:
    performed: list[Any] = []
    async with panel(address) as desktop, shown(icon_with(ITEMS, performed.append)):
        item = await desktop.offer_watcher()

        for method in ("Activate", "SecondaryActivate", "ContextMenu"):
            await desktop.ask(item, ITEM, method, "ii", 0, 0)

        assert performed == [OpenDashboard()] * 3


async def test_plasma_opens_its_own_menu_because_the_click_is_not_taken(address: str) -> None:
    performed: list[Any] = []
    told = Told()
    async with panel(address) as desktop:
        await desktop.bus.request_name(sni.PLASMA)
        async with shown(icon_with(ITEMS, performed.append, on_host=told)):
            item = await desktop.offer_watcher()
            while True not in told.all:
                await told.next()

            with pytest.raises(DBusError, match="the panel's to open"):
                await desktop.ask(item, ITEM, "Activate", "ii", 0, 0)

    assert performed == []


async def test_menu_that_is_open_shows_what_is_new(person: Person) -> None:
    items: list[Item] = [Line("short")]
    icon = icon_with(items)
    with closing(StubTray(person.name)) as tray:
        async with shown(icon):
            await until(tray.asked, "the icon asks the tray")
            await until(lambda: icon_of(person) == RED, "the icon")
            person.click(*PLACE)
            await until(lambda: len(person.popups()) == 2, "the menu")
            before = person.popups()[1][2]

            items[0] = Line("words that are much longer than those before")
            icon.update_menu()

            await until(lambda: person.popups()[1][2] > before, "a wider menu")


async def test_idle_icon_in_an_xembed_tray_does_not_wake(person: Person) -> None:
    async with in_tray(person, Told()):
        thread = next(one for one in threading.enumerate() if one.name.endswith("(run)"))
        for _ in range(50):  # the icon is there, its last events are on their way
            before = _wakings(thread)
            await anyio.sleep(0.2)
            if _wakings(thread) == before:
                break

        await anyio.sleep(1)

        assert _wakings(thread) == before


def _wakings(thread: threading.Thread) -> int:
    status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("voluntary_ctxt_switches"))


# --- the rest --------------------------------------------------------------------------------------


async def test_row_that_fails_does_not_take_the_icon_along(address: str, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Any) -> None:
        raise RuntimeError("broken row")

    async with panel(address) as desktop, shown(icon_with([Button("Quit", Quit())], fail)):
        item = await desktop.offer_watcher()
        (row,) = await desktop.layout(item)

        await desktop.click(item, row[0])

        assert await desktop.property(item, ITEM, "Status") == "Active"
    assert "'Quit' failed" in caplog.text


async def test_app_is_told_whether_any_panel_shows_the_icon(address: str) -> None:
    told = Told()
    async with panel(address, hosted=False) as desktop, shown(icon_with([Line("Work")], on_host=told)):
        assert await told.next() is False
        await desktop.offer_watcher()  # a watcher without a panel changes nothing

        desktop.watcher.hosted = True
        desktop.watcher.host_registered()
        assert await told.next() is True
        await desktop.bus.release_name(sni.WATCHER)
        assert await told.next() is False
        desktop.watcher.registered = anyio.Event()
        await desktop.bus.request_name(sni.WATCHER)
        assert await told.next() is True
    assert told.all == [False, True, False, True]
    assert len(desktop.watcher.items) == 2


async def test_end_of_the_session_ends_the_icon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = threading.Event()
    icon = icon_with([Line("Work")])
    with private_bus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        thread = threading.Thread(target=icon.run, args=[lambda _: ready.set()])
        thread.start()
        assert await anyio.to_thread.run_sync(ready.wait, SECONDS)

    await anyio.to_thread.run_sync(thread.join, SECONDS)
    assert not thread.is_alive()


def test_without_a_bus_run_raises_and_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/bus")
    before = threading.active_count()

    with pytest.raises(NoDesktop, match="no desktop session"):
        icon_with([Line("Work")]).run()

    assert threading.active_count() <= before
