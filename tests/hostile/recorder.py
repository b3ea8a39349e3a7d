"""A provider that trusts nothing: it takes bytes apart by its own strict reading and keeps what does not fit it."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.raw import answer

ANSWER = answer(
    b'{"type":"message","content":[],"usage":{"input_tokens":1,"output_tokens":1}}', b"content-type: application/json"
)
_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ([\t\x20-\x7e\x80-\xff]*)")
_START = re.compile(rb"([A-Z-]+) (/[\x21-\x7e]*) HTTP/1\.1")


class TwoReadings(Exception):
    """What came is not one plain HTTP/1.1 request after the other."""


@dataclass(frozen=True)
class Arrived:
    """One request as this server read it."""

    method: bytes
    target: bytes
    lines: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.lines if key.lower() == name]


@dataclass
class Recorder:
    """What arrived, over all connections. `wrong` is what could not be read in exactly one way."""

    port: int = 0
    arrived: list[Arrived] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    answer: bytes = ANSWER

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await _head(reader):
                self.arrived.append(await _whole(head, reader))
                writer.write(self.answer)
                await writer.drain()
        except TwoReadings as exc:
            self.wrong.append(str(exc))
        except ConnectionError:
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


@asynccontextmanager
async def recording() -> AsyncIterator[Recorder]:
    """Run one until the block ends."""
    recorder = Recorder()
    server = await asyncio.start_server(recorder._serve, "127.0.0.1", 0, limit=1 << 20, backlog=1024)
    recorder.port = server.sockets[0].getsockname()[1]
    try:
        yield recorder
    finally:
        server.close()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as exc:
        if exc.partial:
            raise TwoReadings(f"half a head: {exc.partial!r}") from exc
        return b""


async def _whole(head: bytes, reader: asyncio.StreamReader) -> Arrived:
    first, *rest = head[:-4].split(b"\r\n")
    start = _START.fullmatch(first)
    lines = [_LINE.fullmatch(line) for line in rest]
    if start is None or not all(lines):
        raise TwoReadings(f"not a plain head: {head!r}")
    arrived = Arrived(start[1], start[2], tuple((line[1], line[2]) for line in lines if line), b"")
    lengths = arrived.values(b"content-length")
    if len(arrived.values(b"host")) != 1 or len(lengths) > 1 or not all(map(bytes.isdigit, lengths)):
        raise TwoReadings(f"host or length is not one: {head!r}")
    if any(map(arrived.values, (b"transfer-encoding", b"connection", b"te", b"trailer", b"upgrade"))):
        raise TwoReadings(f"hop-by-hop lines went on: {head!r}")
    size = int(lengths[0]) if lengths else 0
    try:
        body = await reader.readexactly(size)
    except asyncio.IncompleteReadError as exc:
        raise TwoReadings(f"a body of {size} bytes came short: {exc.partial!r}") from exc
    return Arrived(arrived.method, arrived.target, arrived.lines, body)
