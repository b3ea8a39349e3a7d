import pytest

from core.answers import LocalKey, highest

SECRET = "tg-SECRET"


def test_the_local_key_does_not_show_itself() -> None:
    assert SECRET not in repr(LocalKey(SECRET))
    assert SECRET not in str(LocalKey(SECRET))


@pytest.mark.parametrize(
    ("points", "cells"),
    [
        ([(0, 0.5)], [0.5, 0.5, 0.5, 0.5]),
        ([(7, 0.5)], [None, 0.5, 0.5, 0.5]),
        ([(0, 0.5), (6, None), (12, 0.2)], [0.5, 0.5, 0.2, 0.2]),
        ([(0, 0.5), (5, None), (13, 0.2)], [0.5, None, 0.2, 0.2]),
        ([(1, 0.3), (2, 0.9), (3, 0.1)], [0.9, 0.1, 0.1, 0.1]),
        ([(24, 0.4)], [None, None, None, 0.4]),
        ([(0, 0.0)], [0.0, 0.0, 0.0, 0.0]),
    ],
)
def test_each_cell_has_the_highest_that_was_known_in_it(
    points: list[tuple[float, float | None]], cells: list[float | None]
) -> None:
    assert highest(points, 0, 24, 4) == cells
