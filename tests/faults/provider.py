"""The provider of a scenario, played on raw sockets: an API, a token endpoint, and a place where nobody should come.

It keeps the ledger of logins: which refresh token is the newest of each account. An old one is refused.
"""

import asyncio
import json
import re
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from core.model import ApiKey, Credential, OAuthTokens
from tests.faults import wire
from tests.faults.record import Attempt
from tests.faults.script import Act, End, Grant, Line, Mark, Pause, Reads, Say, Tell, Turn, When, turn
from tests.raw import reset

HOURS_8 = 28_800.0
_KEY = "Key"
_SECRET = re.compile(rb"sk-ant-(?:oat01|ort01|api03)-([A-Za-z]+)-(\d+)")
_REQUEST = re.compile(rb"[?&]request=(\d+)")
_STREAMS = re.compile(rb'"stream": ?true')
_TLS = frozenset({Line.MUTE_TLS, Line.NO_TLS, Line.DROPPED_TLS, Line.FALSE_TLS})
_FILLING = 4
"""Connections that fill the queue of a listener that takes none."""


def is_key(account: str) -> bool:
    """Whether an account of this label pays with a key."""
    return account.startswith(_KEY)


def credential(account: str, number: int, expires_at: float) -> Credential:
    """The `number`th credential of an account. It may not read its quota, so that nobody asks for it in between."""
    if is_key(account):
        return ApiKey(f"sk-ant-api03-{account}-{number}")
    access, refresh = f"sk-ant-oat01-{account}-{number}", f"sk-ant-ort01-{account}-{number}"
    return OAuthTokens(access, refresh, expires_at, ("user:inference",))


def owner_in(received: bytes) -> str:
    """Whose credential stands in a request; empty for nobody's."""
    head = received.partition(b"\r\n\r\n")[0]
    found = _SECRET.search(head)
    return found[1].decode() if found else ""


class Ledger:
    """The newest login of each account."""

    def __init__(self) -> None:
        self.newest: dict[str, int] = {}

    def exchange(self, body: bytes) -> bytes:
        """Judge a refresh token, and say so; a good one is used up."""
        found = _SECRET.search(body)
        if found is None or self.newest.get(account := found[1].decode()) != int(found[2]):
            return wire.INVALID_GRANT
        self.newest[account] += 1
        new = credential(account, self.newest[account], 0)
        assert isinstance(new, OAuthTokens)
        grant = {
            "access_token": new.access,
            "refresh_token": new.refresh,
            "expires_in": HOURS_8,
            "scope": "user:inference",
        }
        return wire.said(200, json.dumps(grant).encode())


class _Connection:
    """One connection, with what came on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.came = bytearray()
        self.closed = False
        self._reader = reader
        self._news = asyncio.Event()
        self._taking = asyncio.create_task(self._take())

    async def _take(self) -> None:
        with suppress(ConnectionError, ssl.SSLError):
            while data := await self._reader.read(65_536):
                self.came += data
                self._news.set()
        self.closed = True
        self._news.set()

    async def until(self, enough: Callable[[], bool]) -> bool:
        """Wait until `enough` has come. False when the other side closes before."""
        while not enough():
            if self.closed:
                return False
            self._news.clear()
            await self._news.wait()
        return True

    async def say(self, data: bytes) -> None:
        """Send. Does not return when the other side closes before it has taken enough."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except ConnectionError:
            await asyncio.Event().wait()

    async def end(self, *, abruptly: bool = False) -> None:
        self._taking.cancel()
        if abruptly:
            reset(self.writer)
        self.writer.close()
        with suppress(OSError, ssl.SSLError):
            await self.writer.wait_closed()


