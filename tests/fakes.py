"""The outside world for tests: the simulated provider, in the test's own loop or in a thread of its own.

Tests import from here, so that a fake can move without touching them.
"""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import anyio.from_thread
import httpx

from core.simulator import (
    CLIENT_ID,
    Received,
    SimulatedAccount,
    SimulatedProvider,
    Window,
    challenge_of,
    faults,
    pieces_for,
)
from core.simulator.authority import choice_of

__all__ = [
    "ANSWER",
    "ASK",
    "CLIENT_ID",
    "NOW",
    "OAUTH_BETA",
    "VERSION",
    "Received",
    "SimulatedAccount",
    "SimulatedProvider",
    "Window",
    "allow",
    "ask",
    "challenge_of",
    "code_shown",
    "events",
    "faults",
    "pieces_for",
    "query_of",
    "signed",
    "simulator_in_thread",
    "wait_received_in_thread",
    "wait_until_in_thread",
]

OAUTH_BETA = {"anthropic-beta": "oauth-2025-04-20"}
VERSION = {"anthropic-version": "2023-06-01"}
ASK: dict[str, Any] = {
    "model": "claude-sonnet-5",
    "max_tokens": 200,
    "messages": [{"role": "user", "content": "Hello there"}],
}
"""A body of `/v1/messages`."""
ANSWER = "".join(pieces_for("Hello there", 8))
"""What a simulated provider says to `ASK` unless it is told to use more pieces."""


def signed(account: SimulatedAccount) -> dict[str, str]:
    """The headers with which a login of the simulated provider is accepted."""
    return {"authorization": f"Bearer {account.access}", **OAUTH_BETA, **VERSION}


async def ask(http: httpx.AsyncClient, account: SimulatedAccount, **changes: object) -> httpx.Response:
    """Send `ASK`, changed, with the account's login."""
    return await http.post("/v1/messages", headers=signed(account), json={**ASK, **changes})


def events(body: str) -> list[tuple[str, dict[str, Any]]]:
    """The named events of a whole stream, with their data."""
    blocks = [block for block in body.split("\n\n") if block]
    return [
        (block.partition("\n")[0].removeprefix("event: "), json.loads(block.partition("data: ")[2])) for block in blocks
    ]


NOW = 1_790_000_000.0


@contextmanager
def simulator_in_thread() -> Iterator[SimulatedProvider]:
    """Run a simulated provider in a thread, for tests without a loop and for programs started by a test.

    Accounts may be added and scripted from the test's thread. Wait with `wait_received_in_thread`.
    """
    with (
        anyio.from_thread.start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(SimulatedProvider.running()) as sim,
    ):
        yield sim


def wait_received_in_thread(sim: SimulatedProvider, count: int, timeout_s: float = 5.0) -> None:
    """Wait from another thread until `count` requests have arrived since the start. Raises TimeoutError."""
    asyncio.run_coroutine_threadsafe(sim.wait_received(count, timeout_s), sim.loop).result()


def wait_until_in_thread(sim: SimulatedProvider, condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    """Wait from another thread until `condition` holds. Raises TimeoutError."""
    asyncio.run_coroutine_threadsafe(sim.wait_until(condition, timeout_s), sim.loop).result()


async def allow(authorize_url: str, account: SimulatedAccount | None, *, decision: str = "allow") -> httpx.Response:
    """Do what a person does in the browser: open the page, choose the account (None: the first), press a button.

    The answer is the redirect to a loopback address (not followed), or the page that shows `CODE#STATE`.
    """
    async with httpx.AsyncClient(trust_env=False) as browser:
        shown = await browser.get(authorize_url)
        shown.raise_for_status()
        fields = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', shown.text))
        first = re.search(r'name="account" value="([^"]*)"', shown.text)
        chosen = choice_of(account) if account else first[1] if first else ""
        page = urlsplit(authorize_url)
        form = {**fields, "account": chosen, "decision": decision}
        return await browser.post(f"{page.scheme}://{page.netloc}{page.path}", data=form)


def query_of(url: str) -> dict[str, str]:
    """The query of a redirect's target."""
    return dict(parse_qsl(urlsplit(url).query))


def code_shown(page: str) -> str:
    """The `CODE#STATE` on the page that a person copies from."""
    found = re.search(r"<pre>(.*?)</pre>", page)
    assert found, page
    return found[1]
