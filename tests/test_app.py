import gc
import json
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

import anyio.to_thread
import httpx
import pytest

from core import app, remote
from core.demo_run import Memory
from core.errors import InstanceRunning, PortTaken, TidegateError, UsageError, VaultLocked
from core.files import Paths
from core.model import Event, LoginRequired, LoginState, SignIn, Standing
from core.simulator import faults
from core.vault import Vault
from core.wording import clock_time
from tests.fakes_vault import MemoryBackend
from tests.instance import OFFLINE
from tests.stage import MODEL, PROMPT, Stage, on_stage

pytestmark = pytest.mark.anyio
TOKEN = "/v1/oauth/token"


def options(**given: object) -> app.Options:
    chosen: dict[str, object] = {"vault": Vault(Memory()), "port": 0, "environ": OFFLINE} | given
    return app.Options(**chosen)  # type: ignore[arg-type]


async def test_instance_says_where_it_is_and_takes_it_back_at_the_end(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    async with app.running(paths, options()) as core:
        found = await anyio.to_thread.run_sync(remote.find, paths)
        assert found is not None
        assert (found.pid, found.address) == (os.getpid(), core.engine.address)
    assert not paths.running.exists()


_LOADED = """
import asyncio, sys
from pathlib import Path
from core import app, serve
from core.files import Paths

async def start():
    async with app.running(Paths(Path(sys.argv[1])), app.Options(vault="file", port=0)) as core:
        if sys.argv[2] == "asked":
            await core.commands.run("snapshot", {})
        heavy = {"core.commands", "core.connections", "core.clients", "core.imports", "core.control", "httpx"}
        print(sorted((heavy | {"filelock.asyncio", "email.utils"}) & set(sys.modules)))

asyncio.run(start())
"""


def loaded(folder: Path, *, asked: bool) -> str:
    """What a start has loaded of what most starts do not need; `asked`: it was given an order."""
    words = [sys.executable, "-c", _LOADED, str(folder), "asked" if asked else "not asked"]
    environ = {**os.environ, **OFFLINE, "TIDEGATE_VAULT_KEY": "a passphrase"}
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60, env=environ).stdout


def test_what_serves_orders_is_loaded_by_the_first_order(tmp_path: Path) -> None:
    loaded(tmp_path, asked=False)  # the very first start makes keys, under locks

    assert loaded(tmp_path, asked=False) == "[]\n"
    assert "core.commands" in loaded(tmp_path, asked=True)


async def test_second_instance_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    async with app.running(Paths(tmp_path), options()) as core:
        with pytest.raises(InstanceRunning) as caught:
            async with app.running(Paths(tmp_path), options()):
                pass
        assert caught.value.hint
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"{core.engine.address}/-/health")).json()["name"] == "tidegate"


async def test_taken_port_is_told_with_its_owner_and_nothing_is_left_behind(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"Port {port} is taken by .*pid {os.getpid()}"):
            async with app.running(Paths(tmp_path), options(port=port)):
                pass
    assert not Paths(tmp_path).running.exists()
    async with app.running(Paths(tmp_path), options()):
        pass


async def test_bad_variable_stops_the_start_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="TIDEGATE_PORT"):
        async with app.running(Paths(tmp_path), options(environ={"TIDEGATE_PORT": "eighty"})):
            pass


async def test_state_survives_a_restart(tmp_path: Path) -> None:
    """Accounts, the rest of a spent one, sessions, the pin, moves and the local key."""
    memory = Memory()
    paths = Paths(tmp_path)
    async with on_stage(tmp_path, memory=memory) as stage:
        work = await stage.login("Work")
        await stage.login("Home")
        await stage.settle(strategy="sticky")
        work.script(faults.QuotaRejected("5h", 3600))
        await stage.sdk().messages.create(
            model=MODEL, max_tokens=9, messages=PROMPT, extra_headers={"x-claude-code-session-id": "s"}
        )
        await stage.core.commands.run("pin", {"account": "Home"})
        before, key = stage.core.engine.snapshot(), stage.key
    async with app.running(paths, options(vault=Vault(memory))) as core:
        after = core.engine.snapshot()
        assert (await core.commands.run("token", {}))["key"] == key
        assert [affinity.account for affinity in core.engine.pool.sessions.values()] == ["home"]
    assert [a.standing for a in after.accounts] == [Standing.COOLING, Standing.READY]
    assert after.accounts[0].until_at == before.accounts[0].until_at
    assert after.accounts[1].pinned
    assert after.moves == before.moves
    assert [a.in_flight for a in after.accounts] == [0, 0]


