import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from core import demo
from core.demo_run import Memory, staged


@pytest.mark.anyio
async def test_stage_has_three_accounts_that_serve_and_vanishes_at_the_end() -> None:
    async with staged() as stage:
        snapshot = stage.core.engine.snapshot()
        assert [account.plan for account in snapshot.accounts] == ["max 5x", "pro", ""]
        assert [a.label for a in snapshot.accounts] == ["Work", "Home", "Team"]
        assert snapshot.demo
        summary = await stage.play(demo.Plan(sessions=2, rounds=1, pause_s=0))
        assert (summary.requests, summary.whole) == (2, 2)
        assert stage.progress is not None
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"{snapshot.address}/-/health")


@pytest.mark.anyio
async def test_stage_has_a_past_that_nothing_was_counted_of() -> None:
    async with staged() as stage:
        ask = stage.core.commands.run
        quota, usage = await ask("quota", {"days": 30}), await ask("usage", {"days": 30})
        requests, history = await ask("requests", {"limit": 1}), await ask("history", {})
        counted = stage.core.measured()

    assert [(curve["label"], curve["window"]) for curve in quota["curves"]] == [
        ("Work", "5h"),
        ("Work", "7d"),
        ("Home", "5h"),
        ("Home", "7d"),
    ]
    assert quota["moves"]
    assert {used["label"] for used in usage["by"]} == {"Work", "Home", "Team"}
    assert len(usage["models"]) == 3
    assert requests["entries"]
    assert {entry["kind"] for entry in history["entries"]} >= {"Move", "SessionMoved"}
    assert "tidegate_requests_total{" not in counted
    assert "tidegate_failovers_total{" not in counted


@pytest.mark.anyio
async def test_accounts_of_the_stage_obey_orders() -> None:
    async with staged() as stage:
        await stage.core.commands.run("disable", {"account": "Home"})
        await stage.core.commands.run("rename", {"account": "Work", "label": "Office"})
        assert [(a.label, a.enabled) for a in stage.core.engine.snapshot().accounts] == [
            ("Office", True),
            ("Home", False),
            ("Team", True),
        ]


def test_demo_ends_by_itself_with_a_summary_and_0_when_every_answer_was_whole(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "core", "demo", "--headless", "--once"]
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "COLUMNS": "100"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, env=environ, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "24 requests, 24 whole answers" in done.stdout
    assert "5 h window full" in done.stdout
    assert list(tmp_path.rglob("*")) == []


def test_memory_keeps_what_it_was_given_until_told_otherwise() -> None:
    memory = Memory()
    memory.set("a", "1")
    memory.set("a", "2")
    assert memory.get("a") == ["2"]
    memory.delete("a")
    memory.delete("a")
    assert memory.get("a") == []
