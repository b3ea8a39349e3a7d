"""The tray icon on Windows 10 and later: pystray's, with these differences.

- Both mouse buttons open the menu (https://github.com/moses-palmer/pystray/issues/100), which is made anew each time.
  pystray keeps one and replaces it when something changes, also while it is on the screen.
- The picture is handed over in exactly the taskbar's size. pystray loads one of 32 pixels from a temporary file.
- Messages that pystray does not know go to Windows, as they should: its 0 to WM_QUERYENDSESSION means "do not shut
  down".
- A title that is too long is cut. pystray raises an error.
- Ctrl-C ends it at once, not when the next message comes.

Nobody has run this on Windows yet: the tests drive it by recorded calls of the Windows API.
"""

import ctypes
import importlib
import io
import threading
from collections.abc import Callable, Sequence
from ctypes import wintypes
from functools import partial
from typing import Any

from PIL import Image
from pystray import _win32
from pystray._util import win32

from tray.icon_colours import Panel

APP_ID = "Tidegate"
"""Groups our windows and messages. The installer's shortcut and desktop-notifier say the same."""
SIZES = (16, 20, 24, 28, 32, 40, 48)
"""The taskbar's icons at 100 to 300 %."""

_WM_NULL = 0x0000
_WM_CLOSE = 0x0010
_WM_ENDSESSION = 0x0016
_WM_SETTINGCHANGE = 0x001A
_WM_DPICHANGED = 0x02E0
_WM_THEMECHANGED = 0x031A
_SM_CXSMICON = 49
_SPI_GETHIGHCONTRAST = 0x0042
_HIGH_CONTRAST_ON = 0x0001
_COLOR_WINDOW = 5
_DARK_BELOW = 128
_ICON_VERSION = 0x00030000
_ICO_HEAD_BYTES = 22
"""Of a file with one picture, which follows as Windows wants it."""
_TIP_UNITS = 127
_THEMES = r"Software\Microsoft\Windows\CurrentVersion\Themes\Personalize"
_PER_MONITOR_V2 = ctypes.c_void_p(-4)


class _HighContrast(ctypes.Structure):
    _fields_ = (("size", wintypes.UINT), ("flags", wintypes.DWORD), ("scheme", wintypes.LPWSTR))


