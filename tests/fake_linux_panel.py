"""A Linux panel and the person in front of it: the stub of the D-Bus tests, for callers that are not async."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from PIL import Image

from tests.desktop.bus import private_bus
from tests.desktop.stub_panel import ITEM, MENU, Panel, panel, values
from tests.tray_person import News, Row


class LinuxPerson:
    """Somebody at a Linux desktop whose panel speaks StatusNotifierItem."""

    PICTURE = 22

    def __init__(self, portal: BlockingPortal, stub: Panel) -> None:
        self.news = News()
        self._portal = portal
        self._panel = stub
        self._item = ""

    def until(self, holds: Callable[[], Any]) -> None:
        self.news.until(holds)

    def find_icon(self) -> None:
        """Have a panel, and wait until the icon is in it."""
        self._item = self._portal.call(self._panel.offer_watcher)

    def left_click(self, label: str | None = None) -> tuple[Row, ...]:
        self._portal.call(self._panel.ask, self._item, MENU, "AboutToShow", "i", 0)
        layout = self._portal.call(self._panel.layout, self._item)
        if label is not None:
            self._portal.call(self._panel.click, self._item, _identifier(layout, label))
        return tuple(map(_row, layout))

    def tooltip(self) -> str:
        return str(self._portal.call(self._panel.property, self._item, ITEM, "ToolTip")[2])

    def picture(self) -> Image.Image:
        pixmaps = self._portal.call(self._panel.property, self._item, ITEM, "IconPixmap")
        width, height, pixels = next(pixmap for pixmap in pixmaps if pixmap[0] == self.PICTURE)
        alpha, red, green, blue = Image.frombytes("RGBA", (width, height), bytes(pixels)).split()
        return Image.merge("RGBA", (red, green, blue, alpha))


@contextmanager
def linux(folder: Path) -> Iterator[LinuxPerson]:
    """A session bus on which a panel will be."""
    with (
        private_bus(folder) as address,
        pytest.MonkeyPatch.context() as patch,
        start_blocking_portal(name="panel") as portal,
        portal.wrap_async_context_manager(panel(address)) as stub,
    ):
        patch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        patch.delenv("DISPLAY", raising=False)
        yield LinuxPerson(portal, stub)


def _row(layout: list[Any]) -> Row:
    told = values(layout)
    mark = {"radio": "radio", "checkmark": "check"}.get(told.get("toggle-type", ""), "")
    inner = tuple(_row(child.value) for child in layout[2])
    label = told.get("label", "").replace("__", "_")
    return Row(label, told.get("enabled", True), mark, told.get("toggle-state") == 1, inner)


def _identifier(layout: list[Any], label: str) -> int:
    for row in layout:
        if values(row).get("label", "").replace("__", "_") == label:
            return int(row[0])
        if found := _identifier([child.value for child in row[2]], label):
            return found
    return 0
