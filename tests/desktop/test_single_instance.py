"""Who starts Tidegate a second time wants to see it: real processes on one data folder."""

import signal
from pathlib import Path

import anyio.to_thread
import pytest

from tests.desktop.session import desktop
from tests.desktop.tidegate import SECONDS, Installation, serves, shows_page, until

pytestmark = pytest.mark.anyio


async def test_second_start_has_the_icon_open_the_page_and_says_so(tmp_path: Path) -> None:
    async with desktop(tmp_path) as session:
        installation = Installation(session)
        first = installation.start()
        await session.robot.until_item(SECONDS)

        code, said = await installation.run()

        assert (code, said) == (0, "Tidegate is running already: its icon opens the status page.\n")
        assert await shows_page(await installation.until_page())
        assert first.poll() is None


async def test_of_ten_starts_at_once_one_serves_and_nine_show_it(tmp_path: Path) -> None:
    async with desktop(tmp_path) as session:
        installation = Installation(session)
        started = [installation.start() for _ in range(10)]
        running = await installation.until_running()

        await until(lambda: sum(process.poll() is not None for process in started) == 9, 2 * SECONDS)

        (primary,) = (process for process in started if process.poll() is None)
        assert [process.returncode for process in started if process is not primary] == 9 * [0]
        assert primary.pid == running.pid
        assert await serves(running)
        await installation.until_page()


async def test_after_a_kill_a_new_start_takes_over(tmp_path: Path) -> None:
    async with desktop(tmp_path) as session:
        installation = Installation(session)
        first = installation.start()
        before = await installation.until_running()
        await session.robot.until_item(SECONDS)
        first.kill()
        first.wait()

        second = installation.start()
        after = await installation.until_running(before)

        assert after.pid == second.pid
        assert installation.pages() == []
        await session.robot.until_item(SECONDS)
        second.send_signal(signal.SIGTERM)
        assert await anyio.to_thread.run_sync(lambda: second.wait(SECONDS)) == 0
        assert not installation.paths.running.exists()


@pytest.mark.parametrize("browser", [True, False], ids=["browser", "no browser"])
async def test_start_beside_one_without_an_icon_tells_where_it_is_and_opens_its_page(
    tmp_path: Path, browser: bool
) -> None:
    async with desktop(tmp_path, panel=False, notifier=None) as session:
        installation = Installation(session, browser=browser)
        installation.start("serve")
        running = await installation.until_running()

        code, said = await installation.run()

        assert code == 0
        assert f"without an icon, at {running.address}." in said
        if browser:
            assert await shows_page(await installation.until_page())
        else:
            assert await shows_page(said.split()[-1])
