"""Icon and core of one process fail apart: the proxy outlives its icon, and the icon tells that the core is gone."""

import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio.to_thread
import httpx
import pytest

from core.remote import Running
from tests.desktop.fragile import HANG
from tests.desktop.robot import Robot
from tests.desktop.session import desktop
from tests.desktop.test_notifications import press_button, until_message
from tests.desktop.tidegate import SECONDS, Installation, serves

pytestmark = pytest.mark.anyio

FRAGILE = (sys.executable, "-m", "tests.desktop.fragile")


class Here:
    """A running Tidegate of which either half can be made to fail."""

    def __init__(self, robot: Robot, installation: Installation, process: "subprocess.Popen[bytes]") -> None:
        self.robot = robot
        self.installation = installation
        self.process = process
        self.before = set(robot.popups())

    async def labels(self) -> list[str]:
        """The menu's rows."""
        return [row.label for row in (await self.robot.menu(await self.robot.until_item(SECONDS))).walk() if row.label]

    async def until_row(self, start: str) -> None:
        async def there() -> bool:
            return any(label.startswith(start) for label in await self.labels())

        await self.robot.until(there, SECONDS)

    async def start_again(self, before: Running) -> None:
        """By the menu; and then it serves as ever, in the same process."""
        await self.robot.click_row(await self.robot.until_item(SECONDS), "Start again")
        again = await self.installation.until_running(before)
        assert again.pid == self.process.pid
        assert await serves(again)
        await self.until_row("Open dashboard")
        assert await self.end() == 0

    async def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return int(await anyio.to_thread.run_sync(lambda: self.process.wait(SECONDS)))

    def log(self) -> str:
        return self.installation.paths.log.read_text()


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Here, Running]]:
    async with desktop(folder) as session:
        installation = Installation(session)
        process = installation.start(program=FRAGILE)
        there = await installation.until_running()
        await session.robot.until_item(SECONDS)
        yield Here(session.robot, installation, process), there


async def test_icon_that_fails_leaves_the_proxy_and_a_button_brings_it_back(tmp_path: Path) -> None:
    async with running(tmp_path) as (here, there):
        here.process.send_signal(signal.SIGUSR1)
        message = await until_message(here.robot, here.before, "Tidegate's icon has failed")

        assert await serves(there)
        assert "the icon has failed" in here.log()
        await press_button(here.robot, message, from_the_right=0)

        await here.until_row("Quit Tidegate")
        assert await serves(there)
        assert await here.end() == 0


async def test_after_its_icon_has_failed_a_second_start_brings_it_back(tmp_path: Path) -> None:
    async with running(tmp_path) as (here, there):
        here.process.send_signal(signal.SIGUSR1)
        await here.robot.until_notified("Tidegate's icon has failed", SECONDS)

        code, _ = await here.installation.run()

        assert code == 0
        await here.until_row("Quit Tidegate")
        assert await serves(there)


async def test_without_its_icon_the_process_still_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    async with running(tmp_path) as (here, _):
        here.process.send_signal(signal.SIGUSR1)
        await here.robot.until_notified("Tidegate's icon has failed", SECONDS)

        assert await here.end() == 0
        assert not here.installation.paths.running.exists()


async def test_core_that_fails_is_shown_and_can_be_started_again_from_the_menu(tmp_path: Path) -> None:
    async with running(tmp_path) as (here, there):
        here.process.send_signal(signal.SIGUSR2)
        await _poke(there)

        told = await here.robot.until_notified("Tidegate has failed", SECONDS)
        await here.until_row("Not running: ")
        here.robot.screenshot("core-failed")
        assert "Programs get no answer" in told.body
        assert "the core has failed" in here.log()
        with pytest.raises(httpx.ConnectError):
            await serves(there)

        await here.start_again(there)


async def test_core_that_hangs_is_shown_and_can_be_started_again_from_the_menu(tmp_path: Path) -> None:
    async with running(tmp_path) as (here, there):
        here.process.send_signal(HANG)

        told = await here.robot.until_notified("Tidegate has failed", SECONDS)
        await here.until_row("Not running: It does not answer")
        here.robot.screenshot("core-hangs")
        assert "It does not answer any more" in told.body
        assert "the core does not answer, it is here:" in here.log()
        await here.start_again(there)


async def test_a_core_that_hangs_does_not_keep_anybody_from_quitting(tmp_path: Path) -> None:
    async with running(tmp_path) as (here, _):
        here.process.send_signal(HANG)
        await here.until_row("Not running: It does not answer")

        await here.robot.click_row(await here.robot.until_item(SECONDS), "Quit Tidegate")

        assert await anyio.to_thread.run_sync(lambda: here.process.wait(SECONDS)) == 1


async def _poke(there: Running) -> None:
    """Have the core's thread do something: an exception out of nowhere is raised by the next line that runs."""
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            await client.get(f"{there.address}/-/health")
        except httpx.HTTPError:
            return
