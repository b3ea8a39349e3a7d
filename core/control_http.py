"""The HTTP client for questions to providers: sign-in, renewal, quota, keys. Requests of clients never go through it.

Answers there are a few KiB. One without end, or one that unpacks to gigabytes, must not cost the memory of a process
that holds logins: it is given up, as if the connection had broken. Slow to import; loaded when it is first used.
"""

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx

from core import __version__, trust

ANSWER_BYTES = 1024 * 1024
USER_AGENT = f"tidegate/{__version__}"
TIMEOUT_S = 30.0


def client(heed: Callable[[httpx.Response], Awaitable[None]]) -> httpx.AsyncClient:
    """Tidegate's own client, under its own name. `heed` gets the head of every answer.

    No redirect is followed, for a request's body may be a credential; no proxy of the environment is used.
    """
    return httpx.AsyncClient(
        transport=_Bounded(httpx.AsyncHTTPTransport(verify=trust.context(), trust_env=False)),
        headers={"user-agent": USER_AGENT, "accept-encoding": "identity"},
        timeout=TIMEOUT_S,
        follow_redirects=False,
        trust_env=False,
        event_hooks={"response": [heed]},
    )


class _Bounded(httpx.AsyncBaseTransport):
    """Answers end after `ANSWER_BYTES` at the latest. One in a coding that nobody asked for is none."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._transport.handle_async_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise httpx.DecodingError("the answer has a coding that was not asked for", request=request)
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - tells the type
        response.stream = _Cut(response.stream, request)
        return response

    async def aclose(self) -> None:
        await self._transport.aclose()


class _Cut(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, request: httpx.Request) -> None:
        self._stream = stream
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self._stream:
            size += len(piece)
            if size > ANSWER_BYTES:
                raise httpx.ReadError("the answer is too large", request=self._request)
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
