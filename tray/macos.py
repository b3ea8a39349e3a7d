"""The tray icon on macOS: pystray's, with these differences.

- The picture is there for usual and for Retina screens, in the size of the menu bar's other icons. pystray's is one
  picture as high as the whole bar.
- A picture without colours is a template: macOS colours it as the menu bar needs it.
- The menu's rows are made when it opens. pystray replaces the menu whenever something changes, and a click on rows
  that were drawn before would do what the new row at that place does.
- There is no icon in the Dock.
- Ctrl-C and a polite kill end the loop, and what stands round it ends in order. pystray's end the process at once.

AppKit ends a program that touches it outside the main thread: everything here is called there (`on_main_thread`).
Nobody has run this on macOS yet: the tests drive it by recorded calls of AppKit. That what it calls is there was read
in the metadata of PyObjC 13.0 (2026-11).
"""

import io
import signal
from collections.abc import Callable
from typing import Any

import AppKit
import Foundation
from PIL import Image
from PyObjCTools import AppHelper, MachSignals
from pystray import _darwin

from tray.icon_colours import Panel

POINTS = 18
"""The height of icons in the menu bar, which is 22 to 24 high."""
SIZES = (POINTS, 2 * POINTS)
_TEMPLATE_MODE = "LA"
"""Of pictures without colours, see `tray.icon.draw`."""

on_main_thread: Callable[[Callable[[], None]], None] = AppHelper.callAfter


def prepare() -> None:
    """Live in the menu bar only. On the main thread, before the icon."""
    application = AppKit.NSApplication.sharedApplication()
    application.setActivationPolicy_(AppKit.NSApplicationActivationPolicyAccessory)


def panel() -> Panel:
    """The menu bar. Its colour comes from the picture behind it, so that no icon can be drawn for it."""
    if AppKit.NSWorkspace.sharedWorkspace().accessibilityDisplayShouldIncreaseContrast():
        return Panel.CONTRAST_DARK
    return Panel.TINTING


class MenuDelegate(Foundation.NSObject):  # type: ignore[misc]  # PyObjC has no types
    """Is asked for the rows when the menu is about to open."""

    def menuNeedsUpdate_(self, menu: Any) -> None:  # noqa: N802 - AppKit's name
        """Fill it anew."""
        self.icon.fill(menu)


class Icon(_darwin.Icon):  # type: ignore[misc]  # pystray has no types
    """A pystray icon, for the main thread. `icon` is the same picture in several sizes.

    `on_host` is told that the menu bar shows it; there always is one. Clicks run on the main thread: a callback
    hands its work on and returns.
    """

    HAS_NOTIFICATION = False

    def __init__(self, *args: Any, on_host: Callable[[bool], None] = lambda _: None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._on_host = on_host
        self._menu_delegate = MenuDelegate.alloc().init()
        self._menu_delegate.icon = self
        self._menu_handle: tuple[Any, list[Callable[[Any], None]]] | None = None
        self._icon_image: Any = None

    def fill(self, menu: Any) -> None:
        """Put the present rows into the menu."""
        callbacks: list[Callable[[Any], None]] = []
        menu.removeAllItems()
        for row in self.menu:
            menu.addItem_(self._create_menu_item(row, callbacks))
            callbacks.append(self._handler(row))
        self._menu_handle = (menu, callbacks)

    # --- what pystray asks of a back end ------------------------------------------------------------

    def _run(self) -> None:
        self._mark_ready()
        for number in (signal.SIGINT, signal.SIGTERM):
            # Python's own handlers wait for the main thread, which is in AppKit's loop.
            MachSignals.signal(number, lambda *_: self._stop())
        try:
            self._app.run()
        finally:
            self._status_bar.removeStatusItem_(self._status_item)

    def _show(self) -> None:
        super()._show()
        self._on_host(True)

    def _update_menu(self) -> None:
        if self._menu_handle is None:
            menu = AppKit.NSMenu.alloc().initWithTitle_(self.name)
            menu.setAutoenablesItems_(False)
            menu.setDelegate_(self._menu_delegate)
            self._menu_handle = (menu, [])
            self._status_item.setMenu_(menu)

    def _update_title(self) -> None:
        super()._update_title()
        self._status_item.button().setAccessibilityLabel_(self.title)

    def _assert_image(self) -> None:
        if self._icon_image is None:
            self._icon_image = _native(self.icon)
            self._status_item.button().setImage_(self._icon_image)


def _native(images: tuple[Image.Image, ...]) -> Any:
    picture = AppKit.NSImage.alloc().initWithSize_((POINTS, POINTS))
    for image in images:
        file = io.BytesIO()
        image.save(file, "PNG")
        bits = file.getvalue()
        form = AppKit.NSBitmapImageRep.imageRepWithData_(Foundation.NSData.dataWithBytes_length_(bits, len(bits)))
        form.setSize_((POINTS, POINTS))
        picture.addRepresentation_(form)
    picture.setTemplate_(all(image.mode == _TEMPLATE_MODE for image in images))
    return picture