def _function(library: Any, name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(library, name)
    function.argtypes, function.restype = arguments, result
    return function


_user32 = win32.windll.user32
_create_icon = _function(
    _user32,
    "CreateIconFromResourceEx",
    wintypes.HICON,
    *(ctypes.c_char_p, wintypes.DWORD, wintypes.BOOL, wintypes.DWORD, ctypes.c_int, ctypes.c_int, wintypes.UINT),
)
_dpi_of = _function(_user32, "GetDpiForWindow", wintypes.UINT, wintypes.HWND)
_metric = _function(_user32, "GetSystemMetricsForDpi", ctypes.c_int, ctypes.c_int, wintypes.UINT)
_system_colour = _function(_user32, "GetSysColor", wintypes.DWORD, ctypes.c_int)
_system_parameter = _function(
    _user32,
    "SystemParametersInfoW",
    wintypes.BOOL,
    *(wintypes.UINT, wintypes.UINT, ctypes.POINTER(_HighContrast), wintypes.UINT),
)
_ctypes: Any = ctypes  # mypy knows its Windows part on Windows only
_CONSOLE_HANDLER = _ctypes.WINFUNCTYPE(wintypes.BOOL, wintypes.DWORD)
_heed_console = _function(
    win32.windll.kernel32, "SetConsoleCtrlHandler", wintypes.BOOL, _CONSOLE_HANDLER, wintypes.BOOL
)
_be_dpi_aware = _function(_user32, "SetProcessDpiAwarenessContext", wintypes.BOOL, ctypes.c_void_p)
_be_known_as = _function(
    win32.windll.shell32, "SetCurrentProcessExplicitAppUserModelID", ctypes.c_long, wintypes.LPCWSTR
)


def prepare() -> None:
    """Tell Windows who we are and that we draw for every scale. Before the first window."""
    _be_known_as(APP_ID)
    _be_dpi_aware(_PER_MONITOR_V2)


def panel() -> Panel:
    """The taskbar, as the person chose it in Settings: Personalisation, Colours, and Accessibility, Contrast themes."""
    if _has_high_contrast():
        red, green, blue, _ = _system_colour(_COLOR_WINDOW).to_bytes(4, "little")
        return Panel.CONTRAST_DARK if max(red, green, blue) < _DARK_BELOW else Panel.CONTRAST_LIGHT
    registry: Any = importlib.import_module("winreg")  # mypy knows it on Windows only
    try:
        with registry.OpenKey(registry.HKEY_CURRENT_USER, _THEMES) as key:
            light, _ = registry.QueryValueEx(key, "SystemUsesLightTheme")
    except OSError:
        return Panel.DARK
    return Panel.LIGHT if light else Panel.DARK


def _has_high_contrast() -> bool:
    told = _HighContrast(size=ctypes.sizeof(_HighContrast))
    answered = _system_parameter(_SPI_GETHIGHCONTRAST, told.size, ctypes.byref(told), 0)
    return bool(answered and told.flags & _HIGH_CONTRAST_ON)


class Icon(_win32.Icon):  # type: ignore[misc]  # pystray has no types
    """A pystray icon: `run()` blocks the main thread, everything else may be called from any thread.

    `icon` is the same picture in several sizes. `on_host` is told whether the taskbar shows it, and once more when
    the taskbar has got other colours. Clicks run on the main thread: a callback hands its work on and returns.
    """

    HAS_NOTIFICATION = False

    def __init__(self, *args: Any, on_host: Callable[[bool], None] = lambda _: None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._on_host = on_host
        self._panel = panel()
        self._picture = threading.Lock()
        self._icon_handle: Any = None
        self._message_handlers: dict[int, Any] = _Handlers(self._on_other)
        self._message_handlers |= {
            win32.WM_STOP: self._on_stop,
            win32.WM_NOTIFY: self._on_notify,
            win32.WM_TASKBARCREATED: self._on_taskbarcreated,
            win32.WM_DISPLAYCHANGE: self._on_scale,
            _WM_DPICHANGED: self._on_scale,
            _WM_SETTINGCHANGE: self._on_looks,
            _WM_THEMECHANGED: self._on_looks,
            _WM_ENDSESSION: self._on_end_of_session,
            _WM_CLOSE: self._on_stop,
        }

    def run(self, setup: Callable[["Icon"], None] | None = None) -> None:
        """Show the icon until `stop()`, Ctrl-C, or the end of the session."""
        heeding = _CONSOLE_HANDLER(self._on_console)
        _heed_console(heeding, True)
        try:
            super().run(setup)
        finally:
            _heed_console(heeding, False)

    # --- what Windows tells ------------------------------------------------------------------------

    def _on_console(self, _event: int) -> bool:
        """Ctrl-C, or a console that closes; on a thread of Windows' own. Python would hear of it on the main thread."""
        self._stop()
        return True

    def _on_notify(self, _wparam: int, lparam: int) -> None:
        """A mouse button; the keyboard's Enter and menu key arrive as the right one."""
        if lparam in {win32.WM_LBUTTONUP, win32.WM_RBUTTONUP}:
            self._open_menu()

    def _on_scale(self, _wparam: int, _lparam: int) -> None:
        if self.visible:
            self._update_icon()

    def _on_looks(self, _wparam: int, _lparam: int) -> None:
        before, self._panel = self._panel, panel()
        if before is not self._panel:
            self._on_host(True)

    def _on_end_of_session(self, ends: int, _lparam: int) -> None:
        if ends:
            win32.PostQuitMessage(0)

    def _on_other(self, number: int, wparam: int, lparam: int) -> int:
        return int(win32.DefWindowProc(self._hwnd, number, wparam, lparam))

    # --- what pystray asks of a back end ------------------------------------------------------------

    def _open_menu(self) -> None:
        callbacks: list[Callable[[Any], None]] = []
        menu = self._create_menu(self.menu, callbacks)
        if menu is None:
            return
        # A menu closes by itself when its program was in the foreground and leaves it, and not otherwise; the empty
        # message afterwards makes it open the next time, too (remarks on TrackPopupMenu).
        win32.SetForegroundWindow(self._hwnd)
        pointer = wintypes.POINT()
        win32.GetCursorPos(ctypes.byref(pointer))
        flags = win32.TPM_RIGHTALIGN | win32.TPM_BOTTOMALIGN | win32.TPM_RIGHTBUTTON | win32.TPM_RETURNCMD
        chosen = win32.TrackPopupMenuEx(menu, flags, pointer.x, pointer.y, self._menu_hwnd, None)
        win32.PostMessage(self._hwnd, _WM_NULL, 0, 0)
        win32.DestroyMenu(menu)
        if chosen > 0:
            callbacks[chosen - 1](self)

    def _update_menu(self) -> None:
        self._menu_handle = None  # there is none between two clicks

    def _show(self) -> None:
        with self._picture:
            self._assert_icon_handle()
            shown = self._message(
                win32.NIM_ADD,
                win32.NIF_MESSAGE | win32.NIF_ICON | win32.NIF_TIP,
                uCallbackMessage=win32.WM_NOTIFY,
                hIcon=self._icon_handle,
                szTip=self.title,
            )
        self._on_host(shown)

    def _update_icon(self) -> None:
        with self._picture:
            before, self._icon_handle = self._icon_handle, None
            self._assert_icon_handle()
            self._message(win32.NIM_MODIFY, win32.NIF_ICON, hIcon=self._icon_handle)
            if before:
                win32.DestroyIcon(before)
            self._icon_valid = True

    def _assert_icon_handle(self) -> None:
        if not self._icon_handle:
            side = _metric(_SM_CXSMICON, _dpi_of(self._hwnd))
            self._icon_handle = _handle(fitting(self.icon, side))

    def _message(self, code: int, flags: int, **kwargs: Any) -> bool:
        if "szTip" in kwargs:
            kwargs["szTip"] = cut(kwargs["szTip"])
        told = win32.NOTIFYICONDATAW(
            cbSize=ctypes.sizeof(win32.NOTIFYICONDATAW), hWnd=self._hwnd, uFlags=flags, **kwargs
        )
        return bool(win32.Shell_NotifyIcon(code, told))


class _Handlers(dict[int, Callable[[int, int], int | None]]):
    """What to do with each message. All others are left to `otherwise`."""

    def __init__(self, otherwise: Callable[[int, int, int], int]) -> None:
        super().__init__()
        self._otherwise = otherwise

    def get(self, number: int, _default: object = None) -> Any:
        """This is how pystray asks, with a default of its own."""
        return super().get(number) or partial(self._otherwise, number)


def fitting(images: Sequence[Image.Image], side: int) -> Image.Image:
    """The picture in this size: drawn for it, else made smaller from the next larger one."""
    nearest = min(images, key=lambda image: (image.width < side, abs(image.width - side)))
    return nearest if nearest.width == side else nearest.resize((side, side), Image.Resampling.LANCZOS)


def cut(title: str) -> str:
    """As much of a title as the taskbar takes."""
    return title.encode("utf-16-le")[: 2 * _TIP_UNITS].decode("utf-16-le", "ignore")


def _handle(image: Image.Image) -> Any:
    """The picture as Windows keeps it, until it is destroyed."""
    file = io.BytesIO()
    image.convert("RGBA").save(file, "ICO", sizes=[image.size], bitmap_format="bmp")
    bits = file.getvalue()[_ICO_HEAD_BYTES:]
    handle = _create_icon(bits, len(bits), True, _ICON_VERSION, image.width, image.height, 0)
    if not handle:
        raise OSError("Windows did not take the tray icon's picture")
    return handle
