"""The icon as a panel finds it on the bus. The panel here is a stub; tests/desktop has a real one."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from PIL import Image

from core.errors import NoDesktop
from tests.desktop.bus import private_bus
from tests.desktop.stub_panel import ITEM, MENU, SECONDS, icon_with, panel, shown
from tray import sni
from tray.items import Button, Item, Line, OpenDashboard, Quit

pytestmark = pytest.mark.anyio


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with private_bus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        yield address


def test_pixels_are_argb_in_network_order() -> None:
    half = Image.new("RGBA", (1, 2), (1, 2, 3, 128))

    assert sni.pixmap(half) == (1, 2, bytes([128, 1, 2, 3] * 2))


async def test_icon_registers_and_tells_a_panel_all_it_needs(address: str) -> None:
    async with panel(address) as desktop, shown(icon_with([Line("Work")])):
        item = await desktop.offer_watcher()

        assert await desktop.property(item, ITEM, "Status") == "Active"
        assert await desktop.property(item, ITEM, "IconPixmap") == [(2, 1, bytes([255, 200, 100, 50] * 2))]
        assert (await desktop.property(item, ITEM, "ToolTip"))[2] == "Work: 62 %"
        assert await desktop.property(item, ITEM, "ItemIsMenu") is True
        assert await desktop.property(item, ITEM, "Menu") == MENU[0]


async def test_new_icon_and_tooltip_are_announced_and_have_every_size(address: str) -> None:
    icon = icon_with([Line("Work")])
    async with panel(address) as desktop, shown(icon):
        item = await desktop.offer_watcher()
        desktop.signals.clear()

        icon.icon = [Image.new("RGBA", (size, size)) for size in (16, 22)]
        icon.title = "Home: 5 %"

        await desktop.until_heard("NewIcon")
        await desktop.until_heard("NewToolTip")
        assert [pixels[:2] for pixels in await desktop.property(item, ITEM, "IconPixmap")] == [(16, 16), (22, 22)]
        assert (await desktop.property(item, ITEM, "ToolTip"))[2] == "Home: 5 %"


async def test_left_click_on_a_panel_that_asks_the_icon_does_the_default_row(address: str) -> None:
    performed: list[Any] = []
    items: list[Item] = [Button("Quit", Quit()), Button("Open dashboard", OpenDashboard())]
    async with panel(address) as desktop, shown(icon_with(items, performed.append)):
        item = await desktop.offer_watcher()

        await desktop.ask(item, ITEM, "Activate", "ii", 0, 0)
        await desktop.ask(item, ITEM, "SecondaryActivate", "ii", 0, 0)

        assert performed == [OpenDashboard()] * 2


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
    told: list[bool] = []
    news = threading.Semaphore(0)

    def on_host(shown: bool) -> None:
        told.append(shown)
        news.release()

    async def heard() -> list[bool]:
        assert await anyio.to_thread.run_sync(lambda: news.acquire(timeout=SECONDS))
        return list(told)

    async with panel(address, hosted=False) as desktop, shown(icon_with([Line("Work")], on_host=on_host)):
        assert await heard() == [False]
        await desktop.offer_watcher()  # a watcher without a panel changes nothing

        desktop.watcher.hosted = True
        desktop.watcher.host_registered()
        assert await heard() == [False, True]
        await desktop.bus.release_name(sni.WATCHER)
        assert await heard() == [False, True, False]
        desktop.watcher.registered = anyio.Event()
        await desktop.bus.request_name(sni.WATCHER)
        assert await heard() == [False, True, False, True]
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
