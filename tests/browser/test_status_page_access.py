"""The status page for everybody: axe-core finds nothing on any view or dialog, in either colour scheme, wide or narrow.

WCAG 2.2, levels A and AA, as far as a program can tell. Contrast on a canvas is not among it: see the charts' words.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page

from core.files import Paths
from core.logs import Entry, as_text
from core.model import SignIn
from tests.account_files import put
from tests.browser.visitor import Visitor, give_a_past
from tests.stage import Stage

pytestmark = pytest.mark.anyio

WIDTHS = (1280, 400)
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]}
LONG = "a label as long as one may be, without any end to it, it seems!"


async def complaints(page: Page) -> list[str]:
    """What axe finds, and whether the page is wider than its window."""
    found = (await Axe().run(page, options=RULES)).response["violations"]
    said = [f"{one['id']}: {node['html']} {node['failureSummary']}" for one in found for node in one["nodes"]]
    if await page.evaluate("document.scrollingElement.scrollWidth > innerWidth"):
        said.append("the page scrolls sideways")
    return said


async def a_busy_page(stage: Stage) -> None:
    """All that a page can show: long labels, accounts in trouble, a past, a log."""
    await give_a_past(stage)
    await stage.login("Long")
    await stage.core.commands.run("rename", {"account": "Long", "label": LONG})
    await stage.go_key("Go")
    engine = stage.core.engine
    work, _, long, go = (state.account.id for state in engine.pool.accounts)
    engine.sign_in(long, SignIn.NEEDED, "login rejected")
    engine.sign_in(go, SignIn.NEEDED, "key rejected")
    await stage.core.commands.run("pin", {"account": work, "for_s": 600.0})
    await stage.core.commands.run("pause", {"for_s": 600.0})
    await stage.core.commands.run("failover", {"on": False})
    levels = ("DEBUG", "INFO", "WARNING", "ERROR")
    lines = [as_text(Entry(1_000_000.0, level, f"{LONG} " * 3, "c61f5649")) for level in levels]
    Paths(stage.core.config._path.parent).log.write_text("\n".join(lines) + "\n", encoding="utf-8")


@asynccontextmanager
async def somebody(browser: Browser, stage: Stage, scheme: Any, width: int) -> AsyncIterator[Visitor]:
    size: Any = {"width": width, "height": 900}
    async with await browser.new_context(color_scheme=scheme, viewport=size) as context:
        ada = Visitor(stage, await context.new_page())
        await ada.opens_the_page()
        yield ada


async def accounts(ada: Visitor) -> None:
    """The first view, with everything that can be done about two accounts."""
    for label in ("Work", LONG):
        await ada.manages(label)


def view(name: str) -> Callable[[Visitor], Awaitable[None]]:
    """Another view, with what it keeps folded."""

    async def shown(ada: Visitor) -> None:
        place = await ada.goes_to(name)
        if name == "Charts":
            await place.locator(".plot canvas").first.wait_for()
            for folded in await place.get_by_text("Show as a table").all():
                await folded.click()
        if name == "Settings":
            await place.get_by_label("Quiet hours").fill("at night")
            await ada.page.keyboard.press("Enter")
            await place.locator("[aria-invalid]").wait_for()

    return shown


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_view_is_for_everybody(browser: Browser, stage: Stage, scheme: str, width: int) -> None:
    await a_busy_page(stage)
    views = {"accounts": accounts} | {name: view(name) for name in ("Charts", "Activity", "Log", "Settings")}
    said = {}
    async with somebody(browser, stage, scheme, width) as ada:
        for name, shown in views.items():
            await shown(ada)
            await ada.photo(f"{name.lower()}-{scheme}-{width}")
            said[name] = await complaints(ada.page)

    assert {where: what for where, what in said.items() if what} == {}


async def signing_in(ada: Visitor) -> None:
    async with ada.context.expect_page():
        await ada.dialog().get_by_role("button", name="Open the sign-in page").click()
    await ada.dialog().get_by_label("Code", exact=True).wait_for()


async def refused(ada: Visitor) -> None:
    await ada.dialog().get_by_label("Key").fill("sk-not one")
    await ada.page.keyboard.press("Enter")
    await ada.dialog().get_by_role("alert").filter(has_text="key").wait_for()


async def planned(ada: Visitor) -> None:
    await ada.dialog().get_by_role("button", name="Connect").wait_for()


async def looked(ada: Visitor) -> None:
    await ada.dialog().get_by_role("status").filter(has_text="Found").wait_for()


async def nothing_more(_: Visitor) -> None:
    """The dialog as it opens."""


DIALOGS: dict[str, tuple[str, Callable[[Visitor], Awaitable[None]]]] = {
    "sign in": ("#add-claude", nothing_more),
    "signing in": ("#add-claude", signing_in),
    "a key": ("#add-api-key", nothing_more),
    "a key that is refused": ("#add-go", refused),
    "rename": ("#rename-work", nothing_more),
    "remove": ("#remove-work", nothing_more),
    "import": ("#add-by-import", looked),
    "connect": ("[data-client=claude-code]", planned),
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_dialog_is_for_everybody(  # noqa: PLR0917 - fixtures
    browser: Browser, stage: Stage, scheme: str, width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    put(tmp_path / "home/.config/opencode/opencode-go-accounts.json", "opencode-go-accounts.json")
    await stage.login("Work")
    said = {}
    async with somebody(browser, stage, scheme, width) as ada:
        await ada.manages("Work")
        for name, (button, then) in DIALOGS.items():
            await ada.page.locator(button).click()
            await ada.dialog().wait_for()
            await then(ada)
            await ada.photo(f"{name}-{scheme}-{width}")
            said[name] = await complaints(ada.page)
            await ada.page.keyboard.press("Escape")
            if not await ada.page.locator(button).evaluate("button => button === document.activeElement"):
                said[name].append("the focus is lost when it closes")

    assert {where: what for where, what in said.items() if what} == {}


async def test_what_is_wrong_is_found(browser: Browser, stage: Stage) -> None:
    async with somebody(browser, stage, "light", 400) as ada:
        await ada.page.evaluate(
            "document.querySelector('main').innerHTML += '<img src=\"/-/icon.svg\" width=\"900\"><select></select>'"
        )
        said = " ".join(await complaints(ada.page))

    for wrong in ("image-alt", "select-name", "scrolls sideways"):
        assert wrong in said
