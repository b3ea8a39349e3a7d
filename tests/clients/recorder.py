"""What a client sends, seen between it and Tidegate, to hold against what arrives at the provider."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from core.simulator import Received

Lines = tuple[tuple[bytes, bytes], ...]

OAUTH_BETA = "oauth-2025-04-20"
CREDENTIALS = frozenset({b"authorization", b"x-api-key"})
_SWAPPED = CREDENTIALS | {b"anthropic-beta"}
_OF_ONE_CONNECTION = frozenset({b"host", b"connection", b"content-length"})
_READ_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Sent:
    """One request as a client sent it."""

    method: str
    target: str
    headers: Lines = field(repr=False)
    body: bytes = field(repr=False)

    def header(self, name: bytes) -> str:
        """One header's value."""
        return dict(_lower(self.headers)).get(name, b"").decode()


@dataclass(slots=True)
class Recorder:
    """Hands every request on to Tidegate: the same bytes, but for the port in `Host`, which Tidegate insists on."""

    tidegate: str
    address: str = ""
    sent: list[Sent] = field(default_factory=list)

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side closes it."""
        back_reader, back_writer = await asyncio.open_connection("127.0.0.1", int(self.tidegate.rpartition(":")[2]))
        answers = asyncio.create_task(_pour(back_reader, writer))
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                request_line, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
                headers = tuple((name, value) for name, _, value in (line.partition(b": ") for line in lines))
                body = await reader.readexactly(int(dict(_lower(headers)).get(b"content-length", b"0")))
                method, target, _ = request_line.decode().split(" ")
                self.sent.append(Sent(method, target, headers, body))
                back_writer.write(head.replace(_host(self.address), _host(self.tidegate)) + body)
        except asyncio.IncompleteReadError:  # the connection is over
            pass
        finally:
            back_writer.close()
            await answers


@asynccontextmanager
async def recording(tidegate: str) -> AsyncIterator[Recorder]:
    """Stand in front of the Tidegate at this address."""
    recorder = Recorder(tidegate)
    async with await asyncio.start_server(recorder.pass_on, "127.0.0.1", 0) as server:
        recorder.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield recorder


def assert_forwarded_as_made(sent: Sent, received: Received, *, oauth: bool) -> None:
    """Only the credential differs; for a login the one beta that the protocol needs stands behind the client's."""
    assert (received.method, received.target) == (sent.method, sent.target)
    assert received.body == sent.body
    assert _kept(received.headers) == _kept(sent.headers)
    betas = [beta for beta in (sent.header(b"anthropic-beta"), OAUTH_BETA if oauth else "") if beta]
    assert received.header("anthropic-beta") == ",".join(betas)


def credentials(received: Received) -> Lines:
    """Every header line with a credential."""
    return tuple((name, value) for name, value in _lower(received.headers) if name in CREDENTIALS)


def _kept(headers: Lines) -> Lines:
    """The lines that must go on as they came: in their order, with their spelling."""
    return tuple(line for line in headers if line[0].lower() not in _SWAPPED | _OF_ONE_CONNECTION)


def _lower(headers: Lines) -> Lines:
    return tuple((name.lower(), value) for name, value in headers)


def _host(address: str) -> bytes:
    return address.removeprefix("http://").encode()


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_READ_BYTES):
        writer.write(piece)
        await writer.drain()
    writer.close()
