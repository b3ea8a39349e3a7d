# ruff: noqa: N802 - functions are named as in the API
"""A Windows that exists as a record of what was asked of it: enough for pystray's own Windows back end to run on it.

Arguments are checked against the types that the caller declares, as ctypes would.
"""

import ctypes
import importlib
import io
import queue
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from tests.tray_person import News, Row, loaded_anew

WM_QUIT = 0x0012
ICO_HEAD = struct.Struct("<HHHBBBBHHII")


@dataclass
class Menu:
    """What InsertMenuItem has put into a menu."""

    items: list[Any] = field(default_factory=list)


class Function:
    """One function of a DLL, with the types that its caller declares."""

    def __init__(self, library: object, name: str) -> None:
        self._library = library
        self._name = name
        self.argtypes: tuple[Any, ...] = ()
        self.restype: Any = ctypes.c_int
        self.errcheck: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any) -> Any:
        assert len(arguments) == len(self.argtypes), f"{self._name}{arguments}"
        for argument, kind in zip(arguments, self.argtypes, strict=True):
            kind.from_param(argument)
        return getattr(self._library, self._name)(*arguments)


class Windows:
    """A taskbar, and the messages of one thread. Methods that are named as in the API are the API."""

    def __init__(self) -> None:
        self.news = News()
        self.dpi = 96
        self.light = False
        self.contrast: int | None = None
        """The colour of windows when a contrast theme is on."""
        self.taskbar: dict[str, Any] = {}
        """What NIM_ADD and NIM_MODIFY have told of the icon."""
        self.taskbar_is_there = True
        self.icons: dict[int, Image.Image] = {}
        self.menus: dict[int, Menu] = {}
        self.said: list[tuple[Any, ...]] = []
        self.choice: str | None = None
        self.seen: tuple[Row, ...] = ()
        self.meanwhile: Callable[[], None] = lambda: None
        """Happens while the menu is open."""
        self.has_theme = True
        """Settings has been opened once since Windows was installed."""
        self.console: list[Callable[[int], int]] = []
        self._messages: queue.SimpleQueue[tuple[int, int, int, int]] = queue.SimpleQueue()
        self._procedure: Callable[[int, int, int, int], int] = lambda *_: 0
        self._handles = iter(range(1000, 1_000_000))
        self._functions: dict[str, Function] = {}

    def function(self, name: str) -> Function:
        return self._functions.setdefault(name, Function(self, name))

    def send(self, number: int, wparam: int = 0, lparam: int = 0) -> int:
        """A message to the icon's window, from the caller's thread; what its procedure answers."""
        return self._procedure(self.taskbar["hWnd"], number, wparam, lparam)

    def post(self, number: int, wparam: int = 0, lparam: int = 0) -> None:
        self._messages.put((self.taskbar["hWnd"], number, wparam, lparam))

    # --- windows and messages ----------------------------------------------------------------------

    def GetModuleHandleW(self, _name: str | None) -> int:
        return 1

    def RegisterWindowMessageW(self, _name: str) -> int:
        return 0xC001

    def RegisterClassExW(self, description: Any) -> int:
        self._procedure = description.lpfnWndProc
        return 7

    def UnregisterClassW(self, _atom: int, _module: int) -> int:
        return 1

    def CreateWindowExW(self, *_: Any) -> int:
        return next(self._handles)

    def DestroyWindow(self, _window: int) -> int:
        return 1

    def ChangeWindowMessageFilterEx(self, *_: Any) -> int:
        return 1

    def PeekMessageW(self, *_: Any) -> int:
        return 0

    def GetMessageW(self, message: Any, *_: Any) -> int:
        filled = message._obj
        filled.hWnd, filled.message, filled.wParam, filled.lParam = self._messages.get()
        return int(filled.message != WM_QUIT)

    def TranslateMessage(self, _message: Any) -> int:
        return 0

    def DispatchMessageW(self, message: Any) -> int:
        told = message._obj
        return self._procedure(told.hWnd, told.message, told.wParam, told.lParam or 0)

    def DefWindowProcW(self, _window: int, number: int, _wparam: int, _lparam: int) -> int:
        self.said.append(("default", number))
        self.news.tell()
        return 1

    def PostMessageW(self, window: int, number: int, wparam: int, lparam: int) -> int:
        self._messages.put((window, number, wparam, lparam))
        return 1

    def PostQuitMessage(self, _code: int) -> None:
        self._messages.put((0, WM_QUIT, 0, 0))

    def SetForegroundWindow(self, _window: int) -> int:
        self.said.append(("foreground",))
        return 1

    def GetCursorPos(self, point: Any) -> int:
        point._obj.x, point._obj.y = 900, 700
        return 1

    def SetConsoleCtrlHandler(self, handler: Callable[[int], int], add: bool) -> int:
        self.console.append(handler) if add else self.console.clear()
        return 1

    # --- menus -------------------------------------------------------------------------------------

    def CreatePopupMenu(self) -> int:
        handle = next(self._handles)
        self.menus[handle] = Menu()
        return handle

    def InsertMenuItemW(self, menu: int, position: int, by_position: bool, item: Any) -> int:
        assert by_position
        assert position == len(self.menus[menu].items)
        self.menus[menu].items.append(item._obj)
        return 1

    def DestroyMenu(self, menu: int) -> int:
        for item in self.menus.pop(menu).items:
            if item.hSubMenu:
                self.DestroyMenu(item.hSubMenu)
        return 1

    def TrackPopupMenuEx(self, menu: int, flags: int, _x: int, _y: int, _window: int, _parameters: Any) -> int:
        returns_the_choice = 0x0100
        assert flags & returns_the_choice
        self.seen = tuple(self._rows(menu))
        self.meanwhile()
        assert menu in self.menus, "the menu was destroyed while it was open"
        chosen = self._identifier(menu, self.choice)
        self.said.append(("menu",))
        self.news.tell()
        return chosen

    def _rows(self, menu: int) -> Iterator[Row]:
        separator, radio, checked, disabled = 0x0800, 0x0200, 0x0008, 0x0003
        for item in self.menus[menu].items:
            if item.fType & separator:
                yield Row("")
            else:
                mark = "radio" if item.fType & radio else "check" if item.fState & checked else ""
                inner = tuple(self._rows(item.hSubMenu)) if item.hSubMenu else ()
                label = item.dwTypeData.replace("&&", "&")
                yield Row(label, not item.fState & disabled, mark, bool(item.fState & checked), inner)

    def _identifier(self, menu: int, label: str | None) -> int:
        for item in self.menus[menu].items:
            if label is not None and item.dwTypeData == label:
                return int(item.wID)
            if item.hSubMenu and (found := self._identifier(item.hSubMenu, label)):
                return found
        return 0

    # --- the icon ----------------------------------------------------------------------------------

    def CreateIconFromResourceEx(
        self, bits: bytes, size: int, _icon: bool, _version: int, width: int, height: int, _flags: int
    ) -> int:
        assert len(bits) == size
        head = ICO_HEAD.pack(0, 1, 1, width, height, 0, 0, 1, 32, size, ICO_HEAD.size)
        handle = next(self._handles)
        self.icons[handle] = Image.open(io.BytesIO(head + bits)).convert("RGBA")
        return handle

    def DestroyIcon(self, icon: int) -> int:
        del self.icons[icon]
        return 1

    def Shell_NotifyIconW(self, code: int, told: Any) -> int:
        added, modified, removed = 0, 1, 2
        has_message, has_icon, has_tip = 1, 2, 4
        if not self.taskbar_is_there or (code == modified and not self.taskbar):
            return 0
        if code == removed:
            self.taskbar = {}
        else:
            news: dict[str, Any] = {"hWnd": told.hWnd}
            news |= {"callback": told.uCallbackMessage} if told.uFlags & has_message else {}
            news |= {"icon": self.icons[told.hIcon]} if told.uFlags & has_icon else {}
            news |= {"tip": told.szTip} if told.uFlags & has_tip else {}
            self.taskbar = (self.taskbar if code != added else {}) | news
        self.news.tell()
        return 1

    # --- settings ----------------------------------------------------------------------------------

    def GetDpiForWindow(self, _window: int) -> int:
        return self.dpi

    def GetSystemMetricsForDpi(self, metric: int, dpi: int) -> int:
        small_icon = 49
        assert metric == small_icon
        return 16 * dpi // 96

    def SetProcessDpiAwarenessContext(self, context: Any) -> int:
        self.said.append(("dpi awareness", ctypes.c_ssize_t(context.value).value))
        return 1

    def SetCurrentProcessExplicitAppUserModelID(self, name: str) -> int:
        self.said.append(("app id", name))
        return 0

    def SystemParametersInfoW(self, action: int, _size: int, told: Any, _change: int) -> int:
        get_high_contrast = 0x42
        assert action == get_high_contrast
        told._obj.flags = int(self.contrast is not None)
        return 1

    def GetSysColor(self, _index: int) -> int:
        return self.contrast or 0

    def registry(self) -> ModuleType:
        """The part of `winreg` that the colours of the taskbar are read with."""
        module = ModuleType("winreg")

        @contextmanager
        def open_key(_root: object, path: str) -> Iterator[str]:
            if not self.has_theme:
                raise FileNotFoundError(path)
            yield path

        def query(path: str, name: str) -> tuple[int, int]:
            assert (path.rpartition("\\")[2], name) == ("Personalize", "SystemUsesLightTheme")
            return int(self.light), 4

        vars(module).update(HKEY_CURRENT_USER=0, OpenKey=open_key, QueryValueEx=query)
        return module


