"""Somebody with an installation of Tidegate, a terminal and a browser, who has accounts at the simulated provider."""

import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
from playwright.async_api import Page

from core import remote
from core.files import Paths
from tests.browser.default_browser import DefaultBrowser
from tests.browser.terminal import Terminal
from tests.fakes import ASK, VERSION, SimulatedProvider

PASSPHRASE = "correct horse battery staple"


class Person:
    """`page` is the browser's window; `paths` is where Tidegate keeps its files."""

    def __init__(self, folder: Path, sim: SimulatedProvider, page: Page, default: DefaultBrowser) -> None:
        self.sim = sim
        self.page = page
        self.default_browser = default
        self.paths = Paths(folder / "tidegate")
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "TERM": "xterm",
            "TIDEGATE_VAULT_KEY": PASSPHRASE,
            **endpoints_of(sim),
            **default.environment,
        }
        self._command = [sys.executable, "-m", "core", "--data-dir", str(self.paths.root), "--vault", "file"]

    def types_tidegate(self, *words: str) -> AbstractAsyncContextManager[Terminal]:
        """A `tidegate` in the terminal."""
        return Terminal.running([*self._command, *words], self.environment)

    async def tidegate(self, *words: str) -> str:
        """A `tidegate` that runs to its end. Returns what it printed."""
        done = await anyio.run_process([*self._command, *words], env=self.environment, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    async def accounts(self) -> list[dict[str, Any]]:
        """What `tidegate list --json` says."""
        return list(json.loads(await self.tidegate("list", "--json")))

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Client"]:
        """`tidegate serve`, and a client that is set up for it."""
        async with self.types_tidegate("serve", "--port", "0") as terminal:
            await terminal.shows("Stop with Ctrl-C")
            running = remote.find(self.paths)
            assert running
            yield Client(running)

    async def allows(self, url: str, whose: str = "", *, button: str = "Allow") -> None:
        """On the provider's page: choose an account (else the first is), press a button."""
        await self.page.goto(url)
        if whose:
            await self.page.get_by_label(f"({whose})").check()
        await self.page.get_by_role("button", name=button).click()

    async def reads(self, heading: str) -> str:
        """Wait for a page with this heading. Returns all of its text."""
        await self.page.get_by_role("heading", name=heading).wait_for()
        return await self.page.inner_text("body")

    async def signs_in(self, whose: str, *words: str) -> str:
        """Add an account with the browser, start to end. Returns what the terminal showed."""
        async with self.types_tidegate("add", *(words or ("claude",))) as terminal:
            await self.allows(await self.default_browser.opened(), whose)
            await self.reads("Signed in")
            assert await terminal.ends() == 0, terminal.shown
            return terminal.shown


class Client:
    """What else runs on this machine: a program that sends prompts, and one that gives orders."""

    def __init__(self, running: remote.Running) -> None:
        self._running = running
        self._key = self.orders("token")["key"]

    def orders(self, command: str, /, **arguments: object) -> Any:
        """Have the running Tidegate obey."""
        return remote.call(self._running, command, arguments)

    @property
    def accounts(self) -> list[dict[str, Any]]:
        """The accounts as they are now."""
        return list(self.orders("snapshot")["accounts"])

    async def asks(self) -> str:
        """Send one prompt. Returns the label of the account that answered."""
        headers = {"x-api-key": self._key, **VERSION}
        async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
            answer = await http.post(f"{self._running.address}/v1/messages", headers=headers, json=ASK)
        assert answer.status_code == 200, answer.text
        return answer.headers["x-tidegate-account"]


def endpoints_of(sim: SimulatedProvider) -> dict[str, str]:
    """The environment that points a Tidegate at the simulated provider."""
    endpoints = sim.endpoints()
    return {
        "TIDEGATE_ANTHROPIC_API_URL": endpoints.anthropic_api_url,
        "TIDEGATE_ANTHROPIC_AUTHORIZE_URL": endpoints.anthropic_authorize_url,
        "TIDEGATE_ANTHROPIC_CONSOLE_AUTHORIZE_URL": endpoints.anthropic_console_authorize_url,
        "TIDEGATE_ANTHROPIC_TOKEN_URL": endpoints.anthropic_token_url,
        "TIDEGATE_OPENCODE_GO_URL": endpoints.opencode_go_url,
    }
