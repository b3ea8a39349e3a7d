"""The tray on a real panel with a real notification daemon. Screenshots go to TIDEGATE_ARTIFACTS when it is set."""

import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from core.model import Level
from tests.desktop.pictures import picture
from tests.desktop.robot import Robot, Row, centre
from tests.desktop.session import Session, desktop
from tray import items, menu
from tray.icon_colours import AMBER, LIGHT, WATER

pytestmark = pytest.mark.anyio

REPOSITORY = Path(__file__).parents[2]
SECONDS = 15.0
MENU_HEIGHT = 150
ROW_HEIGHT = 25


class Driver:
    """A running tray: what it is shown, what it said."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._rest = b""

    def command(self, **command: object) -> None:
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.process.stdin.flush()

    async def said(self, kind: str, **facts: str) -> dict[str, str]:
        """The next thing it says of this kind and with these facts."""
        with anyio.fail_after(SECONDS):
            while True:
                while b"\n" not in self._rest:
                    await anyio.wait_readable(self.process.stdout)
                    more = os.read(self.process.stdout.fileno(), 4096)
                    assert more, f"the tray ended with {self.process.poll()} before it said {kind} {facts}"
                    self._rest += more
                line, _, self._rest = self._rest.partition(b"\n")
                told = json.loads(line)
                if told.items() >= {"said": kind, **facts}.items():
                    return dict(told)


@asynccontextmanager
async def tray(
    session: Session, shown: str = "ok", now: float | None = None, patience_s: float = 10.0
) -> AsyncIterator[Driver]:
    arguments = [shown, str(time.time() if now is None else now), str(patience_s)]
    command = [sys.executable, "-m", "tests.desktop.driver", *arguments]
    process = session.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY)
    try:
        yield Driver(process)
    finally:
        session.end(process)
        process.stdin.close()
        process.stdout.close()


def labels(rows: tuple[items.Item, ...]) -> Iterator[str]:
    """The words of a menu, in the order in which a panel walks it, as D-Bus carries them."""
    for item in rows:
        match item:
            case items.Separator():
                yield ""
            case items.Submenu(label=label, items=inner):
                yield label.replace("_", "__")
                yield from labels(inner)
            case _:
                yield item.label.replace("_", "__")


def checked(root: Row) -> list[str]:
    return [row.label.partition(" ")[0] for row in root.children if row.kind == "radio" and row.checked]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_icon_is_in_the_panel_and_a_left_click_opens_the_menu(tmp_path: Path, dark: bool) -> None:
    async with desktop(tmp_path, dark=dark) as session, tray(session):
        icon = await session.robot.until_icon(WATER[Level.OK], SECONDS)
        session.robot.screenshot("icon")

        await session.robot.click(*centre(icon))

        box = await session.robot.until_popup(MENU_HEIGHT, SECONDS)
        session.robot.screenshot("menu")
        assert box[1] < 60, "the menu hangs from the panel"


async def test_click_on_a_row_with_the_mouse_switches_the_account(tmp_path: Path) -> None:
    async with desktop(tmp_path) as session, tray(session) as driver:
        robot = session.robot
        item = await robot.until_item(SECONDS)
        await robot.click(*centre(await robot.until_icon(WATER[Level.OK], SECONDS)))
        left, top, _, _ = await robot.until_popup(MENU_HEIGHT, SECONDS)

        await robot.click(left + 60, top + 2 * ROW_HEIGHT + ROW_HEIGHT // 2 + 4)  # below the headline and "Work"

        assert (await driver.said("do"))["account"] == "home"
        await robot.until(lambda: _is(robot, item, ["Home"]), SECONDS)


async def test_open_menu_shows_what_is_new_without_closing(tmp_path: Path) -> None:
    async with desktop(tmp_path) as session, tray(session) as driver:
        robot = session.robot
        await robot.click(*centre(await robot.until_icon(WATER[Level.OK], SECONDS)))
        box = await robot.until_popup(MENU_HEIGHT, SECONDS)
        before = robot.look().crop(box)

        driver.command(picture="sign-in")

        await robot.until_icon(AMBER, SECONDS)
        await robot.until_seen(lambda screen: screen.crop(box) != before, SECONDS, "the rows that are new")
        robot.screenshot("menu-with-news")
        assert box in robot.popups()


async def test_click_on_a_row_pins_and_the_menu_offers_to_unpin(tmp_path: Path) -> None:
    async with desktop(tmp_path) as session, tray(session) as driver:
        item = await session.robot.until_item(SECONDS)

        await session.robot.click_row(item, "Home — ")
        assert (await driver.said("do", name="pin"))["account"] == "home"
        await session.robot.click_row(item, "Unpin Home")

        assert (await driver.said("do", name="unpin"))["provider"] == "anthropic"


async def test_account_is_removed_by_the_second_click_in_its_submenu(tmp_path: Path) -> None:
    async with desktop(tmp_path) as session, tray(session) as driver:
        item = await session.robot.until_item(SECONDS)

        await session.robot.click_row(item, "Yes, remove Home and sign out at the provider")

        told = await driver.said("do", name="remove")
        assert (told["account"], told["revoke"]) == ("home", "True")


async def test_sign_in_that_is_needed_stands_at_the_top_and_a_click_begins_it(tmp_path: Path) -> None:
    async with desktop(tmp_path) as session, tray(session, "sign-in") as driver:
        item = await session.robot.until_item(SECONDS)
        await session.robot.until_icon(AMBER, SECONDS)

        first = (await session.robot.menu(item)).children[0]
        await session.robot.click_row(item, first.label)

        assert first.label.startswith("Sign in again: Team")
        assert (await driver.said("sign in"))["to"] == "claude"


async def test_first_start_offers_what_was_found_in_other_programs(tmp_path: Path) -> None:
    async with desktop(tmp_path) as session, tray(session, "empty") as driver:
        item = await session.robot.until_item(SECONDS)

        async def offered() -> bool:
            return any(row.label.startswith("Import 2") for row in (await session.robot.menu(item)).children)

        await session.robot.until(offered, SECONDS)
        await session.robot.click_row(item, "Import 2 accounts found (Claude Code, OpenCode)")

        assert await driver.said("took over")


async def test_menu_on_the_bus_is_the_menu_that_was_built(tmp_path: Path) -> None:
    now = time.time()
    async with desktop(tmp_path) as session, tray(session, "sign-in", now):
        root = await session.robot.menu(await session.robot.until_item(SECONDS))

        shown = [row.label for row in root.walk()][1:]
        assert shown == list(labels(menu.build(picture("sign-in", now), now)))
        assert checked(root) == ["Work"]
        assert any("me__and@example.org" in label for label in shown)


@pytest.mark.parametrize("notifier", ["xfce", "dunst"])
async def test_notification_reaches_the_daemon_and_the_screen(tmp_path: Path, notifier: str) -> None:
    async with desktop(tmp_path, notifier=notifier) as session, tray(session) as driver:
        robot = session.robot
        await robot.until_icon(WATER[Level.OK], SECONDS)
        before = len(robot.popups())

        driver.command(notify={"title": "Work rests until 16:10", "body": "5 h <full> & done", "key": "work"})

        shown = await robot.until_notified("Work rests until 16:10", SECONDS)
        assert (shown.app, shown.body) == ("Tidegate", "5 h &lt;full&gt; &amp; done")
        assert shown.icon.endswith("tidegate.png")
        await robot.until_seen(lambda _: len(robot.popups()) > before, SECONDS, "notification")
        robot.screenshot(f"notification-{notifier}")


async def test_icon_follows_the_snapshot(tmp_path: Path) -> None:
    async with desktop(tmp_path) as session, tray(session) as driver:
        robot = session.robot
        await robot.until_icon(WATER[Level.OK], SECONDS)

        driver.command(picture="warn")
        await robot.until_icon(WATER[Level.WARN], SECONDS)
        driver.command(picture="spent")
        await robot.until_icon(WATER[Level.SPENT], SECONDS)
        robot.screenshot("spent")
        driver.command(picture="sign-in")
        await robot.until_icon(AMBER, SECONDS)
        robot.screenshot("sign-in")
        driver.command(picture="empty")
        await robot.until_icon(LIGHT, SECONDS)

        root = await robot.menu(await robot.until_item(SECONDS))
        assert "No account yet" in [row.label for row in root.children]


async def test_icon_comes_back_when_the_panel_is_restarted(tmp_path: Path) -> None:
    async with desktop(tmp_path, panel=False) as session:
        panel = await session.start_panel()
        async with tray(session) as driver:
            await session.robot.until_icon(WATER[Level.OK], SECONDS)

            panel.kill()
            panel.wait(SECONDS)
            await driver.said("log", text="the tray icon is nowhere: no panel takes it")
            await session.start_panel()

            await driver.said("log", text="the tray icon is in a panel")
            await session.robot.until_icon(WATER[Level.OK], SECONDS)


async def test_without_a_panel_tidegate_keeps_running_and_says_so(tmp_path: Path) -> None:
    async with desktop(tmp_path, panel=False) as session, tray(session, patience_s=0.1) as driver:
        shown = await session.robot.until_notified("No panel shows Tidegate's icon", SECONDS)
        assert "keeps running" in shown.body
        advice = await driver.said("log", level="WARNING")
        assert "Add the Status Tray plugin to a panel" in advice["text"]

        await session.start_panel()

        await session.robot.until_icon(WATER[Level.OK], SECONDS)
        assert driver.process.poll() is None


async def test_without_a_notification_daemon_the_tray_works_and_the_log_says_so_once(tmp_path: Path) -> None:
    async with desktop(tmp_path, notifier=None) as session, tray(session) as driver:
        item = await session.robot.until_item(SECONDS)

        for number in range(2):
            driver.command(notify={"title": f"Message {number}", "body": "", "key": str(number)})
        told = await driver.said("log", level="WARNING")
        await session.robot.click_row(item, "Home — ")

        assert "no notifications" in told["text"]
        assert await driver.said("do", name="pin")


@pytest.mark.parametrize("end", ["Quit", "signal"])
async def test_quit_stops_the_core_and_ends_the_process(tmp_path: Path, end: str) -> None:
    async with desktop(tmp_path) as session, tray(session) as driver:
        item = await session.robot.until_item(SECONDS)

        if end == "Quit":
            await session.robot.click_row(item, "Quit")
        else:
            driver.process.terminate()

        assert (await driver.said("ended"))["stopped"] == "True"
        assert await anyio.to_thread.run_sync(lambda: driver.process.wait(SECONDS)) == 0


async def test_without_a_session_bus_the_error_points_to_serve(tmp_path: Path) -> None:
    async with desktop(tmp_path, panel=False, notifier=None) as session:
        del session.environment["DBUS_SESSION_BUS_ADDRESS"], session.environment["DISPLAY"]
        async with tray(session) as driver:
            told = await driver.said("error")

        assert "tidegate serve" in told["hint"]


async def _is(robot: Robot, item: str, names: list[str]) -> bool:
    return checked(await robot.menu(item)) == names
