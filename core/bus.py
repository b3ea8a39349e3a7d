"""Who wants to know learns what happened: events from the engine to tray, history and event stream.

Lives on the core's loop; nothing here may be called from another thread. A listener can neither stop nor slow the
others: its exception is logged, and a stream that is read too slowly loses its oldest events and is told so.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

import msgspec

from core.model import Event

log = logging.getLogger(__name__)

STREAM_EVENTS = 256
"""A reader that is this far behind takes a new snapshot anyway."""


class Missed(msgspec.Struct, frozen=True):
    """Stands in a stream where events were dropped."""

    count: int


class Bus:
    """Publishes each event to everybody who subscribed, in the order of subscribing."""

    def __init__(self) -> None:
        self._callbacks: dict[object, Callable[[Event], None]] = {}
        self._streams: set[Stream] = set()

    def publish(self, event: Event) -> None:
        """Call every subscriber now."""
        for callback in tuple(self._callbacks.values()):
            try:
                callback(event)
            except Exception:  # the edge: one listener's fault is not the engine's
                log.exception("A listener failed on %s", type(event).__name__)

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Call `callback` with every event from now on. Returns what ends it; ending twice is fine."""
        token = object()
        self._callbacks[token] = callback

        def unsubscribe() -> None:
            self._callbacks.pop(token, None)

        return unsubscribe

    def stream(self) -> "Stream":
        """All events from now on, to iterate over: `with bus.stream() as events: async for event in events`."""
        return Stream(self, self._streams)

    def end_streams(self) -> None:
        """Let every reader come to its end: the instance stops, and nobody should wait for an endless answer."""
        for stream in self._streams:
            stream.end()


class Stream:
    """An asynchronous iterator over events, with a bounded memory, without an end while the instance runs. One reader.

    `among` holds it between `with` and its end.
    """

    def __init__(self, bus: Bus, among: "set[Stream]") -> None:
        self._waiting: deque[Event] = deque()
        self._missed = 0
        self._ended = False
        self._arrived = asyncio.Event()
        self._among = among
        self.close = bus.subscribe(self._take)

    def __enter__(self) -> Self:
        self._among.add(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._among.discard(self)
        self.close()

    def end(self) -> None:
        """Nothing more comes; what waits is still given out."""
        self._ended = True
        self._arrived.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event | Missed:
        while not self._waiting:
            if self._ended:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        if self._missed:
            missed, self._missed = Missed(self._missed), 0
            return missed
        return self._waiting.popleft()

    def skip(self) -> None:
        """Forget what waits: the reader is about to look for itself."""
        self._waiting.clear()
        self._missed = 0

    def _take(self, event: Event) -> None:
        if len(self._waiting) == STREAM_EVENTS:
            self._waiting.popleft()
            self._missed += 1
        self._waiting.append(event)
        self._arrived.set()
