"""One buffer for many connections: nothing of one comes to another, and every end is seen."""

import asyncio
from functools import partial

import pytest

from core.reading import READ_BYTES, Reader, read_buffer

pytestmark = pytest.mark.anyio


class Collecting(Reader):
    """Keeps what it has read, and says when it was the end."""

    def __init__(self, buffer: memoryview, all_: "list[Collecting]") -> None:
        super().__init__(buffer)
        self.got = b""
        self.ended = asyncio.Event()
        all_.append(self)

    def data_received(self, data: bytes | memoryview) -> None:
        self.got += data

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.ended.set()


async def test_connections_that_share_a_buffer_each_get_their_own_bytes() -> None:
    served: list[Collecting] = []
    server = await asyncio.get_running_loop().create_server(partial(Collecting, read_buffer(), served), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sent = [bytes([number]) * (READ_BYTES + number) for number in range(1, 9)]

    async def send(text: bytes) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        for start in range(0, len(text), 50_000):
            writer.write(text[start : start + 50_000])
            await writer.drain()
        writer.close()

    async with server, asyncio.timeout(20):
        await asyncio.gather(*map(send, sent))
        for connection in served:
            await connection.ended.wait()

    assert sorted(connection.got for connection in served) == sent
