"""The client of a scenario, on a raw socket: it says what the script says, and keeps every byte that comes."""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from tests.faults.reading import State, answer_in
from tests.faults.record import AnyFact, Asked, Quit, Saw
from tests.faults.script import Ask, Go, Hear, Mark, Pause, Read, Sends, Step, When
from tests.raw import reset

SLOWLY_BYTES = 64
TOOLS = [{"type": "web_search_20250305", "name": "web_search"}]
_CUT = 4_096
"""A stream reader's buffer: a client that does not read takes little more."""


def body_of(ask: Ask, number: int) -> bytes:
    """The request's body, by its number."""
    body: dict[str, object] = {
        "model": "claude-sonnet-5",
        "max_tokens": 64,
        "stream": ask.stream,
        "messages": [{"role": "user", "content": f"question {number} {'x' * ask.body_bytes}"}],
    }
    if ask.tools:
        body["tools"] = TOOLS
    return json.dumps(body).encode()


def target_of(number: int) -> str:
    """The request's target, by its number."""
    return f"/v1/messages?request={number}"


class Client:
    """One connection to Tidegate."""

    def __init__(
        self,
        port: Callable[[], int],
        key: str,
        note: Callable[[AnyFact], None],
        wait: Callable[[When], Awaitable[None]],
        mark: Callable[[str], None],
    ) -> None:
        self._port = port
        self._key = key
        self._note = note
        self._wait = wait
        self._mark = mark
        self._at = 0
        self._reader: Any = None
        self._writer: Any = None
        self._waiting: deque[int] = deque()
        self._came = b""
        self._began_at: float | None = None
        self._ended = self._reset = self._left = False
        self.begun: set[int] = set()
        self.answered: set[int] = set()

    async def play(self, steps: tuple[Step, ...], numbers: "Numbers") -> None:
        """All steps, and the end of the connection, which begins with the first request."""
        try:
            for step in steps:
                await self._do(step, numbers)
        finally:
            await self._close()

    async def _connect(self) -> None:
        await self._close()
        self._at = self._port()
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._at, limit=_CUT)
        self._came, self._began_at = b"", None
        self._ended = self._reset = self._left = False

    async def _close(self) -> None:
        if self._writer is None:
            return
        if not self._left:
            self._quit()
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
        self._writer = None

    async def _do(self, step: Step, numbers: "Numbers") -> None:
        if self._writer is None and isinstance(step, Ask):
            await self._connect()
        match step:
            case Ask():
                await self._ask(step, numbers.next())
            case Read():
                await self._read()
            case Hear(size=size):
                while len(self._came) < size and not self._whole and await self._more():
                    pass
            case Go.RESET:
                self._quit()
                reset(self._writer)
            case Go.CLOSE:
                self._quit()
                self._writer.close()
            case Go.HALF_CLOSE:
                self._writer.write_eof()
            case Go.RETURN:
                await self._connect()
            case When():
                await self._wait(step)
            case Mark(name=name):
                self._mark(name)
            case Pause(seconds=seconds):
                await asyncio.sleep(seconds)

    async def _ask(self, ask: Ask, number: int) -> None:
        body = body_of(ask, number)
        target = target_of(number)
        lines = (
            f"POST {target} HTTP/1.1",
            f"host: 127.0.0.1:{self._at}",
            f"x-api-key: {self._key}",
            "anthropic-version: 2023-06-01",
            "content-type: application/json",
            f"x-claude-code-session-id: {ask.session}",
            f"content-length: {len(body)}",
        )
        data = "\r\n".join((*lines, "", "")).encode() + body
        if ask.sends is Sends.HALF:
            data = data[: -len(body) // 2]
        by = SLOWLY_BYTES if ask.sends is Sends.SLOWLY else len(data)
        for at in range(0, len(data), by):
            self._writer.write(data[at : at + by])
            with suppress(ConnectionError):
                await self._writer.drain()
            await asyncio.sleep(0)
        self._waiting.append(number)
        self._note(Asked(at=_now(), request=number, target=target, body=body, stream=ask.stream, tools=ask.tools))

    async def _read(self) -> None:
        """The answer to the first request that waits for one."""
        while not self._whole and await self._more():
            pass
        answer = answer_in(self._came, ended=self._ended)
        number, raw = self._waiting.popleft(), self._came
        if answer.state is State.WHOLE:
            raw, self._came = self._came[: len(self._came) - len(answer.rest)], answer.rest
        else:
            self._came = b""
        self._note(
            Saw(at=_now(), request=number, raw=raw, began_at=self._began_at, ended=self._ended, reset=self._reset)
        )
        self._began_at = _now() if self._came else None
        self.begun.add(number)
        self.answered.add(number)

    @property
    def _whole(self) -> bool:
        return answer_in(self._came, ended=self._ended).state is State.WHOLE

    async def _more(self) -> bool:
        """Read on. False at the end."""
        if self._ended or self._reset:
            return False
        try:
            data = await self._reader.read(65_536)
        except ConnectionError:
            self._reset = True
            return False
        if not data:
            self._ended = True
            return False
        if not self._came:
            self._began_at = _now()
        self._came += data
        if self._waiting:
            self.begun.add(self._waiting[0])
        return True

    def _quit(self) -> None:
        self._left = True
        for number in self._waiting:
            self._note(Quit(at=_now(), request=number))
        self._waiting.clear()


class Numbers:
    """Numbers for the requests of a scenario, from 1."""

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> int:
        self._last += 1
        return self._last


def _now() -> float:
    return asyncio.get_running_loop().time()