async def test_how_full_the_windows_were_is_told_also_after_a_restart(tmp_path: Path) -> None:
    async with on_stage(tmp_path) as stage:
        work = await stage.login("Work")
        for spent in (0.25, 0.5):
            work.quota["5h"].utilization = spent
            await stage.sdk().messages.create(model=MODEL, max_tokens=9, messages=PROMPT)
        await stage.core.commands.run("rename", {"account": "Work", "label": "Office"})
    async with app.running(Paths(tmp_path), options()) as core:
        told = await core.commands.run("quota", {})
        asked = await core.commands.run("requests", {})

    courses = {(c["label"], c["window"]): [share for _, share in c["points"]] for c in told["curves"]}
    assert courses[("Office", "5h")] == [0.5], "the highest of what was read in a short time"
    assert courses[("Office", "7d")] == [0.1]
    assert [(entry["label"], entry["model"]) for entry in asked["entries"]] == [("Office", MODEL)] * 2


async def test_locked_vault_keeps_the_accounts_and_says_so(tmp_path: Path) -> None:
    """What was set up before stays; the account serves again when the vault opens."""
    memory = Locking()
    async with on_stage(tmp_path, memory=memory) as stage:
        await stage.login("Work")
    memory.locked = True
    async with app.running(Paths(tmp_path), options(vault=Vault(memory))) as core:
        async with httpx.AsyncClient(base_url=core.engine.address, trust_env=False) as client:
            answer = await client.post("/v1/messages", json={"model": MODEL}, headers={"x-api-key": stage.key})
        assert answer.status_code == 403
        assert "locked" in answer.json()["error"]["message"]
        assert core.engine.pool.accounts[0].sign_in is SignIn.LOCKED
        with pytest.raises(VaultLocked):
            await core.commands.run("token", {})
        memory.locked = False
        await core.tokens.secret(core.engine.pool.accounts[0].account.id)


async def test_first_start_with_a_locked_vault_is_one_clear_error(tmp_path: Path) -> None:
    memory = Locking()
    memory.locked = True
    with pytest.raises(VaultLocked) as caught:
        async with app.running(Paths(tmp_path), options(vault=Vault(memory))):
            pass
    assert caught.value.hint


class Locking(Memory):
    """A vault's back end that can be locked."""

    locked = False

    def get(self, key: str) -> list[str]:
        if self.locked:
            raise VaultLocked("The keychain is locked", "Unlock it.")
        return list(super().get(key))


async def test_listing_needs_no_vault(tmp_path: Path) -> None:
    memory = Locking()
    memory.locked = True
    async with app.alone(Paths(tmp_path), options(vault=Vault(memory))) as commands:
        assert (await commands.run("snapshot", {}))["accounts"] == ()


async def test_lost_local_key_is_told_and_not_replaced_silently(tmp_path: Path) -> None:
    async with app.running(Paths(tmp_path), options()):
        pass
    async with app.running(Paths(tmp_path), options()) as core:
        with pytest.raises(TidegateError, match="local key"):
            await core.commands.run("token", {})


async def test_page_opens_by_a_link_that_works_once(stage: Stage) -> None:
    await stage.login("Work")
    link = stage.core.page_link()
    async with httpx.AsyncClient(trust_env=False) as browser:
        page = await browser.get(link)
        again = await browser.get(f"{stage.url}/-/")
        assert page.status_code == again.status_code == 200
        assert (await browser.get(f"{stage.url}/-/snapshot")).status_code == 403
        key = re.search(r'name="tidegate-key" content="([^"]+)"', page.text)
        assert key
        browser.headers["x-tidegate-page"] = key[1]
        assert "Work" in (await browser.get(f"{stage.url}/-/snapshot")).text
    async with httpx.AsyncClient(trust_env=False) as other:
        assert (await other.get(link)).status_code == 403
        assert (await other.get(f"{stage.url}/-/")).status_code == 401


async def test_open_event_stream_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async with httpx.AsyncClient(trust_env=False) as client, AsyncExitStack() as reading:
        async with app.running(Paths(tmp_path), options()) as core:
            key = (await core.commands.run("token", {}))["key"]
            request = client.stream("GET", f"{core.engine.address}/-/events", headers={"x-api-key": key})
            answer = await reading.enter_async_context(request)
            pieces = answer.aiter_bytes()
            assert (await anext(pieces)).startswith(b"event: snapshot")
            ends_at = time.monotonic() + app.GRACE_S / 2

        assert time.monotonic() < ends_at
        assert [piece async for piece in pieces] == []


async def test_config_holds_a_digest_and_no_key(tmp_path: Path) -> None:
    async with app.running(Paths(tmp_path), options()) as core:
        key = (await core.commands.run("token", {}))["key"]
    saved = json.loads(Paths(tmp_path).config.read_bytes())
    assert len(saved["local_key_sha256"]) == 64
    assert key not in Paths(tmp_path).config.read_text()


