"""A real browser: Debian's Chromium without a window, which reaches this machine and nothing else."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright

REBOUND = "rebind.test"
"""A name that leads to this machine, as one does after its owner has rebound it."""
_NOWHERE_ELSE = (
    f"MAP {REBOUND} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1, EXCLUDE ::1, EXCLUDE 0.0.0.0"
)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A running Chromium. Fails, and does not skip, when it is missing."""
    program = shutil.which("chromium")
    assert program, "the browser tests need: apt-get install --no-install-recommends chromium"
    arguments = ["--no-sandbox", f"--host-resolver-rules={_NOWHERE_ELSE}"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=arguments)
        try:
            yield browser
        finally:
            await browser.close()
