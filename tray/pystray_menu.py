"""A menu of values as a pystray menu, the one form that every desktop back end takes."""

from collections.abc import Callable, Sequence
from typing import Any, assert_never

from tray.items import Action, Button, Check, Item, Line, OpenDashboard, Radio, Separator, Submenu
from tray.toolkit import Menu, MenuItem

Perform = Callable[[Action], None]


class Row(MenuItem):  # type: ignore[misc]  # pystray has no types
    """A row that knows what it would do, so that a click on a menu drawn earlier never hits another row's action."""

    def __init__(self, label: str, action: Action | None, perform: Perform, **options: Any) -> None:
        super().__init__(label, self._clicked, enabled=action is not None, **options)
        self.key = action
        self._perform = perform

    def _clicked(self) -> None:
        if self.key is not None:
            self._perform(self.key)


class Inner(Menu):  # type: ignore[misc]  # pystray has no types
    """A menu inside another. It tells whether it has rows without reading all below, as pystray does at each level."""

    def __bool__(self) -> bool:
        return bool(self._items)


def menu(items: Callable[[], Sequence[Item]], perform: Perform, *, double_ampersands: bool = False) -> Menu:
    """A menu that asks `items` anew each time it is read, and hands a clicked row's action to `perform`.

    `double_ampersands`: for toolkits that take one as the mark of an underlined letter (Windows).
    """

    def text(label: str) -> str:
        return label.replace("&", "&&") if double_ampersands else label

    def row(item: Item) -> MenuItem:
        match item:
            case Separator():
                return Menu.SEPARATOR
            case Line(label=label):
                return Row(text(label), None, perform)
            case Submenu(label=label, items=inner):
                return MenuItem(text(label), Inner(*map(row, inner)))
            case Button(label=label, action=action):
                # The default row is what a middle or double click does, on desktops that hand one on.
                return Row(text(label), action, perform, default=action == OpenDashboard())
            case Radio(label=label, action=action, checked=checked):
                return Row(text(label), action, perform, checked=_always(checked), radio=True)
            case Check(label=label, action=action, checked=checked):
                return Row(text(label), action, perform, checked=_always(checked))
            case _:
                assert_never(item)

    return Menu(lambda: map(row, items()))


def _always(value: bool) -> Callable[[MenuItem], bool]:
    return lambda _: value
