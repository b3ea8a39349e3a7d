"""The least that a forwarding proxy on asyncio and llhttp can cost: what nothing built on them can be faster than.

It puts one key into each head, keeps its connections to the provider and frames bodies anew. It chooses nothing,
judges nothing, remembers nothing, checks nothing and bounds nothing: a yardstick, and no proxy for anybody.
"""

import asyncio
import gc
import sys
from functools import partial

import httptools

REPLACED = frozenset({b"host", b"content-length", b"connection", b"transfer-encoding", b"x-api-key"})


class Connection(asyncio.Protocol):
    """To either side."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport


class Client(Connection):
    """A connection from a client."""

    def __init__(self, provider: "Provider") -> None:
        self._provider = provider
        self._parser = httptools.HttpRequestParser(self)
        self._link: Link | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._link:
            self._link.transport.abort()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._target, self._lines, self._body = b"", [b"host: provider\r\n"], [b""]

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() not in REPLACED:
            self._lines.append(name + b": " + value + b"\r\n")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        body = b"".join(self._body)
        method, lines = self._parser.get_method(), b"".join(self._lines)
        head = b"%s %s HTTP/1.1\r\n%s%scontent-length: %d\r\n\r\n" % (
            method, self._target, lines, self._provider.key, len(body)
        )  # fmt: skip
        self._link = link = self._provider.link()
        link.send(self, head + body)

    def answered(self) -> None:
        """The answer is whole."""
        self._link = None


class Link(Connection):
    """A connection to the provider."""

    def __init__(self, provider: "Provider") -> None:
        self._provider = provider
        self._parser = httptools.HttpResponseParser(self)
        self._client: Client | None = None
        self._unsent = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._unsent:
            self.transport.write(self._unsent)

    def send(self, client: Client, request: bytes) -> None:
        """One request, now or when the connection is there."""
        self._client, self._whole = client, False
        if hasattr(self, "transport"):
            self.transport.write(request)
        else:
            self._unsent = request

    def data_received(self, data: bytes) -> None:
        self._out: list[bytes] = []
        self._parser.feed_data(data)
        client = self._client
        if client is None:
            return
        client.transport.write(b"".join(self._out))
        if self._whole:
            self._client = None
            self._provider.idle.append(self)
            client.answered()

    def on_message_begin(self) -> None:
        self._lines: list[bytes] = []
        self._chunked = True

    def on_header(self, name: bytes, value: bytes) -> None:
        lower = name.lower()
        if lower == b"content-length":
            self._chunked = False
            self._lines.append(b"content-length: %s\r\n" % value)
        elif lower not in REPLACED:
            self._lines.append(name + b": " + value + b"\r\n")

    def on_headers_complete(self) -> None:
        framing = b"transfer-encoding: chunked\r\n" if self._chunked else b""
        lines = b"".join(self._lines)
        self._out.append(b"HTTP/1.1 %d OK\r\n%s%s\r\n" % (self._parser.get_status_code(), lines, framing))

    def on_body(self, body: bytes) -> None:
        self._out.append(b"%x\r\n%s\r\n" % (len(body), body) if self._chunked else body)

    def on_message_complete(self) -> None:
        self._whole = True
        if self._chunked:
            self._out.append(b"0\r\n\r\n")


class Provider:
    """The one provider, its key, and the connections to it that are free."""

    def __init__(self, port: int, key: str) -> None:
        self.key = b"x-api-key: %s\r\n" % key.encode()
        self.idle: list[Link] = []
        self._port = port
        self._connecting: set[asyncio.Task[object]] = set()

    def link(self) -> Link:
        """A connection that is free, or one that is being made."""
        if self.idle:
            return self.idle.pop()
        link = Link(self)
        loop = asyncio.get_running_loop()
        task: asyncio.Task[object] = loop.create_task(loop.create_connection(lambda: link, "127.0.0.1", self._port))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        return link


async def main(port: int, upstream: int, key: str) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(
        partial(Client, Provider(upstream, key)), "127.0.0.1", port, backlog=2048
    )
    gc.freeze()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
