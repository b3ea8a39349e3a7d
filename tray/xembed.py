"""The icon in a tray that knows only XEmbed (tint2, i3bar, trayer): a window of ours inside the panel's.

pystray has such a back end, but no tray delivers clicks to it, for it does not ask for them; it never docks with a tray
that comes after it, has black corners and no menu. This one docks with the tray that is there and with each that comes.
https://specifications.freedesktop.org/systemtray-spec/latest/ and https://specifications.freedesktop.org/xembed-spec/
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image
from Xlib import X, Xatom, Xutil, error
from Xlib.protocol import event as x_event

from tray.popup import Box
from tray.xembed_screen import Screen
from tray.xembed_tooltip import Tooltip

_REQUEST_DOCK = 0
_XEMBED_VERSION = 0
_XEMBED_MAPPED = 1
_LEAST_SIDE = 16
"""Some trays make a window without a wish as small as one pixel."""
_EVENTS = X.StructureNotifyMask | X.ExposureMask | X.ButtonPressMask | X.EnterWindowMask | X.LeaveWindowMask

log = logging.getLogger(__name__)


class TrayWindow:
    """The icon's window. `pressed` gets the number of a mouse button, `docked` whether a tray shows the icon."""

    def __init__(
        self, screen: Screen, name: str, pressed: Callable[[int], None], docked: Callable[[bool], None]
    ) -> None:
        self._screen = screen
        self._name = name
        self._pressed = pressed
        self._docked = docked
        self._images: Sequence[Image.Image] = ()
        self._text = ""
        self._tooltip = Tooltip(screen)
        self._window: Any = None
        self._tray: Any = None
        self._argb = False
        self._size = (0, 0)
        number = screen.display.get_default_screen()
        self._selection = screen.atom(f"_NET_SYSTEM_TRAY_S{number}")
        self._manager = screen.atom("MANAGER")
        # A tray that comes later says so to everybody who listens to the root window.
        screen.root.change_attributes(event_mask=X.StructureNotifyMask)
        screen.listen(screen.root, self._heard_root)

    def show(self, images: Sequence[Image.Image], text: str) -> None:
        """Draw this, and be found under these words."""
        self._images, self._text = images, text
        if self._window is None:
            self._dock()
        else:
            self._name_it(self._window)
            self._draw()
        self._screen.flush()

    def hide(self) -> None:
        """Leave the tray."""
        self._images = ()
        self._undock()
        self._screen.flush()

    def drop(self) -> None:
        """Do nothing any more: the screen has gone, or goes now."""
        self._tooltip.drop()

    def place(self) -> Box:
        """Where the icon is on the screen."""
        corner = self._screen.root.translate_coords(self._window, 0, 0)
        return Box(corner.x, corner.y, *self._size)

    # --- docking -----------------------------------------------------------------------------------

    def _heard_root(self, event: Any) -> None:
        if event.type == X.ClientMessage and event.client_type == self._manager and event.data[1][1] == self._selection:
            log.debug("an XEmbed tray has come")
            self._undock()
            self._dock()

    def _heard_tray(self, event: Any) -> None:
        if event.type == X.DestroyNotify:
            log.debug("the XEmbed tray has gone")
            self._undock()
            self._dock()  # with its successor, which may have come before the farewell

    def _dock(self) -> None:
        """Ask the tray to take the window in. What comes of it is told by events."""
        tray = self._screen.display.get_selection_owner(self._selection)
        if tray == X.NONE or not self._images:
            return
        try:
            self._ask(tray)
        except error.XError as exc:
            log.debug("the XEmbed tray went at once, the next one will say when it comes: %s", exc)

    def _ask(self, tray: Any) -> None:
        self._tray = tray
        tray.change_attributes(event_mask=X.StructureNotifyMask)
        self._screen.listen(tray, self._heard_tray)
        self._window = self._make_window(tray)
        self._screen.listen(self._window, self._heard)
        opcode = self._screen.atom("_NET_SYSTEM_TRAY_OPCODE")
        words = (32, (X.CurrentTime, _REQUEST_DOCK, self._window.id, 0, 0))
        tray.send_event(x_event.ClientMessage(window=tray, client_type=opcode, data=words))

    def _undock(self) -> None:
        """Forget the tray. The window goes too: a tray that ends may leave it on the screen, outside of any panel."""
        tray, window = self._tray, self._window
        self._tray = self._window = None
        self._size = (0, 0)
        if tray is not None:
            self._screen.forget(tray)
        if window is not None:
            self._tooltip.leave()
            self._screen.destroy(window)
            self._docked(False)

    def _make_window(self, tray: Any) -> Any:
        visual = tray.get_full_property(self._screen.atom("_NET_SYSTEM_TRAY_VISUAL"), Xatom.VISUALID)
        number = visual.value[0] if visual and len(visual.value) else 0
        self._argb = self._screen.argb_visual(number)
        root = self._screen.root
        side = _LEAST_SIDE
        if self._argb:  # a tray that composes: what we leave transparent shows the panel
            colours = root.create_colormap(number, X.AllocNone)
            options = {"visual": number, "colormap": colours, "background_pixel": 0, "border_pixel": 0}
            window = root.create_window(-side, -side, side, side, 0, 32, X.InputOutput, event_mask=_EVENTS, **options)
        else:
            window = root.create_window(
                -side, -side, side, side, 0, X.CopyFromParent, background_pixmap=X.ParentRelative, event_mask=_EVENTS
            )
        window.set_wm_class(self._name, self._name.capitalize())
        window.set_wm_normal_hints(
            flags=Xutil.PMinSize | Xutil.PBaseSize, min_width=side, min_height=side, base_width=side, base_height=side
        )
        info = self._screen.atom("_XEMBED_INFO")
        window.change_property(info, info, 32, [_XEMBED_VERSION, _XEMBED_MAPPED])
        self._name_it(window)
        return window

    def _name_it(self, window: Any) -> None:
        """What the icon says, for panels and screen readers that ask for a window's name."""
        window.change_property(
            self._screen.atom("_NET_WM_NAME"), self._screen.atom("UTF8_STRING"), 8, self._text.encode()
        )

    # --- the window --------------------------------------------------------------------------------

    def _heard(self, event: Any) -> None:
        match event.type:
            case X.ReparentNotify if event.parent.id != self._screen.root.id:
                self._docked(True)
            case X.ReparentNotify | X.DestroyNotify:  # the tray has ended, and its own farewell is under way
                self._undock()
            case X.ConfigureNotify:
                self._size = (event.width, event.height)
                self._draw()
            case X.Expose if event.count == 0:
                self._draw()
            case X.EnterNotify:
                self._tooltip.rest(self._text, self.place())
            case X.LeaveNotify:
                self._tooltip.leave()
            case X.ButtonPress:
                self._tooltip.leave()
                self._pressed(event.detail)

    def _draw(self) -> None:
        width, height = self._size
        if self._window is None or not self._images or min(width, height) <= 1:
            return
        icon = fitting(self._images, min(width, height))
        corner = ((width - icon.width) // 2, (height - icon.height) // 2)
        if self._argb:
            picture = Image.new("RGBA", (width, height))
            picture.paste(icon, corner)
            gc = self._window.create_gc()
            self._screen.put(self._window, picture, gc)
            gc.free()
            return
        self._window.clear_area()  # shows the panel's own background, which is then under the icon
        ground = self._screen.shot(self._window, width, height)
        if ground is not None:
            ground.paste(icon, corner, icon)
            self._screen.put(self._window, ground)


def fitting(images: Sequence[Image.Image], side: int) -> Image.Image:
    """The picture for a square of this size: one that was drawn for it, else the next larger one made smaller."""
    by_size = sorted(images, key=lambda image: image.width)
    nearest = next((image for image in by_size if image.width >= side), by_size[-1])
    return nearest if nearest.width == side else nearest.resize((side, side), Image.Resampling.LANCZOS)
