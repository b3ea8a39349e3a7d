"""Chromium for the tests here: one for each module, and for each test a profile of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from tests.browser.chromium import chromium
from tests.browser.visitor import Visitor
from tests.stage import on_stage


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """All tests of a module share one loop, on which Chromium is spoken to."""
    return "asyncio"


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page in a profile that knows nothing yet."""
    async with await browser.new_context() as context:
        yield await context.new_page()


@pytest.fixture
async def ada(tmp_path: Path, page: Page) -> AsyncIterator[Visitor]:
    """Ada has three subscriptions at the provider and nothing in Tidegate yet. What goes wrong in the page is told."""
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: wrong.append(line.text) if "Content Security Policy" in line.text else None)
    async with on_stage(tmp_path / "data") as stage:
        for label in ("Work", "Home", "Spare"):
            stage.sim.add_login(label)
        yield Visitor(stage, page)
        await page.close()
    assert not wrong
