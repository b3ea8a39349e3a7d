"""The menu as a panel reads it from the bus. The panel here is a stub; tests/desktop has a real one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import DBusError, Variant

from tests.desktop.bus import private_bus
from tests.desktop.stub_panel import MENU, icon_with, panel, shown, values
from tray.items import Button, Check, Item, Line, Order, Quit, Radio, Separator, Submenu

pytestmark = pytest.mark.anyio


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with private_bus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        yield address


async def test_menu_has_every_kind_of_row_and_its_underscores_are_doubled(address: str) -> None:
    items: list[Item] = [
        Line("a_b@example.org"),
        Radio("Work", Quit(), checked=True),
        Separator(),
        Submenu("More", (Check("Work", None, checked=False),)),
    ]
    async with panel(address) as desktop, shown(icon_with(items)):
        item = await desktop.offer_watcher()
        await desktop.ask(item, MENU, "AboutToShow", "i", 0)

        line, radio, separator, more = await desktop.layout(item)

        assert values(line) == {"label": "a__b@example.org", "enabled": False}
        assert values(radio) == {"label": "Work", "enabled": True, "toggle-type": "radio", "toggle-state": 1}
        assert values(separator) == {"type": "separator"}
        assert values(more) == {"label": "More", "enabled": True, "children-display": "submenu"}
        assert values(more[2][0].value) == {
            "label": "Work",
            "enabled": False,
            "toggle-type": "checkmark",
            "toggle-state": 0,
        }


async def test_new_words_update_the_rows_in_place(address: str) -> None:
    items: list[Item] = [Radio("5 h 10 %", Order("pin", {"account": "a"}), checked=False)]
    icon = icon_with(items)
    async with panel(address) as desktop, shown(icon):
        item = await desktop.offer_watcher()
        before = await desktop.layout(item)
        desktop.signals.clear()

        items[:] = [Radio("5 h 11 %", Order("pin", {"account": "a"}), checked=True)]
        icon.update_menu()

        await desktop.until_heard("ItemsPropertiesUpdated")
        after = await desktop.layout(item)
        assert after[0][0] == before[0][0]
        assert values(after[0])["label"] == "5 h 11 %"
        assert "LayoutUpdated" not in desktop.signals


async def test_nothing_is_sent_when_nothing_changed(address: str) -> None:
    icon = icon_with([Line("Work")])
    async with panel(address) as desktop, shown(icon):
        item = await desktop.offer_watcher()
        await desktop.layout(item)
        desktop.signals.clear()

        icon.update_menu()
        icon.title = "said after the menu was read again"

        await desktop.until_heard("NewToolTip")
        assert desktop.signals == ["NewToolTip"]


async def test_click_on_a_row_drawn_before_the_rows_changed_hits_nothing(address: str) -> None:
    performed: list[Any] = []
    items: list[Item] = [Radio("Work", Order("pin", {"account": "work"}), checked=False), Button("Quit", Quit())]
    icon = icon_with(items, performed.append)
    async with panel(address) as desktop, shown(icon):
        item = await desktop.offer_watcher()
        work, quit_ = await desktop.layout(item)
        desktop.signals.clear()
        items.insert(0, Radio("Home", Order("pin", {"account": "home"}), checked=False))
        icon.update_menu()
        await desktop.until_heard("LayoutUpdated")

        for stale in (work, quit_):
            with pytest.raises(DBusError):
                await desktop.click(item, stale[0])
        home, *_ = await desktop.layout(item)
        await desktop.click(item, home[0])

        assert performed == [Order("pin", {"account": "home"})]


async def test_opening_the_menu_brings_it_up_to_date(address: str) -> None:
    items: list[Item] = [Line("old")]
    async with panel(address) as desktop, shown(icon_with(items)):
        item = await desktop.offer_watcher()
        await desktop.layout(item)

        items.append(Line("new"))

        assert await desktop.ask(item, MENU, "AboutToShow", "i", 0) == [True]
        assert await desktop.ask(item, MENU, "AboutToShow", "i", 0) == [False]
        assert [values(row)["label"] for row in await desktop.layout(item)] == ["old", "new"]


async def test_panel_can_ask_for_parts_of_the_menu(address: str) -> None:
    items: list[Item] = [Line("Work"), Submenu("More", (Line("Home"),))]
    async with panel(address) as desktop, shown(icon_with(items)):
        item = await desktop.offer_watcher()
        work, more = await desktop.layout(item)

        (rows,) = await desktop.ask(item, MENU, "GetGroupProperties", "aias", [work[0], 9999], ["label"])
        assert [[row[0], values(["", row[1]])] for row in rows] == [[work[0], {"label": "Work"}]]
        (label,) = await desktop.ask(item, MENU, "GetProperty", "is", more[0], "label")
        assert label.value == "More"
        _, (_, _, shallow) = await desktop.ask(item, MENU, "GetLayout", "iias", 0, 1, [])
        assert [row.value[2] for row in shallow] == [[], []]
        with pytest.raises(DBusError):
            await desktop.ask(item, MENU, "GetProperty", "is", work[0], "toggle-state")


async def test_several_clicks_at_once_report_the_rows_that_are_gone(address: str) -> None:
    performed: list[Any] = []
    items: list[Item] = [Button("Quit", Quit()), Button("off", None)]
    async with panel(address) as desktop, shown(icon_with(items, performed.append)):
        item = await desktop.offer_watcher()
        quit_, off = await desktop.layout(item)

        clicks = [[id_, "clicked", Variant("i", 0), 0] for id_ in (quit_[0], off[0], 9999)]

        assert await desktop.ask(item, MENU, "EventGroup", "a(isvu)", clicks) == [[9999]]
        assert performed == [Quit()]
        assert await desktop.ask(item, MENU, "AboutToShowGroup", "ai", [quit_[0], 9999]) == [[], [9999]]
