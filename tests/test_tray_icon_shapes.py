import math

import pytest
from PIL import Image

from tray.icon_shapes import (
    Basin,
    Point,
    Polygon,
    Squircle,
    Surface,
    Vessel,
    box,
    disc,
    filled,
    outline,
    oversampling,
    painted,
    ring,
    solid,
    stroke,
)

BLUE = solid((0, 0, 255))
RED = solid((255, 0, 0))
HOLE = (0, 0, 0, 0)
BASIN = Basin(0.1, 0.1, 0.9, 0.9, crown=0.2, foot=0.3)
SIDE = 256


def area(points: tuple[Point, ...]) -> float:
    """The area of a polygon, by the shoelace formula."""
    pairs = zip(points, points[1:] + points[:1], strict=True)
    return abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairs)) / 2


def covered(picture: Image.Image) -> float:
    """The share that is painted."""
    return sum(picture.getchannel("A").histogram()[1:]) / (picture.width * picture.height)


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        (box(0.5, 0.5, 0.4, 0.2), 0.08),
        (disc(0.5, 0.5, 0.25), math.pi / 16),
        (stroke((0.2, 0.2), (0.2, 0.7), 0.1), 0.05),
        (stroke((0.1, 0.1), (0.4, 0.5), 0.2), 0.1),
        (outline(BASIN), 0.64 - (4 - math.pi) / 2 * (0.04 + 0.09)),
        (outline(Basin(0.0, 0.0, 1.0, 1.0, crown=0.0, foot=0.0)), 1.0),
        (ring(Basin(0.0, 0.0, 1.0, 1.0, 0.0, 0.0), Basin(0.2, 0.2, 0.8, 0.8, 0.0, 0.0)), 0.64),
        (filled(Basin(0.0, 0.0, 1.0, 1.0, 0.0, 0.0), Surface(0.75)), 0.25),
        (filled(Basin(0.0, 0.0, 1.0, 1.0, 0.0, 0.0), Surface(0.75, 0.1, 2.0)), 0.25),
    ],
)
def test_shape_covers_what_it_should_and_is_painted_so(
    points: tuple[tuple[float, float], ...], expected: float
) -> None:
    assert area(points) == pytest.approx(expected, rel=0.01)
    assert covered(painted([Polygon(points, BLUE)], SIDE)) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("vessel", [BASIN, Squircle(0.1)])
@pytest.mark.parametrize("surface", [Surface(-1.0, 0.1), Surface(0.5, 0.05, 2.0), Surface(2.0, 0.1)])
def test_water_stays_in_its_vessel(vessel: Vessel, surface: Surface) -> None:
    for x, y in filled(vessel, surface):
        assert vessel.left - 1e-9 <= x <= vessel.right + 1e-9
        assert vessel.top_at(x) - 1e-9 <= y <= vessel.bottom_at(x) + 1e-9


def test_room_inside_a_basin_is_smaller_by_its_wall_on_every_side() -> None:
    room = BASIN.inside(0.25)

    assert (room.left, room.top, room.right, room.bottom) == pytest.approx((0.35, 0.35, 0.65, 0.65))
    assert (room.crown, room.foot) == (0.0, pytest.approx(0.05))


def test_squircle_is_even_and_reaches_all_four_sides() -> None:
    frame = Squircle(0.1)

    assert (frame.left, frame.right, frame.top_at(0.5), frame.bottom_at(0.5)) == pytest.approx((0.1, 0.9, 0.1, 0.9))
    assert frame.top_at(0.2) == pytest.approx(1 - frame.bottom_at(0.8))


def test_edges_on_whole_pixels_are_sharp() -> None:
    picture = painted([Polygon(box(0.5, 0.5, 0.5, 0.5), BLUE)], 64)
    reduced = picture.resize((8, 8), Image.Resampling.BOX)

    assert {alpha for _, (*_, alpha) in reduced.getcolors() or []} == {0, 255}
    assert reduced == reduced.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert reduced == reduced.transpose(Image.Transpose.FLIP_TOP_BOTTOM)


def test_later_shapes_lie_on_earlier_ones_and_holes_go_through_all() -> None:
    whole, left, right = box(0.5, 0.5, 1, 1), box(0.25, 0.5, 0.3, 1), box(0.75, 0.5, 0.3, 1)

    picture = painted([Polygon(whole, BLUE), Polygon(left, RED), Polygon(right, HOLE)], 64)

    assert [picture.getpixel((x, 32)) for x in (16, 32, 48)] == [RED, BLUE, HOLE]


def test_shade_goes_from_the_top_of_its_shape_to_its_bottom() -> None:
    picture = painted([Polygon(box(0.5, 0.5, 0.5, 0.5), RED, BLUE)], 64)

    column = [picture.getpixel((32, y)) for y in range(64)]
    assert column[10] == column[54] == HOLE
    assert column[17][0] > 230
    assert column[46][2] > 230
    assert column[32][0] == pytest.approx(column[32][2], abs=10)


@pytest.mark.parametrize("size", [16, 22, 64, 256, 512, 1024, 4096])
def test_every_picture_is_drawn_larger_than_it_will_be(size: int) -> None:
    assert 2 <= oversampling(size) <= 8
