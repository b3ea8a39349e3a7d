"""T16, the other way: an answer that is not HTTP never reaches a client as a whole one, and poisons no other."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.hostile.answer_shapes import CLEAN, SHAPES, Shape
from tests.hostile.scene import Scene, before
from tests.raw import Client, Peer, answer, played

pytestmark = pytest.mark.anyio


@dataclass
class Provider:
    """Says `raw` to whom asks for /v1/shape and closes; everybody else gets what he asked for."""

    raw: bytes = b""
    pieces: int = 1

    async def __call__(self, peer: Peer) -> None:
        while True:
            target = (await peer.request()).lines[0].split()[1]
            if target != b"/v1/shape":
                await peer.send(answer(target, b"content-type: text/plain"))
                continue
            size = max(1, -(-len(self.raw) // self.pieces))
            for at in range(0, len(self.raw), size):
                await peer.send(self.raw[at : at + size])
                await asyncio.sleep(0)
            peer.close()
            return


@pytest.fixture(scope="module")
def provider() -> Provider:
    return Provider()


@pytest.fixture(scope="module")
async def scene(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with played(provider) as server, before(server.url, tmp_path_factory.mktemp("data")) as scene:
        yield scene


@pytest.mark.parametrize("shape", SHAPES, ids=str)
async def test_client_sees_what_it_may(scene: Scene, provider: Provider, shape: Shape) -> None:
    for pieces in (1, 7, 1_000):  # at once, some, by byte
        await answered(scene, provider, shape, pieces)


async def answered(scene: Scene, provider: Provider, shape: Shape, pieces: int) -> None:
    provider.raw, provider.pieces = shape.raw, pieces

    async with Client.to(scene.port) as client:
        await client.send(scene.post(b"{}", b"/v1/shape"))
        reply = await client.reply()
    after = await asyncio.gather(*(scene.ask(scene.get(b"/v1/%d" % number)) for number in range(3)))

    if shape.status is None:
        assert reply.status >= 500 or not reply.whole
    else:
        assert (reply.status, reply.body, reply.whole) == (shape.status, shape.body, True)
    assert not [line for line in reply.lines if b"EVIL" in line]
    assert [(other.status, other.body) for other in after] == [(200, b"/v1/%d" % number) for number in range(3)]
    assert scene.blamed == []


async def test_half_a_stream_in_a_broken_framing_has_no_clean_end(scene: Scene, provider: Provider) -> None:
    events: Any = b'event: content_block_start\ndata: {"type":"content_block_start","index":0}\n\n'
    begun = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    for broken in (b"zz\r\n", b"5\r\nhelloXX", b"0\r\nX: \x00\r\n\r\n", b"-1\r\n", b"5 \r\nhello\r\n0\r\n\r\n", b""):
        provider.raw, provider.pieces = begun + b"%x\r\n%s\r\n" % (len(events), events) + broken, 1
        reply = await scene.ask(scene.post(b"{}", b"/v1/shape"))
        assert not reply.whole
        assert reply.body.startswith(events[: len(reply.body)])


def test_there_are_good_shapes_among_them_so_that_refusing_all_would_show() -> None:
    assert len(CLEAN) > 20
