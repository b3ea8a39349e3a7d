"""A menu for desktops that draw none: where each row is, and what mouse and keys do to it. Values only.

A `Popup` is what is on the screen at one moment: the menu and the submenus that are open, each a `Panel`.
`tray/popup_drawing.py` makes pictures of it, `tray/xembed_menu.py` makes windows of the pictures. A change gives a new
`Popup`; where a row may have been chosen, it gives `(Popup | None, Row | None)`: what stays open, what to do.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import accumulate
from math import ceil


class Mark(StrEnum):
    """What stands before a row."""

    NONE = ""
    RADIO = "radio"
    CHECK = "check"


class Key(StrEnum):
    """The keys that a menu knows."""

    UP = "up"
    DOWN = "down"
    LEFT = "left"
    RIGHT = "right"
    HOME = "home"
    END = "end"
    ENTER = "enter"
    ESCAPE = "escape"


@dataclass(frozen=True, slots=True)
class Row:
    """One row. Without text it is a line between groups."""

    text: str = ""
    enabled: bool = True
    mark: Mark = Mark.NONE
    checked: bool = False
    rows: tuple["Row", ...] = ()
    deed: object = None
    """What a click does. Two rows of which this is equal are the same row, whatever they say."""

    @property
    def selectable(self) -> bool:
        """Whether mouse and keys may rest on it."""
        return bool(self.text) and self.enabled

    @property
    def shape(self) -> tuple[object, ...]:
        """What makes another row of it, rather than the same one with other words."""
        return bool(self.text), self.mark, self.deed, tuple(row.shape for row in self.rows)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on the screen, in pixels."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column beyond it."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """The first row of pixels beyond it."""
        return self.y + self.height

    def holds(self, x: int, y: int) -> bool:
        """Whether the point is inside."""
        return self.x <= x < self.right and self.y <= y < self.bottom


@dataclass(frozen=True, slots=True)
class Metrics:
    """How large everything is drawn. `text_width` measures a label in pixels."""

    text_width: Callable[[str], float]
    scale: float = 1.0
    """1 at 96 dots an inch."""

    def px(self, length: float) -> int:
        """A length of the design in pixels of this screen."""
        return max(1, round(length * self.scale))

    @property
    def row(self) -> int:
        """The height of a row."""
        return self.px(27)

    @property
    def separator(self) -> int:
        """The height of a line between groups."""
        return self.px(9)

    @property
    def edge(self) -> int:
        """What is free above the first row and below the last: as much as an arrow for scrolling needs."""
        return self.px(6)

    @property
    def arrow(self) -> int:
        """The height of the field that scrolls a menu taller than the screen."""
        return self.px(18)

    @property
    def mark(self) -> int:
        """The column of radio buttons and check marks."""
        return self.px(24)

    @property
    def side(self) -> int:
        """What is free at the left and at the right of a row's words."""
        return self.px(14)

    @property
    def submenu(self) -> int:
        """The column of the arrows that announce a submenu."""
        return self.px(22)


@dataclass(frozen=True, slots=True)
class Panel:
    """One menu on the screen: the first one, or an open submenu."""

    rows: tuple[Row, ...]
    box: Box
    tops: tuple[int, ...]
    """Where each row begins, counted from the top of all rows; one more, where the last one ends."""
    height: int
    """Of all rows; the box is lower when the screen is."""
    scroll: int = 0
    at: int | None = None
    """The row under the mouse, or that the keys have reached."""
    opened: int | None = None
    """The row whose submenu is open."""

    @property
    def overflow(self) -> int:
        """By how much the rows are taller than the panel."""
        return self.height - self.box.height

    def span(self, index: int) -> tuple[int, int]:
        """Where a row begins and ends, counted from the top of the panel."""
        return self.tops[index] - self.scroll, self.tops[index + 1] - self.scroll

    def arrows(self) -> tuple[bool, bool]:
        """Whether there is more above, and below."""
        return self.scroll > 0, self.scroll < self.overflow


@dataclass(frozen=True, slots=True)
class Popup:
    """The menu and the submenus that are open, from the first to the innermost."""

    panels: tuple[Panel, ...]
    screen: Box
    metrics: Metrics

    @property
    def inner(self) -> int:
        """The panel that the keys speak to: the innermost with a row reached."""
        return max((index for index, panel in enumerate(self.panels) if panel.at is not None), default=0)


Chosen = tuple[Popup | None, Row | None]


def opened(rows: tuple[Row, ...], anchor: Box, screen: Box, metrics: Metrics) -> Popup:
    """The menu of an icon that is at `anchor`: it hangs from it or stands on it, and stays on the screen."""
    panel = _panel(rows, metrics, screen)
    height, below, above = panel.box.height, screen.bottom - anchor.bottom, anchor.y - screen.y
    y = anchor.bottom if height <= below or below >= above else anchor.y - height
    return Popup((_placed(panel, anchor.x, y, screen),), screen, metrics)


