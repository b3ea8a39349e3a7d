"""A picture on the screen in a window of its own, which no window manager touches: a menu, a tooltip."""

from typing import Any

from PIL import Image

from tray.popup import Box
from tray.xembed_screen import Screen

MENU = "_NET_WM_WINDOW_TYPE_POPUP_MENU"
TOOLTIP = "_NET_WM_WINDOW_TYPE_TOOLTIP"


class Sheet:
    """The window. `kind` tells a compositor which shadow it gets."""

    def __init__(self, screen: Screen, kind: str, box: Box, picture: Image.Image) -> None:
        self._screen = screen
        self._box = box
        depth = screen.screen.root_depth
        self.window: Any = screen.root.create_window(
            box.x, box.y, box.width, box.height, 0, depth, override_redirect=True
        )
        type_, atom = screen.atom("_NET_WM_WINDOW_TYPE"), screen.atom("ATOM")
        self.window.change_property(type_, atom, 32, [screen.atom(kind)])
        self.show(box, picture)
        self.window.map()

    def show(self, box: Box, picture: Image.Image) -> None:
        """Show another picture, there. It becomes the window's background, which the server redraws by itself."""
        if box != self._box:
            self._box = box
            self.window.configure(x=box.x, y=box.y, width=box.width, height=box.height)
        pixmap = self._screen.root.create_pixmap(picture.width, picture.height, self._screen.screen.root_depth)
        self._screen.put(pixmap, picture)
        self.window.change_attributes(background_pixmap=pixmap)
        self.window.clear_area()
        pixmap.free()

    def close(self) -> None:
        """Take it from the screen."""
        self._screen.destroy(self.window)
