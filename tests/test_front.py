"""Who gets a request: the guard first, then the proxy, the control API or a small answer, over real connections."""

import hashlib
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from core import asgi
from core.exchange import Answer, Incoming, Simple
from core.front import Front
from core.guard import Caller, Guard
from core.listener import Limits, Listener
from core.local_keys import EVERYBODY, LocalKeys
from core.logs import _Form, read
from tests.raw import Client, Reply
from tests.stage import MODEL, PROMPT, Stage

pytestmark = pytest.mark.anyio

KEY = b"tg-local"
OWN = b"sk-ant-own"


class Proxied:
    """A proxy that says how it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes]] = []

    async def serve(self, incoming: Incoming, answer: Answer) -> None:
        self.asked.append(("serve", incoming.target))
        answer.send(Simple(200, b"served %d" % len(incoming.body)))

    async def pass_through(self, incoming: Incoming, answer: Answer) -> None:
        self.asked.append(("pass through", incoming.target))
        answer.send(Simple(200, b"passed through"))


class Door:
    """A front on a listener."""

    def __init__(self) -> None:
        self.proxy = Proxied()
        self.apps = 0
        self.callers: list[Any] = []
        self.front = Front(self.proxy, self._control)  # type: ignore[arg-type]
        self.port = 0

    def _control(self) -> asgi.App:
        self.apps += 1

        async def app(scope: asgi.Message, _receive: object, send: Any) -> None:
            self.callers.append(scope["state"]["caller"])
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"control"})

        return app

    async def ask(self, *lines: bytes, target: bytes = b"/v1/messages", method: bytes = b"POST") -> Reply:
        async with Client.to(self.port) as client:
            host = b"Host: 127.0.0.1:%d" % self.port
            head = [method + b" " + target + b" HTTP/1.1", *([] if b"Host" in b"".join(lines) else [host]), *lines]
            await client.send(b"\r\n".join([*head, b"", b""]))
            return await client.reply(head_only=method == b"HEAD")


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with opened() as door:
        yield door


@asynccontextmanager
async def opened(limits: Limits | None = None, *, passthrough: bool = True) -> AsyncIterator[Door]:
    door = Door()
    listener = Listener(door.front, limits)
    await listener.start(0)
    door.port = listener.port
    keys = LocalKeys(lambda: {hashlib.sha256(KEY).hexdigest(): EVERYBODY})
    door.front.guard = Guard(listener.port, keys, "control", lambda *_: False, lambda: passthrough)
    try:
        yield door
    finally:
        await listener.close(grace_s=0)


MINE = b"x-api-key: " + KEY
THEIRS = b"x-api-key: " + OWN


async def test_a_client_with_the_local_key_is_served_by_the_proxy(door: Door) -> None:
    reply = await door.ask(MINE, b"content-length: 0", target=b"/v1/messages?beta=true")
    assert (reply.status, reply.body) == (200, b"served 0")
    assert door.proxy.asked == [("serve", b"/v1/messages?beta=true")]


async def test_a_stranger_with_a_credential_of_its_own_passes_through(door: Door) -> None:
    assert (await door.ask(THEIRS)).body == b"passed through"
    assert door.proxy.asked == [("pass through", b"/v1/messages")]


async def test_the_control_app_is_made_once_and_on_first_use_and_knows_who_asks(door: Door) -> None:
    assert door.apps == 0
    for _ in range(2):
        assert (await door.ask(b"authorization: Bearer control", target=b"/-/snapshot")).body == b"control"
    assert (await door.ask(target=b"/-/health", method=b"GET")).status == 200
    assert door.apps == 1
    assert door.callers == [Caller.CONTROL, Caller.CONTROL, Caller.NOBODY]
    assert not door.proxy.asked


@pytest.mark.parametrize(("method", "target"), [(b"HEAD", b"/"), (b"HEAD", b"/api/hello"), (b"GET", b"/api/hello")])
async def test_what_clients_ask_to_see_whether_anybody_is_there_needs_no_provider(
    door: Door, method: bytes, target: bytes
) -> None:
    assert (await door.ask(MINE, target=target, method=method)).status == 200
    assert not door.proxy.asked


@pytest.mark.parametrize(
    ("lines", "target", "status"),
    [
        ((), b"/v1/messages", 401),
        ((b"x-api-key: wrong", b"Host: 127.0.0.1:1"), b"/v1/messages", 421),
        ((MINE, b"Host: evil.example"), b"/v1/messages", 421),
        ((MINE, b"Host: 127.0.0.1", b"Host: 127.0.0.1"), b"/v1/messages", 421),
        ((MINE, b"Host:"), b"/v1/messages", 421),
        ((MINE,), b"http://127.0.0.1/v1/messages", 400),
        ((MINE,), b"*", 400),
        ((MINE, b"Origin: null"), b"/v1/messages", 403),
        ((MINE, b"Sec-Fetch-Site: cross-site"), b"/v1/messages", 403),
        ((MINE, b"Upgrade: websocket"), b"/v1/messages", 405),
        ((MINE, b"Upgrade: websocket", b"Connection: upgrade"), b"/v1/messages", 405),
        ((THEIRS,), b"/-/snapshot", 401),
    ],
)
async def test_what_the_guard_refuses_reaches_nobody_and_is_closed(
    door: Door, lines: tuple[bytes, ...], target: bytes, status: int
) -> None:
    reply = await door.ask(*lines, b"content-length: 1000000", target=target)
    assert (reply.status, reply.headers["connection"]) == (status, "close")
    error = json.loads(reply.body)
    assert error["type"] == "error"
    assert error["error"]["message"]
    assert not door.proxy.asked
    assert not door.callers


async def test_a_refusal_of_the_guards_tells_clients_not_to_try_again(door: Door) -> None:
    assert (await door.ask()).headers["x-should-retry"] == "false"


async def test_a_credential_of_its_own_does_not_pass_once_there_is_an_account() -> None:
    async with opened(passthrough=False) as door:
        assert (await door.ask(THEIRS)).status == 401
        assert not door.proxy.asked


@pytest.mark.parametrize(
    ("raw", "status", "kind"),
    [
        (b"GET /\r\n\r\n", 505, "api_error"),
        (b"\x00\r\n\r\n", 400, "invalid_request_error"),
        (b"CONNECT a:1 HTTP/1.1\r\n\r\n", 405, "invalid_request_error"),
        (b"POST / HTTP/1.1\r\ncontent-length: 99\r\n\r\n", 413, "request_too_large"),
        (b"GET / HTTP/1.1\r\n", 408, "timeout_error"),
        (b"GET / HTTP/1.1\r\nx: " + b"a" * 70_000 + b"\r\n\r\n", 431, "invalid_request_error"),
    ],
)
async def test_the_listeners_own_refusals_have_the_providers_shape(raw: bytes, status: int, kind: str) -> None:
    async with opened(Limits(head_s=0.05, body_bytes=50)) as door, Client.to(door.port) as client:
        await client.send(raw)
        reply = await client.reply()
        assert reply.status == status
        error = json.loads(reply.body)["error"]
        assert error["type"] == kind
        assert error["message"].startswith("Tidegate: ")


async def test_before_it_knows_its_port_nobody_is_let_in(door: Door) -> None:
    door.front.guard = None
    assert (await door.ask(MINE)).status == 503
    assert not door.proxy.asked


async def test_every_request_has_an_id_of_its_own_in_the_log(stage: Stage) -> None:
    await stage.login("Work")
    seen: list[str] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(self.format(record))

    handler = Listening()
    handler.setFormatter(_Form(as_json=False))
    log = logging.getLogger("core.proxy")
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    try:
        for _ in range(2):
            await stage.sdk().messages.create(model=MODEL, max_tokens=100, messages=PROMPT)
    finally:
        log.removeHandler(handler)
        log.setLevel(logging.NOTSET)

    first, second = read(seen)
    assert first.text.startswith(f"Work: {MODEL}, status 200, Served, 1 attempt, ")
    assert len(first.request) == len(second.request) == 8
    assert first.request != second.request
