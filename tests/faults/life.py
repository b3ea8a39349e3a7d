"""The life of one installation, in which a call to the world may fail: what it came to, and what it left behind.

Start, add a key, sign in, serve, renew, rename, fail over, connect a program, undo that, export, stop. Every step may
fail, in words; then the next one is tried. Afterwards a fresh Tidegate on the same files must find everything that was
confirmed.
"""

import asyncio
import gc
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core import app, export
from core.errors import TidegateError
from core.files import Paths
from core.model import AccountKind
from core.simulator import SimulatedProvider, faults
from core.vault import Vault
from tests.fakes import allow, code_shown
from tests.faults.failing import Seam, seam
from tests.hurry import Hurried
from tests.raw import Client, a_few_turns

STEP_WITHIN_S = 45.0
"""A request waits 30 s for a provider that cannot be reached."""
LIFE_WITHIN_S = 300.0
KEY, LOGIN = "Key", "Work"
PASSPHRASE = {"TIDEGATE_VAULT_KEY": "a passphrase of the life"}
SETTINGS = b'{\n  "env": {"EDITOR": "ed"},\n  "theme": "dark"\n}\n'
"""Of a program, before it is connected."""
_ANSWERS = frozenset({200, 401, 403, 429, 502, 503})


class Memory:
    """A vault's back end that outlives Tidegate, behind the seam."""

    def __init__(self, made: Seam) -> None:
        self._seam = made
        self._items: dict[str, str] = {}

    def get(self, key: str) -> Sequence[str]:
        self._seam.call("vault", f"get {key}")
        return [self._items[key]] if key in self._items else []

    def set(self, key: str, secret: str) -> None:
        self._seam.call("vault", f"set {key}")
        self._items[key] = secret

    def delete(self, key: str) -> None:
        self._seam.call("vault", f"delete {key}")
        self._items.pop(key, None)


@dataclass
class Story:
    """What a life came to."""

    counts: dict[str, int] = field(default_factory=dict)
    struck: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    """Steps that failed in words."""
    wrong: list[str] = field(default_factory=list)


