"""Somebody at the desktop who looks, reads and uses the mouse, and knows nothing of D-Bus."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

import anyio
from PIL import Image

from core.model import Level
from tests.browser.default_browser import DefaultBrowser
from tests.desktop.robot import LOOK_AGAIN_S, Box, Robot, Row, centre, colour_box
from tests.desktop.session import Session
from tests.desktop.stub_panel import ITEM
from tests.desktop_slow.mouse import click, point
from tests.desktop_slow.reading import Line, changed, find, joined, read
from tests.desktop_slow.shells import HEIGHT, WIDTH, Shell
from tray.icon_colours import WATER

SECONDS = 30.0
NOWHERE = (WIDTH // 3, HEIGHT // 3)
"""Where there is nothing to point at."""
LEAST_ICON = 6
LEFT, RIGHT = 1, 3
MARGIN = 4
GROUP_GAP = 3
"""How much further apart rows are, at least, that a separator parts."""


class Person:
    """At one session. `browser` is what opens when a link is followed."""

    def __init__(self, session: Session, shell: Shell, browser: DefaultBrowser) -> None:
        self.session = session
        self.shell = shell
        self.browser = browser
        self._before_menu: Image.Image

    @property
    def robot(self) -> Robot:
        return self.session.robot

    async def _item(self) -> str:
        """The icon's name on the bus. GNOME's extension lists `:1.7@/path`."""
        return (await self.robot.until_item(SECONDS)).partition("@")[0]

    async def rows(self) -> tuple[Row, ...]:
        """The menu's rows, as the panel gets them from the bus."""
        return (await self.robot.menu(await self._item())).children

    async def tooltip(self) -> str:
        """The icon's tooltip, as the panel gets it from the bus."""
        _icon, _pixmaps, title, _text = await self.robot.property((await self._item(), *ITEM), "ToolTip")
        return str(title)

    async def row(self, start: str) -> Row:
        """The first row of the menu whose label starts so, once there is one."""

        async def found() -> Row | None:
            return next((row for row in await self.rows() if row.label.startswith(start)), None)

        row = await self.robot.until(found, SECONDS)
        assert isinstance(row, Row)
        return row

    def icon(self, screen: Image.Image, level: Level) -> Box | None:
        """Where the panel has an icon with water of this level."""
        _, top, right, bottom = self.shell.PANEL
        box = colour_box(screen, WATER[level], (right // 2, top, right, bottom))
        return box if box and box[2] - box[0] >= LEAST_ICON else None

    async def until_icon(self, level: Level = Level.OK) -> Box:
        box = await self.robot.until_seen(lambda screen: self.icon(screen, level), SECONDS, f"icon that is {level}")
        assert isinstance(box, tuple)
        return box

    async def until_no_icon(self) -> None:
        await self.robot.until_seen(lambda screen: not self.icon(screen, Level.OK), SECONDS, "panel without the icon")

    async def until_read(self, before: Image.Image, *wanted: str) -> list[Line]:
        """All lines that are new outside the panel since `before`, once they say all of this. Its clock may go on."""
        lines: list[Line] = []
        box: Box | None = None
        with anyio.move_on_after(SECONDS):
            while True:
                seen = self.robot.look()
                last, box = box, changed(before, seen, apart_from=[self.shell.PANEL])
                if box and box == last:  # it does not grow any more: worth reading
                    lines = read(seen, _with_margin(box))
                    if all(find([*lines, *whole(lines)], text) for text in wanted):
                        return lines
                await anyio.sleep(LOOK_AGAIN_S)
        told = "\n".join(line.text for line in lines)
        raise AssertionError(f"{wanted} cannot be read on {self.robot.screenshot('unread')}:\n{told}")

    async def open_menu(self, *wanted: str, icon: Box | None = None, button: int = LEFT) -> list[Line]:
        """Click the icon. Returns what the menu says once it says all of this."""
        place = centre(icon or await self.until_icon())
        self._before_menu = self.robot.look()
        await click(self.session, *place, button)
        return await self.until_read(self._before_menu, *wanted)

    async def close_menu(self) -> None:
        """Click beside it."""
        await click(self.session, *NOWHERE)
        nothing = self._before_menu

        def closed(screen: Image.Image) -> bool:
            return changed(nothing, screen, apart_from=[self.shell.PANEL]) is None

        await self.robot.until_seen(closed, SECONDS, "desktop without the menu")

    async def point_at_icon(self) -> Image.Image:
        """Rest the mouse on the icon. Returns how the screen looked before."""
        before = self.robot.look()
        await point(self.session, *centre(await self.until_icon()))
        return before

    async def click_line(self, lines: list[Line], text: str) -> None:
        line = find(lines, text)
        assert line, f"{text} is not among {[line.text for line in lines]}"
        await click(self.session, *line.middle)


def whole(lines: Sequence[Line]) -> list[Line]:
    """All as one line, for a text that was wrapped."""
    return [joined(lines)] if lines else []


def drawn(row: Row) -> str:
    """A row's words as a person reads them; on the bus `_` is doubled."""
    return row.label.replace("__", "_")


def words(rows: Sequence[Row], between: str | None = None) -> list[str]:
    """What is to be read of these rows, from the top down, with `between` for each separator if it is given."""
    return [drawn(row) if row.label else between for row in rows if row.label or between is not None]


def grouped(lines: Sequence[Line], rows: Sequence[Row]) -> list[str]:
    """The words of these rows as they are drawn, from the top down, with "" where the wider gap between groups is."""
    found = sorted((line.middle[1], text) for text in words(rows) if (line := find(lines, text)))
    steps = [below - above for (above, _), (below, _) in pairwise(found)]
    usual = median(steps)
    texts = []
    for (_, text), step in zip(found, [*steps, 0], strict=True):
        texts += [text, ""] if step > usual + GROUP_GAP else [text]
    return texts


def _with_margin(box: Box) -> Box:
    left, top, right, bottom = box
    return max(0, left - MARGIN), max(0, top - MARGIN), min(WIDTH, right + MARGIN), min(HEIGHT, bottom + MARGIN)
