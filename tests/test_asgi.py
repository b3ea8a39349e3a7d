"""An ASGI app sees the listener's requests whole, and its answers go out framed and with back-pressure."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from core import asgi
from core.exchange import Answer, Incoming, Simple
from core.listener import Listener
from tests.raw import Client, until

pytestmark = pytest.mark.anyio


class Serving:
    """A handler that gives every request to one app."""

    def __init__(self, app: asgi.App) -> None:
        self._app = app
        self.cancelled = 0

    def admit(self, request: Incoming) -> Simple | None:
        request.note = "who asks"
        return None

    async def serve(self, request: Incoming, answer: Answer) -> None:
        try:
            await asgi.serve(self._app, request, answer)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    def malformed(self, status: int, message: str) -> Simple:
        return Simple(status, message.encode())


@asynccontextmanager
async def serving(app: asgi.App) -> AsyncIterator[tuple[Client, Serving]]:
    listener = Listener(handler := Serving(app))
    await listener.start(0)
    try:
        async with Client.to(listener.port) as client:
            yield client, handler
    finally:
        await listener.close(grace_s=0)


async def test_the_scope_is_the_request() -> None:
    seen: list[asgi.Message] = []

    async def app(scope: asgi.Message, receive: object, send: object) -> None:
        seen.append(scope)
        await Response(status_code=204)(scope, receive, send)  # type: ignore[arg-type]

    async with serving(app) as (client, _):
        ends = tuple(map(client._writer.get_extra_info, ("sockname", "peername")))
        await client.send(b"PUT /-/a%20b/%C3%A9?x=1&y=%20 HTTP/1.1\r\nHost: h\r\nX-One: 1\r\nX-One: 2\r\n\r\n")
        assert (await client.reply()).status == 204

    (scope,) = seen
    assert (scope["type"], scope["method"], scope["http_version"]) == ("http", "PUT", "1.1")
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/-/a b/é", b"/-/a%20b/%C3%A9", b"x=1&y=%20")
    assert scope["headers"] == [(b"host", b"h"), (b"x-one", b"1"), (b"x-one", b"2")]
    assert scope["state"] == {"caller": "who asks"}
    assert (scope["client"], scope["server"]) == ends


async def test_starlette_reads_bodies_and_answers_one_request_after_another() -> None:
    async def double(request: Request) -> Response:
        return JSONResponse({"twice": (await request.json())["n"] * 2})

    async with serving(Starlette(routes=[Route("/-/double", double, methods=["POST"])])) as (client, _):
        for number in range(3):
            body = b'{"n":%d}' % number
            await client.send(b"POST /-/double HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            reply = await client.reply()
            assert (reply.status, reply.body, reply.whole) == (200, b'{"twice":%d}' % (number * 2), True)
            assert reply.headers["content-length"] == str(len(reply.body))
        await client.send(b"HEAD /-/nowhere HTTP/1.1\r\n\r\n")
        assert (await client.reply(head_only=True)).status == 404


async def test_a_stream_goes_out_piece_by_piece_and_its_head_at_once() -> None:
    go = asyncio.Event()

    async def events() -> AsyncIterator[bytes]:
        await go.wait()
        yield b"one"
        yield b"two"

    async def stream(_request: Request) -> Response:
        return StreamingResponse(events(), media_type="text/event-stream")

    async with serving(Starlette(routes=[Route("/-/events", stream)])) as (client, _):
        await client.send(b"GET /-/events HTTP/1.1\r\n\r\n")
        assert (await client.some(15)) == b"HTTP/1.1 200 OK"
        go.set()
        assert (await client.rest_of_head()).endswith(b"\r\n\r\n")
        assert await client.some(16) == b"3\r\none\r\n3\r\ntwo\r\n"


async def test_a_stream_waits_for_a_client_that_does_not_read_and_loses_nothing() -> None:
    total, piece, made = 32 * 1024 * 1024, bytes(65536), 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal made
        for _ in range(0, total, len(piece)):
            made += len(piece)
            yield piece

    async def stream(_request: Request) -> Response:
        return StreamingResponse(pieces())

    async with serving(Starlette(routes=[Route("/-/flood", stream)])) as (client, _):
        client.stop_reading()
        await client.send(b"GET /-/flood HTTP/1.1\r\n\r\n")
        await until(lambda: made)
        before = -1
        while made != before:  # it goes on until the buffers are full
            before = made
            await asyncio.sleep(0.05)
        assert made < total
        client.read_on()
        reply = await client.reply()
        assert (len(reply.body), reply.whole) == (total, True)


async def test_an_app_that_fails_in_the_middle_does_not_look_whole(caplog: pytest.LogCaptureFixture) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        raise RuntimeError("broken")

    async def stream(_request: Request) -> Response:
        return StreamingResponse(pieces())

    async with serving(Starlette(routes=[Route("/-/x", stream)])) as (client, _):
        await client.send(b"GET /-/x HTTP/1.1\r\n\r\n")
        assert not (await client.reply()).whole
    assert "broken" in caplog.text


async def test_a_client_that_leaves_cancels_the_app() -> None:
    async def app(_scope: asgi.Message, receive: object, _send: object) -> None:
        await receive()  # type: ignore[operator]
        reached.set()
        await receive()  # type: ignore[operator]

    reached = asyncio.Event()
    async with serving(app) as (client, handler):
        await client.send(b"GET /-/x HTTP/1.1\r\n\r\n")
        async with asyncio.timeout(5):
            await reached.wait()
        await client.leave()
        await until(lambda: handler.cancelled)