def renewed(popup: Popup, rows: tuple[Row, ...]) -> Popup:
    """The same menu with what it says now. Other rows close the submenus and let go of the row that was reached."""
    first, *inner = popup.panels
    panel = _panel(rows, popup.metrics, popup.screen)
    hangs = first.box.y + first.box.height // 2 < popup.screen.y + popup.screen.height // 2
    y = first.box.y if hangs else first.box.bottom - panel.box.height
    panel = _scrolled(_placed(panel, first.box.x, y, popup.screen), first.scroll)
    fresh = replace(popup, panels=(panel,))
    if [row.shape for row in rows] != [row.shape for row in first.rows]:
        return fresh
    fresh = _replaced(fresh, 0, replace(panel, at=first.at))
    for number, (outer, old) in enumerate(zip(popup.panels, inner, strict=False)):
        fresh = _with_submenu(fresh, number, outer.opened or 0)
        fresh = _replaced(fresh, number, replace(fresh.panels[number], at=outer.at))
        fresh = _replaced(fresh, number + 1, _scrolled(replace(fresh.panels[number + 1], at=old.at), old.scroll))
    return fresh


# --- the mouse -------------------------------------------------------------------------------------


def hit(popup: Popup, x: int, y: int) -> tuple[int, int | None] | None:
    """The panel at a point of the screen and its row there, None when the point is outside."""
    for number in reversed(range(len(popup.panels))):
        if popup.panels[number].box.holds(x, y):
            return number, _row_at(popup, number, y)
    return None


def pointed(popup: Popup, x: int, y: int) -> Popup:
    """The mouse has moved here: its row is the one reached."""
    number, index = hit(popup, x, y) or (len(popup.panels) - 1, None)
    panels = []
    for level, panel in enumerate(popup.panels):
        at = panel.opened if level < number else index if level == number else None
        panels.append(replace(panel, at=at))
    return replace(popup, panels=tuple(panels))


def settled(popup: Popup, x: int, y: int) -> Popup:
    """The mouse rests here: the row's submenu opens, another row's closes, an arrow scrolls.

    Not at once, else a submenu would vanish whenever the way to it crosses another row.
    """
    where = hit(popup, x, y)
    if where is None:
        return popup
    number, index = where
    panel = popup.panels[number]
    if step := _arrow_at(panel, y, popup.metrics):
        return _replaced(popup, number, _scrolled(panel, panel.scroll + step * popup.metrics.row), close=True)
    if index is None or index == panel.opened:
        return popup
    return _with_submenu(popup, number, index) if panel.rows[index].rows else _closed_below(popup, number)


def scrolls(popup: Popup, x: int, y: int) -> bool:
    """Whether the mouse rests on an arrow, so that `settled` is to be asked again."""
    where = hit(popup, x, y)
    return where is not None and _arrow_at(popup.panels[where[0]], y, popup.metrics) != 0


def wheeled(popup: Popup, x: int, y: int, steps: int) -> Popup:
    """The wheel was turned over a panel; down is positive."""
    where = hit(popup, x, y)
    if where is None:
        return popup
    panel = popup.panels[where[0]]
    moved = _scrolled(panel, panel.scroll + steps * popup.metrics.row)
    return popup if moved == panel else pointed(_replaced(popup, where[0], moved, close=True), x, y)


def clicked(popup: Popup, x: int, y: int) -> Chosen:
    """A button was let go here. Nothing happens on a row that the mouse had not reached before: it came just now."""
    number, index = hit(popup, x, y) or (0, None)
    if index is None or popup.panels[number].at != index:
        return popup, None
    return _chosen(popup, number, index)


# --- the keys --------------------------------------------------------------------------------------


def pressed(popup: Popup, key: Key) -> Chosen:
    """A key was pressed."""
    number = popup.inner
    panel = popup.panels[number]
    match key:
        case Key.UP | Key.DOWN | Key.HOME | Key.END:
            return _reached(_closed_below(popup, number), number, _next(panel, key)), None
        case Key.ESCAPE:
            return (_closed_below(popup, len(popup.panels) - 2) if len(popup.panels) > 1 else None), None
        case Key.LEFT:
            return (_closed_below(popup, number - 1) if number else popup), None
        case Key.RIGHT if panel.at is None or not panel.rows[panel.at].rows:
            return popup, None
        case Key.RIGHT | Key.ENTER:
            chosen, row = (popup, None) if panel.at is None else _chosen(popup, number, panel.at)
            if chosen is not None and len(chosen.panels) > number + 1:
                chosen = _reached(chosen, number + 1, _next(chosen.panels[number + 1], Key.HOME))
            return chosen, row


