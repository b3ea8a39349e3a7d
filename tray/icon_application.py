"""The icon of the program itself, which shows no state: a gate in the sea, and the water that it holds, on a gauge."""

from collections.abc import Iterator

from PIL import Image

from tray.icon_shapes import (
    Basin,
    Paint,
    Polygon,
    Squircle,
    Surface,
    box,
    filled,
    outline,
    oversampling,
    painted,
    ring,
)

SMALL = 32
"""Up to this size the gate fills more of the picture and has no gauge."""

_SKY: Paint = (34, 84, 148, 255)
_NIGHT: Paint = (9, 26, 56, 255)
_HOLLOW: Paint = (8, 28, 62, 255)
_STONE: Paint = (255, 255, 255, 255)
_SHADE: Paint = (205, 221, 240, 255)
_HELD: Paint = (100, 216, 255, 255)
_DEPTH: Paint = (24, 118, 236, 255)
_FAR: Paint = (40, 112, 196, 255)
_FAR_DEPTH: Paint = (14, 52, 112, 255)
_NEAR: Paint = (52, 158, 248, 255)
_NEAR_DEPTH: Paint = (16, 78, 186, 255)
_BLACK: Paint = (0, 0, 0, 255)


def application(size: int, margin: float = 0.0) -> tuple[Polygon, ...]:
    """The icon, back to front, for a picture of this size. `margin` is left free on all sides (macOS wants some)."""
    return tuple(_within(polygon, margin) for polygon in (_small() if size <= SMALL else _large()))


def render(size: int, margin: float = 0.0) -> Image.Image:
    """The icon as pixels."""
    drawn = painted(application(size, margin), size * oversampling(size))
    return drawn.resize((size, size), Image.Resampling.BOX)


def symbolic() -> tuple[Polygon, ...]:
    """The icon in one colour, for desktops that colour such icons themselves."""
    gate = Basin(0.14, 0.06, 0.86, 0.94, crown=0.36, foot=0.0)
    room = gate.inside(0.115)
    water = room.inside(0.06)
    return (
        Polygon(ring(gate, room), _BLACK),
        Polygon(filled(water, Surface(0.52, 0.03)), _BLACK),
    )


def _large() -> Iterator[Polygon]:
    frame = Squircle(0.015)
    gate = Basin(0.225, 0.15, 0.775, 0.9, crown=0.275, foot=0.0)
    room = gate.inside(0.09)
    yield Polygon(outline(frame), _SKY, _NIGHT)
    yield Polygon(filled(frame, Surface(0.63, 0.022, 1.6, 0.3)), _FAR, _FAR_DEPTH)
    yield Polygon(outline(room), _HOLLOW)
    yield Polygon(filled(room, Surface(0.46, 0.02)), _HELD, _DEPTH)
    yield Polygon(ring(gate, room), _STONE, _SHADE)
    for height in (0.44, 0.53, 0.62):
        yield Polygon(box(room.left + 0.03, height, 0.07, 0.026), _STONE)
    yield Polygon(filled(frame, Surface(0.76, 0.025, 1.4, 0.72)), _NEAR, _NEAR_DEPTH)


def _small() -> Iterator[Polygon]:
    frame = Squircle()
    gate = Basin(0.1875, 0.125, 0.8125, 0.9, crown=0.3125, foot=0.0)
    room = gate.inside(0.125)
    yield Polygon(outline(frame), _SKY, _NIGHT)
    yield Polygon(outline(room), _HOLLOW)
    yield Polygon(filled(room, Surface(0.46, 0.03)), _HELD, _DEPTH)
    yield Polygon(ring(gate, room), _STONE, _SHADE)
    yield Polygon(filled(frame, Surface(0.78, 0.025, 1.0, 0.6)), _NEAR, _NEAR_DEPTH)


def _within(polygon: Polygon, margin: float) -> Polygon:
    points = tuple((margin + x * (1 - 2 * margin), margin + y * (1 - 2 * margin)) for x, y in polygon.points)
    return Polygon(points, polygon.paint, polygon.below)
