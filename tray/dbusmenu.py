"""A pystray menu on D-Bus, as `com.canonical.dbusmenu`: the desktop's panel draws it in its own style.

While the menu is open it must not jump: new words go out as changed properties of the same rows. Only other rows
make a new layout. In it a row that does the same as before keeps its id, for by ids GNOME's and Plasma's menus know
which rows may stay on the screen, with their submenus open; a row that does something else gets an id that was never
used, so that a click on a row drawn earlier hits nothing rather than another row.
https://github.com/AyatanaIndicators/libdbusmenu/blob/master/libdbusmenu-glib/dbus-menu.xml
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from dbus_fast import DBusError, ErrorType, PropertyAccess, Variant
from dbus_fast.annotations import DBusBool, DBusInt32, DBusSignature, DBusStr, DBusUInt32, DBusVariant
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property, dbus_signal

from tray.toolkit import Menu, MenuItem

PATH = "/MenuBar"
INTERFACE = "com.canonical.dbusmenu"
_VERSION = 3
_ROOT_ID = 0

Properties = dict[str, Variant]
Layout = tuple[int, Properties, list[Variant]]
_LAYOUT_SIGNATURE = "(ia{sv}av)"


@dataclass(slots=True)
class Node:
    """One row as the panel has it."""

    id: int
    item: MenuItem | None
    properties: Properties
    children: tuple["Node", ...]

    def walk(self) -> Iterator["Node"]:
        """This row and all below it, in the order of drawing."""
        yield self
        for child in self.children:
            yield from child.walk()

    def deed(self) -> tuple[object, ...]:
        """What makes another row of it: its kind, what a click does."""
        kinds = tuple(self.properties.get(name) for name in ("type", "toggle-type", "children-display"))
        return *kinds, getattr(self.item, "key", None)

    def shape(self) -> tuple[object, ...]:
        """The same for it and the rows below."""
        return *self.deed(), tuple(child.shape() for child in self.children)

    def take_ids(self, old: "Node") -> None:
        """Keep the ids of rows that were there before: those that do the same, and if they do nothing, say the same."""
        self.id = old.id
        for child, twin in in_order(self.children, old.children):
            child.take_ids(twin)

    def identity(self) -> tuple[object, ...]:
        """What a row is known by among its neighbours."""
        words = None if getattr(self.item, "key", None) is not None else self.properties.get("label")
        return *self.deed(), words

    def layout(self, depth: int, names: Sequence[str]) -> Layout:
        """The row as `GetLayout` answers it, `depth` levels deep (-1: all)."""
        below = self.children if depth else ()
        children = [Variant(_LAYOUT_SIGNATURE, list(child.layout(depth - 1, names))) for child in below]
        return self.id, _only(names, self.properties), children


def in_order(fresh: Sequence[Node], old: Sequence[Node]) -> Iterator[tuple[Node, Node]]:
    """The most pairs of twins that do not cross: a longest common subsequence. A row that moved is another row.

    GNOME's extension does not move rows that it has drawn (seen with version 46 on GNOME Shell 43, 2026-11-21).
    """
    # Compared, not hashed: what a row does need not be hashable, and menus are short.
    rows, before = [one.identity() for one in fresh], [one.identity() for one in old]
    longest = [[0] * (len(old) + 1) for _ in range(len(fresh) + 1)]
    for i in reversed(range(len(rows))):
        for j in reversed(range(len(before))):
            twins = rows[i] == before[j]
            longest[i][j] = longest[i + 1][j + 1] + 1 if twins else max(longest[i + 1][j], longest[i][j + 1])
    i = j = 0
    while i < len(rows) and j < len(before):
        if rows[i] == before[j]:
            yield fresh[i], old[j]
            i, j = i + 1, j + 1
        elif longest[i + 1][j] >= longest[i][j + 1]:
            i += 1
        else:
            j += 1


class DBusMenu(ServiceInterface):
    """One menu on the bus. Everything runs on the loop of the bus; `click` gets the row and must not block."""

    def __init__(self, menu: Callable[[], Menu | None], click: Callable[[MenuItem], None]) -> None:
        super().__init__(INTERFACE)
        self._menu = menu
        self._click = click
        self._revision = 0
        self._announced: set[int] = set()
        """Submenus that a panel, reading level by level, has been told to read."""
        self._next_id = _ROOT_ID + 1
        self._root = _root(())

    def refresh(self) -> bool:
        """Read the menu again and tell the panel what changed. Returns whether it has other rows now."""
        ids = itertools.count(self._next_id)
        menu = self._menu()
        fresh = _root(() if menu is None else tuple(_node(item, ids) for item in menu))
        before, self._root = self._root, fresh
        other_rows = fresh.shape() != before.shape()
        if other_rows:
            self._next_id = next(ids)
            fresh.take_ids(before)
            self._revision += 1
            self._announced &= {node.id for node in fresh.walk()}
            self._tell_layouts(before)
        else:
            for old, new in zip(before.walk(), fresh.walk(), strict=True):
                new.id = old.id
        self._tell_changes(before)
        return other_rows

    def _tell_layouts(self, before: Node) -> None:
        """Tell each row that stays and has other rows below it now.

        Not just the root: Plasma reads one level at a time, and keeps the rows below one whose id it knows.
        https://invent.kde.org/plasma/plasma-workspace/-/blob/master/libdbusmenuqt/dbusmenuimporter.cpp (refresh)
        """
        known = {node.id: [child.id for child in node.children] for node in before.walk()}
        for node in self._root.walk():
            if node.id in known and known[node.id] != [child.id for child in node.children]:
                self.layout_updated(node.id)

    def _tell_changes(self, before: Node) -> None:
        """Tell what rows that were there before say now.

        No more than that: GNOME's extension makes a row anew, with its submenu closed, when it is told once more that
        it has one. https://github.com/ubuntu/gnome-shell-extension-appindicator/blob/master/dbusMenu.js (_replaceSelf)
        """
        known = {node.id: node.properties for node in before.walk()}
        changed = []
        for node in self._root.walk():
            old = known.get(node.id, node.properties)
            if news := {name: value for name, value in node.properties.items() if old.get(name) != value}:
                changed.append([node.id, news])
        if changed:
            self.items_properties_updated(changed)

    def _announce_submenus(self, node: Node) -> None:
        """Have a panel that reads level by level read the next one as well.

        Plasma does, and would read a submenu only when it opens: its window is placed while it is empty, and then grows
        over the edge of the screen (seen with 5.27, 2026-11-21).
        """
        for child in node.children:
            if child.children and child.id not in self._announced:
                self._announced.add(child.id)
                self.layout_updated(child.id)

    def _node(self, id_: int) -> Node:
        for node in self._root.walk():
            if node.id == id_:
                return node
        raise DBusError(ErrorType.INVALID_ARGS, f"This menu has no row {id_} any more")

    def _event(self, id_: int, event: str) -> None:
        node = self._node(id_)
        if event == "clicked" and node.item is not None and node.item.enabled:
            self._click(node.item)

    # --- what the panel calls ----------------------------------------------------------------------

    @dbus_property(PropertyAccess.READ, "Version")
    def version(self) -> DBusUInt32:
        """The protocol's version."""
        return _VERSION

    @dbus_property(PropertyAccess.READ, "TextDirection")
    def text_direction(self) -> DBusStr:
        """Left to right: the words are English."""
        return "ltr"

    @dbus_property(PropertyAccess.READ, "Status")
    def status(self) -> DBusStr:
        """Nothing in the menu asks to be shown by itself."""
        return "normal"

    @dbus_property(PropertyAccess.READ, "IconThemePath")
    def icon_theme_path(self) -> Annotated[list[str], DBusSignature("as")]:
        """No row has an icon."""
        return []

    @dbus_method("GetLayout")
    def get_layout(
        self, parent: DBusInt32, depth: DBusInt32, names: Annotated[list[str], DBusSignature("as")]
    ) -> Annotated[tuple[int, list[Any]], DBusSignature(f"u{_LAYOUT_SIGNATURE}")]:
        """The rows below `parent`."""
        node = self._node(parent)
        if depth == 1:
            self._announce_submenus(node)
        return self._revision, list(node.layout(depth, names))

    @dbus_method("GetGroupProperties")
    def get_group_properties(
        self, ids: Annotated[list[int], DBusSignature("ai")], names: Annotated[list[str], DBusSignature("as")]
    ) -> Annotated[list[list[Any]], DBusSignature("a(ia{sv})")]:
        """The properties of some rows, or of all when `ids` is empty; rows that are gone are left out."""
        nodes = (node for node in self._root.walk() if not ids or node.id in ids)
        return [[node.id, _only(names, node.properties)] for node in nodes]

    @dbus_method("GetProperty")
    def get_property(self, id_: DBusInt32, name: DBusStr) -> DBusVariant:
        """One property of one row."""
        try:
            return self._node(id_).properties[name]
        except KeyError:
            raise DBusError(ErrorType.INVALID_ARGS, f"Row {id_} has no property {name}") from None

    @dbus_method("Event")
    def event(self, id_: DBusInt32, event: DBusStr, _content: DBusVariant, _timestamp: DBusUInt32) -> None:
        """A click, or the opening and closing of a submenu."""
        self._event(id_, event)

    @dbus_method("EventGroup")
    def event_group(
        self, events: Annotated[list[list[Any]], DBusSignature("a(isvu)")]
    ) -> Annotated[list[int], DBusSignature("ai")]:
        """Several events at once. Returns the rows that are gone."""
        gone = []
        for id_, event, _content, _timestamp in events:
            try:
                self._event(id_, event)
            except DBusError:
                gone.append(id_)
        return gone

    @dbus_method("AboutToShow")
    def about_to_show(self, _id: DBusInt32) -> DBusBool:
        """The person opens the menu: the moment to bring every time in it up to date."""
        return self.refresh()

    @dbus_method("AboutToShowGroup")
    def about_to_show_group(
        self, ids: Annotated[list[int], DBusSignature("ai")]
    ) -> Annotated[tuple[list[int], list[int]], DBusSignature("aiai")]:
        """The same for several rows. Returns those to read again, and those that are gone."""
        updated = list(ids) if self.refresh() else []
        known = {node.id for node in self._root.walk()}
        return updated, [id_ for id_ in ids if id_ not in known]

    @dbus_signal("ItemsPropertiesUpdated")
    def items_properties_updated(
        self, updated: list[list[Any]]
    ) -> Annotated[tuple[list[list[Any]], list[Any]], DBusSignature("a(ia{sv})a(ias)")]:
        """Rows look different; none loses a property, because each has all that its kind can have."""
        return updated, []

    @dbus_signal("LayoutUpdated")
    def layout_updated(self, parent: int) -> Annotated[tuple[int, int], DBusSignature("ui")]:
        """There are other rows below this one."""
        return self._revision, parent


def label(text: str) -> str:
    """The text with `_` doubled: a single one underlines the next letter, which e-mail addresses do not want."""
    return text.replace("_", "__")


def _root(children: tuple[Node, ...]) -> Node:
    return Node(_ROOT_ID, None, {"children-display": Variant("s", "submenu")}, children)


def _node(item: MenuItem, ids: Iterator[int]) -> Node:
    id_ = next(ids)
    return Node(id_, item, _properties(item), tuple(_node(child, ids) for child in item.submenu or ()))


def _properties(item: MenuItem) -> Properties:
    if item is Menu.SEPARATOR:
        return {"type": Variant("s", "separator")}
    drawn = {"label": Variant("s", label(item.text)), "enabled": Variant("b", bool(item.enabled))}
    if item.checked is not None:
        drawn["toggle-type"] = Variant("s", "radio" if item.radio else "checkmark")
        drawn["toggle-state"] = Variant("i", int(item.checked))
    if item.submenu:
        drawn["children-display"] = Variant("s", "submenu")
    return drawn


def _only(names: Sequence[str], properties: Properties) -> Properties:
    return {name: value for name, value in properties.items() if not names or name in names}
