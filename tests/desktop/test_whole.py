"""The main job as a person has it: `tidegate` in a real panel, with a real keychain, used by the real SDK."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anthropic
import anyio
import anyio.to_thread
import pytest

from core.model import Level
from core.simulator import SimulatedAccount, SimulatedProvider, faults
from core.wording import clock_time
from tests.desktop.robot import Shown
from tests.desktop.session import Session, desktop
from tests.desktop.test_notifications import WITH_BUTTONS, press_button, until_message
from tests.desktop.tidegate import free_port
from tests.fakes import allow, code_shown
from tests.stage import for_clients
from tray.icon_colours import WATER

pytestmark = pytest.mark.anyio

SECONDS = 20.0
SECRETS = "org.freedesktop.secrets"
MODEL = "claude-sonnet-5"


class Person:
    """Somebody at this desktop, with the command line."""

    def __init__(self, session: Session, sim: SimulatedProvider) -> None:
        self.session = session
        self.sim = sim
        endpoints = sim.endpoints()
        self.environment = session.environment
        self.environment |= {
            "TIDEGATE_PORT": str(free_port()),
            "TIDEGATE_ANTHROPIC_API_URL": endpoints.anthropic_api_url,
            "TIDEGATE_ANTHROPIC_AUTHORIZE_URL": endpoints.anthropic_authorize_url,
            "TIDEGATE_ANTHROPIC_TOKEN_URL": endpoints.anthropic_token_url,
        }

    async def tidegate(self, *arguments: str, stdin: str = "") -> str:
        """Run a command to its end. Returns what it printed."""
        done = await anyio.run_process(
            [sys.executable, "-m", "core", *arguments], input=stdin.encode(), env=self.environment, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    async def sign_in(self, label: str) -> SimulatedAccount:
        """Add a subscription: open the address that is printed, allow, paste the code."""
        account = self.sim.add_login(label)
        command = [sys.executable, "-m", "core", "add", "claude", "--paste", "--label", label]
        async with await anyio.open_process(command, env=self.environment) as process:
            assert process.stderr
            assert process.stdin
            printed = b""
            with anyio.fail_after(SECONDS):
                while b"/oauth/authorize?" not in printed or not printed.endswith(b"\n\n"):
                    printed += await process.stderr.receive()
                url = next(word for word in printed.decode().split() if "/oauth/authorize?" in word)
                await process.stdin.send(code_shown((await allow(url, account)).text).encode())
                await process.stdin.aclose()
                assert await process.wait() == 0, (await process.stderr.receive()).decode()
        return account

    def start_tray(self) -> subprocess.Popen[bytes]:
        return self.session.start([sys.executable, "-m", "core"])

    async def status(self) -> dict[str, Any]:
        return dict(json.loads(await self.tidegate("status", "--json")))


def unlock_keychain(session: Session) -> None:
    daemon = session.start(
        ["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"], stdin=subprocess.PIPE
    )
    assert daemon.stdin
    daemon.stdin.write(b"a password of the tests")
    daemon.stdin.close()


async def ask(url: str, key: str) -> tuple[str, str]:
    """One streamed prompt of a session. Returns who served and the whole text."""
    async with (
        anthropic.AsyncAnthropic(base_url=url, api_key=key, max_retries=0) as client,
        client.messages.stream(
            model=MODEL,
            max_tokens=64,
            messages=[{"role": "user", "content": "hello there"}],
            extra_headers={"x-claude-code-session-id": "the session"},
        ) as stream,
    ):
        message = await stream.get_final_message()
        assert message.stop_reason == "end_turn"
        return stream.response.headers["x-tidegate-account"], message.content[0].text


async def test_account_that_runs_dry_in_a_session_is_replaced_before_anybody_notices(tmp_path: Path) -> None:
    async with SimulatedProvider.running() as sim, desktop(tmp_path) as session:
        robot, person = session.robot, Person(session, sim)
        unlock_keychain(session)
        await robot.until_owned(SECRETS, SECONDS)
        work, home = await person.sign_in("Work"), await person.sign_in("Home")
        work.quota["5h"].utilization, home.quota["5h"].utilization = 0.62, 0.75
        await person.tidegate("strategy", "sticky")
        assert "sk-ant" not in "".join(path.read_text("latin-1") for path in _files(tmp_path / "home"))

        person.start_tray()
        service = await robot.until_item(SECONDS)
        url, key = (await person.status())["address"], (await person.tidegate("token")).strip()
        assert (await ask(url, key))[0] == "Work"
        await robot.until_icon(WATER[Level.OK], SECONDS)
        session.robot.screenshot("before")

        popups = set(robot.popups())
        work.always(faults.QuotaRejected("5h", 3600))
        served_by, text = await ask(url, key)

        assert served_by == "Home"
        assert "hello there" in text
        resets = (await person.status())["accounts"][0]["until_at"]
        message = await until_message(robot, popups, "Work → Home", WITH_BUTTONS)
        told = await robot.until_notified("Work → Home", SECONDS)
        assert told.body == f"5 h window full until {clock_time(resets, sim.clock())}."
        await robot.until_icon(WATER[Level.WARN], SECONDS)
        session.robot.screenshot("after")
        rows = [row.label for row in (await robot.menu(service)).walk()]
        assert any(row.startswith("Serving now: Home — ") for row in rows)
        assert any(row.startswith("Work — 5 h window full until") for row in rows)

        received = len([r for r in for_clients(sim) if r.account == "Work"])
        assert (await ask(url, key))[0] == "Home"
        assert len([r for r in for_clients(sim) if r.account == "Work"]) == received
        assert notified(robot.notifications).count("Work → Home") == 1

        await press_button(robot, message, from_the_right=1)

        async def switched_back() -> bool:
            return any(row.label.startswith("Work (pinned)") for row in (await robot.menu(service)).walk())

        await robot.until(switched_back, SECONDS)


async def test_click_in_the_menu_switches_who_serves(tmp_path: Path) -> None:
    async with SimulatedProvider.running() as sim, desktop(tmp_path) as session:
        robot, person = session.robot, Person(session, sim)
        unlock_keychain(session)
        await robot.until_owned(SECRETS, SECONDS)
        await person.sign_in("Work")
        await person.sign_in("Home")
        tray = person.start_tray()
        service = await robot.until_item(SECONDS)
        url, key = (await person.status())["address"], (await person.tidegate("token")).strip()
        first = (await ask(url, key))[0]
        other = "Home" if first == "Work" else "Work"

        await robot.click_row(service, f"{other} — ")

        async def switched() -> bool:
            return any(row.label.startswith(f"{other} (pinned) — ") for row in (await robot.menu(service)).walk())

        await robot.until(switched, SECONDS)
        assert (await ask(url, key))[0] == other
        await robot.click_row(service, "Quit")
        await anyio.to_thread.run_sync(lambda: tray.wait(SECONDS))
        assert tray.returncode == 0


async def test_demo_in_the_tray_shows_a_failover_and_ends_by_itself(tmp_path: Path) -> None:
    async with desktop(tmp_path) as session:
        demo = session.start([sys.executable, "-m", "core", "demo", "--once"])
        await session.robot.until_item(SECONDS)
        await anyio.to_thread.run_sync(lambda: demo.wait(60))
        assert demo.returncode == 0
        assert any(shown.title.startswith("Work → ") for shown in session.robot.notifications)


def notified(shown: list[Shown]) -> list[str]:
    return [one.title for one in shown]


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and os.access(path, os.R_OK)]
