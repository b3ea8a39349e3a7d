"""A pystray menu on D-Bus, as `com.canonical.dbusmenu`: the desktop's panel draws it in its own style.

While the menu is open it must not jump: new words go out as changed properties of the same rows. Only other rows
make a new layout, and they get ids that were never used before, so that a click on a row drawn earlier hits
nothing rather than another row.
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
    """One row as the panel has it: only `properties` and `item` change while it stays the same row."""

    id: int
    item: MenuItem | None
    properties: Properties
    children: tuple["Node", ...]

    def walk(self) -> Iterator["Node"]:
        """This row and all below it, in the order of drawing."""
        yield self
        for child in self.children:
            yield from child.walk()

    def shape(self) -> tuple[object, ...]:
        """What makes another row of it: its kind, what a click does, the rows below."""
        kinds = tuple(self.properties.get(name) for name in ("type", "toggle-type"))
        return kinds, getattr(self.item, "key", None), tuple(child.shape() for child in self.children)

    def layout(self, depth: int, names: Sequence[str]) -> Layout:
        """The row as `GetLayout` answers it, `depth` levels deep (-1: all)."""
        below = self.children if depth else ()
        children = [Variant(_LAYOUT_SIGNATURE, list(child.layout(depth - 1, names))) for child in below]
        return self.id, _only(names, self.properties), children


class DBusMenu(ServiceInterface):
    """One menu on the bus. Everything runs on the loop of the bus; `click` gets the row and must not block."""

    def __init__(self, menu: Callable[[], Menu | None], click: Callable[[MenuItem], None]) -> None:
        super().__init__(INTERFACE)
        self._menu = menu
        self._click = click
        self._revision = 0
        self._next_id = _ROOT_ID + 1
        self._root = Node(_ROOT_ID, None, {}, ())

    def refresh(self) -> bool:
        """Read the menu again and tell the panel what changed. Returns whether it has other rows now."""
        ids = itertools.count(self._next_id)
        fresh = Node(
            _ROOT_ID,
            None,
            {"children-display": Variant("s", "submenu")},
            tuple(_node(item, ids) for item in self._menu() or ()),
        )
        if fresh.shape() == self._root.shape():
            self._update(fresh)
            return False
        self._root = fresh
        self._next_id = next(ids)
        self._revision += 1
        self.layout_updated()
        return True

    def _update(self, fresh: Node) -> None:
        changed = []
        for old, new in zip(self._root.walk(), fresh.walk(), strict=True):
            old.item = new.item
            if old.properties != new.properties:
                old.properties = new.properties
                changed.append([old.id, new.properties])
        if changed:
            self.items_properties_updated(changed)

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
        return self._revision, list(self._node(parent).layout(depth, names))

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
    def layout_updated(self) -> Annotated[tuple[int, int], DBusSignature("ui")]:
        """There are other rows."""
        return self._revision, _ROOT_ID


def label(text: str) -> str:
    """The text with `_` doubled: a single one underlines the next letter, which e-mail addresses do not want."""
    return text.replace("_", "__")


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
