"""The icon as a panel finds it on the bus. The panel here is a stub; tests/desktop has a real one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.desktop.bus import private_bus
from tests.desktop.stub_panel import ITEM, MENU, Told, icon_with, panel, shown
from tray import sni
from tray.items import Line

pytestmark = pytest.mark.anyio


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with private_bus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        monkeypatch.delenv("DISPLAY", raising=False)
        yield address


def test_pixels_are_argb_in_network_order() -> None:
    half = Image.new("RGBA", (1, 2), (1, 2, 3, 128))

    assert sni.pixmap(half) == (1, 2, bytes([128, 1, 2, 3] * 2))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tidegate: Work — 62 %", ("Tidegate: Work — 62 %", "")),
        ("Tidegate: R&D <a>", ("Tidegate", "<span>Tidegate: R&amp;D &lt;a&gt;</span>")),
    ],
)
def test_tooltip_is_the_same_to_hosts_that_read_markup_and_to_those_that_do_not(
    text: str, expected: tuple[str, str]
) -> None:
    assert sni.tooltip("Tidegate", text) == expected


async def test_icon_registers_and_tells_a_panel_all_it_needs(address: str) -> None:
    async with panel(address) as desktop, shown(icon_with([Line("Work")])):
        item = await desktop.offer_watcher()

        assert await desktop.property(item, ITEM, "Status") == "Active"
        assert await desktop.property(item, ITEM, "IconPixmap") == [(2, 1, bytes([255, 200, 100, 50] * 2))]
        assert (await desktop.property(item, ITEM, "ToolTip"))[2] == "Work: 62 %"
        assert await desktop.property(item, ITEM, "IconAccessibleDesc") == "Work: 62 %"
        assert await desktop.property(item, ITEM, "ItemIsMenu") is True
        assert await desktop.property(item, ITEM, "Menu") == MENU[0]


async def test_new_icon_and_tooltip_are_announced_and_have_every_size(address: str) -> None:
    icon = icon_with([Line("Work")])
    async with panel(address) as desktop, shown(icon):
        item = await desktop.offer_watcher()
        desktop.forget()

        icon.icon = [Image.new("RGBA", (size, size)) for size in (16, 22)]
        icon.title = "Home: 5 %"

        await desktop.until_heard("NewIcon")
        await desktop.until_heard("NewToolTip")
        assert [pixels[:2] for pixels in await desktop.property(item, ITEM, "IconPixmap")] == [(16, 16), (22, 22)]
        assert (await desktop.property(item, ITEM, "ToolTip"))[2] == "Home: 5 %"


async def test_panel_that_reads_all_at_once_gets_every_property(address: str) -> None:
    """Plasma, Xfce and waybar call GetAll after each signal; one property that fails would lose them the others."""
    async with panel(address) as desktop, shown(icon_with([Line("Work")])):
        item = await desktop.offer_watcher()

        (answer,) = await desktop.ask(item, (ITEM[0], "org.freedesktop.DBus.Properties"), "GetAll", "s", ITEM[1])

        wanted = {"Category", "Id", "Title", "Status", "WindowId", "IconName", "IconPixmap", "ToolTip", "ItemIsMenu"}
        assert wanted | {"Menu", "IconAccessibleDesc"} <= answer.keys()


async def test_hosts_are_asked_about_for_waybar_announces_one_when_the_last_has_gone(address: str) -> None:
    told = Told()
    async with panel(address) as desktop, shown(icon_with([Line("Work")], on_host=told)):
        await desktop.offer_watcher()
        while not await told.next():
            pass
        desktop.watcher.hosted = False
        desktop.watcher.host_registered()

        assert await told.next() is False
