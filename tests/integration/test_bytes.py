"""Bytes out equal bytes in: requests and answers, whole and streamed, in every cutting."""

import hashlib
import itertools
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import app, threaded
from core.demo_run import Memory
from core.files import Paths
from core.providers.coding import decoded
from core.vault import Vault
from tests.stage import MODEL, Stage

STREAM = (
    'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","usage":{"input_tokens":9}}}\n\n'
    'event: content_block_start\ndata: {"type":"content_block_start","index":0}\n\n'
    ": a comment, and an event nobody knows\n\nevent: unheard_of\ndata: {}\n\n"
    'event: ping\ndata: {"type": "ping"}\n\n'
    'event: content_block_delta\ndata: {"delta":{"text":"Grüße\u2028data: \\n\\n 🌊"}}\n\n'
    "event: content_block_delta\r\ndata: first line\r\ndata: second line\r\n\r\n"
    'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
    'event: message_delta\ndata: {"type":"message_delta","delta":{},"usage":{"output_tokens":3}}\n\n'
    'event: message_stop\ndata: {"type":"message_stop"}\n\n'
).encode()


@dataclass(slots=True)
class RawUpstream:
    """A server that sends prepared bytes in prepared cuts, each cut one HTTP chunk and one write."""

    port: int
    cuts: list[int] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)

    def answer(self) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        edges = [0, *sorted(self.cuts), len(STREAM)]
        for start, end in itertools.pairwise(edges):
            if start < end:
                yield b"%x\r\n%s\r\n" % (end - start, STREAM[start:end])
        yield b"0\r\n\r\n"


@contextmanager
def raw_upstream() -> Iterator[RawUpstream]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        upstream = RawUpstream(server.getsockname()[1])

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=_serve_one, args=(connection, upstream), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield upstream
        finally:
            server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def _serve_one(connection: socket.socket, upstream: RawUpstream) -> None:
    """Answer one request after the other until the client closes."""
    buffer = b""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while True:
        while b"\r\n\r\n" not in buffer:
            data = connection.recv(65536)
            if not data:
                connection.close()
                return
            buffer += data
        head, _, buffer = buffer.partition(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
        )
        while len(buffer) < length:
            buffer += connection.recv(65536)
        upstream.requests.append(buffer[:length])
        buffer = buffer[length:]
        for piece in upstream.answer():
            connection.sendall(piece)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RawUpstream, httpx.Client]]:
    with raw_upstream() as upstream:
        url = f"http://127.0.0.1:{upstream.port}"
        environ = {"TIDEGATE_ANTHROPIC_API_URL": url}
        options = app.Options(vault=Vault(Memory()), port=0, environ=environ)
        with threaded.in_thread(Paths(tmp_path_factory.mktemp("data")), options) as core:
            core._ask(core._core.commands.run, "add_key", {"kind": "api-key", "key": "sk-ant-api03-EXAMPLE"})
            upstream.requests.clear()
            headers = {"x-api-key": core.local_key()}
            with httpx.Client(base_url=core.snapshot().address, headers=headers, trust_env=False) as client:
                yield upstream, client


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.lists(st.integers(1, len(STREAM) - 1), max_size=40),
    body=st.binary(min_size=0, max_size=3000),
)
def test_stream_and_body_arrive_as_they_were_in_any_cutting(
    raw: tuple[RawUpstream, httpx.Client], cuts: list[int], body: bytes
) -> None:
    upstream, client = raw
    upstream.cuts = cuts
    upstream.requests.clear()
    answer = client.post("/v1/messages", content=body)
    assert hashlib.sha256(answer.content).digest() == hashlib.sha256(STREAM).digest()
    assert upstream.requests == [body]


@pytest.mark.anyio
@pytest.mark.parametrize("encode", [None, "gzip", "br", "zstd"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_answers_are_the_providers_bytes_in_every_coding(
    stage: Stage, encode: str | None, *, stream: bool
) -> None:
    """Compared with the same request sent to the provider directly."""
    account = await stage.api_key("Team")
    stage.sim.encode = encode
    body = {"model": MODEL, "max_tokens": 64, "stream": stream, "messages": [{"role": "user", "content": "Grüße 🌊"}]}
    accept = {"accept-encoding": encode or "identity", "anthropic-version": "2023-06-01"}
    answers = []
    async with httpx.AsyncClient(trust_env=False) as client:
        for url, key in ((stage.sim.url, account.key), (stage.url, stage.key)):
            headers = {**accept, "x-api-key": key}
            async with client.stream("POST", f"{url}/v1/messages", json=body, headers=headers) as answer:
                raw = b"".join([part async for part in answer.aiter_raw()])
            answers.append((answer.headers.get("content-encoding"), answer.headers["content-type"], raw))
    (direct_coding, direct_type, direct), (coding, type_, through) = answers
    assert (coding, type_) == (direct_coding, direct_type)
    assert coding == encode
    assert _without_ids(through, coding) == _without_ids(direct, coding)


def _without_ids(raw: bytes, coding: str | None) -> bytes:
    """The decoded answer with each message's own id blanked: the only thing that differs between two answers."""
    text = decoded(raw, coding.encode() if coding else None, 1 << 20)
    assert text
    return re.sub(rb"msg_\w+", b"msg_", text)


@pytest.mark.anyio
async def test_request_arrives_as_the_client_made_it(stage: Stage) -> None:
    account = await stage.login("Work")
    body = b'{ "model":"claude-sonnet-5",  "max_tokens":9,"messages":[{"role":"user","content":"a\\u00e9"}],"new":[]}'
    headers = [
        (b"X-Api-Key", stage.key.encode()),
        (b"Anthropic-Version", b"2026-10-21"),
        (b"anthropic-beta", b"one-2026-01-01, two-2026-01-01"),
        (b"anthropic-beta", b"one-2026-01-01"),
        (b"User-Agent", b"somebody/1.0"),
        (b"X-Stainless-Lang", b"python"),
        (b"X-Claude-Code-Session-Id", b"11111111-2222-4333-8444-555555555555"),
        (b"Accept-Encoding", b"gzip, deflate, br, zstd"),
        (b"Content-Type", b"application/json"),
        (b"Cookie", b"secret=1"),
        (b"Connection", b"keep-alive, X-Hop"),
        (b"X-Hop", b"1"),
    ]
    async with httpx.AsyncClient(trust_env=False) as client:
        request = httpx.Request("POST", f"{stage.url}/v1/messages?beta=true&x=%2F", content=body, headers=headers)
        answer = await client.send(request)
    assert answer.status_code == 200
    received = stage.sim.received[-1]
    assert received.target == "/v1/messages?beta=true&x=%2F"
    assert received.body == body
    sent = [(name, value) for name, value in headers if name not in {b"X-Api-Key", b"Cookie", b"Connection", b"X-Hop"}]
    sent = [line for line in sent if line[0] != b"anthropic-beta"]
    arrived = [line for line in received.headers if line[0] in {name for name, _ in sent}]
    assert arrived == sent
    assert received.header("anthropic-beta").replace(" ", "").split(",") == [
        "one-2026-01-01",
        "two-2026-01-01",
        "oauth-2025-04-20",
    ]
    assert received.header("authorization") == f"Bearer {account.access}"
    names = {name.lower() for name, _ in received.headers}
    assert not names & {b"cookie", b"x-hop", b"x-api-key", b"connection"}
