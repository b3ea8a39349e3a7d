"""An answer on its way to the client: untouched, with back-pressure, and never cut silently.

Four clients out of six take a stream that ends cleanly in the middle for a whole answer. So a stream without its end
gets an `error` event, where one can be put, and the connection is broken off instead of closed.
"""

import asyncio
from collections.abc import Sequence

import msgspec

from core.exchange import Answer
from core.link import Failure, Response
from core.model import Cut, Outcome, ResourceId, Served, Usage
from core.providers.coding import decoded
from core.providers.headers import HeaderLine, for_client
from core.providers.resources import KEPT_BYTES, told
from core.providers.sse import Dialect, Tap, usage_of

PING_S = 45.0
"""Silence after which a stream gets a ping of ours; clients hang up after five minutes without a byte."""
PING = b'event: ping\ndata: {"type": "ping"}\n\n'
COPY_BYTES = 1024 * 1024
"""Of an answer that is not streamed, to count its tokens; a longer one is not counted."""


class Delivery:
    """One answer. `tap` reads along when it is an event stream."""

    def __init__(
        self,
        response: Response,
        answer: Answer,
        tap: Tap | None,
        dialect: Dialect,
        ping_s: float = PING_S,
        *,
        seeks: bool = False,
    ) -> None:
        """`seeks`: the ids of what the answer made are wanted."""
        self._response = response
        self._answer = answer
        self._tap = tap
        self._dialect = dialect
        self._ping_s = ping_s
        self._seeks = seeks
        self._found: dict[ResourceId, None] = {}
        self._tail = b""
        self._loop = asyncio.get_running_loop()
        self._copy: list[bytes] | None = None
        self._copy_bytes = 0
        self._last_byte_at = 0.0
        self._pinger: asyncio.TimerHandle | None = None

    async def run(self, held: Sequence[bytes], extra: Sequence[HeaderLine] = ()) -> Outcome:
        """Write head, `held` and all that follows. `Served`, or `Cut` when the provider broke off."""
        response, answer = self._response, self._answer
        headers = response.headers
        # An event stream has no length: behind a promised number of bytes no error event of ours would be read.
        length = headers.get(b"content-length") if self._tap is None else None
        answer.start(response.status, [*for_client(headers), *extra], int(length) if length is not None else None)
        answer.on_room = self._on_room
        sink = self._stream if self._tap else self._plain
        if self._tap and self._coded:
            self._tap.overheard = self._seek
        if self._tap is None and (headers.get(b"content-type") or b"").startswith(b"application/json"):
            self._copy = []
        for data in held:
            answer.write(data)
            if self._seeks:
                self._look(data)
        if not (held or response.ahead):
            self._loop.call_soon(answer.flush)
        if self._pingable:
            self._last_byte_at = self._loop.time()
            self._ping_at(self._last_byte_at + self._ping_s)
        try:
            await response.pump(sink)
        except Failure as failure:
            if not self._said_all:
                return self._broken(failure.text)
        except asyncio.CancelledError:  # the client has hung up, and reads none of this, or Tidegate stops
            self._broken("it was stopped before the answer's end")
            raise
        finally:
            if self._pinger:
                self._pinger.cancel()
            if self._tap:
                self._tap.overheard = None  # it is ours, and we have the tap
        tap = self._tap
        if tap and tap.readable and not tap.complete and tap.error is None:
            return self._broken("the provider's stream ended before its end")
        answer.finish()
        return Served()

    @property
    def usage(self) -> Usage:
        """The tokens counted in what went by."""
        if self._tap:
            return self._tap.usage
        if not self._copy:
            return Usage()
        return usage_of(b"".join(self._copy), self._coding, self._dialect)

    @property
    def resources(self) -> tuple[ResourceId, ...]:
        """The ids of what the answer made, as far as it can be read."""
        if self._seeks and self._copy:
            self._seek(decoded(b"".join(self._copy), self._coding, COPY_BYTES) or b"")
        return tuple(self._found)

    @property
    def _coding(self) -> bytes | None:
        return self._response.headers.get(b"content-encoding")

    @property
    def _coded(self) -> bool:
        return self._coding not in {None, b"identity"}

    def _look(self, data: bytes) -> None:
        """Look for ids in a piece as it is on the wire; of a compressed stream the tap hands on what it decodes."""
        if not self._coded:
            self._seek(data)

    def _seek(self, data: bytes) -> None:
        if self._seeks:
            self._tail += data
            self._found |= dict.fromkeys(told(self._tail))
            self._tail = self._tail[-KEPT_BYTES:]

    def _stream(self, data: bytes) -> None:
        assert self._tap  # noqa: S101 - chosen in `run`
        self._tap.feed(data)
        self._last_byte_at = self._loop.time()
        if self._seeks:
            self._look(data)
        self._write(data)

    def _plain(self, data: bytes) -> None:
        if self._copy is not None:
            self._copy_bytes += len(data)
            if self._copy_bytes > COPY_BYTES:
                self._copy = None
            else:
                self._copy.append(data)
        self._write(data)

    def _write(self, data: bytes) -> None:
        self._answer.write(data)
        if not self._answer.room:
            self._response.pause()

    def _on_room(self, room: bool) -> None:
        if room:
            self._response.resume()
        else:
            self._response.pause()

    # --- silence and breaks: we may add an event only between two of the provider's, and only to plain text ---

    @property
    def _pingable(self) -> bool:
        return not self._coded and self._tap is not None and self._dialect is Dialect.MESSAGES

    @property
    def _said_all(self) -> bool:
        """The provider has said in its own words that the answer is whole, whatever its framing still promised."""
        tap = self._tap
        return tap is not None and tap.complete and tap.at_boundary and self._dialect is not Dialect.OTHER

    def _ping_at(self, at: float) -> None:
        self._pinger = self._loop.call_at(at, self._ping)

    def _ping(self) -> None:
        now = self._loop.time()
        due_at = self._last_byte_at + self._ping_s
        if now < due_at:
            self._ping_at(due_at)
            return
        if self._tap and self._tap.at_boundary and self._answer.room:
            self._answer.write(PING)
        self._ping_at(now + self._ping_s)

    def _broken(self, text: str) -> Outcome:
        if self._pingable and self._tap and self._tap.at_boundary:
            error = {"type": "error", "error": {"type": "api_error", "message": f"Tidegate: {text}."}}
            self._answer.write(b"event: error\ndata: %s\n\n" % msgspec.json.encode(error))
        self._answer.abort()
        return Cut(text)
