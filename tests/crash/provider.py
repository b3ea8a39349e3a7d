"""The provider of a storm: the simulated one, with a token endpoint that takes its time and keeps a ledger.

A network that takes no time would hide the very moments a storm is after. So a token request spends some milliseconds
on its way in and on its way out, and goes on when its sender is dead, as a real one would.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from core.simulator import SimulatedAccount, SimulatedProvider
from core.simulator.answers import Answer
from tests.crash.record import AnyEvent, Issued, Presented, Token

ACCESS_LIFE_S = 1.5
QUIET_WITHIN_S = 5.0
ARRIVED, ROTATED, ANSWERED = "request arrived", "rotated, not answered", "answered"
STEPS = (ARRIVED, ROTATED, ANSWERED)
"""What a renewal goes through on the provider's side."""


@dataclass
class Trap:
    """Springs at the `countdown`th time that a renewal comes to `step`."""

    step: str
    countdown: int
    spring: Callable[[], None]


@dataclass
class StormProvider:
    """Accounts to sign in to, and the truth about their tokens."""

    sim: SimulatedProvider
    chance: random.Random
    record: list[AnyEvent]
    latency_s: float
    """The longest way in, and the longest way out."""
    run: int = 0
    """The process that sends now: which one sent a token is part of the truth."""
    renewed: set[str] = field(default_factory=set)
    """The accounts whose login it has renewed."""
    turned_away: set[str] = field(default_factory=set)
    """The accounts whose login it found to have ended."""
    token_url: str = ""
    trap: Trap | None = None
    _tokens: dict[str, tuple[str, Token]] = field(default_factory=dict)
    _logins: int = 0
    _open: int = 0

    def add(self, label: str, access_life_s: float = ACCESS_LIFE_S) -> SimulatedAccount:
        """An account that can be signed in to."""
        return self.sim.add_login(label, access_lifetime_s=access_life_s)

    def environment(self) -> dict[str, str]:
        """What points Tidegate here."""
        ends = self.sim.endpoints()
        return {
            "TIDEGATE_ANTHROPIC_API_URL": ends.anthropic_api_url,
            "TIDEGATE_ANTHROPIC_AUTHORIZE_URL": ends.anthropic_authorize_url,
            "TIDEGATE_ANTHROPIC_CONSOLE_AUTHORIZE_URL": ends.anthropic_console_authorize_url,
            "TIDEGATE_ANTHROPIC_TOKEN_URL": self.token_url,
            "TIDEGATE_OPENCODE_GO_URL": ends.opencode_go_url,
        }

    def token(self, refresh: str) -> Token | None:
        """Which token this is; None for one that was never issued."""
        return self._tokens.get(refresh, (None, None))[1]

    def would_renew(self, token: Token | None) -> bool:
        """This token is the newest one of a living sign-in."""
        found = next((r for r, (_, known) in reversed(self._tokens.items()) if known == token), "")
        _, lineage = self.sim._service.authority._lineages.get(found, (None, None))
        return lineage is not None and not lineage.revoked and lineage.refresh == found

    def next_run(self) -> int:
        """Another process begins."""
        self.run, self.renewed, self.turned_away = self.run + 1, set(), set()
        return self.run

    @property
    def busy(self) -> bool:
        """A token request is under way."""
        return self._open > 0

    async def quiet(self) -> None:
        """Wait until no token request is under way. A dead process's last one may still be in the listener's queue."""
        async with asyncio.timeout(QUIET_WITHIN_S):
            while True:
                await asyncio.sleep(0.01)
                if not self._open:
                    return

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One token request. Its sender may be killed at any time; what was delivered whole is carried out."""
        self._open += 1
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            body: dict[str, Any] = json.loads(await reader.readexactly(int(length.split(b":")[1])))
            answer = await self._answer(body)
            writer.write(_http(answer))
            await writer.drain()
            self._reached(ANSWERED, body)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # that is what the storm is for
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, body: dict[str, Any]) -> Answer:
        self._reached(ARRIVED, body)
        await asyncio.sleep(self.chance.uniform(0, self.latency_s))
        answer = self.sim._service.authority.token(body)
        self._write_down(body.get("refresh_token"), answer)
        self._reached(ROTATED, body)
        await asyncio.sleep(self.chance.uniform(0, self.latency_s))
        return answer

    def _write_down(self, sent: str | None, answer: Answer) -> None:
        granted = answer.status == 200
        account, before = self._tokens.get(sent or "", ("", None))
        if before is not None:
            self.record.append(Presented(self.run, account, before, granted))
            (self.renewed if granted else self.turned_away).add(account)
        if granted:
            said = msgspec.json.decode(answer.body, type=dict[str, Any])
            owner = next(a for a in self.sim.accounts if a.account_uuid == said["account"]["uuid"])
            if before is None:
                self._logins += 1
            token = Token(before.login, before.number + 1) if before else Token(self._logins, 0)
            self._tokens[said["refresh_token"]] = (owner.label, token)
            self.record.append(Issued(self.run, owner.label, token))

    def _reached(self, step: str, body: dict[str, Any]) -> None:
        if self.trap is None or self.trap.step != step or "refresh_token" not in body:
            return
        self.trap.countdown -= 1
        if self.trap.countdown == 0:
            trap, self.trap = self.trap, None
            trap.spring()


def _http(answer: Answer) -> bytes:
    headers = [*answer.headers, ("content-length", str(len(answer.body))), ("connection", "close")]
    lines = [f"HTTP/1.1 {int(answer.status)} Answer", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + answer.body


@asynccontextmanager
async def storm_provider(chance: random.Random, latency_s: float = 0.03) -> AsyncIterator[StormProvider]:
    """Serve until the block ends."""
    async with SimulatedProvider.running() as sim:
        provider = StormProvider(sim, chance, [], latency_s)
        server = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
        provider.token_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/oauth/token"
        try:
            yield provider
        finally:
            server.close()
            await server.wait_closed()
