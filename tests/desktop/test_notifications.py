"""Messages on real notification daemons: what they show, what their buttons do, and daemons that come and go."""

from pathlib import Path

import pytest
from PIL.Image import Image

from core.model import Level
from tests.desktop.robot import Box, Robot
from tests.desktop.session import desktop
from tests.desktop.test_desktop import SECONDS, tray
from tray.icon_colours import WATER

pytestmark = pytest.mark.anyio

WITH_BUTTONS = 100
"""The least height of an Xfce message with buttons."""
BUTTON_WIDTH = 101
"""Of xfce4-notifyd, with what is free beside it."""
FAILED_OVER = {
    "title": "Work → Home",
    "body": "5 h window full until 16:10.",
    "key": "failover",
    "actions": [
        {"label": "Switch back", "order": "pin", "arguments": {"account": "work"}},
        {"label": "Details"},
    ],
}


async def until_message(robot: Robot, before: set[Box], title: str, least_height: int = 1) -> Box:
    """Where the message with this title is on the screen; one with buttons is taller than others."""

    def message(_screen: Image) -> Box | None:
        new = set(robot.popups()) - before
        return next((box for box in new if box[3] - box[1] >= least_height), None)

    await robot.until_notified(title, SECONDS)
    box: Box = await robot.until_seen(message, SECONDS, title)
    return box


async def press_button(robot: Robot, message: Box, from_the_right: int) -> None:
    """Click a button of an Xfce message with the mouse: they stand at its bottom, at the right."""
    _, _, right, bottom = message
    await robot.click(right - 61 - from_the_right * BUTTON_WIDTH, bottom - 31)


async def test_button_switches_back_and_the_other_one_opens_the_status_page(tmp_path: Path) -> None:
    async with desktop(tmp_path, notifier="xfce") as session, tray(session) as driver:
        robot = session.robot
        await robot.until_icon(WATER[Level.OK], SECONDS)
        before = set(robot.popups())

        driver.command(notify=FAILED_OVER)
        message = await until_message(robot, before, "Work → Home")
        robot.screenshot("message-with-buttons")
        await press_button(robot, message, from_the_right=1)

        assert (await driver.said("do", name="pin"))["account"] == "work"
        await robot.until_seen(lambda _: set(robot.popups()) == before, SECONDS, "nothing")
        driver.command(notify=FAILED_OVER)
        await press_button(robot, await until_message(robot, before, "Work → Home"), from_the_right=0)
        assert await robot.until_notified("There is no dashboard to open", SECONDS), "the core of this test has none"


async def test_click_on_a_message_of_dunst_opens_the_status_page(tmp_path: Path) -> None:
    async with desktop(tmp_path, notifier="dunst") as session, tray(session) as driver:
        robot = session.robot
        await robot.until_icon(WATER[Level.OK], SECONDS)
        before = set(robot.popups())

        driver.command(notify=FAILED_OVER)
        left, top, _, _ = await until_message(robot, before, "Work → Home")
        await robot.click(left + 20, top + 20, button=2)  # of the usual settings the one that acts; the left one closes

        assert await robot.until_notified("There is no dashboard to open", SECONDS)


async def test_later_message_of_the_same_kind_takes_the_place_of_the_earlier(tmp_path: Path) -> None:
    async with desktop(tmp_path, notifier="xfce") as session, tray(session) as driver:
        robot = session.robot
        await robot.until_icon(WATER[Level.OK], SECONDS)
        before = set(robot.popups())

        for number in range(5):
            driver.command(notify={**FAILED_OVER, "title": f"Move {number}"})
        await robot.until_notified("Move 4", SECONDS)

        await robot.until_seen(lambda _: len(set(robot.popups()) - before) == 1, SECONDS, "one message")
        assert [shown.title for shown in robot.notifications] == [f"Move {number}" for number in range(5)]


async def test_menu_tells_that_nothing_shows_messages_until_a_daemon_comes_up_and_again_after_it_has_gone(
    tmp_path: Path,
) -> None:
    async with desktop(tmp_path, notifier=None) as session, tray(session) as driver:
        robot = session.robot
        item = await robot.until_item(SECONDS)

        async def missing() -> bool:
            return any(
                row.label == "Nothing on this desktop shows notifications" for row in (await robot.menu(item)).walk()
            )

        async def not_missing() -> bool:
            return not await missing()

        driver.command(notify={"title": "Work → Home", "body": "", "key": "failover"})
        driver.command(notify={"title": "Sign in again: Work", "body": "", "key": "login", "urgent": True})
        await robot.until(missing, SECONDS)

        daemon = await session.start_notifier("xfce")
        await robot.until_notified("Sign in again: Work", SECONDS)
        await robot.until(not_missing, SECONDS)
        assert "Work → Home" not in [shown.title for shown in robot.notifications], "that is old news now"

        session.end(daemon)
        driver.command(notify={"title": "Into the void", "body": "", "key": "void"})
        await robot.until(missing, SECONDS)
        await session.start_notifier("dunst")
        await robot.until(not_missing, SECONDS)
        driver.command(notify=FAILED_OVER)
        await robot.until_notified("Work → Home", SECONDS)
