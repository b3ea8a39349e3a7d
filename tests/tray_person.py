"""What a person sees of a tray icon and does with it, the same on every desktop: the seam of the contract tests."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from PIL import Image

SECONDS = 10.0


@dataclass(frozen=True)
class Row:
    """A row of a menu that is open. `mark` is "radio", "check" or nothing; a separator has no label."""

    label: str
    enabled: bool = True
    mark: str = ""
    checked: bool = False
    rows: tuple["Row", ...] = ()


class Person(Protocol):
    """Somebody in front of a desktop on which one icon is shown."""

    PICTURE: int
    """The size of the pictures that this desktop shows."""

    def left_click(self, label: str | None = None) -> tuple[Row, ...]:
        """Open the menu with the left button, click the row with this label or none. Returns what was to be seen."""

    def tooltip(self) -> str:
        """What is said when the mouse rests on the icon."""

    def picture(self) -> Image.Image:
        """The icon, as the desktop got it."""

    def until(self, holds: Callable[[], Any]) -> None:
        """Wait until it is so."""


class News:
    """Lets a test wait for what other threads do."""

    def __init__(self) -> None:
        self._condition = threading.Condition()

    def tell(self) -> None:
        with self._condition:
            self._condition.notify_all()

    def until(self, holds: Callable[[], Any]) -> None:
        with self._condition:
            assert self._condition.wait_for(holds, SECONDS)


@contextmanager
def loaded_anew(*names: str) -> Iterator[None]:
    """These modules are imported anew inside, and forgotten afterwards: they were made for a system that is a fake."""

    def forget() -> None:
        for name in names:
            sys.modules.pop(name, None)
            package, _, attribute = name.rpartition(".")
            if package in sys.modules:
                vars(sys.modules[package]).pop(attribute, None)

    forget()
    try:
        yield
    finally:
        forget()


@contextmanager
def running(icon: Any, run_on_ui: Callable[[Callable[[], None]], None]) -> Iterator[threading.Thread]:
    """The icon, visible, with its loop in a thread that stands for the program's main thread."""
    visible = threading.Event()

    def show() -> None:
        icon.visible = True
        visible.set()

    main = threading.Thread(target=icon.run, args=[lambda _: run_on_ui(show)], name="main of the icon")
    main.start()
    assert visible.wait(SECONDS)
    try:
        yield main
    finally:
        run_on_ui(icon.stop)
        main.join(SECONDS)
        assert not main.is_alive()
