"""How Tidegate ends when nobody asks it whether it may: logins saved, answers finished, nothing left behind."""

import os
import signal
from pathlib import Path

import anthropic
import anyio.to_thread
import pytest

from core.simulator import SimulatedProvider, faults
from tests.desktop.session import desktop
from tests.desktop.test_whole import MODEL, SECONDS, SECRETS, Person, unlock_keychain
from tests.desktop.tidegate import Installation

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_answer_under_way_comes_to_its_end(tmp_path: Path, number: signal.Signals) -> None:
    async with SimulatedProvider.running() as sim, desktop(tmp_path) as session:
        person = Person(session, sim)
        unlock_keychain(session)
        await session.robot.until_owned(SECRETS, SECONDS)
        work = await person.sign_in("Work")
        work.always(faults.Slow(0.2))
        tray = person.start_tray()
        await session.robot.until_item(SECONDS)
        url, key = (await person.status())["address"], (await person.tidegate("token")).strip()

        async with (
            anthropic.AsyncAnthropic(base_url=url, api_key=key, max_retries=0) as client,
            client.messages.stream(
                model=MODEL, max_tokens=64, messages=[{"role": "user", "content": "hello there"}]
            ) as stream,
        ):
            await anext(aiter(stream))
            tray.send_signal(number)
            message = await stream.get_final_message()

        assert message.stop_reason == "end_turn"
        assert await anyio.to_thread.run_sync(lambda: tray.wait(SECONDS)) == 0


async def test_it_ends_with_the_session_bus(tmp_path: Path) -> None:
    async with desktop(tmp_path) as session:
        installation = Installation(session)
        tray = installation.start()
        await session.robot.until_item(SECONDS)
        bus = "org.freedesktop.DBus"
        pid = await session.robot.call((bus, "/org/freedesktop/DBus", bus), "GetConnectionUnixProcessID", "s", bus)

        os.kill(pid, signal.SIGTERM)

        assert await anyio.to_thread.run_sync(lambda: tray.wait(SECONDS)) == 0
        assert not installation.paths.running.exists()