async def test_connected_programs_follow_to_another_port_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    settings, paths = tmp_path / "home" / ".claude" / "settings.json", Paths(tmp_path / "tidegate")
    async with app.running(paths, options()) as core:
        await core.commands.run("connect", {"client": "claude-code"})
    async with app.running(paths, options()) as core:
        env = json.loads(settings.read_text())["env"]
        assert env["ANTHROPIC_BASE_URL"] == core.engine.address
        assert core.problems == (f"Claude Code now uses {core.engine.address}",)
        async with httpx.AsyncClient(trust_env=False) as http:
            headers = {"x-api-key": env["ANTHROPIC_AUTH_TOKEN"]}
            answer = await http.get(f"{core.engine.address}/v1/models", headers=headers)
    assert answer.status_code == 403  # let in; there is no account


async def test_a_program_whose_key_a_kill_has_cut_off_is_let_in_after_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    settings, paths = tmp_path / "home" / ".claude" / "settings.json", Paths(tmp_path / "tidegate")
    async with app.running(paths, options()) as core:
        connected = await core.commands.run("connect", {"client": "claude-code"})
        assert not any("does not take the key" in note or "Nothing answers" in note for note in connected["notes"])
        # As it is when connecting again ends between the new key and the program's settings.
        await core.commands.run("know_client", {"client": "claude-code", "sha256": "0" * 64})
    async with app.running(paths, options()) as core, httpx.AsyncClient(trust_env=False) as http:
        headers = {"x-api-key": json.loads(settings.read_text())["env"]["ANTHROPIC_AUTH_TOKEN"]}
        answer = await http.get(f"{core.engine.address}/v1/models", headers=headers)
    assert answer.status_code == 403  # let in; there is no account


# --- logins ----------------------------------------------------------------------------------------


async def test_login_that_cannot_be_renewed_serves_and_calls_for_the_person_once(stage: Stage) -> None:
    work = await stage.login("Work")
    told: list[Event] = []
    stage.core.bus.subscribe(told.append)
    work.revoke()

    for _ in range(2):
        with pytest.raises(TidegateError, match="can no longer be renewed"):
            await stage.core.commands.run("refresh", {"account": "Work"})

    shown = stage.core.engine.snapshot().accounts[0]
    assert (shown.standing, shown.login.state) == (Standing.READY, LoginState.ENDING)
    assert shown.login.ends_at is not None
    calls = [event for event in told if isinstance(event, LoginRequired)]
    assert len(calls) == 1
    assert calls[0].text.startswith(f"Sign in again by {clock_time(shown.login.ends_at, stage.core.clock())}")


async def test_login_that_the_vault_does_not_take_is_shown_and_taken_up_by_the_next_start(tmp_path: Path) -> None:
    memory = MemoryBackend()
    async with on_stage(tmp_path, memory=memory) as stage:  # type: ignore[arg-type]  # any back end will do
        await stage.login("Work")
        memory.writing_fails = VaultLocked("The keychain is locked")
        await stage.core.commands.run("refresh", {"account": "Work"})
        shown = stage.core.engine.snapshot().accounts[0]
        sent = len(stage.sim.requests_for(TOKEN))
    memory.writing_fails = None
    assert Paths(tmp_path).recovery.exists()
    async with app.running(Paths(tmp_path), options(vault=Vault(memory))) as core:
        info = await core.commands.run("info", {"account": "Work"})

    assert (shown.standing, shown.login.state) == (Standing.READY, LoginState.UNSAVED)
    assert sent == 1
    assert (info["standing"], info["generation"], info["login"]["state"]) == ("ready", 2, "fine")
    assert not Paths(tmp_path).recovery.exists()


async def test_damaged_recovery_file_is_told_and_stops_nothing(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.recovery.write_bytes(b"not ours")
    async with app.running(paths, options()) as core:
        assert [text for text in core.problems if text.startswith("recovery.bin was damaged")]
    assert (tmp_path / "recovery.bin.broken-1").read_bytes() == b"not ours"


async def test_renewed_login_of_somebody_else_is_kept_and_told_in_the_log(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    work = await stage.login("Work")
    await stage.core.commands.run("refresh", {"account": "Work"})
    assert "another person's" not in caplog.text
    before = work.access

    work.account_uuid = "99999999-2222-4333-8444-555555555555"
    await stage.core.commands.run("refresh", {"account": "Work"})

    assert "Work: the renewed login is another person's or organisation's than before" in caplog.text
    assert before != stage.core.tokens.ready(stage.core.engine.pool.accounts[0].account.id) == work.access


def test_what_a_start_has_made_is_not_gone_over_again() -> None:
    threshold = gc.get_threshold()
    gc.disable()
    try:
        app.settle()
        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold() > threshold
        assert gc.isenabled()
    finally:
        gc.unfreeze()
        gc.set_threshold(*threshold)