class WindowsPerson:
    """Somebody at a Windows desktop."""

    PICTURE = 16

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self.until = windows.news.until

    def left_click(self, label: str | None = None) -> tuple[Row, ...]:
        left_button_up = 0x0202
        before = self._windows.said.count(("menu",))
        self._windows.choice = label
        self._windows.post(self._windows.taskbar["callback"], 0, left_button_up)
        self.until(lambda: self._windows.said.count(("menu",)) > before)
        return self._windows.seen

    def tooltip(self) -> str:
        return str(self._windows.taskbar["tip"])

    def picture(self) -> Image.Image:
        picture = self._windows.taskbar["icon"]
        assert isinstance(picture, Image.Image)
        return picture


@contextmanager
def windows() -> Iterator[tuple[Windows, Any]]:
    """A Windows, and `tray.windows` as it is there."""
    here = Windows()

    class Library:
        def __init__(self, _name: str) -> None:
            pass

        def __getattr__(self, name: str) -> Function:
            return here.function(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ctypes, "WinDLL", Library, raising=False)
        patch.setattr(ctypes, "WINFUNCTYPE", ctypes.CFUNCTYPE, raising=False)
        patch.setattr(ctypes, "HRESULT", ctypes.c_long, raising=False)
        patch.setitem(sys.modules, "winreg", here.registry())
        with loaded_anew("pystray._win32", "pystray._util.win32", "tray.windows"):
            yield here, importlib.import_module("tray.windows")
