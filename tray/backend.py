"""Which tray this system has: our own on Linux, pystray's with a few differences on Windows and macOS."""

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from core.errors import NoDesktop
from tray.icon_colours import Panel

LINUX_SIZES = (16, 22, 24, 32, 44)
"""What panels use. Xfce takes the largest and scales it down, to half in a panel of usual height; and 44 is
what dense screens need."""


class TrayIcon(Protocol):
    """What the tray application uses of a pystray icon."""

    icon: Any
    title: str
    visible: bool

    def run(self, setup: Callable[["TrayIcon"], None]) -> None:
        """Block the main thread until `stop()`; call `setup` in a thread of its own."""

    def stop(self) -> None:
        """End `run()`."""

    def update_menu(self) -> None:
        """Read the menu again."""


@dataclass(frozen=True, slots=True)
class Backend:
    """A tray and what has to be known to draw for it."""

    icon: Callable[..., TrayIcon]
    """Takes name, pictures, title, menu, and `on_host` to tell whether any panel shows the icon, and that it has got
    other colours."""
    sizes: tuple[int, ...]
    """In pixels, of the pictures it is given."""
    panel: Callable[[], Panel] = lambda: Panel.DARK
    """What the icon is to be drawn for, now."""
    double_ampersands: bool = False
    run_on_ui: Callable[[Callable[[], None]], None] = lambda call: call()
    """Runs what touches the icon where the toolkit wants it."""


def choose(platform: str = sys.platform) -> Backend:
    """The tray of this system. Raises NoDesktop when there is none to show an icon in."""
    try:
        return BACKENDS.get(platform, _linux)()
    except ImportError as exc:
        raise NoDesktop(
            "The tray could not be loaded on this system",
            f"Run `tidegate serve` to run without an icon. ({exc})",
        ) from exc


def _linux() -> Backend:
    if not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")):
        raise NoDesktop("There is no display to show an icon on", "Run `tidegate serve` to run without one.")
    from tray import linux, portal  # noqa: PLC0415 - each system has its own

    async def look_around() -> bool:
        await linux.probe()
        return await portal.wants_contrast()

    # No panel tells its colour. The icon for dark ones has a rim and a ground, one of which is seen on any.
    panel = Panel.CONTRAST_DARK if asyncio.run(look_around()) else Panel.DARK
    return Backend(linux.Icon, LINUX_SIZES, lambda: panel)


def _windows() -> Backend:
    from tray import windows  # noqa: PLC0415

    windows.prepare()
    return Backend(windows.Icon, windows.SIZES, windows.panel, double_ampersands=True)


def _macos() -> Backend:
    from tray import macos  # noqa: PLC0415

    macos.prepare()
    return Backend(macos.Icon, macos.SIZES, macos.panel, run_on_ui=macos.on_main_thread)


BACKENDS: dict[str, Callable[[], Backend]] = {"linux": _linux, "win32": _windows, "darwin": _macos}
