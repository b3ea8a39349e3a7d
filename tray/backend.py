"""Which tray this system has: our own on Linux, pystray's on Windows and macOS."""

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from core.errors import NoDesktop

LINUX_SIZES = (16, 22, 24, 32, 44)
"""What panels use. Xfce takes the largest and scales it down, to half in a panel of usual height; and 44 is
what dense screens need."""
OTHER_SIZES = (64,)
"""pystray takes one picture and scales it."""


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
    """Takes name, icon, title, menu, and `on_host` to tell whether any panel shows the icon."""
    sizes: tuple[int, ...] = OTHER_SIZES
    dark: bool = True
    """For a dark panel. The icon can be told from a light one too."""
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
    from tray import sni  # noqa: PLC0415 - each system has its own

    async def probe() -> None:
        async with sni.session_bus():
            pass

    asyncio.run(probe())
    return Backend(sni.Icon, LINUX_SIZES)


def _windows() -> Backend:
    from tray.toolkit import Icon  # noqa: PLC0415

    return Backend(Icon, dark=_dark_taskbar(), double_ampersands=True)


def _macos() -> Backend:
    from PyObjCTools import AppHelper  # type: ignore[import-not-found]  # noqa: PLC0415 - there on macOS only

    from tray.toolkit import Icon  # noqa: PLC0415

    # AppKit ends a program that touches a menu outside the main thread.
    return Backend(Icon, run_on_ui=AppHelper.callAfter)


def _dark_taskbar() -> bool:
    """What the person chose in Settings, Personalisation, Colours for "Windows mode"."""
    if sys.platform != "win32":
        return True
    import winreg  # noqa: PLC0415

    path = r"Software\Microsoft\Windows\CurrentVersion\Themes\Personalize"
    try:
        with winreg.OpenKey(winreg.HKEY_CURRENT_USER, path) as key:
            return bool(winreg.QueryValueEx(key, "SystemUsesLightTheme")[0] == 0)
    except OSError:
        return True


BACKENDS: dict[str, Callable[[], Backend]] = {"linux": _linux, "win32": _windows, "darwin": _macos}
