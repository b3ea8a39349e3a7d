"""Programs that menu and page connect: their keys, their settings, and the picture of both."""

import asyncio
import json
from pathlib import Path

import msgspec
import pytest

from core.answers import ConnectionPlan, PlannedChange
from core.clients import Offered
from core.connected import records
from core.connecting import Where, carry_out, plan
from core.errors import NothingToDo, TidegateError, UsageError
from core.files import Paths
from core.local_keys import digest
from tests.instance import instance

pytestmark = pytest.mark.anyio

ADDRESS = "http://127.0.0.1:8433"
SECONDS = 60.0


async def test_a_program_is_connected_with_a_key_of_its_own_and_given_back(tmp_path: Path) -> None:
    settings = tmp_path / "home" / ".claude" / "settings.json"
    async with instance(tmp_path) as here:
        here.engine.address = ADDRESS

        done = await here.commands.run("connect", {"client": "claude-code"})

        env = json.loads(settings.read_text())["env"]
        assert env["ANTHROPIC_BASE_URL"] == ADDRESS
        assert here.config.current.client_keys == {"claude-code": digest(env["ANTHROPIC_AUTH_TOKEN"])}
        assert here.engine.snapshot().programs == ("claude-code",)
        assert (done["text"], done["file"]) == ("Claude Code is connected", str(settings))
        assert [*done["settings"]] == ["env.ANTHROPIC_BASE_URL", "env.ANTHROPIC_AUTH_TOKEN"]
        assert env["ANTHROPIC_AUTH_TOKEN"] not in json.dumps(done)

        done = await here.commands.run("undo", {"client": "claude-code"})

        assert done["text"] == "Claude Code has its settings back"
        assert not settings.exists()
        assert here.config.current.client_keys == {}
        assert here.engine.snapshot().programs == ()


async def test_menu_page_and_impatience_at_once_connect_one_after_the_other(tmp_path: Path) -> None:
    """More than the threads that blocking calls have: each needs another one while it goes on."""
    settings = tmp_path / "home" / ".claude" / "settings.json"
    async with instance(tmp_path) as here:
        here.engine.address = ADDRESS
        orders = (here.commands.run("connect", {"client": "claude-code"}) for _ in range(40))

        done = await asyncio.wait_for(asyncio.gather(*orders), SECONDS)

        assert {answer["text"] for answer in done} == {"Claude Code is connected"}
        token = json.loads(settings.read_text())["env"]["ANTHROPIC_AUTH_TOKEN"]
        assert here.config.current.client_keys == {"claude-code": digest(token)}

        await here.commands.run("undo", {"client": "claude-code"})

        assert not settings.exists()


async def test_what_cannot_be_connected_keeps_its_key(tmp_path: Path) -> None:
    settings = tmp_path / "home" / ".claude" / "settings.json"
    async with instance(tmp_path) as here:
        here.engine.address = ADDRESS
        await here.commands.run("connect", {"client": "claude-code"})
        keys = here.config.current.client_keys
        settings.write_text("{")

        with pytest.raises(TidegateError, match="does not read"):
            await here.commands.run("connect", {"client": "claude-code"})

        assert here.config.current.client_keys == keys
        assert here.engine.snapshot().programs == ("claude-code",)


async def test_the_plan_says_what_connecting_would_change_and_changes_nothing(tmp_path: Path) -> None:
    settings = tmp_path / "home" / ".claude" / "settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"env": {"ANTHROPIC_AUTH_TOKEN": "sk-mine"}}')
    async with instance(tmp_path) as here:
        here.engine.address = ADDRESS

        plan = msgspec.convert(
            await here.commands.run("connection_plan", {"client": "claude-code"}), ConnectionPlan, strict=True
        )

        assert (plan.client, plan.name, plan.file) == ("claude-code", "Claude Code", str(settings))
        assert plan.changes == (
            PlannedChange("env.ANTHROPIC_BASE_URL", "not set", f'"{ADDRESS}"'),
            PlannedChange("env.ANTHROPIC_AUTH_TOKEN", "a key", "a new key"),
        )
        assert any("Its own login rests meanwhile" in note for note in plan.notes)
        assert "sk-mine" not in repr(plan)
        assert settings.read_text() == '{"env": {"ANTHROPIC_AUTH_TOKEN": "sk-mine"}}'
        assert here.config.current.client_keys == {}


