"""Somebody started Tidegate while it runs: they want to see it. The icon, if there is one, opens what it can."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec


class Shown(msgspec.Struct, frozen=True):
    """What came of the wish to see Tidegate."""

    by_icon: bool
    """The icon does it."""
    url: str = ""
    """Else the status page, for the caller to open; good once and for a minute."""


class Doorbell:
    """At most one face answers it. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: Callable[[], None] | None = None

    @contextmanager
    def answered(self, by: Callable[[], None]) -> Iterator[None]:
        """Let `by` be called at each ring, until the block ends. It hands its work on and returns."""
        with self._lock:
            self._answers = by
        try:
            yield
        finally:
            with self._lock:
                self._answers = None

    def ring(self) -> bool:
        """Whether there is a face that answers; it has been told."""
        with self._lock:
            if self._answers is not None:
                self._answers()
            return self._answers is not None
