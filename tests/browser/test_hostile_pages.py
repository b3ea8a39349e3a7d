"""Web pages that reach for Tidegate, in a browser whose person has Tidegate's own page open: none gets anything.

Nothing here relies on the browser: pages on other ports of this machine are the ones that it lets through.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page, Route

from core.guard import PAGE_COOKIE
from tests.browser.chromium import REBOUND
from tests.browser.watch import Watch
from tests.fakes import ASK
from tests.raw import Peer, Played, answer, played
from tests.stage import Stage, on_stage

pytestmark = pytest.mark.anyio

HOSTILE = (Path(__file__).parent / "hostile.html").read_bytes()
TRICKS = (
    "fetch of JSON as text",
    "fetch without content type",
    "fetch that asks for permission",
    "fetch that wants to read",
    "fetch from the cache",
    "beacon",
    "image",
    "script",
    "prefetch",
    "frame",
    "form",
    "window",
    "WebSocket",
    "EventSource",
)
SAME_SITE = ("127.0.0.1", "127.0.0.1")
"""For a browser, which then sends the cookie of Tidegate's page: its sites know no ports."""
FROM_TO = (
    SAME_SITE,
    ("localhost", "127.0.0.1"),
    ("127.0.0.1", "localhost"),
    ("127.0.0.1", "[::1]"),
    ("127.0.0.1", "0.0.0.0"),
    (REBOUND, REBOUND),
)
WANTED: dict[str, Any] = {
    "/v1/messages": ASK,
    "/-/commands/disable": {"account": "all"},
    "/-/commands/token": {},
    "/-/events": {},
    "/-/snapshot": {},
    "/-/": {},
    "/-/open?code=made-up": {},
}
"""Where, and what to send there."""
REFUSED = {401, 403, 405, 421}


@dataclass
class Scene:
    """Tidegate with two accounts, a hostile server, and a window of the browser that both are open in."""

    stage: Stage
    hostile: Played
    page: Page

    @property
    def port(self) -> int:
        return int(self.stage.url.rpartition(":")[2])

    async def visit(self, name: str) -> None:
        """Go to the hostile page by this name of the machine."""
        await self.page.goto(f"http://{name}:{self.hostile.port}/")

    async def state(self) -> tuple[object, ...]:
        """All that a request could have changed, and how often a provider was asked."""
        core = self.stage.core
        accounts = (core.engine.pool, core.config.current, await core.history.requests(100))
        return (*accounts, core.commands._sign_ins._open, core.pages._cookies.copy(), self.stage.sim.received_in_all)


@pytest.fixture(scope="module")
async def profile(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """The person has looked at the status page; its session is good in this profile."""
    async with on_stage(tmp_path_factory.mktemp("data")) as stage, played(_hostile_page) as hostile:
        await stage.login("Work")
        await stage.api_key("Team")
        async with await browser.new_context() as context, await context.new_page() as page:
            await page.goto(stage.core.page_link())
            await page.get_by_text("Work").first.wait_for()
            await page.goto("about:blank")
            yield Scene(stage, hostile, page)


@pytest.fixture
async def scene(profile: Scene) -> AsyncIterator[Scene]:
    """Another window of that browser."""
    async with await profile.page.context.new_page() as page:
        yield replace(profile, page=page)


async def _hostile_page(peer: Peer) -> None:
    while True:
        await peer.request()
        await peer.send(answer(HOSTILE, b"content-type: text/html"))


async def test_all_tricks_of_the_hostile_page_are_tried(scene: Scene) -> None:
    await scene.visit("localhost")
    assert tuple(await scene.page.evaluate("Object.keys(tricks)")) == TRICKS


@pytest.mark.parametrize("trick", TRICKS)
async def test_page_gets_nothing_and_changes_nothing(scene: Scene, trick: str) -> None:
    before = await scene.state()
    async with Watch.on(scene.page, scene.port) as watch:
        at = ""
        for origin, host in FROM_TO:
            if origin != at:
                await scene.visit(at := origin)
            for path in WANTED if (origin, host) == SAME_SITE else ("/v1/messages", "/-/commands/disable"):
                seen = len(watch.answers)
                given = [trick, f"http://{host}:{scene.port}{path}", json.dumps(WANTED[path])]
                await scene.page.evaluate("async ([trick, url, body]) => { await tricks[trick](url, body) }", given)
                await watch.until_answered(seen + 1)  # it arrived: the browser was no help
        assert {answer.status for answer in watch.answers} <= REFUSED
        assert [name for got in watch.answers for name in got.headers if name.startswith("access-control-")] == []
    assert await scene.state() == before


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_page_whose_name_was_rebound_to_this_machine_reads_nothing(scene: Scene, method: str) -> None:
    """Then the browser takes Tidegate for the page's own server: nothing but `Host` tells."""
    own = f"http://{REBOUND}:{scene.port}"
    before = await scene.state()

    async def before_rebinding(route: Route) -> None:
        await route.continue_(url=f"http://{REBOUND}:{scene.hostile.port}/")

    await scene.page.route(f"{own}/", before_rebinding)
    await scene.page.goto(f"{own}/")
    for path, body in WANTED.items():
        how = {"method": method} | ({"body": json.dumps(body)} if method == "POST" else {})
        read = "async ([url, how]) => { const got = await fetch(url, how); return [got.status, await got.text()] }"
        status, text = await scene.page.evaluate(read, [path, how])
        assert status == 421
        assert "Work" not in text
    assert await scene.state() == before


async def test_server_on_another_port_learns_the_cookie_and_it_opens_nothing(scene: Scene) -> None:
    """Cookies know no ports, so the browser hands the one of Tidegate's page to whoever it visits there."""
    await scene.page.goto(f"http://127.0.0.1:{scene.hostile.port}/-/")
    head = next(got.head.decode() for got in scene.hostile.requests if got.head.startswith(b"GET /-/ "))
    stolen = next(line.partition(": ")[2] for line in head.splitlines() if line.lower().startswith("cookie: "))
    assert stolen.startswith(f"{PAGE_COOKIE}=")
    before = await scene.state()
    async with httpx.AsyncClient(base_url=scene.stage.url, headers={"cookie": stolen}, trust_env=False) as thief:
        for path, body in WANTED.items():
            looked, ordered = await thief.get(path), await thief.post(path, json=body)
            assert ordered.status_code in REFUSED
            assert "Work" not in looked.text
            assert "example.org" not in looked.text
    assert await scene.state() == before
