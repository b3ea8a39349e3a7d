"""The tray icon: a basin that fills as the serving account's quota is spent.

The level of the water is the fullest quota window; its colour and its waves say ok, warn or spent. No state is told
by colour alone: each has a sign of its own shape, and without a sign there is room for the number.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from core.model import AccountView, IconStyle, Level, Snapshot, Standing
from core.wording import level
from tray.icon_colours import HOLE, Palette, Panel, palette
from tray.icon_shapes import Basin, Polygon, Surface, box, disc, filled, outline, oversampling, painted, ring, stroke

NUMBER_FROM = 20
"""In smaller icons the number would hide the level and still not be read."""


class Sign(StrEnum):
    """What needs to be known beside the level. The icon shows one, the first in this order that is so.

    First comes what stops everything, the person's own doing before all: it explains the rest. Then what only the
    person can mend, then what is about to end.
    """

    PAUSED = "paused"
    """The person lets nothing through."""
    EMPTY = "no account"
    OFFLINE = "offline"
    """The provider of the account that serves, or of all of them, cannot be reached."""
    RESTING = "resting"
    """Nobody can serve, until a rest is over."""
    SIGN_IN = "sign in"
    """An account waits for the person, whether others serve or not."""
    SPENT = "spent"
    """The account that serves has next to nothing left."""
    UNREAD = "no reading"
    """The account that serves has told no utilization."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class IconState:
    """What the icon shows. Two snapshots with the same state need no new picture."""

    percent: int | None
    """Of the fullest window of the account that serves, or that comes back first; 0 to 100, None while unknown."""
    level: Level = Level.UNKNOWN
    sign: Sign = Sign.NONE
    demo: bool = False
    style: IconStyle = field(default_factory=IconStyle)


def state_of(snapshot: Snapshot) -> IconState:
    """The state that a snapshot puts the icon in."""
    view = snapshot.active or _first_back(snapshot)
    window = view.tightest if view else None
    share = window.utilization if window else None
    holds = _signs(snapshot, share)
    return IconState(
        percent=None if share is None else min(100, max(0, round(share * 100))),
        level=level(share),
        sign=next(sign for sign in Sign if holds.get(sign, True)),
        demo=snapshot.demo,
        style=snapshot.icon,
    )


def _first_back(snapshot: Snapshot) -> AccountView | None:
    resting = (view for view in snapshot.accounts if view.standing is Standing.COOLING)
    return min(resting, key=lambda view: math.inf if view.until_at is None else view.until_at, default=None)


def _signs(snapshot: Snapshot, share: float | None) -> dict[Sign, bool]:
    taking_part = [view for view in snapshot.accounts if view.standing is not Standing.DISABLED]
    standings = {view.standing for view in taking_part}
    serving = snapshot.active
    needed = [serving] if serving else taking_part
    return {
        Sign.PAUSED: snapshot.pause is not None,
        Sign.EMPTY: not taking_part,
        Sign.OFFLINE: all(view.provider in snapshot.unreachable for view in needed),
        Sign.RESTING: Standing.COOLING in standings and (serving is None or serving.standing is not Standing.READY),
        Sign.SIGN_IN: bool(standings & {Standing.SIGN_IN, Standing.LOCKED}),
        Sign.SPENT: level(share) is Level.SPENT,
        Sign.UNREAD: share is None,
    }


@lru_cache(maxsize=64)
def draw(state: IconState, size: int, panel: Panel) -> Image.Image:
    """The icon, `size` pixels square, for this panel. It can be told from any other as well.

    Without colours and for a panel that tints, its mode is LA: black that covers more or less.
    """
    colours = palette(panel, colours=state.style.colours)
    scale = oversampling(size)
    canvas = painted(picture(state, size, colours), size * scale)
    if state.style.number and state.percent is not None and state.sign is Sign.NONE and size >= NUMBER_FROM:
        _write(canvas, str(state.percent), colours)
    drawn = canvas.resize((size, size), Image.Resampling.BOX)
    return drawn.convert("LA") if panel is Panel.TINTING and not state.style.colours else drawn


def picture(state: IconState, size: int, colours: Palette) -> tuple[Polygon, ...]:
    """The icon without its number, back to front. `size` matters for the rim: whole pixels are crisp."""
    wall = max(1, round(size * _WALL * (1.5 if colours.thick else 1))) / size
    room = BASIN.inside(wall)
    return (
        Polygon(outline(BASIN), colours.ground),
        *_water(state, room, colours),
        Polygon(ring(BASIN, room), colours.rim),
        *(_corner(colours) if state.demo else ()),
        *_SIGNS[state.sign](colours),
    )


# --- parts -----------------------------------------------------------------------------------------

