"""A straight line through measurements: how fast something grows, and how sure that is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

SURE = 2.0
"""Standard errors. One run in forty is beyond them by chance."""


@dataclass(frozen=True, slots=True)
class Slope:
    """Growth for each unit of x, with its standard error."""

    value: float
    error: float

    def is_surely_above(self, bound: float) -> bool:
        """It grows faster than `bound`, and that is not what measurements differ by anyway."""
        return self.value - SURE * self.error > bound

    def __str__(self) -> str:
        return f"{self.value:+.3g} ± {SURE * self.error:.2g}"


def slope(xs: Sequence[float], ys: Sequence[float]) -> Slope:
    """By least squares. Fewer than three points, or no room between them, say nothing: the error is infinite."""
    count = len(xs)
    mean_x, mean_y = sum(xs) / max(count, 1), sum(ys) / max(count, 1)
    spread = sum((x - mean_x) ** 2 for x in xs)
    if count < 3 or spread == 0:
        return Slope(0.0, math.inf)
    value = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread
    left = sum((y - mean_y - value * (x - mean_x)) ** 2 for x, y in zip(xs, ys, strict=True))
    return Slope(value, math.sqrt(left / (count - 2) / spread))
