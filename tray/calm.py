"""Something that is asked for often and done seldom."""

import asyncio
from collections.abc import Callable


class Calm:
    """Does `deed` soon after it was asked for, at most once in `interval_s`, and always after the last asking.

    Everything on one loop. Without askings it keeps no timer.
    """

    def __init__(self, deed: Callable[[], object], interval_s: float) -> None:
        self._deed = deed
        self._interval_s = interval_s
        self._due = False
        self._next_at = 0.0

    def ask(self) -> None:
        """Have it done."""
        if not self._due:
            self._due = True
            loop = asyncio.get_running_loop()
            loop.call_at(max(loop.time(), self._next_at), self._do)

    def _do(self) -> None:
        self._due = False  # first: who asks from here on has something newer
        self._next_at = asyncio.get_running_loop().time() + self._interval_s
        self._deed()
