"""One sending of a request to one account: send it, hold what comes until it can be judged, say what it came to.

Nothing reaches the client here. An error that comes as the first event of a stream is an error like any other.
"""

import asyncio
import contextlib
from collections.abc import Callable

from core.exchange import Incoming, Simple
from core.link import Failure, Response
from core.model import Cut, Endpoints, NotDelivered, Outcome, Request, Served, Unknown, UpstreamFailed
from core.problems import bad_gateway
from core.providers.base import Provider, event_status
from core.providers.headers import for_client
from core.providers.sse import Tap, dialect_of
from core.upstream import Upstream, origin_of

HOLD_BYTES = 256 * 1024
HOLD_S = 2.0
"""How long a stream is held for its first content: several clients retry nothing after `message_start`."""
ERROR_BYTES = 1024 * 1024
"""Of an error's body; the providers' own are below 2 KiB."""


class Attempt:
    """What became of one sending. `whole` is a complete answer that is no success, ready for the client."""

    def __init__(self, provider: Provider, request: Request, incoming: Incoming, clock: Callable[[], float]) -> None:
        self._provider = provider
        self._request = request
        self._incoming = incoming
        self._clock = clock
        self.response: Response | None = None
        self.held: list[bytes] = []
        self.tap: Tap | None = None
        self.whole: Simple | None = None

    async def send(self, upstream: Upstream, endpoints: Endpoints, secret: str) -> Outcome:
        """Send and judge. On `Served` the answer stands in `response`, `held` and `tap`."""
        incoming, provider = self._incoming, self._provider
        origin = origin_of(provider.base_url(endpoints))
        target = provider.target(incoming.target, origin.base_path)
        headers = provider.outgoing(incoming.headers, incoming.target, secret)
        try:
            self.response = await upstream.send(origin, incoming.method, target, headers, incoming.body)
            return await self._judge(self.response)
        except Failure as failure:
            return outcome_of(failure)

    def close(self) -> None:
        """Nobody wants the rest of the answer."""
        if self.response:
            self.response.close()

    async def _judge(self, response: Response) -> Outcome:
        if 200 <= response.status < 300:  # noqa: PLR2004 - success
            return await self._judge_success(response)
        body = await response.read(ERROR_BYTES)
        outcome = self._provider.classify(response.status, response.headers, body, self._request, self._clock())
        if 300 <= response.status < 400:  # noqa: PLR2004 - a redirect is never followed, nor handed on
            self.whole = bad_gateway("The provider answered with a redirect, which Tidegate does not follow.")
        else:
            self.whole = Simple(response.status, body, tuple(for_client(response.headers)))
        return outcome

    async def _judge_success(self, response: Response) -> Outcome:
        now = self._clock()
        windows = self._provider.windows(response.headers, now)
        extra = self._provider.extra_usage(response.headers, now)
        if not (response.headers.get(b"content-type") or b"").startswith(b"text/event-stream"):
            return Served(windows, extra)
        dialect = dialect_of(self._request.provider, self._incoming.path)
        self.tap = tap = Tap(dialect, response.headers.get(b"content-encoding"))
        ended = await self._hold(response, tap)
        if tap.error is not None and not tap.started:
            return self._error_first(response, tap.error)
        if ended and tap.readable and not tap.complete:
            if self.held:
                return Cut("the provider's stream ended before its content")
            self.whole = bad_gateway("The provider sent an empty stream.")
            return UpstreamFailed(502)
        return Served(windows, extra, begun=True)

    async def _hold(self, response: Response, tap: Tap) -> bool:
        """Read until content starts, within bounds. True when the stream has ended already."""
        size = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HOLD_S):
                while tap.readable and not (tap.started or tap.complete) and tap.error is None and size < HOLD_BYTES:
                    data = await response.chunk()
                    if not data:
                        return True
                    size += len(data)
                    self.held.append(data)
                    tap.feed(data)
        return False

    def _error_first(self, response: Response, data: bytes) -> Outcome:
        """An error before any content: the same as if it had come with its HTTP status, and handed on so."""
        outcome = self._provider.classify_error_event(data, response.headers, self._request, self._clock())
        headers = [
            line
            for line in for_client(response.headers)
            if line[0].lower() not in {b"content-type", b"content-encoding"}
        ]
        self.whole = Simple(event_status(data), data, ((b"content-type", b"application/json"), *headers))
        return outcome


def outcome_of(failure: Failure) -> Outcome:
    """What an upstream's failure came to: not delivered, cut, or unknown."""
    if not failure.delivered:
        return NotDelivered(failure.text, failure.hopeless)
    return Cut(failure.text) if failure.begun else Unknown(failure.text)
