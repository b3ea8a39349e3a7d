"""The programs that use Tidegate in a soak: agents of several kinds, impatient ones, slow ones, and open status pages.

Each is a coroutine that never ends by itself. What it sees goes into the ledger.
"""

import asyncio
import json
import random
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx

from core.errors import TidegateError
from core.simulator import SimulatedProvider
from tests.crash.program import Process
from tests.fakes import ASK, VERSION
from tests.raw import Client
from tests.soak.answers import Dialect, Verdict, judged
from tests.soak.ledger import Ledger
from tests.soak.weather import no_slowness

UNANSWERED_S = 75.0
"""Two holds of 20 s, three attempts and every stall of the weather fit in; what takes longer was forgotten."""
SESSIONS = 40
LONG_PIECES = 40_000
"""Four megabytes: more than the kernel takes for a client that does not read."""
BEGUN_S = 0.5
"""By then the provider has begun with it."""
SMALL_BUFFER = 4_096
TOOL = {"name": "get_weather", "description": "The weather in a city.", "input_schema": {"type": "object"}}
_FEW = 30
"""Tokens that everybody but the slow reader asks for: one piece of the answer each."""
_ASK = {**ASK, "max_tokens": _FEW}
_GO_CHAT = {"model": "glm-5.3", "messages": ASK["messages"], "max_tokens": _FEW, "stream": True}
_GO_RESPONSES = {"model": "grok-4.7", "input": "hello", "max_output_tokens": _FEW, "stream": True}


@dataclass(frozen=True)
class Kind:
    """One sort of request."""

    path: str
    body: Mapping[str, Any]
    dialect: Dialect


KINDS = {
    "stream": Kind("/v1/messages", {**_ASK, "stream": True}, "messages"),
    "json": Kind("/v1/messages", _ASK, "json"),
    "tool call": Kind(
        "/v1/messages",
        {
            **_ASK,
            "stream": True,
            "tools": [TOOL],
            "messages": [{"role": "user", "content": "use the tool get_weather"}],
        },
        "messages",
    ),
    "go messages": Kind("/zen/go/v1/messages", {**_ASK, "model": "glm-5.3", "stream": True}, "messages"),
    "go chat": Kind("/zen/go/v1/chat/completions", _GO_CHAT, "chat"),
    "go responses": Kind("/zen/go/v1/responses", _GO_RESPONSES, "responses"),
}


@dataclass(frozen=True)
class Town:
    """Where the clients live."""

    process: Process
    sim: SimulatedProvider
    keys: tuple[str, ...]
    """Of programs that are connected; each has its own."""
    ledger: Ledger
    chance: random.Random

    @property
    def port(self) -> int:
        return int(self.process.address.rpartition(":")[2])

    async def pause(self, up_to_s: float) -> None:
        """A person reads, a tool runs."""
        await asyncio.sleep(self.chance.uniform(up_to_s / 4, up_to_s))

    def request(self, kind: Kind) -> bytes:
        """One request on the wire, of some session of some program."""
        chance = self.chance
        body = json.dumps(kind.body).encode()
        head = {
            "host": f"127.0.0.1:{self.port}",
            "authorization": f"Bearer {chance.choice(self.keys)}",
            **VERSION,
            "user-agent": f"agent/{chance.randint(1, 3)}",
            "content-type": "application/json",
            "content-length": str(len(body)),
        }
        if kind.path.startswith("/zen/"):  # OpenCode Go answers nobody without
            head["x-opencode-session"] = f"session-{chance.randrange(SESSIONS)}"
        elif chance.random() < 0.7:
            head["x-claude-code-session-id"] = f"session-{chance.randrange(SESSIONS)}"
        if chance.random() < 0.3:
            head["accept-encoding"] = "gzip"
        return f"POST {kind.path} HTTP/1.1\r\n{_lines(head)}\r\n".encode() + body

    async def connected(self, buffer: int = 0) -> Client:
        """A new connection, with a receive buffer of its own size if wanted."""
        sock = socket.socket()
        if buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
            return Client(*await asyncio.open_connection(sock=sock))
        except BaseException:
            sock.close()
            raise


