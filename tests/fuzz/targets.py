"""What is fuzzed: every reader of bytes that Tidegate did not write itself, with what it must keep to.

A target takes bytes and raises when a promise is broken. The promise of all: a value or the documented error, never
another exception; many keep more (reading again gives the same, what was written reads back, order stays).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.fuzz.inputs import like


@dataclass(frozen=True)
class Target:
    """One reader. `seeds` are inputs that it takes, `words` what its format is written with."""

    check: Callable[[bytes], None]
    seeds: Sequence[bytes]
    words: Sequence[bytes] = ()

    @property
    def inputs(self) -> st.SearchStrategy[bytes]:
        return like(self.seeds, self.words)


TARGETS: dict[str, Target] = {}


def target(
    name: str, seeds: Sequence[bytes], words: Sequence[bytes] = ()
) -> Callable[[Callable[[bytes], None]], Callable[[bytes], None]]:
    """Make a function a target."""

    def known(check: Callable[[bytes], None]) -> Callable[[bytes], None]:
        assert name not in TARGETS
        TARGETS[name] = Target(check, seeds, words)
        return check

    return known


def pieces(data: bytes) -> tuple[bytes, bytes]:
    """Two inputs from one: a target with two of them parts them at the first NUL."""
    one, _, two = data.partition(b"\0")
    return one, two
