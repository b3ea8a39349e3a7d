"""A token endpoint on loopback that rotates refresh tokens and can be stopped at every step.

A refresh token works once; sending an old one again ends the whole login, as the strictest provider would do.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from core.model import Endpoints, OAuthTokens

HOUR_S = 3_600


@dataclass(frozen=True)
class Say:
    """One scripted answer; nothing is rotated."""

    status: int
    body: bytes | dict[str, object] = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Hang:
    """Close the connection without an answer, before or after the refresh token was rotated."""

    rotated: bool


@dataclass
class TokenServer:
    """What it received and issued, and what it does next."""

    now: float
    url: str = ""
    life_s: float = 8 * HOUR_S
    date: str | None = None
    """What answers say the time is; None: they do not say."""
    script: deque[Say | Hang] = field(default_factory=deque)
    received: list[dict[str, Any]] = field(default_factory=list)
    rejected: int = 0
    number: int = 0
    revoked: bool = False
    before: asyncio.Event = field(default_factory=asyncio.Event)
    """Clear it to hold requests before anything is rotated."""
    after: asyncio.Event = field(default_factory=asyncio.Event)
    """Clear it to hold answers after the rotation."""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    rotated: asyncio.Event = field(default_factory=asyncio.Event)

    def newest(self) -> OAuthTokens:
        """The login as it is now."""
        return OAuthTokens(f"access-{self.number}", f"refresh-{self.number}", self.now + self.life_s)

    def sent(self) -> list[str]:
        """The refresh tokens that arrived, in order."""
        return [body["refresh_token"] for body in self.received]

    def endpoints(self) -> Endpoints:
        return Endpoints(anthropic_token_url=self.url)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            self.received.append(json.loads(await reader.readexactly(int(length.split(b":")[1]))))
            self.arrived.set()
            await self.before.wait()
            if answer := await self._answer(self.received[-1].get("refresh_token")):
                dated = (("date", self.date),) if self.date else ()
                writer.write(_http(replace(answer, headers=(*answer.headers, *dated))))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client was killed: that is a test
        finally:
            writer.close()

    async def _answer(self, refresh: str | None) -> Say | None:
        step = self.script.popleft() if self.script else None
        if isinstance(step, Say):
            return step
        if isinstance(step, Hang) and not step.rotated:
            return None
        if self.revoked or refresh != f"refresh-{self.number}":
            self.revoked = True
            self.rejected += 1
            return Say(400, {"error": "invalid_grant", "error_description": "Refresh token not found or invalid"})
        self.number += 1
        self.rotated.set()
        await self.after.wait()
        if isinstance(step, Hang):
            return None
        tokens = self.newest()
        return Say(200, {"access_token": tokens.access, "refresh_token": tokens.refresh, "expires_in": self.life_s})


def _http(answer: Say) -> bytes:
    body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
    headers = [*answer.headers, ("content-length", str(len(body))), ("connection", "close")]
    lines = [f"HTTP/1.1 {answer.status} Said", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def token_server(now: float = 1_800_000_000.0) -> AsyncIterator[TokenServer]:
    """Serve until the block ends."""
    state = TokenServer(now)
    state.before.set()
    state.after.set()
    server = await asyncio.start_server(state.serve, "127.0.0.1", 0)
    state.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/oauth/token"
    try:
        yield state
    finally:
        state.before.set()
        state.after.set()
        server.close()
        await server.wait_closed()