BASIN = Basin(0.0, 0.0, 1.0, 1.0, crown=0.24, foot=0.32)
_WALL = 0.075
_NUMBER_HEIGHT = 0.56
_LEAST_SHARE = 0.1
"""Less water than this could not be seen."""
_WAVES = {
    Level.OK: (0.03, 1.0),
    Level.WARN: (0.045, 2.0),
    Level.SPENT: (0.03, 2.0),
    Level.UNKNOWN: (0.0, 1.0),
}
"""How high they go and how many there are: rough water is water to look at."""


def _water(state: IconState, room: Basin, colours: Palette) -> Iterator[Polygon]:
    """The water. None is drawn that is not known: no reading must not look like nothing spent."""
    if state.percent is None:
        return
    stopped = state.sign in {Sign.PAUSED, Sign.OFFLINE}
    swell, crests = _WAVES[Level.UNKNOWN if stopped else state.level]
    share = max(_LEAST_SHARE, state.percent / 100)
    height = room.bottom - (room.bottom - room.top - swell) * share
    paint = colours.water[Level.UNKNOWN if stopped else state.level]
    yield Polygon(filled(room, Surface(height, swell, crests)), paint)


def _corner(colours: Palette) -> Iterator[Polygon]:
    """The corner at the top left, folded down."""
    yield Polygon(((0.0, 0.0), (0.56, 0.0), (0.0, 0.56)), colours.ground)
    yield Polygon(((0.0, 0.0), (0.46, 0.0), (0.0, 0.46)), colours.demo)


def _paused(colours: Palette) -> Iterator[Polygon]:
    """Two bars across all of it."""
    for x in (0.33, 0.67):
        yield Polygon(box(x, 0.52, 0.29, 0.66), colours.ground)
        yield Polygon(box(x, 0.52, 0.19, 0.56), colours.rim)


def _empty(colours: Palette) -> Iterator[Polygon]:
    """A plus: what to do about it."""
    yield Polygon(box(0.5, 0.52, 0.5, 0.125), colours.rim)
    yield Polygon(box(0.5, 0.52, 0.125, 0.5), colours.rim)


def _offline(colours: Palette) -> Iterator[Polygon]:
    """Crossed out from corner to corner."""
    yield Polygon(stroke((-0.1, -0.1), (1.1, 1.1), 0.3), colours.ground)
    yield Polygon(stroke((0.0, 0.0), (1.0, 1.0), 0.13), colours.rim)


def _resting(colours: Palette) -> Iterator[Polygon]:
    """A clock: it passes."""
    x, y = _CORNER
    yield from _plate(colours)
    yield Polygon(box(x - 0.005, y - 0.09, 0.09, 0.25), colours.ground)
    yield Polygon(box(x + 0.055, y + 0.0, 0.21, 0.09), colours.ground)


def _sign_in(colours: Palette) -> Iterator[Polygon]:
    """A warning triangle with its mark."""
    x, y = _CORNER[0] - 0.05, _CORNER[1] - 0.02
    yield Polygon(((x, y - 0.5), (x + 0.42, y + 0.34), (x - 0.42, y + 0.34)), colours.ground)
    yield Polygon(((x, y - 0.38), (x + 0.33, y + 0.28), (x - 0.33, y + 0.28)), colours.alarm)
    yield Polygon(box(x, y - 0.03, 0.09, 0.24), colours.on_alarm)
    yield Polygon(box(x, y + 0.18, 0.09, 0.09), colours.on_alarm)


def _spent(colours: Palette) -> Iterator[Polygon]:
    """No entry: a disc with a bar across."""
    yield from _plate(colours)
    yield Polygon(box(*_CORNER, 0.34, 0.12), colours.ground)


def _unread(colours: Palette) -> Iterator[Polygon]:
    """Three dots: to be told."""
    for x in (0.26, 0.5, 0.74):
        yield Polygon(box(x, 0.54, 0.13, 0.13), colours.rim)


def _none(_colours: Palette) -> Iterator[Polygon]:
    yield from ()


def _plate(colours: Palette) -> Iterator[Polygon]:
    yield Polygon(box(0.85, 0.85, 0.3, 0.3), HOLE)
    yield Polygon(disc(*_CORNER, 0.355), colours.ground)
    yield Polygon(disc(*_CORNER, 0.29), colours.rim)


_CORNER = (0.69, 0.69)
_SIGNS: dict[Sign, Callable[[Palette], Iterator[Polygon]]] = {
    Sign.PAUSED: _paused,
    Sign.EMPTY: _empty,
    Sign.OFFLINE: _offline,
    Sign.RESTING: _resting,
    Sign.SIGN_IN: _sign_in,
    Sign.SPENT: _spent,
    Sign.UNREAD: _unread,
    Sign.NONE: _none,
}


def _write(canvas: Image.Image, text: str, colours: Palette) -> None:
    """The number, in the middle."""
    side, ink = canvas.width, colours.rim
    font, bold = ImageFont.load_default(side * _NUMBER_HEIGHT), side * 0.02
    middle = (side * 0.5, side * 0.53)
    ImageDraw.Draw(canvas).text(middle, text, ink, font, anchor="mm", stroke_width=bold, stroke_fill=ink)
