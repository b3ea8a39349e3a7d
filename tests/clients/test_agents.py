"""Both agents ask Tidegate about their accounts: the tools that `tidegate connect --mcp` has registered."""

import asyncio
import json
import os
import pty
import re
import signal
import sys
import termios
from contextlib import suppress

import anyio
import pytest

from tests.clients.install import Programs
from tests.clients.stage import ROOT, SWITCHES, Stage

pytestmark = pytest.mark.timeout(300, func_only=True)  # else the first test pays for the installation
WAITING = ("/usr/bin/env", "MCP_CONNECTION_NONBLOCKING=0")
"""A person types for longer than the tools take to start; `-p` would ask its first question without them."""
ALL_IN_SIGHT = "ENABLE_TOOL_SEARCH=0"
SHOWN_S = 60.0
_CODES = re.compile(r"\x1b(?:\[[0-9;?<>=]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


def connect(stage: Stage, *words: str) -> None:
    done = stage.run(
        sys.executable, "-m", "core", "--data-dir", str(stage.paths.root), "connect", *words, "--yes", cwd=ROOT
    )
    assert (done.code, done.err) == (0, "")


def undo(stage: Stage, client: str) -> None:
    done = stage.run(sys.executable, "-m", "core", "--data-dir", str(stage.paths.root), "undo", client, cwd=ROOT)
    assert done.code == 0


def test_claude_code_finds_the_tools_and_the_model_reads_the_status(stage: Stage, programs: Programs) -> None:
    connect(stage, "claude-code", "--mcp")

    listed = stage.run(programs.claude, "mcp", "list")
    assert "tidegate" in listed.out
    assert "Connected" in listed.out
    answered = stage.run(
        *WAITING,
        programs.claude,
        "-p",
        "use the tool mcp__tidegate__account_status",
        "--allowedTools=mcp__tidegate__account_status",
    )

    assert answered.code == 0
    assert "Work serves Anthropic" in answered.out
    offered = {tool["name"]: tool for tool in json.loads(stage.received[0].body)["tools"]}
    described = offered["mcp__tidegate__account_status"]["description"]
    assert "what's my auth status?" in described
    assert [name for name in offered if name.startswith("mcp__tidegate__")] == ["mcp__tidegate__account_status"]
    undo(stage, "claude-code")
    assert "tidegate" not in stage.run(programs.claude, "mcp", "list").out


def test_claude_code_switches_the_account_in_the_middle_of_a_conversation(stage: Stage, programs: Programs) -> None:
    connect(stage, "claude-code", "--mcp")

    answered = stage.run(
        *WAITING,
        ALL_IN_SIGHT,
        programs.claude,
        "-p",
        'use the tool mcp__tidegate__switch_account with {"account": "Home", "hours": 1}',
        "--allowedTools=mcp__tidegate__switch_account",
    )

    assert answered.code == 0
    assert [received.account for received in stage.received] == ["Work", "Home"]


def test_opencode_finds_the_tools_and_the_model_reads_the_status(stage: Stage, programs: Programs) -> None:
    connect(stage, "opencode", "--mcp")

    answered = stage.run(
        programs.opencode,
        "run",
        "--model",
        "anthropic/claude-sonnet-5",
        given="use the tool tidegate_account_status",
    )

    assert answered.code == 0, answered.err
    assert "Work serves Anthropic" in answered.out
    undo(stage, "opencode")
    assert not any("tidegate" in file.read_text() for file in stage.home.glob(".config/opencode/*.json*"))


def test_claude_code_shows_the_status_line(stage: Stage, programs: Programs) -> None:
    connect(stage, "claude-code", "--statusline")
    trusted = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
    state = {"hasCompletedOnboarding": True, "theme": "dark", "projects": {str(stage.home / "project"): trusted}}
    (stage.home / ".claude.json").write_text(json.dumps(state))
    stage.order("pin", account="Home")

    seen = stage.portal.call(screen, stage, str(programs.claude), "Home · 5h ")

    assert "Home · 5h " in seen, seen[-2_000:]


async def screen(stage: Stage, program: str, wanted: str) -> str:
    """What a program shows on a terminal until `wanted` is there, or for a minute."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 160))
    environ = {**SWITCHES, "HOME": str(stage.home), "PATH": os.defpath, "LANG": "C.UTF-8", "TERM": "xterm-256color"}
    process = await asyncio.create_subprocess_exec(
        program,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=stage.home / "project",
        env=environ,
        start_new_session=True,
    )
    os.close(theirs)
    shown = ""
    try:
        async with asyncio.timeout(SHOWN_S):
            while wanted not in shown:
                await anyio.wait_readable(ours)
                shown += _CODES.sub("", os.read(ours, 65_536).decode(errors="replace"))
    except (TimeoutError, OSError):  # the test shows what there is
        pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        os.close(ours)
    return shown
