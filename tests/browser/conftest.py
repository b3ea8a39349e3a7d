"""Chromium for the tests here: one for each module, and for each test a profile of its own."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page

from tests.browser.chromium import chromium


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
