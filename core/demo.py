"""What `tidegate demo` shows: three simulated accounts, one of which runs into its limit while agents are at work.

`Scenario` sets the stage on a simulated provider, `traffic` plays the agents against a running Tidegate, and `Summary`
says whether every answer arrived whole. Nothing here touches a real account or the person's own files.
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from urllib.parse import unquote

import httpx
import msgspec

from core.simulator import SimulatedAccount, SimulatedProvider, Window, pieces_for

PIECES = 24
"""Text deltas in an answer: enough to see it stream."""
_GAP_S = 0.04
_MODEL = "claude-sonnet-5"
_TIMEOUT_S = 60.0
_KEPT_PROBLEMS = 5
_WORK_WINDOW_S = 120.0  # a real one lasts five hours; nobody wants to wait that long to see an account come back
_QUESTIONS = (
    "Why does the build fail on Windows?",
    "Write a test for the parser.",
    "Rename this module and fix the imports.",
    "What does this regular expression match?",
    "Explain the last commit in one sentence.",
    "Find the slowest query.",
)


class _Delta(msgspec.Struct, frozen=True):
    text: str = ""


class _Error(msgspec.Struct, frozen=True):
    message: str = ""


class _StreamEvent(msgspec.Struct, frozen=True):
    """The fields of a stream's events, and of an error answer, that the demo looks at."""

    type: str = ""
    delta: _Delta = _Delta()
    error: _Error = _Error()


@dataclass(frozen=True, slots=True)
class Scenario:
    """Three accounts: two subscriptions and an API key. `work` is full after about six requests."""

    work: SimulatedAccount
    home: SimulatedAccount
    team: SimulatedAccount

    @classmethod
    def on(cls, sim: SimulatedProvider) -> "Scenario":
        """Set the stage: the accounts, their quota, and answers that stream at reading speed."""
        sim.pieces, sim.gap_s = PIECES, _GAP_S
        scenario = cls(sim.add_login("Work"), sim.add_login("Home", plan="claude_pro"), sim.add_api_key("Team"))
        now = sim.clock()
        # Least utilized, so it is chosen first, and its sessions stay with it until it refuses.
        scenario.work.quota["5h"] = Window(0.30, now + _WORK_WINDOW_S, _WORK_WINDOW_S, cost=0.12)
        scenario.work.quota["7d"].cost = 0.002
        scenario.home.quota["5h"].utilization, scenario.home.quota["5h"].cost = 0.45, 0.004
        scenario.home.quota["7d"].utilization, scenario.home.quota["7d"].cost = 0.62, 0.001
        return scenario


@dataclass(frozen=True, slots=True)
class Plan:
    """How much traffic: `sessions` agents at once, each asking `rounds` times (None: until cancelled)."""

    sessions: int = 4
    rounds: int | None = 6
    pause_s: float = 0.3

    @property
    def requests(self) -> int | None:
        """All requests of all sessions; None when there is no end."""
        return None if self.rounds is None else self.sessions * self.rounds


@dataclass(frozen=True, slots=True)
class SessionProgress:
    """One agent: what it asked last, who answers, and how much of the answer is there."""

    name: str
    question: str = ""
    account: str = ""
    pieces: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the traffic is. Counts are since the start."""

    planned: int | None
    asked: int = 0
    whole: int = 0
    problems: tuple[str, ...] = ()
    """What was wrong with answers that did not arrive whole, newest last; only the last few."""
    broken: int = 0
    moves: int = 0
    """How often a session went on with another account."""
    served: Mapping[str, int] = field(default_factory=dict)
    """Account (as `x-tidegate-account` names it) to its whole answers."""
    sessions: tuple[SessionProgress, ...] = ()


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of a demo."""

    requests: int
    whole: int
    failovers: int
    accounts: Mapping[str, int]
    problems: tuple[str, ...] = ()
    complete: bool = True
    """The plan was carried out to its end."""

    @classmethod
    def of(cls, progress: Progress) -> "Summary":
        """The summary of the last progress."""
        complete = progress.planned is None or progress.asked == progress.planned
        return cls(progress.asked, progress.whole, progress.moves, progress.served, progress.problems, complete)

    @property
    def ok(self) -> bool:
        """Every answer arrived whole, although an account ran into its limit on the way."""
        return self.complete and self.requests > 0 and self.whole == self.requests and self.failovers > 0

    @property
    def text(self) -> str:
        """One sentence for the terminal."""
        served = ", ".join(f"{label} {count}" for label, count in self.accounts.items()) or "nobody"
        failovers = "1 failover" if self.failovers == 1 else f"{self.failovers} failovers"
        return f"{self.requests} requests, {self.whole} whole answers, {failovers}; served by {served}"


