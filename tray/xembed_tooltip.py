"""What the icon says, beside the mouse that rests on it: XEmbed trays leave tooltips to the icons."""

import asyncio

from tray import popup, popup_drawing
from tray.popup import Box, Row
from tray.xembed_font import font
from tray.xembed_screen import Screen
from tray.xembed_sheet import TOOLTIP, Sheet

REST_S = 0.5
"""As in GTK and Qt."""


class Tooltip:
    """One at a time."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._timer: asyncio.TimerHandle | None = None
        self._sheet: Sheet | None = None

    def rest(self, text: str, anchor: Box) -> None:
        """The mouse has come to the icon: show the text, if it stays."""
        self.leave()
        self._timer = asyncio.get_running_loop().call_later(REST_S, self._show, text, anchor)

    def leave(self) -> None:
        """The mouse has gone, or does something."""
        self.drop()
        if self._sheet is not None:
            self._sheet.close()
            self._sheet = None
            self._screen.flush()

    def drop(self) -> None:
        """Show nothing any more: the screen has gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _show(self, text: str, anchor: Box) -> None:
        scale = self._screen.scale()
        letters = font(scale)
        sizes = popup_drawing.metrics(letters, scale)
        (panel,) = popup.opened((Row(text),), anchor, self._screen.monitor(anchor), sizes).panels
        self._sheet = Sheet(self._screen, TOOLTIP, panel.box, popup_drawing.draw(panel, letters, sizes))
        self._screen.flush()
