"""The menu as a panel reads it from the bus. The panel here is a stub; tests/desktop has a real one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import DBusError, Variant

from tests.desktop.bus import private_bus
from tests.desktop.stub_hosts import HOSTS, Host
from tests.desktop.stub_panel import MENU, icon_with, panel, shown, values
from tray.items import Button, Check, Item, Line, Order, Quit, Radio, Separator, Submenu

pytestmark = pytest.mark.anyio


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with private_bus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        monkeypatch.delenv("DISPLAY", raising=False)
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
        desktop.forget()

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
        desktop.forget()

        icon.update_menu()
        await desktop.ask(item, MENU, "AboutToShow", "i", 0)
        icon.title = "said after the menu was read again"

        await desktop.until_heard("NewToolTip")
        assert desktop.signals == ["NewToolTip"]


async def test_row_that_stays_keeps_its_id_and_a_click_on_one_that_went_hits_nothing(address: str) -> None:
    performed: list[Any] = []
    work, home, team = (
        Radio(name, Order("pin", {"account": name.lower()}), checked=False) for name in ("Work", "Home", "Team")
    )
    items: list[Item] = [work, home, Button("Quit", Quit())]
    icon = icon_with(items, performed.append)
    async with panel(address) as desktop, shown(icon):
        item = await desktop.offer_watcher()
        before = await desktop.layout(item)
        desktop.forget()
        items[:2] = [team, work]
        icon.update_menu()
        await desktop.until_heard("LayoutUpdated")

        after = await desktop.layout(item)
        with pytest.raises(DBusError):
            await desktop.click(item, before[1][0])
        await desktop.click(item, before[0][0])
        await desktop.click(item, after[0][0])

        ids = [row[0] for row in before]
        assert [row[0] for row in after] == [max(ids) + 1, ids[0], ids[2]]
        assert performed == [work.action, team.action]


async def test_rows_that_stay_among_others_tell_what_is_new_about_them(address: str) -> None:
    items: list[Item] = [Radio("5 h 10 %", Order("pin", {"account": "a"}), checked=False)]
    icon = icon_with(items)
    async with panel(address) as desktop, shown(icon):
        item = await desktop.offer_watcher()
        (before,) = await desktop.layout(item)
        desktop.forget()

        items[:] = [Line("new"), Radio("5 h 11 %", Order("pin", {"account": "a"}), checked=False)]
        icon.update_menu()

        await desktop.until_heard("ItemsPropertiesUpdated")
        ((changed, removed),) = desktop.bodies["ItemsPropertiesUpdated"]
        assert [[id_, list(news)] for id_, news in changed] == [[before[0], ["label"]]]
        assert removed == []


async def test_submenu_with_other_rows_is_told_by_its_own_id_for_plasma_reads_one_level_at_a_time(address: str) -> None:
    items: list[Item] = [Submenu("Accounts", (Line("Work"),)), Submenu("More", (Line("old"),))]
    icon = icon_with(items)
    async with panel(address) as desktop, shown(icon):
        item = await desktop.offer_watcher()
        accounts, more = await desktop.layout(item)
        desktop.forget()

        items[:] = [items[0], Submenu("More", (Line("old"), Line("new")))]
        icon.update_menu()
        await desktop.until_heard("LayoutUpdated")
        assert await desktop.ask(item, MENU, "AboutToShow", "i", 0) == [False]

        assert [parent for _, parent in desktop.bodies["LayoutUpdated"]] == [more[0]]
        assert [row[0] for row in await desktop.layout(item)] == [accounts[0], more[0]]


async def test_only_what_changed_is_told_so_that_gnome_keeps_a_submenu_open(address: str) -> None:
    items: list[Item] = [Submenu("Home — 31 %", (Line("resets 18:00"),))]
    icon = icon_with(items)
    async with panel(address) as desktop, shown(icon):
        item = await desktop.offer_watcher()
        (before,) = await desktop.layout(item)
        desktop.forget()

        items[:] = [Submenu("Home — 32 %", (Line("resets 18:00"),))]
        icon.update_menu()

        await desktop.until_heard("ItemsPropertiesUpdated")
        ((changed, _),) = desktop.bodies["ItemsPropertiesUpdated"]
        assert [[id_, list(news)] for id_, news in changed] == [[before[0], ["label"]]]


async def test_burst_of_updates_ends_with_one_layout_that_has_the_last_words(address: str) -> None:
    items: list[Item] = [Line("0")]
    icon = icon_with(items)
    async with panel(address) as desktop, shown(icon):
        item = await desktop.offer_watcher()
        await desktop.layout(item)
        await desktop.ask(item, MENU, "AboutToShow", "i", 0)
        desktop.forget()

        for number in range(1000):
            items[:] = [Line(str(number))] * (1 + number % 2)
            icon.update_menu()
        await desktop.until_heard("LayoutUpdated")

        rows = await desktop.layout(item)
        assert [values(row)["label"] for row in rows] == ["999", "999"]
        assert await desktop.ask(item, MENU, "AboutToShow", "i", 0) == [False]
        assert desktop.signals.count("LayoutUpdated") == 1


async def test_opening_the_menu_brings_it_up_to_date(address: str) -> None:
    items: list[Item] = [Line("old")]
    async with panel(address) as desktop, shown(icon_with(items)):
        item = await desktop.offer_watcher()
        await desktop.layout(item)

        items.append(Line("new"))

        assert await desktop.ask(item, MENU, "AboutToShow", "i", 0) == [True]
        assert await desktop.ask(item, MENU, "AboutToShow", "i", 0) == [False]
        assert [values(row)["label"] for row in await desktop.layout(item)] == ["old", "new"]


async def test_panel_that_reads_level_by_level_is_told_once_to_read_the_submenus_ahead(address: str) -> None:
    items: list[Item] = [Line("Work"), Submenu("More", (Line("Home"),)), Submenu("Less", (Line("a"),))]
    async with panel(address) as desktop, shown(icon_with(items)):
        item = await desktop.offer_watcher()
        _, more, less = await desktop.layout(item)
        desktop.forget()

        await desktop.ask(item, MENU, "GetLayout", "iias", 0, -1, [])
        for _ in range(2):
            await desktop.ask(item, MENU, "GetLayout", "iias", 0, 1, [])
        await desktop.until_heard("LayoutUpdated")
        await desktop.ask(item, MENU, "AboutToShow", "i", 0)  # what was sent before has arrived with its answer

        assert [parent for _, parent in desktop.bodies["LayoutUpdated"]] == [more[0], less[0]]


async def test_no_row_that_keeps_its_id_changes_its_place_among_those_that_do(address: str) -> None:
    pin = [Radio(name, Order("pin", {"account": name}), checked=False) for name in "abc"]
    items: list[Item] = [pin[0], Separator(), pin[1], Separator(), pin[2]]
    icon = icon_with(items)
    async with panel(address) as desktop, shown(icon):
        item = await desktop.offer_watcher()
        before = [row[0] for row in await desktop.layout(item)]
        desktop.forget()

        items[:] = [Button("Sign in again", Quit()), Separator(), pin[2], pin[0], Separator(), pin[1]]
        icon.update_menu()
        await desktop.until_heard("LayoutUpdated")

        after = [row[0] for row in await desktop.layout(item)]
        kept = [before.index(id_) for id_ in after if id_ in before]
        assert kept == sorted(kept)
        assert len(kept) == 3


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


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.__name__)
async def test_every_host_reads_the_whole_menu_in_its_own_way_and_its_click_hits(address: str, host: Host) -> None:
    performed: list[Any] = []
    items: list[Item] = [
        Line("me_and@example.org"),
        Separator(),
        Submenu("More", (Submenu("Remove…", (Button("Yes, remove Work", Quit()),)), Button("Quit", None))),
    ]
    async with panel(address) as desktop, shown(icon_with(items, performed.append)):
        item = await desktop.offer_watcher()

        rows = await host(desktop, item)
        await desktop.ask(item, MENU, "Event", "isvu", rows["Yes, remove Work"], "clicked", Variant("i", 0), 1234)
        await desktop.ask(item, MENU, "Event", "isvu", 0, "closed", Variant("s", ""), 1235)

        assert rows.keys() == {"me__and@example.org", "", "More", "Remove…", "Yes, remove Work", "Quit"}
        assert performed == [Quit()]


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.__name__)
async def test_every_host_sees_rows_that_came_after_it_first_read_the_menu(address: str, host: Host) -> None:
    items: list[Item] = [Submenu("More", (Line("old"),))]
    async with panel(address) as desktop, shown(icon_with(items)):
        item = await desktop.offer_watcher()
        assert (await host(desktop, item)).keys() == {"More", "old"}

        items[:] = [Submenu("More", (Line("old"), Line("new")))]

        assert (await host(desktop, item)).keys() == {"More", "old", "new"}
