"""The shapes that icons are made of: filled polygons in a unit square, y downwards, and how they become pixels.

A polygon may be a hole: it takes away what lies under it. So one list of shapes serves icons with a ground of their
own and those that the desktop colours, and can be written as SVG as well.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from PIL import Image, ImageDraw

Point = tuple[float, float]
Colour = tuple[int, int, int]
Paint = tuple[int, int, int, int]
"""Red, green, blue, and how much it covers: 255 is opaque, 0 makes a hole."""

_STEPS = 64
_SQUARENESS = 5.0
_LARGEST_CANVAS = 2048
"""Pictures are drawn eight times as large, large ones at this size, but at least twice."""


@dataclass(frozen=True, slots=True)
class Polygon:
    """A filled shape. With `below` its colour changes from top to bottom."""

    points: tuple[Point, ...]
    paint: Paint
    below: Paint | None = None


def solid(colour: Colour) -> Paint:
    """The colour, opaque."""
    return (*colour, 255)


# --- what holds water ------------------------------------------------------------------------------


class Vessel(Protocol):
    """A shape that is as wide as it is at every height somewhere, known by its upper and its lower edge."""

    @property
    def left(self) -> float:
        """Where it begins."""

    @property
    def right(self) -> float:
        """Where it ends."""

    def top_at(self, x: float) -> float:
        """Its upper edge."""

    def bottom_at(self, x: float) -> float:
        """Its lower edge."""


@dataclass(frozen=True, slots=True)
class Basin:
    """A rectangle with round corners."""

    left: float
    top: float
    right: float
    bottom: float
    crown: float
    """The radius of the upper corners."""
    foot: float
    """The radius of the lower corners."""

    def inside(self, wall: float) -> "Basin":
        """The room that walls of this width leave."""
        corners = (self.left + wall, self.top + wall, self.right - wall, self.bottom - wall)
        return Basin(*corners, max(self.crown - wall, 0.0), max(self.foot - wall, 0.0))

    def top_at(self, x: float) -> float:
        """Its upper edge."""
        return self.top + self._cut(x, self.crown)

    def bottom_at(self, x: float) -> float:
        """Its lower edge."""
        return self.bottom - self._cut(x, self.foot)

    def _cut(self, x: float, radius: float) -> float:
        """What a corner of this radius takes away at `x`."""
        into_corner = max(self.left + radius - x, x - (self.right - radius), 0.0)
        return radius - math.sqrt(max(0.0, radius**2 - into_corner**2))


@dataclass(frozen=True, slots=True)
class Squircle:
    """A square whose sides run into its corners, as desktops cut the icons of programs."""

    margin: float = 0.0

    @property
    def left(self) -> float:
        """Where it begins."""
        return self.margin

    @property
    def right(self) -> float:
        """Where it ends."""
        return 1 - self.margin

    def top_at(self, x: float) -> float:
        """Its upper edge."""
        return 0.5 - self._half_at(x)

    def bottom_at(self, x: float) -> float:
        """Its lower edge."""
        return 0.5 + self._half_at(x)

    def _half_at(self, x: float) -> float:
        half = 0.5 - self.margin
        across = min(1.0, abs(x - 0.5) / half)
        return half * math.pow(1 - math.pow(across, _SQUARENESS), 1 / _SQUARENESS)


@dataclass(frozen=True, slots=True)
class Surface:
    """Where water ends: its middle height, how far waves rise and fall, how many there are, and where they begin."""

    height: float
    swell: float = 0.0
    crests: float = 1.0
    shift: float = 0.0

    def at(self, share: float) -> float:
        """Its height at a share of the width."""
        return self.height - self.swell * math.sin((share * self.crests + self.shift) * math.tau)


def outline(vessel: Vessel) -> tuple[Point, ...]:
    """All of it."""
    xs = _columns(vessel)
    return (*((x, vessel.top_at(x)) for x in xs), *((x, vessel.bottom_at(x)) for x in reversed(xs)))


def filled(vessel: Vessel, surface: Surface) -> tuple[Point, ...]:
    """The water in it."""
    xs = _columns(vessel)
    width = vessel.right - vessel.left

    def top(x: float) -> float:
        return min(max(vessel.top_at(x), surface.at((x - vessel.left) / width)), vessel.bottom_at(x))

    return (*((x, top(x)) for x in xs), *((x, vessel.bottom_at(x)) for x in reversed(xs)))


def ring(outer: Vessel, inner: Vessel) -> tuple[Point, ...]:
    """What is between two vessels, as one line that goes round outside and comes back inside."""
    outside, inside = outline(outer), outline(inner)
    return (*outside, outside[0], inside[0], *reversed(inside))


def _columns(vessel: Vessel) -> tuple[float, ...]:
    """Places from left to right, close together at the sides, where corners are steep."""
    middle, half = (vessel.left + vessel.right) / 2, (vessel.right - vessel.left) / 2
    return tuple(middle - half * math.cos(math.pi * step / _STEPS) for step in range(_STEPS + 1))


# --- other shapes ----------------------------------------------------------------------------------


def box(x: float, y: float, width: float, height: float) -> tuple[Point, ...]:
    """A rectangle round a middle."""
    left, right, top, bottom = x - width / 2, x + width / 2, y - height / 2, y + height / 2
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def disc(x: float, y: float, radius: float) -> tuple[Point, ...]:
    """A circle."""
    turns = (math.tau * step / _STEPS for step in range(_STEPS))
    return tuple((x + radius * math.cos(turn), y + radius * math.sin(turn)) for turn in turns)


def stroke(start: Point, end: Point, width: float) -> tuple[Point, ...]:
    """A line of this width, with square ends."""
    (x1, y1), (x2, y2) = start, end
    length = math.hypot(x2 - x1, y2 - y1)
    dx, dy = (y1 - y2) / length * width / 2, (x2 - x1) / length * width / 2
    return ((x1 + dx, y1 + dy), (x2 + dx, y2 + dy), (x2 - dx, y2 - dy), (x1 - dx, y1 - dy))


# --- pixels ----------------------------------------------------------------------------------------


def oversampling(size: int) -> int:
    """By how much larger than `size` a picture is drawn, for smooth edges."""
    return max(2, min(8, _LARGEST_CANVAS // size))


def painted(polygons: Iterable[Polygon], side: int) -> Image.Image:
    """The polygons, back to front, as they are: with hard edges. Reduce it to get smooth ones."""
    canvas = Image.new("RGBA", (side, side))
    pen = ImageDraw.Draw(canvas)
    for polygon in polygons:
        # Pillow paints the pixels that a line goes through, too: from the first to the last one, on both sides alike.
        points = [(round(x * (side - 1)), round(y * (side - 1))) for x, y in polygon.points]
        if polygon.below is None:
            pen.polygon(points, fill=polygon.paint)
        else:
            _shade(canvas, points, polygon.paint, polygon.below)
    return canvas


def _shade(canvas: Image.Image, points: list[tuple[int, int]], above: Paint, below: Paint) -> None:
    mask = Image.new("L", canvas.size)
    ImageDraw.Draw(mask).polygon(points, fill=255)
    first, last = min(y for _, y in points), max(y for _, y in points)
    column = Image.new("RGBA", (1, canvas.height))
    for y in range(canvas.height):
        share = min(1.0, max(0.0, (y - first) / (last - first)))
        mixed = tuple(round(a + (b - a) * share) for a, b in zip(above, below, strict=True))
        column.putpixel((0, y), mixed)
    layer = column.resize(canvas.size)
    layer.putalpha(Image.composite(layer.getchannel("A"), mask, mask))
    canvas.alpha_composite(layer)
