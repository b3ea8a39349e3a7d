"""T09: every recorded stream, in every coding, in every cut in two, byte by byte, and ended after every byte."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest

from core.providers.sse import Dialect, Tap
from tests.codings import CODINGS
from tests.hostile.scene import Scene, before
from tests.raw import Client, Peer, played
from tests.recorded import STREAMS, content

pytestmark = pytest.mark.anyio

ENDS = {Dialect.MESSAGES: b"message_stop", Dialect.CHAT: b"[DONE]", Dialect.RESPONSES: b"response.completed"}


def known(dialect: Dialect, coding: bytes | None, *pieces: bytes) -> tuple[object, ...]:
    tap = Tap(dialect, coding)
    for piece in pieces:
        tap.feed(piece)
    return tap.started, tap.complete, tap.error, tap.usage, tap.at_boundary, tap.readable


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("name", STREAMS)
def test_every_cut_in_two_and_every_byte_alone_tell_the_same(name: str, coding: bytes | None) -> None:
    dialect, stream = STREAMS[name], CODINGS[coding](content(name))
    whole = known(dialect, coding, stream)

    wrong = [at for at in range(len(stream) + 1) if known(dialect, coding, stream[:at], stream[at:]) != whole]

    assert wrong == []
    assert known(dialect, coding, *(stream[at : at + 1] for at in range(len(stream)))) == whole


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("name", STREAMS)
def test_no_truncation_passes_for_complete(name: str, coding: bytes | None) -> None:
    """A stream is complete when its end has been told; in plain text that moment is known to the byte."""
    dialect, plain = STREAMS[name], content(name)
    stream = CODINGS[coding](plain)
    said_whole = known(dialect, coding, stream)

    complete = [at for at in range(len(stream)) if known(dialect, coding, stream[:at])[1]]

    if not said_whole[1]:
        assert complete == []
    elif coding is None:
        first = complete[0] if complete else len(stream)
        told = plain[:first]
        assert ENDS[dialect] in told or b"finish_reason" in told
        assert told.endswith(b"\n")
        assert complete == list(range(first, len(stream)))


@dataclass
class Cutting:
    """A provider that sends a stream's beginning in pieces and breaks off, or ends it cleanly."""

    stream: bytes = b""
    coding: bytes = b""
    size: int = 1 << 20
    clean: bool = True
    dialects: dict[bytes, int] = field(default_factory=dict)

    async def __call__(self, peer: Peer) -> None:
        await peer.request()
        await peer.send(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
            + self.coding
            + b"\r\n"
        )
        for at in range(0, len(self.stream), self.size):
            piece = self.stream[at : at + self.size]
            await peer.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        if self.clean:
            await peer.send(b"0\r\n\r\n")
        peer.close()


@pytest.fixture(scope="module")
def cutting() -> Cutting:
    return Cutting()


@pytest.fixture(scope="module")
async def scene(cutting: Cutting, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with played(cutting) as server, before(server.url, tmp_path_factory.mktemp("data")) as scene:
        yield scene


def places(size: int, number: int) -> Sequence[int]:
    """About so many places, spread over all of it, the last ones all."""
    return sorted({*range(1, size, max(1, size // number)), *range(max(1, size - 4), size)})


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_stream_cut_off_anywhere_has_no_clean_end_for_a_client(
    scene: Scene, cutting: Cutting, coding: bytes | None
) -> None:
    plain = content("anthropic-stream-tool-use.sse")
    stream = CODINGS[coding](plain)
    cutting.coding = b"content-encoding: %s\r\n" % coding if coding else b""
    for clean in (True, False):
        for at in places(len(stream), 8):
            cutting.stream, cutting.clean, cutting.size = stream[:at], clean, 1 + at % 400
            async with Client.to(scene.port) as client:
                await client.send(scene.post(b"{}"))
                reply = await client.reply()
            if known(Dialect.MESSAGES, coding, stream[:at])[1]:
                continue  # the end was told: what is missing is an empty line or a checksum
            assert reply.status >= 500 or not reply.whole, (at, clean)
            assert reply.status >= 500 or stream.startswith(reply.body) or b"event: error" in reply.body


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_whole_stream_arrives_byte_for_byte_in_pieces_of_any_size(
    scene: Scene, cutting: Cutting, coding: bytes | None
) -> None:
    stream = CODINGS[coding](content("anthropic-stream-tool-use.sse"))
    cutting.coding = b"content-encoding: %s\r\n" % coding if coding else b""
    cutting.stream, cutting.clean = stream, True
    for cutting.size in (1, 2, 7, 64, 1 << 20):
        reply = await scene.ask(scene.post(b"{}"))
        assert (reply.status, reply.body, reply.whole) == (200, stream, True)
