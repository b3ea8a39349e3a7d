# ruff: noqa: N802 - methods are named as in AppKit
"""A macOS that exists as a record of what was asked of it: enough for pystray's own back end for it to run.

As there, AppKit belongs to the main thread: whoever touches it from another one fails.
"""

import importlib
import io
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from tests.tray_person import News, Row, loaded_anew

END = "dummy event"


class MacOS:
    """A menu bar with one icon, and the loop of the main thread."""

    def __init__(self) -> None:
        self.news = News()
        self.main: int | None = None
        """The thread whose loop runs; before it runs, everybody is the main thread."""
        self.policy: int | None = None
        self.increased_contrast = False
        self.button = Button(self)
        self.menu: Menu | None = None
        self.removed = False
        self.handlers: dict[int, Callable[[int], None]] = {}
        """Of signals, called on the main thread."""
        self._calls: queue.SimpleQueue[Callable[[], None] | str] = queue.SimpleQueue()
        self._stopping = False

    def touched(self) -> None:
        assert self.main in {None, threading.get_ident()}, "AppKit was touched outside the main thread"

    def call_after(self, call: Callable[[], None]) -> None:
        self._calls.put(call)

    def run(self) -> None:
        self.main = threading.get_ident()
        while not self._stopping:
            call = self._calls.get()
            if callable(call):
                call()
                self.news.tell()
        self.main = None

    def stop(self) -> None:
        self.touched()
        self._stopping = True

    def post_event(self) -> None:
        self._calls.put(END)


class Thing:
    """An object of AppKit: made by `alloc().init…`, usable on the main thread only."""

    mac: MacOS

    @classmethod
    def alloc(cls) -> Any:
        cls.mac.touched()
        return cls()

    def init(self) -> Any:
        return self

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name != "mac":
            object.__getattribute__(self, "mac").touched()
        return object.__getattribute__(self, name)


class Button(Thing):
    """The icon in the menu bar."""

    def __init__(self, mac: MacOS) -> None:
        self.mac = mac
        self.image: Any = None
        self.tip = self.label = ""
        self.hidden = True

    def setTarget_(self, _target: object) -> None: ...

    def setAction_(self, _action: bytes) -> None: ...

    def setHidden_(self, hidden: bool) -> None:
        self.hidden = hidden

    def setToolTip_(self, tip: str) -> None:
        self.tip = tip

    def setAccessibilityLabel_(self, label: str) -> None:
        self.label = label

    def setImage_(self, image: Any) -> None:
        self.image = image


class Menu(Thing):
    """An NSMenu."""

    def initWithTitle_(self, _title: str) -> "Menu":
        self.items: list[MenuItem] = []
        self.delegate: Any = None
        return self

    def setAutoenablesItems_(self, on: bool) -> None:
        assert not on, "AppKit would decide which rows can be clicked"

    def setDelegate_(self, delegate: Any) -> None:
        self.delegate = delegate

    def removeAllItems(self) -> None:
        self.items.clear()

    def addItem_(self, item: "MenuItem") -> None:
        self.items.append(item)


class MenuItem(Thing):
    """An NSMenuItem."""

    def __init__(self) -> None:
        self.title, self.state, self.enabled = "", None, True
        self.submenu: Menu | None = None
        self.target: Any = None
        self.number = -1

    @classmethod
    def separatorItem(cls) -> "MenuItem":
        return cls()

    def initWithTitle_action_keyEquivalent_(self, title: str, _action: bytes, _key: str) -> "MenuItem":
        self.title = title
        return self

    def setSubmenu_(self, menu: Menu) -> None:
        self.submenu = menu

    def setAction_(self, _action: bytes) -> None: ...

    def setTarget_(self, target: Any) -> None:
        self.target = target

    def setTag_(self, number: int) -> None:
        self.number = number

    def tag(self) -> int:
        return self.number

    def setAttributedTitle_(self, _title: object) -> None: ...

    def setState_(self, state: int) -> None:
        self.state = state

    def setEnabled_(self, enabled: bool) -> None:
        self.enabled = enabled


class ImageRep(Thing):
    """An NSBitmapImageRep."""

    @classmethod
    def imageRepWithData_(cls, bits: bytes) -> "ImageRep":
        cls.mac.touched()
        made = cls()
        made.picture = Image.open(io.BytesIO(bits))
        return made

    def setSize_(self, points: tuple[int, int]) -> None:
        self.points = points


class NSImage(Thing):
    """An NSImage."""

    def initWithSize_(self, points: tuple[int, int]) -> "NSImage":
        self.points, self.forms, self.template = points, [], False
        return self

    def addRepresentation_(self, form: ImageRep) -> None:
        self.forms.append(form)

    def setTemplate_(self, template: bool) -> None:
        self.template = template


class Anything(Thing):
    """What takes everything and is not looked at: fonts, attributed strings."""

    def __getattr__(self, _name: str) -> Any:
        return lambda *_: self


