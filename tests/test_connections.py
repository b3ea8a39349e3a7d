"""Programs that menu and page connect: their keys, their settings, and the picture of both."""

import json
from pathlib import Path

import pytest

from core.errors import NothingToDo, TidegateError, UsageError
from core.local_keys import digest
from tests.instance import instance

pytestmark = pytest.mark.anyio

ADDRESS = "http://127.0.0.1:8433"


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


async def test_nothing_is_connected_to_an_instance_that_does_not_listen(tmp_path: Path) -> None:
    async with instance(tmp_path) as here:
        with pytest.raises(TidegateError, match="not listening"):
            await here.commands.run("connect", {"client": "claude-code"})
        assert here.config.current.client_keys == {}


@pytest.mark.parametrize("order", ["connect", "undo", "client_key"])
async def test_a_program_that_nobody_knows_is_a_usage_error(tmp_path: Path, order: str) -> None:
    async with instance(tmp_path) as here:
        here.engine.address = ADDRESS
        with pytest.raises(UsageError, match="no program 'emacs'"):
            await here.commands.run(order, {"client": "emacs"})


@pytest.mark.parametrize("order", ["undo", "forget_client_key"])
async def test_what_is_not_connected_is_nothing_to_do(tmp_path: Path, order: str) -> None:
    async with instance(tmp_path) as here:
        with pytest.raises(NothingToDo):
            await here.commands.run(order, {"client": "opencode"})