def _lines(head: Mapping[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in head.items())


async def agent(town: Town, name: str) -> None:
    """Ask again and again, several times on one connection."""
    kind = KINDS[name]
    while True:
        client = await town.connected()
        try:
            for _ in range(town.chance.randint(1, 6)):
                if not await _asked(town, client, name, kind):
                    break
                await town.pause(1.2)
        finally:
            await client.leave()


async def _asked(town: Town, client: Client, name: str, kind: Kind) -> bool:
    """One request on an open connection. Returns whether the next one may go on it."""
    await client.send(town.request(kind))
    try:
        reply = await client.reply(within_s=UNANSWERED_S)
    except (EOFError, TimeoutError) as exc:
        town.ledger.ended(name, Verdict("fault", f"unanswered: {exc!r}"))
        return False
    verdict = judged(kind.dialect, reply)
    town.ledger.ended(name, verdict)
    return reply.whole and reply.headers.get("connection") != "close"


async def impatient(town: Town) -> None:
    """Ask, and reset the connection at any moment."""
    while True:
        name = town.chance.choice(list(KINDS))
        client = await town.connected()
        try:
            await client.send(town.request(KINDS[name]))
            await town.pause(1.5)
        finally:
            client.reset()
        town.ledger.ends[name, "left"] += 1
        await town.pause(0.8)


async def slow_reader(town: Town) -> None:
    """Take a long answer in small helpings, through a small buffer."""
    kind = Kind("/v1/messages", {**KINDS["stream"].body, "max_tokens": LONG_PIECES}, "messages")
    while True:
        client = await town.connected(SMALL_BUFFER)
        usual = town.sim.pieces, town.sim.gap_s
        no_slowness(town.sim)
        # For the requests of this moment; others ask for fewer tokens, so that theirs become no longer.
        town.sim.pieces, town.sim.gap_s = LONG_PIECES, 0.0
        asking = asyncio.create_task(_asked(town, client, "slow reader", kind))
        sipping = asyncio.create_task(_sip(town, client))
        try:
            await asyncio.sleep(BEGUN_S)
            town.sim.pieces, town.sim.gap_s = usual
            await asking
        finally:
            town.sim.pieces, town.sim.gap_s = usual
            for task in (asking, sipping):
                task.cancel()
            await asyncio.gather(asking, sipping, return_exceptions=True)
            await client.leave()
        await town.pause(20)


async def _sip(town: Town, client: Client) -> None:
    while True:
        client.stop_reading()
        await town.pause(0.05)
        client.read_on()
        await asyncio.sleep(0.01)


async def onlooker(town: Town, path: str) -> None:
    """Follow the pictures for a while, as a status page or the command line does, then leave in the middle."""
    control = town.process._control
    assert control
    while True:
        with suppress(httpx.RemoteProtocolError, TimeoutError):
            async with asyncio.timeout(town.chance.uniform(2, 20)), control.stream("GET", path) as answer:
                if answer.status_code != 200:
                    town.ledger.fault(f"{path}: status {answer.status_code}")
                async for _ in answer.aiter_lines():
                    town.ledger.orders["lines of pictures"] += 1
        await town.pause(2)


Order = tuple[str, Mapping[str, object]]


def orders(labels: tuple[str, ...], chance: random.Random) -> tuple[Order, ...]:
    """What a person and the tray may want next."""
    label = chance.choice(labels)
    return (
        ("snapshot", {}),
        ("explain", {}),
        ("history", {}),
        ("requests", {}),
        ("usage", {}),
        ("quota", {}),
        ("log", {}),
        ("info", {"account": label}),
        ("refresh", {"account": label}),
        ("strategy", {"name": chance.choice(("balanced", "round-robin", "hybrid", "least-utilized"))}),
        ("config_set", {"key": "hold_s", "text": str(chance.randint(5, 20))}),
        ("pin", {"account": label, "for_s": 1.0}),
        ("disable", {"account": label}),
        ("enable", {"account": label}),
        ("connect", {"client": "opencode"}),
        ("undo", {"client": "opencode"}),
        ("mute", {"account": label, "on": chance.random() < 0.5}),
    )


async def person(town: Town, labels: tuple[str, ...]) -> None:
    """Order something every now and then. A refusal in words is an answer; none at all is a fault."""
    while True:
        name, arguments = town.chance.choice(orders(labels, town.chance))
        try:
            await town.process.order(name, **arguments)
            if name == "disable":
                await town.pause(1)
                await town.process.order("enable", **arguments)
            town.ledger.orders["obeyed"] += 1
        except TidegateError:
            town.ledger.orders["refused in words"] += 1
        except httpx.HTTPError as exc:
            town.ledger.fault(f"order {name}: {exc!r}")
        await town.pause(2)


async def terminal(town: Town) -> None:
    """The real command line, once in a while."""
    while True:
        words = town.chance.choice((("status",), ("list", "--json"), ("usage", "--json"), ("history",)))
        code, _, errors = await town.process.program.run(*words)
        town.ledger.orders["commands"] += 1
        if code not in {0, 3} or "Traceback" in errors:
            town.ledger.fault(f"tidegate {words}: {code} {errors[-300:]}")
        await town.pause(40)


def everybody(town: Town, labels: tuple[str, ...]) -> list[Awaitable[None]]:
    """All of them: about eleven requests a second."""
    crowd: tuple[tuple[str, int], ...] = (("stream", 5), ("json", 4), ("tool call", 2))
    agents = [agent(town, name) for name, count in crowd for _ in range(count)]
    agents += [agent(town, name) for name in KINDS if name.startswith("go")]
    others: list[Callable[[], Awaitable[None]]] = [
        lambda: impatient(town),
        lambda: impatient(town),
        lambda: slow_reader(town),
        lambda: onlooker(town, "/-/events"),
        lambda: onlooker(town, "/-/live"),
        lambda: person(town, labels),
        lambda: terminal(town),
    ]
    return [*agents, *(one() for one in others)]