def _next(panel: Panel, key: Key) -> int | None:
    """The row that a key leads to; from the last one on to the first."""
    selectable = [index for index, row in enumerate(panel.rows) if row.selectable]
    if not selectable:
        return None
    if key is Key.HOME or (panel.at is None and key is Key.DOWN):
        return selectable[0]
    if key is Key.END or panel.at is None:
        return selectable[-1]
    if key is Key.DOWN:
        return next((index for index in selectable if index > panel.at), selectable[0])
    return next((index for index in reversed(selectable) if index < panel.at), selectable[-1])


def _reached(popup: Popup, number: int, index: int | None) -> Popup:
    """The row is the one reached, and scrolled into view."""
    panel = replace(popup.panels[number], at=index)
    if index is not None:
        arrow = popup.metrics.arrow if panel.overflow > 0 else 0
        top, bottom = panel.tops[index] - arrow, panel.tops[index + 1] + arrow
        panel = _scrolled(panel, min(top, max(panel.scroll, bottom - panel.box.height)))
    return _replaced(popup, number, panel)


# --- panels ----------------------------------------------------------------------------------------


def _chosen(popup: Popup, number: int, index: int) -> Chosen:
    row = popup.panels[number].rows[index]
    if row.rows:
        return _with_submenu(popup, number, index), None
    return (None, row) if row.selectable else (popup, None)


def _with_submenu(popup: Popup, number: int, index: int) -> Popup:
    """The submenu of a row is open, beside the panel, where there is room."""
    panel = replace(popup.panels[number], opened=index, at=index)
    inner = _panel(panel.rows[index].rows, popup.metrics, popup.screen)
    overlap = popup.metrics.px(3)
    right, left_ = panel.box.right - overlap, panel.box.x - inner.box.width + overlap
    # On towards the left where the way has led there already, else it would cover the menus that it came from.
    leftwards = number > 0 and panel.box.x < popup.panels[number - 1].box.x and left_ >= popup.screen.x
    x = left_ if leftwards or right + inner.box.width > popup.screen.right else right
    y = panel.box.y + panel.span(index)[0] - popup.metrics.edge
    return replace(popup, panels=(*popup.panels[:number], panel, _placed(inner, x, y, popup.screen)))


def _closed_below(popup: Popup, number: int) -> Popup:
    """No submenu of this panel is open."""
    return _replaced(popup, number, popup.panels[number], close=True)


def _replaced(popup: Popup, number: int, panel: Panel, *, close: bool = False) -> Popup:
    inner = () if close else popup.panels[number + 1 :]
    return replace(popup, panels=(*popup.panels[:number], replace(panel, opened=None) if close else panel, *inner))


def _scrolled(panel: Panel, scroll: int) -> Panel:
    return replace(panel, scroll=max(0, min(scroll, panel.overflow)))


def _panel(rows: tuple[Row, ...], metrics: Metrics, screen: Box) -> Panel:
    """A panel as large as its rows want it, no larger than the screen, and not yet anywhere."""
    words = max((metrics.text_width(row.text) for row in rows), default=0)
    width = left(rows, metrics) + ceil(words) + (metrics.submenu if any(row.rows for row in rows) else metrics.side)
    tops = tuple(accumulate((metrics.row if row.text else metrics.separator for row in rows), initial=metrics.edge))
    height = tops[-1] + metrics.edge
    return Panel(rows, Box(0, 0, min(width, screen.width), min(height, screen.height)), tops, height)


def left(rows: tuple[Row, ...], metrics: Metrics) -> int:
    """Where the words of a panel begin."""
    return metrics.side + (metrics.mark if any(row.mark for row in rows) else 0)


def _placed(panel: Panel, x: int, y: int, screen: Box) -> Panel:
    """The panel here, or as near as the screen lets it."""
    x = max(screen.x, min(x, screen.right - panel.box.width))
    y = max(screen.y, min(y, screen.bottom - panel.box.height))
    return replace(panel, box=replace(panel.box, x=x, y=y))


def _arrow_at(panel: Panel, y: int, metrics: Metrics) -> int:
    """Which way the arrow at this height scrolls: up -1, down 1, none 0."""
    up, down = panel.arrows()
    if up and y < panel.box.y + metrics.arrow:
        return -1
    return 1 if down and y >= panel.box.bottom - metrics.arrow else 0


def _row_at(popup: Popup, number: int, y: int) -> int | None:
    """The row at a height of the screen that mouse and keys may rest on."""
    panel = popup.panels[number]
    if _arrow_at(panel, y, popup.metrics):
        return None
    inside = y - panel.box.y + panel.scroll
    for index, row in enumerate(panel.rows):
        if row.selectable and panel.tops[index] <= inside < panel.tops[index + 1]:
            return index
    return None
