"""The menu as windows of our own on X, for trays that draw none: mouse, keys, and a grab while it is open."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from Xlib import XK, X

from tray import popup, popup_drawing
from tray.popup import Box, Key, Mark, Popup, Row
from tray.toolkit import Menu, MenuItem
from tray.xembed_font import font
from tray.xembed_screen import Screen
from tray.xembed_sheet import MENU, Sheet

SETTLE_S = 0.2
"""The mouse rests so long on a row before its submenu opens."""
SCROLL_S = 0.06
GRAB_AGAIN_S = 0.05
GRAB_TRIES = 20
"""The panel may hold the mouse until the button that opened the menu is let go."""

_LEFT_POINTER = 68
_WHEEL = {4: -1, 5: 1}
_MOUSE = X.ButtonPressMask | X.ButtonReleaseMask | X.PointerMotionMask
KEYS = {
    XK.XK_Up: Key.UP,
    XK.XK_KP_Up: Key.UP,
    XK.XK_Down: Key.DOWN,
    XK.XK_KP_Down: Key.DOWN,
    XK.XK_Left: Key.LEFT,
    XK.XK_KP_Left: Key.LEFT,
    XK.XK_Right: Key.RIGHT,
    XK.XK_KP_Right: Key.RIGHT,
    XK.XK_Home: Key.HOME,
    XK.XK_End: Key.END,
    XK.XK_Return: Key.ENTER,
    XK.XK_KP_Enter: Key.ENTER,
    XK.XK_space: Key.ENTER,
    XK.XK_Escape: Key.ESCAPE,
}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Deed:
    """A pystray row to be clicked. Two are equal when their clicks would do the same."""

    key: object
    item: MenuItem = field(compare=False)


def rows(menu: Menu | None) -> tuple[Row, ...]:
    """A pystray menu as rows to draw."""
    return () if menu is None else tuple(map(_row, menu))


def _row(item: MenuItem) -> Row:
    if item is Menu.SEPARATOR:
        return Row()
    mark = Mark.NONE if item.checked is None else Mark.RADIO if item.radio else Mark.CHECK
    deed = Deed(getattr(item, "key", None), item)
    return Row(item.text, bool(item.enabled), mark, bool(item.checked), rows(item.submenu), deed)


class MenuWindow:
    """One menu at a time. `click` gets the row that was chosen, after the menu has closed."""

    def __init__(self, screen: Screen, click: Callable[[MenuItem], None], closed: Callable[[], None]) -> None:
        self._screen = screen
        self._click = click
        self._closed = closed
        self._loop = asyncio.get_running_loop()
        self._font = font(1.0)
        self._cursor = _arrow(screen)
        self._popup: Popup | None = None
        self._sheets: list[Sheet] = []
        self._mouse = (0, 0)
        self._timer: asyncio.TimerHandle | None = None
        self._grabbing: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is on the screen."""
        return self._popup is not None

    def open(self, menu: Menu | None, anchor: Box) -> None:
        """Show the menu at an icon, or close the one that is open."""
        if self._popup is not None:
            self.close()
            return
        scale = self._screen.scale()
        self._font = font(scale)
        sizes = popup_drawing.metrics(self._font, scale)
        self._show(popup.opened(rows(menu), anchor, self._screen.monitor(anchor), sizes))
        self._grab(GRAB_TRIES)
        self._screen.flush()

    def renew(self, menu: Menu | None) -> None:
        """Show what the menu says now, when it is open."""
        if self._popup is not None:
            self._show(popup.renewed(self._popup, rows(menu)))
            self._screen.flush()

    def close(self) -> None:
        """Take it from the screen, and give mouse and keys back."""
        sheets, was_open = self._sheets, self.is_open
        self.drop()
        for sheet in sheets:
            sheet.close()  # which ends the grabs, too
        if was_open:
            self._screen.flush()
            self._closed()

    def drop(self) -> None:
        """Show nothing any more: the screen has gone, or goes now."""
        self._popup = None
        self._sheets = []
        for timer in (self._timer, self._grabbing):
            if timer is not None:
                timer.cancel()

    # --- mouse and keys ----------------------------------------------------------------------------

    def _grab(self, tries: int) -> None:
        """Get all clicks and keys. Without them a menu could not be closed, so it does not stay open then."""
        window, options = self._sheets[0].window, (X.GrabModeAsync, X.GrabModeAsync)
        mouse = window.grab_pointer(False, _MOUSE, *options, X.NONE, self._cursor, X.CurrentTime)
        keys = window.grab_keyboard(False, *options, X.CurrentTime)
        if mouse == keys == X.GrabSuccess:
            return
        if tries:
            self._grabbing = self._loop.call_later(GRAB_AGAIN_S, self._grab, tries - 1)
        else:
            log.info("the menu closes: another program holds mouse or keyboard")
            self.close()

    def _heard(self, event: Any) -> None:
        if self._popup is None:
            return
        match event.type:
            case X.MotionNotify:
                self._point(event.root_x, event.root_y)
            case X.ButtonPress if event.detail in _WHEEL:
                self._show(popup.wheeled(self._popup, *self._mouse, _WHEEL[event.detail]))
            case X.ButtonPress:
                self._point(event.root_x, event.root_y)
                if popup.hit(self._popup, *self._mouse) is None:
                    self.close()
            case X.ButtonRelease if event.detail not in _WHEEL:
                self._follow(popup.clicked(self._popup, event.root_x, event.root_y))
            case X.KeyPress:
                key = KEYS.get(self._screen.display.keycode_to_keysym(event.detail, 0))
                if key is not None:
                    self._follow(popup.pressed(self._popup, key))

    def _point(self, x: int, y: int) -> None:
        self._mouse = (x, y)
        if self._popup is not None:
            self._show(popup.pointed(self._popup, x, y))
            self._settle_in(SETTLE_S)

    def _settle_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._settle)

    def _settle(self) -> None:
        if self._popup is not None:
            self._show(popup.settled(self._popup, *self._mouse))
            if popup.scrolls(self._popup, *self._mouse):
                self._settle_in(SCROLL_S)
            self._screen.flush()

    def _follow(self, chosen: popup.Chosen) -> None:
        stays, row = chosen
        if stays is not None:
            self._show(stays)
            return
        self.close()
        if row is not None and isinstance(row.deed, Deed):
            self._click(row.deed.item)

    # --- windows -----------------------------------------------------------------------------------

    def _show(self, fresh: Popup) -> None:
        """Have on the screen what is in the value, drawing only what differs."""
        before = self._popup.panels if self._popup is not None else ()
        self._popup = fresh
        for sheet in self._sheets[len(fresh.panels) :]:
            sheet.close()
        del self._sheets[len(fresh.panels) :]
        for number, panel in enumerate(fresh.panels):
            if number == len(self._sheets):
                picture = popup_drawing.draw(panel, self._font, fresh.metrics)
                self._sheets.append(Sheet(self._screen, MENU, panel.box, picture))
                if number == 0:  # the one that grabs hears everything
                    self._screen.listen(self._sheets[0].window, self._heard)
            elif panel != before[number]:
                self._sheets[number].show(panel.box, popup_drawing.draw(panel, self._font, fresh.metrics))


def _arrow(screen: Screen) -> Any:
    """The mouse's shape over a menu: the root window's own may be a cross."""
    shapes = screen.display.open_font("cursor")
    black, white = (0, 0, 0), (0xFFFF, 0xFFFF, 0xFFFF)
    cursor = shapes.create_glyph_cursor(shapes, _LEFT_POINTER, _LEFT_POINTER + 1, black, white)
    shapes.close()
    return cursor