class Life:
    """One installation at `folder`, in front of a simulated provider."""

    def __init__(self, folder: Path, sim: SimulatedProvider, made: Seam, *, sealed: bool) -> None:
        self.story = Story()
        self._sim = sim
        self._seam = made
        self._paths = Paths(folder / "tidegate")
        self._exported = folder / "exported.json"
        self._program = folder / "home" / ".claude" / "settings.json"
        self._program.parent.mkdir(parents=True)
        self._program.write_bytes(SETTINGS)
        self._memory = None if sealed else Memory(made)
        self._core: app.Core
        self._key = ""

    async def all(self) -> None:
        """Live it to its end, then look at what it left, with a world that does not fail."""
        async with AsyncExitStack() as stack:
            if await self._step("start", lambda: self._start(stack)):
                for name, deed in self._deeds().items():
                    await self._step(name, deed)
            await self._step("stop", stack.aclose)
        self._seam.fails = lambda _kind, _number: False
        await self._afterwards()

    def _deeds(self) -> dict[str, Callable[[], Awaitable[object]]]:
        def order(name: str, **arguments: object) -> Callable[[], Awaitable[object]]:
            return lambda: self._core.commands.run(name, arguments)

        return {
            "add": order("add_key", kind=AccountKind.API_KEY, key=self._sim.accounts[0].key, label=KEY),
            "sign in": self._sign_in,
            "key": self._learn_key,
            "serve": self._serve,
            "refresh": order("refresh", account=LOGIN),
            "rename": order("rename", account=KEY, label="Other"),
            "fail over": self._fail_over,
            "connect": order("connect", client="claude-code"),
            "undo": order("undo", client="claude-code"),
            "export": self._export,
            "rename again": order("rename", account="Other", label=KEY),
        }

    async def _step(self, name: str, deed: Callable[[], Awaitable[object]]) -> bool:
        """One step: done, refused in words, or wrong."""
        try:
            async with asyncio.timeout(STEP_WITHIN_S):
                await deed()
        except TidegateError as exc:
            self.story.refused[name] = exc.title
        except TimeoutError:
            self.story.wrong.append(f"{name} hangs")
        except Exception as exc:  # noqa: BLE001 - whatever else comes out is what is looked for
            self.story.wrong.append(f"{name} raised {exc!r}")
        else:
            self.story.done.append(name)
            return True
        return False

    # --- steps -------------------------------------------------------------------------------------

    def _options(self) -> app.Options:
        endpoints = self._sim.endpoints()
        environ = {
            **PASSPHRASE,
            "TIDEGATE_ANTHROPIC_API_URL": endpoints.anthropic_api_url,
            "TIDEGATE_ANTHROPIC_AUTHORIZE_URL": endpoints.anthropic_authorize_url,
            "TIDEGATE_ANTHROPIC_TOKEN_URL": endpoints.anthropic_token_url,
            "TIDEGATE_STRATEGY": "sticky",
        }
        return app.Options(vault=Vault(self._memory) if self._memory else "file", port=0, environ=environ)

    async def _start(self, stack: AsyncExitStack) -> None:
        self._core = await stack.enter_async_context(app.running(self._paths, self._options()))
        self._seam.listens_on = {self._port}

    @property
    def _port(self) -> int:
        return int(self._core.engine.address.rpartition(":")[2])

    async def _sign_in(self) -> None:
        run = self._core.commands.run
        offer = await run("begin_login", {"kind": "claude", "label": LOGIN, "browser": False})
        with self._seam.aside():
            page = await allow(offer["paste_url"], self._sim.accounts[1])
        answer = await run("paste_login", {"id": offer["id"], "text": code_shown(page.text)})
        if "text" not in answer:
            await run("await_login", {"id": offer["id"], "for_s": 5.0})

    async def _learn_key(self) -> None:
        self._key = (await self._core.commands.run("token", {}))["key"]

    async def _ask(self) -> int:
        """One request of a client. 0: its connection broke."""
        body = b'{"model": "claude-sonnet-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}'
        head = (
            f"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1:{self._port}\r\nx-api-key: {self._key}\r\n"
            f"anthropic-version: 2023-06-01\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        async with Client.to(self._port) as client:
            await client.send(head.encode() + body)
            try:
                reply = await client.reply(within_s=STEP_WITHIN_S)
            except EOFError:
                return 0
        return reply.status if reply.whole else 0

    async def _serve(self) -> None:
        status = await self._ask()
        if status not in _ANSWERS | {0}:
            self.story.wrong.append(f"a client was answered with {status}")
        if status != 200:
            raise TidegateError(f"status {status}")

    async def _fail_over(self) -> None:
        for account in self._sim.accounts:
            account.script(faults.QuotaRejected("5h", 3_600))
            break
        await self._serve()

    async def _export(self) -> None:
        exported = await export.export(self._paths, "file", PASSPHRASE, time.time())
        await asyncio.to_thread(export.write, self._exported, exported.content, force=True)

    # --- afterwards --------------------------------------------------------------------------------

    async def _afterwards(self) -> None:
        """A fresh start finds what was confirmed, and what was half done can be done again."""
        done, wrong = self.story.done, self.story.wrong
        try:
            async with asyncio.timeout(STEP_WITHIN_S), app.running(self._paths, self._options()) as self._core:
                self._seam.listens_on = {self._port}
                labels = {state.account.label for state in self._core.engine.pool.accounts}
                if "add" in done and not labels & {KEY, "Other"}:
                    wrong.append("the account with a key is gone")
                if "sign in" in done and LOGIN not in labels:
                    wrong.append("the account with a login is gone")
                await self._learn_key()
                if "add" in done and (status := await self._ask()) not in {200, 429}:  # it may rest
                    wrong.append(f"after a fresh start a client is answered with {status}")
                if LOGIN in labels:
                    await self._login_is_good()
                await self._program_is_ours_or_its_own()
        except TidegateError as exc:
            wrong.append(f"a fresh start failed: {exc.title}. {exc.hint}")
        except TimeoutError:
            wrong.append("a fresh start hangs")

    async def _login_is_good(self) -> None:
        """It can be renewed, unless a failure hit the renewal itself: then a person is asked."""
        lost = any(where.startswith(("recv", "send", "http", "connect", "vault")) for where in self._seam.struck)
        try:
            await self._core.commands.run("refresh", {"account": LOGIN})
        except TidegateError as exc:
            if not lost:
                self.story.wrong.append(f"the login is lost: {exc.title}")

    async def _program_is_ours_or_its_own(self) -> None:
        """Its settings are what they were, or can be given back."""
        now = self._program.read_bytes()
        if "undo" in self.story.done and now != SETTINGS:
            self.story.wrong.append(f"after an undo the program's settings are {now!r}")
        if now != SETTINGS:
            await self._core.commands.run("undo", {"client": "claude-code"})
            if (after := self._program.read_bytes()) != SETTINGS:
                self.story.wrong.append(f"the program's settings cannot be given back: {after!r}")


@contextmanager
def _tracebacks(wrong: list[str]) -> "Any":
    """What is logged with a traceback has no words."""

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info and record.exc_info[1] is not None:
                wrong.append(f"logged: {record.getMessage()}: {record.exc_info[1]!r}")

    handler = Heard(logging.WARNING)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


@asynccontextmanager
async def _provider(made: Seam) -> AsyncIterator[SimulatedProvider]:
    async with SimulatedProvider.running() as sim:
        sim.add_api_key(KEY)
        sim.add_login(LOGIN)
        made.calls_to = {int(sim.url.rpartition(":")[2])}
        yield sim


def open_files() -> set[str]:
    """What this process has open, but for what opens itself."""
    names = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            names.add(f"{entry.name} {os.readlink(entry)}")  # noqa: PTH115 - a socket's is no path
        except OSError:
            continue
    return {name for name in names if "/proc/" not in name}


def live(folder: Path, fails: Callable[[str, int], bool], *, sealed: bool = False, hurried: bool = False) -> Story:
    """One life in which `fails` says which calls fail.

    `sealed`: with the vault that is a file. `hurried`: by a clock that goes ten times as fast, for lives that wait.
    """
    files, threads = open_files(), set(threading.enumerate())

    async def within(made: Seam) -> Story:
        async with _provider(made) as sim:
            life = Life(folder, sim, made, sealed=sealed)
            made.fails = fails
            with _tracebacks(life.story.wrong):
                async with asyncio.timeout(LIFE_WITHIN_S):
                    await life.all()
            await a_few_turns()
        life.story.counts, life.story.struck = dict(made.counts), list(made.struck)
        stayed = asyncio.all_tasks() - {asyncio.current_task()}
        life.story.wrong += [f"a task stayed: {task.get_name()}" for task in stayed]
        return life.story

    with seam(folder / "tidegate", folder / "home", folder / "exported.json") as made, _runner(hurried) as runner:
        story = runner.run(within(made))
    gc.collect()
    story.wrong += [f"left open: {name}" for name in sorted(open_files() - files)]
    story.wrong += [f"left running: {one.name}" for one in _alive(set(threading.enumerate()) - threads)]
    return story


def _runner(hurried: bool) -> asyncio.Runner:
    return asyncio.Runner(loop_factory=Hurried if hurried else None)


def _alive(threads: "set[threading.Thread]") -> list[threading.Thread]:
    """Those that do not end by themselves in a moment."""
    for thread in threads:
        thread.join(2.0)
    return [thread for thread in threads if thread.is_alive()]
