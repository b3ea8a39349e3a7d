"""The tools as an agent uses them: by the SDK's own client, against a whole Tidegate."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from core import __version__, mcp
from core.files import Paths
from core.simulator import faults
from tests.stage import MODEL, PROMPT, Stage, on_stage

pytestmark = pytest.mark.anyio


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """Two accounts that have just been used."""
    async with on_stage(tmp_path / "tidegate") as stage:
        await stage.login("Work")
        await stage.login("Home")
        await stage.settle(strategy="sticky")
        await stage.sdk().messages.create(model=MODEL, max_tokens=99, messages=PROMPT)
        yield stage


@pytest.fixture
async def agent(stage: Stage, tmp_path: Path) -> AsyncIterator[Client]:
    assert stage.core.engine.address
    async with Client(mcp.server(Paths(tmp_path / "tidegate"))) as client:
        yield client


async def asked(agent: Client, tool: str, **arguments: Any) -> Any:
    """The structured answer. Its text says the same."""
    result = await agent.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert json.loads(result.content[0].text) == result.structured_content
    return result.structured_content


async def refused(agent: Client, tool: str, **arguments: Any) -> str:
    result = await agent.call_tool(tool, arguments)
    assert result.is_error
    return str(result.content[0].text)


async def test_the_tools_say_in_plain_words_what_they_are_for(agent: Client) -> None:
    tools = {tool.name: tool for tool in (await agent.list_tools()).tools}

    assert [*tools] == ["account_status", "switch_account", "explain_choice", "usage_summary"]
    assert all(tool.output_schema and tool.annotations and tool.title for tool in tools.values())
    assert [name for name, tool in tools.items() if not tool.annotations.read_only_hint] == ["switch_account"]
    assert "what's my auth status?" in (tools["account_status"].description or "")
    assert not any("\n  " in (tool.description or "") for tool in tools.values())
    fields = [*tools["account_status"].output_schema["properties"]]
    assert fields == ["summary", "address", "strategy", "accounts"]


async def test_the_status_tells_who_serves_and_what_is_left(agent: Client) -> None:
    status = await asked(agent, "account_status")

    assert status["summary"].startswith("Work serves Anthropic: ")
    work, home = status["accounts"]
    assert (work["label"], work["ready"], work["in_use"], work["state"]) == ("Work", True, True, "ready")
    assert (home["label"], home["in_use"]) == ("Home", False)
    assert {quota["window"] for quota in work["quota"]} >= {"5 h", "week"}
    assert all(isinstance(quota["used_percent"], int) and "T" in quota["resets_at"] for quota in work["quota"])


async def test_an_account_is_switched_to_and_left_to_tidegate_again(stage: Stage, agent: Client) -> None:
    done = await asked(agent, "switch_account", account="Home", hours=2)

    assert "Home" in done["summary"]
    (pin,) = [view for view in stage.core.engine.snapshot().accounts if view.pinned]
    assert pin.label == "Home"
    assert 7_100 < (pin.pinned_until_at or 0) - stage.core.engine.snapshot().at <= 7_200
    assert (await asked(agent, "account_status"))["accounts"][1]["pinned"]

    await asked(agent, "switch_account")
    assert not any(view.pinned for view in stage.core.engine.snapshot().accounts)


async def test_the_choice_is_explained_with_the_reason_of_those_that_cannot(stage: Stage, agent: Client) -> None:
    account = next(account for account in stage.sim.accounts if account.label == "Work")
    account.always(faults.QuotaRejected("5h", 3600))
    await stage.sdk().messages.create(model=MODEL, max_tokens=99, messages=PROMPT)

    choice = await asked(agent, "explain_choice", model=MODEL)

    assert choice["summary"].startswith("Anthropic: Home is next: ")
    (line,) = choice["lines"]
    assert [(turn["label"], turn["serves"]) for turn in line["accounts"]] == [("Home", True), ("Work", False)]
    assert "5 h window full" in line["accounts"][1]["reason"]
    assert "T" in line["accounts"][1]["until"]

    usage = await asked(agent, "usage_summary", days=1)
    assert usage["summary"].startswith("2 requests and ")
    assert {(used["account"], used["model"], used["requests"]) for used in usage["used"]} == {
        ("Work", MODEL, 1),
        ("Home", MODEL, 1),
    }
    assert all(used["input_tokens"] and used["output_tokens"] for used in usage["used"])
    assert [left["account"] for left in usage["left"]] == ["Work", "Home"]
    assert any("Work" in entry and "Home" in entry for entry in usage["lately"])


async def test_a_pause_is_said_first(stage: Stage, agent: Client) -> None:
    await stage.core.commands.run("pause", {})

    for tool in ("account_status", "explain_choice"):
        assert (await asked(agent, tool))["summary"].startswith("Paused: nothing is let through. ")


async def test_no_answer_holds_a_secret(stage: Stage, agent: Client, tmp_path: Path) -> None:
    secrets = [stage.key, json.loads((tmp_path / "tidegate" / "running.json").read_bytes())["control_token"]]
    secrets += [secret for account in stage.sim.accounts for secret in (account.access, account.refresh) if secret]
    answers = [await agent.call_tool(tool, {}) for tool in ("account_status", "explain_choice", "usage_summary")]
    text = "".join(answer.model_dump_json() for answer in answers)

    assert len(secrets) >= 4
    assert [secret for secret in secrets if secret in text] == []
    assert "@" not in text


@pytest.mark.parametrize(
    ("arguments", "words"), [({"account": "nobody"}, "nobody"), ({"account": "Work", "hours": -1}, "greater than 0")]
)
async def test_what_cannot_be_ordered_is_told(agent: Client, arguments: dict[str, Any], words: str) -> None:
    assert words in await refused(agent, "switch_account", **arguments)


@pytest.mark.parametrize("tool", ["account_status", "switch_account", "explain_choice", "usage_summary"])
async def test_without_a_running_tidegate_each_tool_says_so(tmp_path: Path, tool: str) -> None:
    async with Client(mcp.server(Paths(tmp_path))) as client:
        assert "Tidegate is not running. Ask the person to start it" in await refused(client, tool)


async def test_the_command_serves_on_stdin_and_stdout(tmp_path: Path) -> None:
    program = StdioServerParameters(command=sys.executable, args=["-m", "core", "--data-dir", str(tmp_path), "mcp"])
    async with Client(program) as client:
        assert client.server_info
        assert (client.server_info.name, client.server_info.version) == ("tidegate", __version__)
        assert "not running" in await refused(client, "account_status")


def test_the_command_line_does_not_load_it() -> None:
    script = (
        "import sys; from core.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'mcp', 'pydantic', 'core.mcp'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    assert shown.stdout.endswith("[]\n")
    assert "statusline" in shown.stdout