class Server:
    """One address of the provider, and the turns it has yet to play."""

    def __init__(self, name: str, turns: Iterable[Turn], serves: Callable[[bytes], bytes], line: Line) -> None:
        self.name = name
        self.turns = deque(turns)
        self.line = line
        self.arrived = 0
        self.left = 0
        self.note: Callable[[Attempt], None] = lambda _: None
        self.wait: Callable[[When], Awaitable[None]]
        self.mark: Callable[[str], None]
        self.elsewhere = ""
        self.ledger = Ledger()
        self.tls: ssl.SSLContext | None = None
        self._serves = serves
        self._socket = _bound(0)
        self.port: int = self._socket.getsockname()[1]
        self._fillers: list[socket.socket] = []
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        scheme = "https" if self.line in _TLS else "http"
        host = "127.0.0.1"
        if self.line is Line.NAMELESS:
            scheme, host = "https", "provider.invalid"
        return f"{scheme}://{host}:{self.port}"

    async def connects(self, line: Line) -> None:
        """What becomes of connections from now on; those that are open stay."""
        self.line = line
        if self._server:
            self._server.close()
            self._server = None
            self._socket = _bound(self.port)
        if line in {Line.REFUSED, Line.NAMELESS}:
            return
        if line is Line.DEAF:
            self._socket.listen(0)
            for _ in range(_FILLING):
                filler = socket.socket()
                filler.setblocking(False)
                with suppress(BlockingIOError):
                    filler.connect(("127.0.0.1", self.port))
                self._fillers.append(filler)
            return
        tls = self.tls if line is Line.FALSE_TLS else None
        self._server = await asyncio.start_server(self._accept, sock=self._socket, ssl=tls, backlog=128)

    async def close(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server:
            self._server.close()
        for filler in self._fillers:
            filler.close()
        self._socket.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(_Connection(reader, writer)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: _Connection) -> None:
        with suppress(OSError):  # Tidegate has left, and taken the socket along
            await self._speak(connection)

    async def _speak(self, connection: _Connection) -> None:
        if self.line is Line.DROPPED_TLS:
            await connection.until(lambda: bool(connection.came))
            await connection.end(abruptly=True)
            return
        try:
            if self.line is Line.MUTE_TLS:
                await connection.until(lambda: False)
            elif self.line is Line.NO_TLS:
                await connection.until(lambda: bool(connection.came))
                await connection.say(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
                await connection.until(lambda: False)
            else:
                while await self._turn(connection):
                    pass
        finally:
            await connection.end()

    def _next(self) -> Turn | None:
        return self.turns.popleft() if self.turns else None

    async def _turn(self, connection: _Connection) -> bool:
        """One turn. False when the connection is at its end."""
        came = connection.came
        ahead = self.turns[0] if self.turns else None
        received, whole = b"", False
        if ahead and ahead.reads is Reads.NOTHING:
            script = self._next()
        else:
            if not await connection.until(lambda: b"\r\n\r\n" in came):
                if came:
                    self._note(bytes(came), b"", whole=False, began_at=_now(), left_at=_now())
                return False
            script = self._next()
            size = _size(came)
            if script is None or script.reads is Reads.ALL:
                whole = await connection.until(lambda: len(came) >= size)
                received = bytes(came[:size])
                del came[:size]
            else:
                received = bytes(came[: came.index(b"\r\n\r\n") + 4])
        began_at = _now()
        if script is None:
            script = turn(Say(self._serves(received)) if self.name != "tokens" else Grant())
        self.arrived += 1
        playing = _Playing(self, connection, received)
        left_at: float | None = None
        try:
            left_at = await playing.all(script.acts)
        finally:
            if left_at is not None:
                self.left += 1
            said = bytes(playing.said)
            self._note(received, said, whole=whole, began_at=began_at, left_at=left_at, ended=playing.ended)
        return playing.goes_on and not connection.closed

    def _note(
        self, received: bytes, said: bytes, *, whole: bool, began_at: float, left_at: float | None, ended: bool = False
    ) -> None:
        found = _REQUEST.search(received.partition(b"\r\n")[0])
        owner = owner_in(received)
        if self.name == "tokens" and (secret := _SECRET.search(received)):
            owner = secret[1].decode()
        self.note(
            Attempt(
                at=began_at,
                server=self.name,
                request=int(found[1]) if found else 0,
                account=owner,
                received=received,
                whole=whole,
                said=said,
                ended=ended,
                over_at=_now(),
                left_at=left_at,
            )
        )


class _Playing:
    """One turn on one connection."""

    def __init__(self, server: Server, connection: _Connection, received: bytes) -> None:
        self._server = server
        self._connection = connection
        self._received = received
        self._kept = b""
        self.said = bytearray()
        self.ended = False
        self.goes_on = True

    async def all(self, acts: Iterable[Act]) -> float | None:
        """Play. Returns when Tidegate closed, if it did so before the end."""
        for act in acts:
            doing = asyncio.ensure_future(self._do(act))
            gone = asyncio.ensure_future(self._connection.until(lambda: False))
            try:
                await asyncio.wait({doing, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not doing.done():
                    self.goes_on = False
                    return _now()
                doing.result()
            finally:
                for task in (doing, gone):
                    task.cancel()
                await asyncio.gather(doing, gone, return_exceptions=True)
        return None

    async def _do(self, act: Act) -> None:
        match act:
            case Say(by=by):
                data = act.data.replace(b"{elsewhere}", self._server.elsewhere.encode())
                for at in range(0, len(data), by or len(data) or 1):
                    piece = data[at : at + by] if by else data
                    await self._connection.say(piece)
                    self.said += piece
                    await asyncio.sleep(0)
            case Grant(answer=answer):
                self._kept = self._server.ledger.exchange(self._received)
                if answer:
                    await self._do(Tell())
            case Tell():
                await self._connection.say(self._kept)
                self.said += self._kept
            case Mark(name=name):
                self._server.mark(name)
            case Pause(seconds=seconds):
                await asyncio.sleep(seconds)
            case When():
                await self._server.wait(act)
            case End.WAIT:
                await self._connection.until(lambda: False)
                await asyncio.Event().wait()  # `all` sees that the connection is closed
            case End.CLOSE:
                self.ended, self.goes_on = True, False
                await self._connection.end()
            case End.RESET:
                self.goes_on = False
                await self._connection.end(abruptly=True)


def _bound(port: int) -> socket.socket:
    """A socket that keeps a port and does not listen: who connects is refused."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    return made


def _size(came: bytes | bytearray) -> int:
    head, _, _ = bytes(came).partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return len(head) + 4 + (int(length[1]) if length else 0)


def _now() -> float:
    return asyncio.get_running_loop().time()


def serves_well(received: bytes) -> bytes:
    """The good answer to a request for a message."""
    return wire.streamed() if _STREAMS.search(received) else wire.MESSAGE
