"""Signing in from the tray: a click in the menu of a real panel, a real browser on the provider's page."""

import sys
from contextlib import closing
from pathlib import Path

import pytest
from playwright.async_api import Page

from core import remote
from core.files import Paths
from core.model import Level
from core.simulator import SimulatedProvider
from tests.browser.chromium import chromium
from tests.browser.default_browser import DefaultBrowser
from tests.browser.person import Client, endpoints_of
from tests.desktop.session import Session, desktop
from tests.desktop.test_whole import SECONDS, SECRETS, free_port, unlock_keychain
from tray.icon_colours import WATER

pytestmark = pytest.mark.anyio

LOGIN = "Claude login"


async def test_click_in_the_menu_ends_signed_in_and_the_account_serves(tmp_path: Path) -> None:
    async with SimulatedProvider.running() as sim, desktop(tmp_path) as session, chromium() as browser:
        with closing(DefaultBrowser(tmp_path)) as default:
            sim.add_login("Work")
            session.environment |= {"TIDEGATE_PORT": str(free_port()), **endpoints_of(sim), **default.environment}
            await _sign_in_from_the_menu(session, await browser.new_page(), default)


async def _sign_in_from_the_menu(session: Session, page: Page, default: DefaultBrowser) -> None:
    """First the person says no, then yes."""
    robot = session.robot
    unlock_keychain(session)
    await robot.until_owned(SECRETS, SECONDS)
    session.start([sys.executable, "-m", "core"])
    tray = await robot.until_item(SECONDS)

    await robot.click_row(tray, LOGIN)
    await page.goto(await default.opened())
    await page.get_by_role("button", name="Deny").click()
    await page.get_by_role("heading", name="The sign-in was declined").wait_for()
    await robot.until_notified("The sign-in was declined", SECONDS)

    await robot.click_row(tray, LOGIN)
    await page.goto(await default.opened())
    await page.get_by_role("button", name="Allow").click()
    await page.get_by_role("heading", name="Signed in").wait_for()
    await robot.until_notified("Added work@example.org", SECONDS)

    async def listed() -> bool:
        return any(row.label.startswith("work@example.org") for row in (await robot.menu(tray)).walk())

    await robot.until(listed, SECONDS)
    running = remote.find(Paths(Path(session.environment["XDG_DATA_HOME"]) / "tidegate"))
    assert running
    assert await Client(running).asks() == "work@example.org"
    await robot.until_icon(WATER[Level.OK], SECONDS)