class MacPerson:
    """Somebody at a Mac."""

    PICTURE = 18

    def __init__(self, mac: MacOS) -> None:
        self._mac = mac
        self.until = mac.news.until

    def left_click(self, label: str | None = None) -> tuple[Row, ...]:
        seen: list[tuple[Row, ...]] = []

        def click() -> None:
            menu = self._mac.menu
            assert menu is not None
            menu.delegate.menuNeedsUpdate_(menu)
            seen.append(tuple(_rows(menu)))
            if label is not None:
                item = next(item for item in _walk(menu) if item.title == label)
                item.target.activate_menu_item(item)

        self._mac.call_after(click)
        self.until(lambda: seen)
        return seen[0]

    def tooltip(self) -> str:
        assert vars(self._mac.button)["tip"] == vars(self._mac.button)["label"], "a screen reader says the same"
        return str(vars(self._mac.button)["tip"])

    def picture(self) -> Image.Image:
        forms = vars(vars(self._mac.button)["image"])["forms"]
        picture = vars(forms[0])["picture"]
        assert isinstance(picture, Image.Image)
        return picture


def _rows(menu: Menu) -> Iterator[Row]:
    for item in menu.items:
        inner = tuple(_rows(item.submenu)) if item.submenu else ()
        mark = "" if item.state is None else "check"
        yield Row(item.title, item.enabled, mark, bool(item.state), inner)


def _walk(menu: Menu) -> Iterator[MenuItem]:
    for item in menu.items:
        yield item
        if item.submenu:
            yield from _walk(item.submenu)


@contextmanager
def macos() -> Iterator[tuple[MacOS, Any]]:
    """A macOS, and `tray.macos` as it is there."""
    mac = MacOS()
    with pytest.MonkeyPatch.context() as patch:
        for name, module in _modules(mac).items():
            patch.setitem(sys.modules, name, module)
        with loaded_anew("pystray._darwin", "tray.macos"):
            yield mac, importlib.import_module("tray.macos")


def _modules(mac: MacOS) -> dict[str, ModuleType]:
    def of(kind: type) -> type:
        return type(kind.__name__, (kind,), {"mac": mac})

    class Application:
        def setActivationPolicy_(self, policy: int) -> None:
            mac.policy = policy

        def run(self) -> None:
            mac.run()

        def stop_(self, _sender: object) -> None:
            mac.stop()

        def postEvent_atStart_(self, _event: object, _start: bool) -> None:
            mac.post_event()

    class StatusItem:
        def button(self) -> Button:
            return mac.button

        def setMenu_(self, menu: Menu) -> None:
            mac.touched()
            mac.menu = menu

    class StatusBar:
        def statusItemWithLength_(self, _length: float) -> StatusItem:
            return StatusItem()

        def removeStatusItem_(self, _item: StatusItem) -> None:
            mac.removed = True

    class Workspace:
        def accessibilityDisplayShouldIncreaseContrast(self) -> bool:
            return mac.increased_contrast

    event = "otherEventWithType_location_modifierFlags_timestamp_windowNumber_context_subtype_data1_data2_"
    application = Application()
    appkit = _module(
        "AppKit",
        NSApplication=_singleton("sharedApplication", application),
        NSApplicationActivationPolicyAccessory=1,
        NSStatusBar=_singleton("systemStatusBar", StatusBar()),
        NSWorkspace=_singleton("sharedWorkspace", Workspace()),
        NSVariableStatusItemLength=-1.0,
        NSEvent=type("NSEvent", (), {event: staticmethod(lambda *_: object())}),
        NSApplicationDefined=15,
        NSPoint=lambda x, y: (x, y),
        NSMenu=of(Menu),
        NSMenuItem=of(MenuItem),
        NSImage=of(NSImage),
        NSBitmapImageRep=of(ImageRep),
        NSFont=of(Anything)(),
        NSFontAttributeName="NSFont",
        NSOnState=1,
        NSOffState=0,
    )
    bits = type("NSData", (), {"dataWithBytes_length_": staticmethod(lambda data, _length: data)})
    foundation = _module(
        "Foundation", NSObject=of(Thing), NSData=bits, NSAttributedString=of(Anything), NSDictionary=of(Anything)
    )
    signals = _module("PyObjCTools.MachSignals", signal=mac.handlers.__setitem__)
    helper = _module("PyObjCTools.AppHelper", callAfter=mac.call_after)
    tools = _module("PyObjCTools", MachSignals=signals, AppHelper=helper)
    objc = _module("objc", namedSelector=lambda _name: lambda method: method)
    return {module.__name__: module for module in (appkit, foundation, objc, tools, signals, helper)}


def _module(name: str, **content: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(content)
    return module


def _singleton(name: str, value: object) -> type:
    return type(name, (), {name: staticmethod(lambda: value)})
