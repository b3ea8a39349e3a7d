"""An X server and a stub of an XEmbed tray for unit tests: takes windows in, looks at them, clicks. And a mouse."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import anyio
from PIL import Image, ImageGrab
from Xlib import XK, X, Xatom
from Xlib.display import Display
from Xlib.error import BadDrawable, BadWindow, ConnectionClosedError
from Xlib.ext import xtest
from Xlib.protocol import event

from tests.desktop.bus import END_S, first_line

SECONDS = 10.0
LOOK_AGAIN_S = 0.01
SCREEN = "800x480x24"
GREY = (70, 90, 110)
_BUTTONS = {"left": 1, "middle": 2, "right": 3, "up": 4, "down": 5}


def x_command(ready: int, screen: str = SCREEN) -> list[str]:
    """Start an X server on a display that it finds free, and have its number written to `ready`."""
    options = ["-screen", "0", screen, "-nolisten", "tcp", "-noreset", "-displayfd", str(ready)]
    return ["Xvfb", *options]


@contextmanager
def x_server(screen: str = SCREEN) -> Iterator[str]:
    """The display of a running X server without anything on it."""
    readable, writable = os.pipe()
    server = subprocess.Popen(x_command(writable, screen), pass_fds=(writable,), stderr=subprocess.DEVNULL)
    os.close(writable)
    try:
        yield f":{first_line(readable, 'Xvfb')}"
    finally:
        server.terminate()
        server.wait(END_S)


async def until(holds: Callable[[], Any], what: str) -> Any:
    """Wait until something is so. A screen does not tell when it changes."""
    with anyio.move_on_after(SECONDS):
        while True:
            if answer := holds():
                return answer
            await anyio.sleep(LOOK_AGAIN_S)
    raise AssertionError(f"not within {SECONDS} s: {what}")


class Person:
    """Mouse, keys and eyes at one display."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.display = Display(name)
        self.root = self.display.screen().root

    def close(self) -> None:
        self.display.close()

    def point(self, x: int, y: int) -> None:
        xtest.fake_input(self.display, X.MotionNotify, x=x, y=y)
        self.display.sync()

    def button(self, button: str, *kinds: int) -> None:
        for kind in kinds or (X.ButtonPress, X.ButtonRelease):
            xtest.fake_input(self.display, kind, _BUTTONS[button])
        self.display.sync()

    def click(self, x: int, y: int, button: str = "left") -> None:
        self.point(x, y)
        self.button(button)

    def press(self, *keys: str) -> None:
        for key in keys:
            code = self.display.keysym_to_keycode(XK.string_to_keysym(key))
            for kind in (X.KeyPress, X.KeyRelease):
                xtest.fake_input(self.display, kind, code)
        self.display.sync()

    def look(self) -> Image.Image:
        return ImageGrab.grab(xdisplay=self.name).convert("RGB")

    def popups(self) -> list[tuple[int, int, int, int]]:
        """Windows on the screen that no window manager touches, as x, y, width and height, the oldest first."""
        found = []
        for window in self.root.query_tree().children:
            with suppress(BadWindow, BadDrawable):  # it goes at this moment
                looks, shape = window.get_attributes(), window.get_geometry()
                if looks.map_state == X.IsViewable and looks.override_redirect:
                    found.append((shape.x, shape.y, shape.width, shape.height))
        return found

    def keys_are_held(self) -> bool:
        """Whether a menu has grabbed the keys: a moment after it is on the screen."""
        held = self.root.grab_keyboard(False, X.GrabModeAsync, X.GrabModeAsync, X.CurrentTime) == X.AlreadyGrabbed
        if not held:
            self.display.ungrab_keyboard(X.CurrentTime)
        self.display.sync()
        return held

    def set_dpi(self, dpi: int) -> None:
        words = f"Xft.antialias:\t1\nXft.dpi:\t{dpi}\n".encode()
        self.root.change_property(Xatom.RESOURCE_MANAGER, Xatom.STRING, 8, words)
        self.display.sync()


class StubTray:
    """The tray of a panel that knows XEmbed only. With `argb` it composes the icons itself, as compositors let it."""

    def __init__(self, name: str, *, argb: bool = False, side: int = 24) -> None:
        self.display = Display(name)
        self.screen = self.display.screen()
        self.side = side
        self.panel = self.screen.root.create_window(
            600, 0, 100, 30, 0, self.screen.root_depth, override_redirect=True, background_pixel=_pixel(GREY)
        )
        self.panel.map()
        self.owner = self.screen.root.create_window(0, 0, 1, 1, 0, self.screen.root_depth)
        self._selection = self.display.intern_atom("_NET_SYSTEM_TRAY_S0")
        self._opcode = self.display.intern_atom("_NET_SYSTEM_TRAY_OPCODE")
        if argb:
            kind = self.display.intern_atom("_NET_SYSTEM_TRAY_VISUAL")
            self.owner.change_property(kind, Xatom.VISUALID, 32, [argb_visual(self.display)])
        self.owner.set_selection_owner(self._selection, X.CurrentTime)
        self.display.sync()
        self.icons: list[Any] = []

    def announce(self) -> None:
        """Tell everybody who waits for a tray."""
        manager = self.display.intern_atom("MANAGER")
        words = (32, (X.CurrentTime, self._selection, self.owner.id, 0, 0))
        message = event.ClientMessage(window=self.screen.root, client_type=manager, data=words)
        self.screen.root.send_event(message, event_mask=X.StructureNotifyMask)
        self.display.sync()

    def asked(self) -> bool:
        """Whether an icon wants in; it is taken in."""
        while self.display.pending_events():
            message = self.display.next_event()
            if message.type == X.ClientMessage and message.client_type == self._opcode:
                icon = self.display.create_resource_object("window", message.data[1][2])
                icon.reparent(self.panel, 3, 3)
                icon.configure(width=self.side, height=self.side)
                icon.map()
                self.icons.append(icon)
                self.display.sync()
                return True
        return False

    def throw_out(self) -> None:
        """Put the icon back on the screen, as a tray does that ends politely."""
        self.icons.pop().reparent(self.screen.root, 0, 0)
        self.display.sync()

    def close(self) -> None:
        """End, and take the icons along. Twice is fine."""
        with suppress(ConnectionClosedError):
            self.display.close()


def argb_visual(display: Display) -> int:
    """The number of a visual with transparency."""
    deep = next(depth for depth in display.screen().allowed_depths if depth.depth == 32)
    return int(deep.visuals[0].visual_id)


def _pixel(colour: tuple[int, int, int]) -> int:
    return int.from_bytes(bytes(colour))
