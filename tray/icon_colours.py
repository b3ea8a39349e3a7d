"""The colours of the tray icon, by the panel that shows it.

Water has 3:1 contrast against a dark and a light panel alike (WCAG 2.2, 1.4.11), since no Linux panel tells which
it is; rim and ground are as far from each other as they can be, so that one of them is seen on any panel.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from core.model import Level
from tray.icon_shapes import Colour, Paint, solid


class Panel(StrEnum):
    """What the icon is shown on."""

    DARK = "dark"
    LIGHT = "light"
    CONTRAST_DARK = "high contrast, dark"
    CONTRAST_LIGHT = "high contrast, light"
    TINTING = "tinting"
    """The desktop colours icons without colours itself, and takes only their shape (macOS)."""


@dataclass(frozen=True, slots=True)
class Palette:
    """What to paint with."""

    rim: Paint
    ground: Paint
    water: dict[Level, Paint]
    alarm: Paint
    """A sign for what only the person can mend."""
    on_alarm: Paint
    demo: Paint
    thick: bool = False
    """Lines are half as thick again."""


LIGHT: Colour = (236, 242, 248)
DARK: Colour = (24, 34, 46)
AMBER: Colour = (255, 190, 50)
RUST: Colour = (176, 84, 0)
VIOLET: Colour = (150, 100, 240)
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)

WATER: dict[Level, Colour] = {
    Level.OK: (33, 128, 240),
    Level.WARN: (204, 112, 0),
    Level.SPENT: (228, 58, 52),
    Level.UNKNOWN: (120, 130, 142),
}
_DEEP: dict[Level, Colour] = {
    Level.OK: (0, 100, 220),
    Level.WARN: (160, 88, 0),
    Level.SPENT: (210, 30, 30),
    Level.UNKNOWN: (105, 110, 118),
}


def _paints(colours: dict[Level, Colour]) -> dict[Level, Paint]:
    return {level: solid(colour) for level, colour in colours.items()}


def _on(
    ground: Colour, rim: Colour, water: dict[Level, Colour], alarm: Colour, demo: Colour, *, thick: bool = False
) -> Palette:
    on_alarm = solid(DARK if alarm == AMBER else WHITE)
    return Palette(solid(rim), solid(ground), _paints(water), solid(alarm), on_alarm, solid(demo), thick)


_COLOURED = {
    Panel.DARK: _on(DARK, LIGHT, WATER, AMBER, VIOLET),
    Panel.LIGHT: _on(LIGHT, DARK, WATER, RUST, VIOLET),
    Panel.CONTRAST_DARK: _on(BLACK, WHITE, _DEEP, AMBER, VIOLET, thick=True),
    Panel.CONTRAST_LIGHT: _on(WHITE, BLACK, WATER, RUST, VIOLET, thick=True),
}
_INK: Paint = (0, 0, 0, 255)
_WASH: Paint = (0, 0, 0, 96)
HOLE: Paint = (0, 0, 0, 0)
_TINTED = Palette(_INK, HOLE, dict.fromkeys(Level, _WASH), _INK, HOLE, _INK)


def palette(panel: Panel, *, colours: bool) -> Palette:
    """What to paint with on this panel. Without colours there is one, and grey for the water."""
    if panel is Panel.TINTING:
        return _COLOURED[Panel.DARK] if colours else _TINTED
    coloured = _COLOURED[panel]
    if colours:
        return coloured
    grey = dict.fromkeys(Level, coloured.water[Level.UNKNOWN])
    rim, ground = coloured.rim, coloured.ground
    return replace(coloured, water=grey, alarm=rim, on_alarm=ground, demo=rim)