async def test_connecting_again_does_again_what_was_added(tmp_path: Path) -> None:
    home, paths = tmp_path / "home", Paths(tmp_path / "tidegate")
    added = ("claude-code", "claude-code-mcp", "claude-code-statusline")
    async with instance(tmp_path) as here:
        here.engine.address = ADDRESS
        await here.commands.run("connect", {"client": "claude-code"})
        elsewhere = Offered(ADDRESS, "", command=("/gone/tidegate", "--data-dir", "/gone"))
        for name in added[1:]:
            carry_out(paths, plan(paths, name, Where(home, {}), elsewhere))

        planned = await here.commands.run("connection_plan", {"client": "claude-code"})
        done = await here.commands.run("connect", {"client": "claude-code"})

        assert [*done["settings"]] == ["env.ANTHROPIC_AUTH_TOKEN", "statusLine"]
        assert [change["setting"] for change in planned["changes"]] == [*done["settings"]]
        assert f"{home / '.claude.json'} changes as well." in planned["notes"]
        assert f"Nothing answers at {ADDRESS} yet." in done["notes"][-1]
        line = json.loads((home / ".claude" / "settings.json").read_text())["statusLine"]["command"]
        tools = json.loads((home / ".claude.json").read_text())["mcpServers"]["tidegate"]
        assert str(paths.root) in line
        assert str(paths.root) in tools["args"]
        assert [*records(paths)] == [*added]

        await here.commands.run("undo", {"client": "claude-code"})

        assert [file for file in home.rglob("*") if file.is_file()] == []


async def test_the_key_that_a_program_has_is_good_again_after_a_kill(tmp_path: Path) -> None:
    settings = tmp_path / "home" / ".claude" / "settings.json"
    async with instance(tmp_path) as here:
        here.engine.address = ADDRESS
        await here.commands.run("connect", {"client": "claude-code"})
        key = digest(json.loads(settings.read_text())["env"]["ANTHROPIC_AUTH_TOKEN"])
        for name in ("claude-code", "opencode"):  # keys that never came into the settings
            await here.commands.run("know_client", {"client": name, "sha256": digest("tg-lost")})

        await here.commands._connections.repair()

        assert here.config.current.client_keys == {"claude-code": key}
        assert here.engine.snapshot().programs == ("claude-code",)


async def test_a_program_is_known_by_nothing_but_a_digest(tmp_path: Path) -> None:
    async with instance(tmp_path) as here:
        with pytest.raises(UsageError):
            await here.commands.run("know_client", {"client": "opencode", "sha256": "tg-key"})
        with pytest.raises(UsageError, match="no program 'emacs'"):
            await here.commands.run("know_client", {"client": "emacs", "sha256": ""})


async def test_nothing_is_connected_to_an_instance_that_does_not_listen(tmp_path: Path) -> None:
    async with instance(tmp_path) as here:
        with pytest.raises(TidegateError, match="not listening"):
            await here.commands.run("connect", {"client": "claude-code"})
        assert here.config.current.client_keys == {}


@pytest.mark.parametrize("order", ["connect", "undo", "connection_plan"])
async def test_a_program_that_nobody_knows_is_a_usage_error(tmp_path: Path, order: str) -> None:
    async with instance(tmp_path) as here:
        here.engine.address = ADDRESS
        with pytest.raises(UsageError, match="no program 'emacs'"):
            await here.commands.run(order, {"client": "emacs"})


async def test_what_is_not_connected_is_nothing_to_do(tmp_path: Path) -> None:
    async with instance(tmp_path) as here:
        with pytest.raises(NothingToDo):
            await here.commands.run("undo", {"client": "opencode"})
