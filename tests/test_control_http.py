import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import httpx
import pytest

from core import control_http
from core.control_http import ANSWER_BYTES

pytestmark = pytest.mark.anyio
HEAD = b"HTTP/1.1 200 OK\r\ndate: Sun, 22 Nov 2026 00:00:00 GMT\r\n"


class Provider:
    """Says what it is told to say, and keeps the heads of what it was asked."""

    def __init__(self, say: Callable[[asyncio.StreamWriter], None]) -> None:
        self._say = say
        self.heads: list[bytes] = []
        self.dates: list[str | None] = []
        self.left = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        self._say(writer)
        with suppress(ConnectionError):
            await reader.read()
        self.left.set()
        writer.close()


@asynccontextmanager
async def asked(say: Callable[[asyncio.StreamWriter], None]) -> AsyncIterator[tuple[Provider, httpx.AsyncClient, str]]:
    """A provider, our client, and where to ask."""
    provider = Provider(say)

    async def heed(response: httpx.Response) -> None:
        provider.dates.append(response.headers.get("date"))

    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
    async with server, control_http.client(heed) as client:
        yield provider, client, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_an_answer_comes_as_it_is_under_our_own_name() -> None:
    async with asked(lambda out: out.write(HEAD + b"content-length: 2\r\n\r\n{}")) as (provider, client, url):
        answer = await client.get(url)

    assert answer.json() == {}
    assert provider.dates == ["Sun, 22 Nov 2026 00:00:00 GMT"]
    assert b"user-agent: tidegate/" in provider.heads[0].lower()
    assert b"accept-encoding: identity" in provider.heads[0].lower()


async def test_the_largest_answer_is_taken_and_one_byte_more_is_not() -> None:
    for size, taken in ((ANSWER_BYTES, True), (ANSWER_BYTES + 1, False)):
        head = HEAD + b"content-length: %d\r\n\r\n" % size
        async with asked(lambda out, head=head, size=size: out.write(head + b"x" * size)) as (_, client, url):
            if taken:
                assert len((await client.get(url)).content) == size
            else:
                with pytest.raises(httpx.ReadError, match="too large"):
                    await client.get(url)


async def test_an_answer_without_end_is_given_up_and_its_connection_closed() -> None:
    def without_end(out: asyncio.StreamWriter) -> None:
        out.write(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        for _ in range(64):
            out.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")

    async with asked(without_end) as (provider, client, url):
        with pytest.raises(httpx.ReadError):
            await client.post(url, json={"grant_type": "refresh_token"})
        async with asyncio.timeout(10):
            await provider.left.wait()


async def test_what_unpacks_to_more_than_it_seems_is_no_answer() -> None:
    bomb = gzip.compress(b"0" * 50 * ANSWER_BYTES)
    head = HEAD + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(bomb)
    async with asked(lambda out: out.write(head + bomb)) as (provider, client, url):
        with pytest.raises(httpx.DecodingError):
            await client.get(url)
        async with asyncio.timeout(10):
            await provider.left.wait()


async def test_no_redirect_is_followed() -> None:
    elsewhere = b"HTTP/1.1 307 Elsewhere\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n"
    async with asked(lambda out: out.write(elsewhere)) as (provider, client, url):
        answer = await client.post(url, content=b"a credential")

    assert answer.status_code == 307
    assert len(provider.heads) == 1
