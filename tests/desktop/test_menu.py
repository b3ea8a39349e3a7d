"""The menu on a real panel: for who uses no mouse, and for who has many accounts."""

import sys
from pathlib import Path

import anyio.to_thread
import pytest

from core.model import Level
from tests.desktop.robot import centre
from tests.desktop.session import desktop
from tests.desktop.test_desktop import MENU_HEIGHT, REPOSITORY, SECONDS, tray
from tray.icon_colours import WATER

pytestmark = pytest.mark.anyio

AS_LOW_AS_A_LAPTOP = "1024x768x24"


async def test_keys_reach_every_row_and_switch_the_account(tmp_path: Path) -> None:
    async with desktop(tmp_path) as session, tray(session) as driver:
        await session.robot.click(*centre(await session.robot.until_icon(WATER[Level.OK], SECONDS)))
        await session.robot.until_popup(MENU_HEIGHT, SECONDS)

        await session.robot.press("Down", "Down", "Down", "Return")  # who serves and why, Work, Home

        assert (await driver.said("do", name="pin"))["account"] == "home"


async def test_what_is_chosen_in_the_menu_is_so_and_the_menu_shows_it(tmp_path: Path) -> None:
    async with desktop(tmp_path) as session:
        tidegate = session.start([sys.executable, "-m", "core", "demo"], cwd=REPOSITORY)
        robot, item = session.robot, await session.robot.until_item(SECONDS)

        async def shows(*starts: str) -> bool:
            said = [f"{row.label}: {row.checked}" for row in (await robot.menu(item)).walk()]
            return all(any(row.startswith(start) for row in said) for start in starts)

        async def click(start: str, *then: str) -> None:
            await robot.click_row(item, start)
            await robot.until(lambda: shows(*then), SECONDS)

        await click("Pause until resumed", "Paused: nothing is let through", "Resume")
        await click("Resume", "Pause for 1 h")
        await click("Percent on the icon", "Percent on the icon: False")
        await click("22:00–07:00", "Quiet hours: 22:00–07:00")
        await click("Failover: ", "Failover: when an account cannot serve, others do: False", "Failover is off: ")
        await click("sticky — ", "Strategy: sticky")
        await robot.click_row(item, "Quit Tidegate")
        assert await anyio.to_thread.run_sync(lambda: tidegate.wait(SECONDS)) == 0


async def test_the_menu_of_forty_accounts_fits_on_a_small_screen(tmp_path: Path) -> None:
    async with desktop(tmp_path, screen=AS_LOW_AS_A_LAPTOP) as session, tray(session, "crowd"):
        icon = centre(await session.robot.until_icon(WATER[Level.OK], SECONDS))

        _, top, _, bottom = await session.robot.open_menu(icon, MENU_HEIGHT, SECONDS)

        session.robot.screenshot("crowd")
        assert 0 <= top < bottom <= 768
        rows = (await session.robot.menu(await session.robot.until_item(SECONDS))).children
        assert "28 more accounts" in [row.label for row in rows]
        assert rows[-1].label == "Quit Tidegate", "and not an arrow to scroll by"
