"""The simulated provider: one loopback server that is Anthropic's API, its sign-in, and OpenCode Go.

It checks credentials as the real ones do, counts quota, plays scripted faults, and remembers what it received.
Nothing is logged. An error in the simulation itself is raised when the `async with` block ends.
"""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace

from core.model import AccountKind, Endpoints
from core.simulator import delivery, refusals
from core.simulator.accounts import ACCESS_LIFETIME_S, SUBSCRIPTION_SCOPES, Lineage, SimulatedAccount
from core.simulator.answers import Answer
from core.simulator.connection import Connection, Exchange, Received
from core.simulator.faults import ConnectionFault, Fault, Refusal, ResetBeforeAnswer, StreamFault
from core.simulator.service import GO_PATH, Service

_KEPT_REQUESTS = 10_000
_KEPT_BODY_BYTES = 64 * 1024 * 1024  # of all kept requests together, so that a demo can run for days


class SimulatedProvider:
    """A running simulation. Make one with `SimulatedProvider.running()`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.url = ""
        self.encode: str | None = None
        """`gzip`, `br` or `zstd`: the coding of answers to clients that accept it."""
        self.gap_s = 0.0
        """The pause before each event of a stream."""
        self.received_in_all = 0
        self.loop: asyncio.AbstractEventLoop
        self._service = Service(clock)
        self._journal: deque[Received] = deque()
        self._journal_bytes = 0
        self._scripts: dict[str, deque[Fault]] = {}
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []
        self._changed = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def running(cls, clock: Callable[[], float] = time.time) -> AsyncIterator["SimulatedProvider"]:
        """Serve on a free port of 127.0.0.1 until the block ends; then every connection is reset."""
        provider = cls(clock)
        await provider._open()
        try:
            yield provider
        finally:
            await provider._stop()
        if provider._failures:
            raise provider._failures[0]

    async def _open(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._server = await self.loop.create_server(lambda: Connection(self), "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _stop(self) -> None:
        self._server.close()
        for connection in tuple(self._connections):
            connection.reset()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while self._connections:  # each tells when it is gone
            await self._changed.wait()

    # --- accounts ----------------------------------------------------------------------------------

    @property
    def accounts(self) -> list[SimulatedAccount]:
        """Every account, in the order they were added."""
        return self._service.accounts

    def endpoints(self) -> Endpoints:
        """Settings that point Tidegate here."""
        return Endpoints(
            anthropic_api_url=self.url,
            anthropic_authorize_url=f"{self.url}/oauth/authorize",
            anthropic_console_authorize_url=f"{self.url}/oauth/authorize",
            anthropic_token_url=f"{self.url}/v1/oauth/token",
            opencode_go_url=f"{self.url}{GO_PATH}",
        )

    def add_login(
        self,
        label: str,
        *,
        plan: str = "claude_max",
        scopes: tuple[str, ...] = SUBSCRIPTION_SCOPES,
        third_party_refused: bool = False,
        access_lifetime_s: float = ACCESS_LIFETIME_S,
        organization_uuid: str = "",
    ) -> SimulatedAccount:
        """Add a subscription with a sign-in of its own."""
        account = self._service.add(label, AccountKind.CLAUDE, organization_uuid)
        account.plan = plan
        account.third_party_refused = third_party_refused
        account.access_lifetime_s = access_lifetime_s
        self._service.authority.sign_in(account, scopes)
        return account

    def add_api_key(self, label: str, *, organization_uuid: str = "") -> SimulatedAccount:
        """Add a Console API key; keys of one organisation can share its UUID."""
        return self._service.add_key(label, organization_uuid)

    def add_go_key(self, label: str) -> SimulatedAccount:
        """Add an OpenCode Go subscription's key."""
        account = self._service.add(label, AccountKind.GO)
        account.key = f"sk-{secrets.token_urlsafe(48)}"
        return account

    def sign_in(self, account: SimulatedAccount, scopes: tuple[str, ...] = SUBSCRIPTION_SCOPES) -> Lineage:
        """Sign in to `account` once more, as another program would; its older sign-ins go on working."""
        return self._service.authority.sign_in(account, scopes)

    # --- behaviour ---------------------------------------------------------------------------------

    @property
    def pieces(self) -> int:
        """How many text deltas an answer has."""
        return self._service.pieces

    @pieces.setter
    def pieces(self, count: int) -> None:
        self._service.pieces = count

    def script(self, path: str, *faults: Fault) -> None:
        """Let each coming request for `path` meet one of `faults`, whoever asks."""
        self._scripts.setdefault(path, deque()).extend(faults)

    def drop_idle_connections(self) -> None:
        """Close every connection that waits for a request, as a server does with old ones."""
        for connection in tuple(self._connections):
            if connection.idle:
                connection.close()

    # --- what was received -------------------------------------------------------------------------

    @property
    def received(self) -> list[Received]:
        """The last requests, oldest first."""
        return list(self._journal)

    def requests_for(self, path: str) -> list[Received]:
        """The last requests for one path, oldest first."""
        return [received for received in self.received if received.path == path]

    @property
    def open_connections(self) -> int:
        """How many clients are connected now."""
        return len(self._connections)

    async def wait_received(self, count: int, timeout_s: float = 5.0) -> None:
        """Wait until `count` requests have arrived since the start. Raises TimeoutError."""
        await self.wait_until(lambda: self.received_in_all >= count, timeout_s)

    async def wait_until(self, condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
        """Wait until `condition` holds; asked when a request arrives, gets its head or is over."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                await self._changed.wait()

    # --- the host of the connections ---------------------------------------------------------------

    def opened(self, connection: Connection) -> None:
        """Keep hold of a connection."""
        self._connections.add(connection)
        self.changed()

    def closed(self, connection: Connection) -> None:
        """Let go of a connection."""
        self._connections.discard(connection)
        self.changed()

    def arrived(self, received: Received) -> None:
        """Remember a request, and forget the oldest ones beyond the bounds."""
        self.received_in_all += 1
        self._journal.append(received)
        self._journal_bytes += len(received.body)
        while len(self._journal) > 1 and (
            len(self._journal) > _KEPT_REQUESTS or self._journal_bytes > _KEPT_BODY_BYTES
        ):
            self._journal_bytes -= len(self._journal.popleft().body)
        self.changed()

    def changed(self) -> None:
        """Let those who wait look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    def start(self, work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        """Own a connection's task, and keep its error for the end."""
        task = self.loop.create_task(work, name="simulated connection")
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    async def answer(self, exchange: Exchange) -> None:
        """Answer one request: what the path's script says, else what the service says."""
        received = exchange.received
        request_id = f"req_011{secrets.token_hex(10)}"
        script = self._scripts.get(received.path)
        fault = script.popleft() if script else None
        if isinstance(fault, ResetBeforeAnswer):  # before any work is done
            exchange.reset()
            return
        reply = (
            refusals.endpoint_refusal(fault, request_id)
            if isinstance(fault, Refusal)
            else self._service.reply(received, request_id)
        )
        spoiler = fault if isinstance(fault, StreamFault | ConnectionFault) else None
        if isinstance(reply, Answer):
            dressed = self._service.dress(reply, received, request_id)
            await delivery.deliver(exchange, dressed, spoiler, self.encode)
        else:
            generation = replace(reply, step=spoiler or reply.step)
            await delivery.generate(exchange, generation, self.encode, self.gap_s, self.clock())

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failures.append(failure)
