"""One connection to the X server, on the loop that draws the menu: events in, pictures out. It never wakes by itself.

Every call runs on that loop. Windows that belong to others may go at any moment; what the server says about it then is
logged and changes nothing.
"""

import asyncio
import contextlib
import logging
import os
import re
from collections.abc import Callable
from typing import Any

from PIL import Image
from Xlib import X, Xatom, error
from Xlib.display import Display
from Xlib.protocol import request

from tray.popup import Box

_DPI = re.compile(rb"^Xft\.dpi:\s*([0-9.]+)", re.MULTILINE)
_USUAL_DPI = 96
_SCALES = (1.0, 4.0)
_PIXEL_BYTES = 4
_TRUE_COLOUR_DEPTHS = {24, 32}
_ENDED = (error.ConnectionClosedError, OSError)
"""The server has gone."""
UNREACHABLE = (error.DisplayError, error.XauthError, *_ENDED)
"""There is no X server, or it does not let us in."""

log = logging.getLogger(__name__)

Listener = Callable[[Any], None]


class UnusableScreenError(OSError):
    """The screen has a format that nobody has had for twenty years, so that nobody could test it."""


def has_display() -> bool:
    """Whether this session is X's own.

    Wayland sessions may have an X server for old programs, but some start it on demand and stop it when nobody is left
    (GNOME does): a connection of ours would keep it running for nothing, for their trays speak StatusNotifierItem.
    """
    return bool(os.environ.get("DISPLAY")) and not os.environ.get("WAYLAND_DISPLAY")


class Screen:
    """The connection. Raises one of UNREACHABLE; `ended` is called once, when the server goes."""

    def __init__(self, ended: Callable[[], None]) -> None:
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._listeners: dict[int, Listener] = {}
        self._open = True
        self.display = Display()
        self.display.set_error_handler(_log_error)
        self.screen = self.display.screen()
        self.root = self.screen.root
        self.gc = self.root.create_gc()
        if (
            self.screen.root_depth not in _TRUE_COLOUR_DEPTHS
            or self.display.display.info.image_byte_order != X.LSBFirst
        ):
            self.display.close()
            raise UnusableScreenError(f"a screen of depth {self.screen.root_depth}")
        self._file = self.display.fileno()
        self._loop.add_reader(self._file, self._read)

    def close(self) -> None:
        """End the connection; the server takes our windows away. Twice is fine, and after the end of the loop too."""
        if self._open:
            self._open = False
            if not self._loop.is_closed():
                self._loop.remove_reader(self._file)
                self._loop.remove_writer(self._file)
            with contextlib.suppress(*_ENDED):
                self.display.close()

    def listen(self, window: Any, listener: Listener) -> None:
        """Have `listener` called with the events of a window."""
        self._listeners[window.id] = listener

    def forget(self, window: Any) -> None:
        """Call nobody any more."""
        self._listeners.pop(window.id, None)

    def destroy(self, window: Any) -> None:
        """Take a window of ours away.

        Its own `destroy` would let the next window have its number, and with it the events that are still under way.
        """
        self.forget(window)
        request.DestroyWindow(display=self.display.display, window=window.id)

    def flush(self) -> None:
        """Send what was asked for. Then the events are told that came meanwhile, while answers were read."""
        with self._watched():
            self.display.flush()
        self._loop.call_soon(self._read)

    def _read(self) -> None:
        with self._watched():
            while self._open and self.display.pending_events():
                event = self.display.next_event()
                about = getattr(event, "event", None) or getattr(event, "window", None)
                listener = self._listeners.get(getattr(about, "id", 0))
                if listener is not None:
                    try:
                        listener(event)
                    except error.XError as exc:
                        log.debug("a window went while it was looked at: %s", exc)
        if self._open:
            self._await_room()

    def _await_room(self) -> None:
        """Come back for what a busy server has not taken: python-xlib tries once, in whatever it does next."""
        if self.display.display.data_send:
            self._loop.add_writer(self._file, self._read)
        else:
            self._loop.remove_writer(self._file)

    @contextlib.contextmanager
    def _watched(self) -> Any:
        try:
            yield
        except _ENDED:
            if self._open:
                self.close()
                self._ended()

    # --- what there is -----------------------------------------------------------------------------

    def atom(self, name: str) -> int:
        """The number of a name."""
        return int(self.display.intern_atom(name))

    def scale(self) -> float:
        """How much larger than usual the person wants things: `Xft.dpi`, which every desktop sets."""
        resources = self.root.get_full_property(Xatom.RESOURCE_MANAGER, Xatom.STRING)
        found = _DPI.search(bytes(resources.value)) if resources else None
        least, most = _SCALES
        return max(least, min(most, float(found[1]) / _USUAL_DPI)) if found else least

    def pointer(self) -> Box:
        """Where the mouse is: an area of one pixel."""
        where = self.root.query_pointer()
        return Box(where.root_x, where.root_y, 1, 1)

    def monitor(self, at: Box) -> Box:
        """The monitor that shows this point, the whole screen when that cannot be told."""
        whole = Box(0, 0, self.screen.width_in_pixels, self.screen.height_in_pixels)
        if not self.display.has_extension("RANDR"):
            return whole
        with contextlib.suppress(error.XError):  # before version 1.5 it knew no monitors
            for found in self.root.xrandr_get_monitors().monitors:
                box = Box(found.x, found.y, found.width_in_pixels, found.height_in_pixels)
                if box.holds(at.x, at.y):
                    return box
        return whole

    def argb_visual(self, number: int) -> bool:
        """Whether a visual has transparency."""
        depths = (depth for depth in self.screen.allowed_depths if depth.depth == 32)  # noqa: PLR2004 - ARGB
        return any(visual.visual_id == number for depth in depths for visual in depth.visuals)

    # --- pictures ----------------------------------------------------------------------------------

    def put(self, drawable: Any, image: Image.Image, gc: Any = None) -> None:
        """Draw an image: RGB where the drawable has 24 bits, RGBA where it has 32."""
        if image.mode == "RGBA":  # the server wants colours multiplied by their transparency
            depth, pixels = 32, image.convert("RGBa").tobytes("raw", "BGRa")
        else:
            depth, pixels = self.screen.root_depth, image.tobytes("raw", "BGRX")
        stride = image.width * _PIXEL_BYTES
        # In strips: a request has at most 256 KB unless an extension is used that python-xlib does not know.
        rows = max(1, (self.display.display.info.max_request_length * 4 - 64) // stride)
        for top in range(0, image.height, rows):
            strip = pixels[top * stride : (top + rows) * stride]
            height = len(strip) // stride
            drawable.put_image(gc or self.gc, 0, top, image.width, height, X.ZPixmap, depth, 0, strip)

    def shot(self, window: Any, width: int, height: int) -> Image.Image | None:
        """What a window shows; None when it cannot be seen."""
        try:
            pixels = window.get_image(0, 0, width, height, X.ZPixmap, 0xFFFFFFFF).data
        except error.XError:
            return None
        return Image.frombytes("RGB", (width, height), bytes(pixels), "raw", "BGRX")


def _log_error(failure: error.XError, _request: object) -> None:
    log.debug("the X server says: %s", failure)