async def traffic(base_url: str, key: str, plan: Plan) -> AsyncGenerator[Progress, None]:
    """Play the agents of `plan` against a running Tidegate; yields the progress whenever it changed.

    Every answer is compared with what the simulated provider says to such a prompt, so a lost, cut or doubled piece
    is found. Faster changes than a reader takes are merged. Leaving the loop early hangs up on what still streams.
    """
    headers = {"authorization": f"Bearer {key}", "anthropic-version": "2023-06-01", "user-agent": "tidegate-demo"}
    limits = httpx.Limits(max_connections=plan.sessions)
    async with httpx.AsyncClient(
        base_url=base_url, headers=headers, trust_env=False, timeout=_TIMEOUT_S, limits=limits
    ) as client:
        board = _Board(plan)
        agents = [
            asyncio.create_task(_Agent(index, client, board).work(plan), name=f"demo session {index + 1}")
            for index in range(plan.sessions)
        ]
        everybody = asyncio.gather(*agents)
        everybody.add_done_callback(lambda _: board.changed.set())
        try:
            while not everybody.done():
                await board.changed.wait()
                board.changed.clear()
                yield board.progress()
            await everybody  # an error of the demo itself is raised here
            yield board.progress()
        finally:
            everybody.cancel()
            await asyncio.gather(*agents, return_exceptions=True)


class _Board:
    """The counts that all agents write to."""

    def __init__(self, plan: Plan) -> None:
        self.planned = plan.requests
        self.asked = self.whole = self.broken = self.moves = 0
        self.problems: tuple[str, ...] = ()
        self.served: Counter[str] = Counter()
        self.sessions = [SessionProgress(f"session {index + 1}") for index in range(plan.sessions)]
        self.changed = asyncio.Event()

    def progress(self) -> Progress:
        """The counts as a value."""
        return Progress(
            self.planned,
            self.asked,
            self.whole,
            self.problems,
            self.broken,
            self.moves,
            dict(self.served),
            tuple(self.sessions),
        )


class _Agent:
    """One session: asks, reads the stream, checks it, asks again."""

    def __init__(self, index: int, client: httpx.AsyncClient, board: _Board) -> None:
        self._index = index
        self._client = client
        self._board = board
        self._session = str(uuid.uuid4())
        self._account = ""

    async def work(self, plan: Plan) -> None:
        """Ask as often as the plan says."""
        asked = 0
        while plan.rounds is None or asked < plan.rounds:
            question = _QUESTIONS[(self._index + asked) % len(_QUESTIONS)]
            self._show(replace(self._shown, question=question, pieces=0))
            self._board.asked += 1
            problem = await self._ask(question)
            self._count(problem)
            asked += 1
            await asyncio.sleep(plan.pause_s)

    async def _ask(self, question: str) -> str:
        """Ask one question. Returns what is wrong with the answer, empty when it is whole."""
        body = {
            "model": _MODEL,
            "max_tokens": 1024,
            "stream": True,
            "messages": [{"role": "user", "content": question}],
        }
        headers = {"x-claude-code-session-id": self._session}
        try:
            async with self._client.stream("POST", "/v1/messages", json=body, headers=headers) as answer:
                if answer.status_code != HTTPStatus.OK:
                    return f"{answer.status_code}: {_message(await answer.aread())}"
                self._served_by(unquote(answer.headers.get("x-tidegate-account", "")))
                return await self._read(answer, question)
        except httpx.HTTPError as exc:
            return f"the connection broke: {type(exc).__name__}"

    async def _read(self, answer: httpx.Response, question: str) -> str:
        text, stopped = "", False
        async for line in answer.aiter_lines():
            if not line.startswith("data: "):
                continue
            event = msgspec.json.decode(line.removeprefix("data: "), type=_StreamEvent)
            if event.type == "error":
                return f"the stream failed: {event.error.message}"
            if event.type == "content_block_delta":
                text += event.delta.text
                self._show(replace(self._shown, pieces=self._shown.pieces + 1))
            stopped = stopped or event.type == "message_stop"
        if not stopped:
            return "the stream ended before its end"
        return "" if text == "".join(pieces_for(question, PIECES)) else "the text is not what was sent"

    def _served_by(self, account: str) -> None:
        if self._account and account != self._account:
            self._board.moves += 1
        self._account = account
        self._show(replace(self._shown, account=account))

    def _count(self, problem: str) -> None:
        if problem:
            self._board.broken += 1
            self._board.problems = (*self._board.problems, problem)[-_KEPT_PROBLEMS:]
        else:
            self._board.whole += 1
            self._board.served[self._account] += 1

    @property
    def _shown(self) -> SessionProgress:
        return self._board.sessions[self._index]

    def _show(self, session: SessionProgress) -> None:
        self._board.sessions[self._index] = session
        self._board.changed.set()


def _message(body: bytes) -> str:
    """What an error answer says, or its beginning when it is not in the provider's envelope."""
    try:
        return msgspec.json.decode(body, type=_StreamEvent).error.message
    except msgspec.DecodeError:
        return body[:200].decode("utf-8", "replace")
