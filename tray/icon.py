"""The tray icon: a basin that fills as the serving account's quota is spent.

The level of the water is the fullest quota window; its colour says ok, warn or spent. No state is told by colour
alone: a badge of its own shape stands for spent, resting and sign-in, an empty basin with a plus for no account, a
folded corner for the demo, and without a badge there is room for the number.
The picture is made of polygons in a unit square, so that `icons/make.py` can write the same as SVG.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from core.model import Level, Snapshot, Standing
from core.wording import level

OVERSAMPLING = 4
TEXT_HEIGHTS = {1: 0.56, 2: 0.56, 3: 0.4}
"""By the length of the number, as a share of the icon."""
NUMBER_FROM = 22
"""In smaller icons the number would hide the level and still not be read."""

Point = tuple[float, float]
Colour = tuple[int, int, int]

# A white number can be read on the deep colours, a dark one on the bright.
DEEP_WATER: dict[Level, Colour] = {
    Level.OK: (33, 128, 240),
    Level.WARN: (222, 128, 0),
    Level.SPENT: (222, 52, 52),
    Level.UNKNOWN: (120, 130, 142),
}
BRIGHT_WATER: dict[Level, Colour] = {
    Level.OK: (92, 176, 255),
    Level.WARN: (255, 184, 56),
    Level.SPENT: (255, 108, 100),
    Level.UNKNOWN: (168, 176, 186),
}
LIGHT: Colour = (236, 242, 248)
DARK: Colour = (24, 34, 46)
AMBER: Colour = (255, 190, 50)
VIOLET: Colour = (168, 110, 255)
WHITE: Colour = (255, 255, 255)

_RADIUS = 0.25
_RIM = 0.085
_WAVE = 0.035
_LEAST_SHARE = 0.06
"""Less water than this could not be seen."""
_STEPS = 48


class Badge(StrEnum):
    """What needs to be known beside the level."""

    NONE = "none"
    SPENT = "spent"
    RESTING = "resting"
    SIGN_IN = "sign-in"


@dataclass(frozen=True, slots=True)
class IconState:
    """What the icon shows. Two snapshots with the same state need no new picture."""

    percent: int | None
    """Of the fullest window, 0 to 100; None when it is unknown or nobody serves."""
    level: Level = Level.UNKNOWN
    badge: Badge = Badge.NONE
    empty: bool = False
    """There is no account."""
    demo: bool = False


@dataclass(frozen=True, slots=True)
class Polygon:
    """A filled shape; points in the unit square, y downwards."""

    points: tuple[Point, ...]
    colour: Colour


def state_of(snapshot: Snapshot) -> IconState:
    """The state that a snapshot puts the icon in."""
    taking_part: set[Standing] = {view.standing for view in snapshot.accounts if view.standing is not Standing.DISABLED}
    if not taking_part:
        return IconState(None, empty=True, demo=snapshot.demo)
    view = snapshot.active
    window = view.tightest if view else None
    share = window.utilization if window else None
    return IconState(
        percent=None if share is None else min(100, max(0, round(share * 100))),
        level=level(share),
        badge=_badge(view.standing if view else None, level(share), taking_part),
        demo=snapshot.demo,
    )


def _badge(serving: Standing | None, full: Level, taking_part: set[Standing]) -> Badge:
    """What matters most to the person: what only they can mend, unless nobody serves for a reason that passes."""
    if serving is not Standing.READY and Standing.COOLING in taking_part:
        return Badge.RESTING
    if taking_part & {Standing.SIGN_IN, Standing.LOCKED}:
        return Badge.SIGN_IN
    return Badge.SPENT if full is Level.SPENT else Badge.NONE


@lru_cache(maxsize=64)
def draw(state: IconState, size: int, dark: bool) -> Image.Image:
    """The icon, `size` pixels square, for a dark or a light panel. It can be told from either."""
    numbered = state.percent is not None and state.badge is Badge.NONE and size >= NUMBER_FROM
    return render(
        picture(state, size, dark=dark),
        size,
        str(state.percent) if numbered else "",
        WHITE if dark else DARK,
    )


def application(size: int) -> tuple[Polygon, ...]:
    """The icon of the program itself, which shows no state: the basin with the gate that holds the water."""
    basin = picture(IconState(60, Level.OK), size, dark=True)
    bars = (Polygon(_box(x, 0.335, 0.07, 0.57), LIGHT) for x in (0.29, 0.5, 0.71))
    return (*basin, *bars, Polygon(_box(0.5, 0.585, 0.56, 0.07), LIGHT))


def render(polygons: Iterable[Polygon], size: int, text: str = "", ink: Colour = WHITE) -> Image.Image:
    """The polygons as pixels, with a short text in the middle."""
    side = size * OVERSAMPLING
    canvas = Image.new("RGBA", (side, side))
    pen = ImageDraw.Draw(canvas)
    for polygon in polygons:
        pen.polygon([(x * side, y * side) for x, y in polygon.points], fill=polygon.colour)
    if text:
        font = ImageFont.load_default(side * TEXT_HEIGHTS[len(text)])
        bold = side * 0.018
        pen.text((side * 0.5, side * 0.52), text, ink, font, anchor="mm", stroke_width=bold, stroke_fill=ink)
    return canvas.resize((size, size), Image.Resampling.BOX)


def picture(state: IconState, size: int, *, dark: bool) -> tuple[Polygon, ...]:
    """The icon without its number, back to front. `size` matters for the rim: whole pixels are crisp."""
    rim, ground, water = (LIGHT, DARK, DEEP_WATER) if dark else (DARK, LIGHT, BRIGHT_WATER)
    width = max(1, round(size * _RIM)) / size
    return (
        Polygon(_basin(0, _RADIUS), rim),
        Polygon(_basin(width, _RADIUS - width), ground),
        *_water(state, width, water[state.level]),
        *(_plus(rim) if state.empty else ()),
        *(_corner(rim) if state.demo else ()),
        *_BADGES[state.badge](rim, ground),
    )


# --- parts -----------------------------------------------------------------------------------------


def _basin(margin: float, radius: float, surface: float = 0.0) -> tuple[Point, ...]:
    """A square with round corners, filled up to a waving surface (0: to the brim)."""

    def edge(x: float) -> float:
        into_corner = max(margin + radius - x, x - (1 - margin - radius), 0.0)
        return margin + radius - math.sqrt(max(0.0, radius**2 - into_corner**2))

    def top(x: float) -> float:
        wave = surface + _WAVE * math.sin((x - margin) / (1 - 2 * margin) * math.tau)
        return min(max(edge(x), wave if surface else 0.0), 1 - edge(x))

    # Close steps at the sides, where the corners are steep.
    xs = [0.5 - (0.5 - margin) * math.cos(math.pi * step / _STEPS) for step in range(_STEPS + 1)]
    return (*((x, top(x)) for x in xs), *((x, 1 - edge(x)) for x in reversed(xs)))


def _water(state: IconState, rim: float, colour: Colour) -> Iterator[Polygon]:
    """The water. Unknown is half full and grey: no reading must not look like nothing spent."""
    if state.empty:
        return
    share = 0.5 if state.percent is None else state.percent / 100
    floor, brim = 1 - rim, rim + _WAVE
    surface = floor - (floor - brim) * max(_LEAST_SHARE, share)
    yield Polygon(_basin(rim, _RADIUS - rim, surface), colour)


def _plus(colour: Colour) -> Iterator[Polygon]:
    yield Polygon(_box(0.5, 0.5, 0.44, 0.11), colour)
    yield Polygon(_box(0.5, 0.5, 0.11, 0.44), colour)


def _corner(rim: Colour) -> Iterator[Polygon]:
    """The corner at the top left, folded down."""
    yield Polygon(((0.0, 0.0), (0.52, 0.0), (0.0, 0.52)), rim)
    yield Polygon(((0.0, 0.0), (0.42, 0.0), (0.0, 0.42)), VIOLET)


def _spent(rim: Colour, ground: Colour) -> Iterator[Polygon]:
    """No entry: a disc with a bar across."""
    yield Polygon(_disc(0.33), ground)
    yield Polygon(_disc(0.28), rim)
    yield Polygon(_box(*_BADGE_AT, 0.34, 0.12), DEEP_WATER[Level.SPENT])


def _resting(rim: Colour, ground: Colour) -> Iterator[Polygon]:
    """Pause: a disc with two bars."""
    yield Polygon(_disc(0.33), ground)
    yield Polygon(_disc(0.28), rim)
    for offset in (-0.085, 0.085):
        yield Polygon(_box(_BADGE_AT[0] + offset, _BADGE_AT[1], 0.09, 0.3), ground)


def _sign_in(_rim: Colour, ground: Colour) -> Iterator[Polygon]:
    """A warning triangle with its mark."""
    x, y = _BADGE_AT[0] - 0.05, _BADGE_AT[1] - 0.02
    yield Polygon(((x, y - 0.47), (x + 0.39, y + 0.32), (x - 0.39, y + 0.32)), ground)
    yield Polygon(((x, y - 0.36), (x + 0.3, y + 0.26), (x - 0.3, y + 0.26)), AMBER)
    yield Polygon(_box(x, y - 0.03, 0.085, 0.24), DARK)
    yield Polygon(_box(x, y + 0.175, 0.085, 0.085), DARK)


def _nothing(_rim: Colour, _ground: Colour) -> Iterator[Polygon]:
    yield from ()


_BADGE_AT: Point = (0.68, 0.68)
_BADGES = {Badge.NONE: _nothing, Badge.SPENT: _spent, Badge.RESTING: _resting, Badge.SIGN_IN: _sign_in}


def _disc(radius: float) -> tuple[Point, ...]:
    x, y = _BADGE_AT
    turns = (math.tau * step / _STEPS for step in range(_STEPS))
    return tuple((x + radius * math.cos(turn), y + radius * math.sin(turn)) for turn in turns)


def _box(x: float, y: float, width: float, height: float) -> tuple[Point, ...]:
    left, right, top, bottom = x - width / 2, x + width / 2, y - height / 2, y + height / 2
    return ((left, top), (right, top), (right, bottom), (left, bottom))
