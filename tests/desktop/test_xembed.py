"""The tray on a real panel that knows only XEmbed, where we draw the menu. Screenshots go to TIDEGATE_ARTIFACTS."""

import time
from pathlib import Path

import pytest
from PIL import ImageFont

from core.model import Level
from tests.desktop.pictures import picture
from tests.desktop.robot import PANEL_BELOW, Box, Robot, centre, colour_box
from tests.desktop.session import desktop
from tests.desktop.stub_tray import until
from tests.desktop.test_desktop import MENU_HEIGHT, SECONDS, tray
from tray import menu, popup, popup_drawing, pystray_menu, xembed_menu
from tray.icon_colours import AMBER, WATER

pytestmark = pytest.mark.anyio


async def icon_below(robot: Robot, level: Level = Level.OK) -> Box:
    return await robot.until_icon(WATER[level], SECONDS, PANEL_BELOW)


def no_icon_below(robot: Robot) -> bool:
    return colour_box(robot.look(), WATER[Level.OK], PANEL_BELOW) is None


class Drawn:
    """Where the rows of the menu are that this snapshot has."""

    def __init__(self, shown: str, now: float, box: Box) -> None:
        built = menu.build(picture(shown, now), now)
        sizes = popup_drawing.metrics(ImageFont.load_default(10), 1.0)
        rows = xembed_menu.rows(pystray_menu.menu(lambda: built, print))
        self._panel = popup.opened(rows, popup.Box(0, 0, 1, 1), popup.Box(0, 0, 9999, 9999), sizes).panels[0]
        self._box = box
        assert self._panel.height == box[3] - box[1], "the menu on the screen has other rows"

    def row(self, start: str) -> tuple[int, int]:
        """The middle of the first row that starts so."""
        index = next(number for number, row in enumerate(self._panel.rows) if row.text.startswith(start))
        return self._box[0] + 60, self._box[1] + sum(self._panel.span(index)) // 2


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_click_on_the_icon_opens_a_menu_and_a_click_on_a_row_switches(tmp_path: Path, dark: bool) -> None:
    now = time.time()
    async with desktop(tmp_path, panel=False, dark=dark) as session:
        await session.start_tint2()
        async with tray(session, now=now) as driver:
            robot = session.robot
            icon = await icon_below(robot)
            await driver.said("log", text="the tray icon is in a panel")
            await robot.click(*centre(icon))
            box = await robot.until_popup(MENU_HEIGHT, SECONDS)
            assert box[3] <= icon[1] + 4, "the menu stands on the icon"
            rows = Drawn("ok", now, box)
            await robot.point(*rows.row("Home — "))
            await robot.until_seen(lambda screen: colour_box(screen, popup_drawing.REACHED, box), SECONDS, "the row")
            robot.screenshot("xembed-menu")

            await robot.click(*rows.row("Home — "))

            assert (await driver.said("do", name="pin"))["account"] == "home"
            await until(lambda: not robot.popups(), "the menu has closed")


async def test_submenus_open_and_keys_alone_do_a_row(tmp_path: Path) -> None:
    now = time.time()
    async with desktop(tmp_path, panel=False) as session:
        await session.start_tint2()
        async with tray(session, now=now) as driver:
            robot = session.robot
            await robot.click(*centre(await icon_below(robot)), button=3)
            rows = Drawn("ok", now, await robot.until_popup(MENU_HEIGHT, SECONDS))

            await robot.point(*rows.row("Accounts"))
            await until(lambda: len(robot.popups()) == 2, "the submenu")
            await robot.press("Right")
            await until(lambda: len(robot.popups()) == 2, "the submenu, with its first row reached")
            await robot.press("Right")
            await until(lambda: len(robot.popups()) == 3, "the account's own submenu")
            robot.screenshot("xembed-submenus")
            await robot.press("Escape", "Escape", "Home", "Down", "Down", "Return")

            assert await driver.said("do", name="pin")


async def test_icon_follows_the_snapshot_and_an_open_menu_too(tmp_path: Path) -> None:
    now = time.time()
    async with desktop(tmp_path, panel=False) as session:
        await session.start_tint2()
        async with tray(session, now=now) as driver:
            robot = session.robot
            await robot.click(*centre(await icon_below(robot)))
            before = await robot.until_popup(MENU_HEIGHT, SECONDS)

            driver.command(picture="sign-in")

            await robot.until_icon(AMBER, SECONDS, PANEL_BELOW)
            box = await robot.until_popup(before[3] - before[1] + 1, SECONDS)
            robot.screenshot("xembed-sign-in")
            await robot.click(*Drawn("sign-in", now, box).row("Sign in again: Team"))
            assert (await driver.said("sign in"))["to"] == "claude"


async def test_icon_waits_for_a_tray_and_comes_back_when_it_is_restarted(tmp_path: Path) -> None:
    async with desktop(tmp_path, panel=False) as session, tray(session, patience_s=60.0) as driver:
        await driver.said("log", text="the tray icon is nowhere: no panel takes it")
        panel = await session.start_tint2()
        await icon_below(session.robot)
        await driver.said("log", text="the tray icon is in a panel")

        panel.kill()
        panel.wait(SECONDS)
        await driver.said("log", text="the tray icon is nowhere: no panel takes it")
        await session.start_tint2()

        await icon_below(session.robot)
        await driver.said("log", text="the tray icon is in a panel")


async def test_panel_that_speaks_on_the_bus_gets_the_icon_and_when_it_goes_the_other_has_it_again(
    tmp_path: Path,
) -> None:
    async with desktop(tmp_path, panel=False) as session:
        below = await session.start_tint2()
        async with tray(session):
            robot = session.robot
            await icon_below(robot)

            panel = await session.start_panel()
            await robot.until_icon(WATER[Level.OK], SECONDS)
            await until(lambda: no_icon_below(robot), "the icon has left the other panel")
            robot.screenshot("xembed-and-sni")
            for ended in (panel, below):  # Xfce's panel took the XEmbed tray from tint2, which does not take it back
                ended.kill()
                ended.wait(SECONDS)
            await session.start_tint2()

            await icon_below(robot)


async def test_desktop_with_both_trays_in_one_panel_shows_one_icon(tmp_path: Path) -> None:
    """Xfce's panel has both: it is started after us, as at login, and restarted."""
    async with desktop(tmp_path, panel=False) as session, tray(session) as driver:
        for _ in range(2):
            panel = await session.start_panel()
            await driver.said("log", text="the tray icon is in a panel")
            icon = await session.robot.until_icon(WATER[Level.OK], SECONDS)
            assert icon[2] - icon[0] < 40, "one icon"
            session.robot.screenshot("one-icon")
            assert await session.robot.until_item(SECONDS)
            panel.kill()
            panel.wait(SECONDS)
            await driver.said("log", text="the tray icon is nowhere: no panel takes it")


async def test_xembed_tray_is_enough_where_the_session_has_no_bus(tmp_path: Path) -> None:
    now = time.time()
    async with desktop(tmp_path, panel=False) as session:
        await session.start_tint2()
        del session.environment["DBUS_SESSION_BUS_ADDRESS"]
        async with tray(session, now=now) as driver:
            robot = session.robot
            await robot.click(*centre(await icon_below(robot)))
            rows = Drawn("ok", now, await robot.until_popup(MENU_HEIGHT, SECONDS))

            await robot.click(*rows.row("Quit"))

            assert (await driver.said("ended"))["stopped"] == "True"
