"""How each kind of panel reads a menu: which calls, in which order, as its source does. Each gives ids by label."""

from collections.abc import Awaitable, Callable
from typing import Any

from dbus_fast import Variant

from tests.desktop.stub_panel import ITEM, MENU, Panel

Rows = dict[str, int]
Host = Callable[[Panel, str], Awaitable[Rows]]


async def gnome(panel: Panel, item: str) -> Rows:
    """Layout with two properties, all properties of the rows it does not know, then each submenu as it opens.

    https://github.com/ubuntu/gnome-shell-extension-appindicator/blob/master/dbusMenu.js
    """
    await _properties(panel, item)
    if (await panel.ask(item, MENU, "AboutToShow", "i", 0)) == [True]:
        await panel.layout(item)
    _, root = await panel.ask(item, MENU, "GetLayout", "iias", 0, -1, ["type", "children-display"])
    ids = [row[0] for row in _walk(root)]
    (found,) = await panel.ask(item, MENU, "GetGroupProperties", "aias", ids, [])
    rows = {_label(properties): id_ for id_, properties in found if id_}
    for submenu in (row[0] for row in _walk(root) if "children-display" in row[1]):
        await panel.ask(item, MENU, "Event", "isvu", submenu, "opened", Variant("i", 0), 0)
        await panel.ask(item, MENU, "AboutToShow", "i", submenu)
    return rows


async def plasma(panel: Panel, item: str) -> Rows:
    """One level at a time, each after it was announced.

    https://invent.kde.org/plasma/plasma-workspace/-/blob/master/libdbusmenuqt/dbusmenuimporter.cpp
    """
    await _properties(panel, item)
    rows: Rows = {}
    levels = [0]
    while levels:
        id_ = levels.pop()
        await panel.ask(item, MENU, "AboutToShow", "i", id_)
        _, (_, _, children) = await panel.ask(item, MENU, "GetLayout", "iias", id_, 1, [])
        await panel.ask(item, MENU, "Event", "isvu", id_, "opened", Variant("s", ""), 0)
        for child in (child.value for child in children):
            rows[_label(child[1])] = child[0]
            if "children-display" in child[1]:
                levels.append(child[0])
    return rows


async def libdbusmenu(panel: Panel, item: str) -> Rows:
    """Xfce and waybar: the layout first, and everything in groups.

    https://github.com/AyatanaIndicators/libdbusmenu/blob/master/libdbusmenu-glib/client.c
    """
    await _properties(panel, item)
    await panel.property(item, MENU, "Version")
    await panel.property(item, MENU, "TextDirection")
    await panel.property(item, MENU, "IconThemePath")
    await panel.ask(item, MENU, "EventGroup", "a(isvu)", [[0, "opened", Variant("i", 0), 0]])
    await panel.ask(item, MENU, "AboutToShowGroup", "ai", [0])
    _, root = await panel.ask(item, MENU, "GetLayout", "iias", 0, -1, [])
    (found,) = await panel.ask(item, MENU, "GetGroupProperties", "aias", [row[0] for row in _walk(root)], [])
    return {_label(properties): id_ for id_, properties in found if id_}


HOSTS: tuple[Host, ...] = (gnome, plasma, libdbusmenu)


async def _properties(panel: Panel, item: str) -> None:
    await panel.ask(item, (ITEM[0], "org.freedesktop.DBus.Properties"), "GetAll", "s", ITEM[1])


def _walk(row: Any) -> list[Any]:
    return [row, *(below for child in row[2] for below in _walk(child.value))]


def _label(properties: dict[str, Variant]) -> str:
    return str(properties["label"].value) if "label" in properties else ""
