import math
import random

import pytest

from tests.soak.slope import slope


def test_line_through_exact_points_has_their_growth_and_no_error() -> None:
    found = slope([0, 1, 2, 3], [5, 7, 9, 11])
    assert (found.value, found.error) == (2.0, 0.0)


def test_error_is_that_of_the_textbook() -> None:
    """By hand: the line is 0.6 x + 1.1; 0.2 is left of the squares, over two degrees of freedom and a spread of 5."""
    found = slope([0, 1, 2, 3], [1, 2, 2, 3])
    assert found.value == pytest.approx(0.6)
    assert found.error == pytest.approx(math.sqrt(0.2 / 2 / 5))


def test_leak_is_told_from_noise() -> None:
    chance = random.Random(1)
    xs = list(range(60))
    noise = [chance.gauss(0, 50) for _ in xs]
    assert not slope(xs, noise).is_surely_above(2.0)
    assert slope(xs, [5 * x + one for x, one in zip(xs, noise, strict=True)]).is_surely_above(2.0)


@pytest.mark.parametrize("points", [0, 1, 2])
def test_too_few_points_prove_nothing(points: int) -> None:
    found = slope(range(points), [1000.0 * n for n in range(points)])
    assert not found.is_surely_above(0.0)


def test_points_in_one_place_prove_nothing() -> None:
    assert not slope([1, 1, 1], [0, 5, 10]).is_surely_above(0.0)
