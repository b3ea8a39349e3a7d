"""Autostart as a session manager obeys it: the entry that `tidegate autostart on` wrote, started by another program."""

import subprocess
from pathlib import Path

import anyio
import pytest

from tests.desktop.session import desktop
from tests.desktop.tidegate import SECONDS, Installation, serves

pytestmark = pytest.mark.anyio


async def test_what_is_switched_on_starts_with_the_session_and_what_is_switched_off_does_not(tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    folder.mkdir()
    async with desktop(folder) as session:
        session.environment["XDG_CONFIG_DIRS"] = str(tmp_path)  # what the machine starts is none of our business
        installation = Installation(session)
        code, said = await installation.run("autostart", "on")
        assert code == 0, said
        assert said.startswith("Autostart is on: ")

        session.start(["dex", "--autostart", "--environment", "XFCE"])
        running = await installation.until_running()
        await session.robot.until_item(SECONDS)
        assert await serves(running)
        assert "is on" in (await installation.run("autostart", "status"))[1]

        assert await installation.run("autostart", "off") == (0, "Autostart is off.\n")
        listed = await anyio.run_process(
            ["dex", "--autostart", "--environment", "XFCE", "--dry-run", "--verbose"],
            env=session.environment,
            stderr=subprocess.STDOUT,
        )
        assert b"tidegate" not in listed.stdout
