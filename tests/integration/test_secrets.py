"""No secret anywhere but in the vault, in memory and in one header: every place is searched after real traffic."""

import base64
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import anthropic
import httpx
import pytest

from core.files import Paths
from core.logs import start_logging
from core.simulator import SimulatedAccount, faults
from tests.stage import MODEL, PROMPT, Stage, on_stage

pytestmark = pytest.mark.anyio


@pytest.fixture
def logging_to(tmp_path: Path) -> Iterator[Path]:
    """Log everything into the installation, as `serve` does; and put the root logger back."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    folder = tmp_path / "data"
    start_logging(Paths(folder), "debug", to_terminal=False)
    yield folder
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        handler.close()
    root.handlers, root.level = before, level


def forms(secret: str) -> set[bytes]:
    """A secret as it could hide: plain, base64, hex, URL-encoded, UTF-16."""
    raw = secret.encode()
    return {
        raw,
        base64.b64encode(raw)[:-4],
        raw.hex().encode(),
        quote(secret, safe="").encode(),
        raw.decode().encode("utf-16-le"),
    }


def secrets_of(*accounts: SimulatedAccount) -> set[str]:
    found = {text for account in accounts for text in (account.key, account.access, account.refresh)}
    return {text for text in found if text}


async def traffic(stage: Stage) -> set[str]:
    """Good answers, refusals, renewals, failovers. Returns every secret that was in use at any time."""
    work, home, team = await stage.login("Work"), await stage.login("Home"), await stage.api_key("Team")
    await stage.settle(strategy="round-robin")
    secrets = secrets_of(work, home, team)
    client = stage.sdk()
    work.script(faults.Unauthorized(), faults.QuotaRejected())
    home.script(faults.ErrorMidStream())
    team.script(faults.Unauthorized("invalid x-api-key"))
    for _ in range(8):
        try:
            async with client.messages.stream(model=MODEL, max_tokens=9, messages=PROMPT) as stream:
                await stream.get_final_message()
        except anthropic.APIError:
            continue
    return secrets | secrets_of(work, home, team)


async def test_no_file_log_or_answer_holds_a_credential_or_a_prompt(logging_to: Path) -> None:
    answers: list[bytes] = []
    async with on_stage(logging_to) as stage:
        secrets = await traffic(stage)
        async with httpx.AsyncClient(base_url=stage.url, trust_env=False) as client:
            key = {"authorization": f"Bearer {stage.key}"}
            running = json.loads((logging_to / "running.json").read_bytes())
            control = {"authorization": f"Bearer {running['control_token']}"}
            answers += [
                (await client.get(path, headers=headers)).content
                for path in ("/-/health", "/-/snapshot", "/-/", "/v1/nothing", "/-/nothing", "/elsewhere")
                for headers in ({}, key, control)
            ]
            listed = await client.post("/-/commands/config_get", headers=control, json={})
            answers += [listed.content, repr(stage.core.engine.pool).encode(), repr(stage.core.tokens).encode()]
        assert len(secrets) >= 6
    files = {path: path.read_bytes() for path in logging_to.rglob("*") if path.is_file()}
    assert {"config.json", "history.db", "tidegate.log"} <= {path.name for path in files}
    wanted = {form for secret in secrets for form in forms(secret)} | {b"hello there"}
    hits = [(str(path), form) for path, content in files.items() for form in wanted if form in content]
    hits += [("an answer", form) for content in answers for form in wanted if form in content]
    assert hits == []


async def test_local_key_rests_in_no_file(logging_to: Path) -> None:
    async with on_stage(logging_to) as stage:
        await traffic(stage)
        key = stage.key
    hits = [path.name for path in logging_to.rglob("*") if path.is_file() and key.encode() in path.read_bytes()]
    assert hits == []


async def test_every_file_is_its_owners_only(logging_to: Path) -> None:
    async with on_stage(logging_to) as stage:
        await traffic(stage)
        modes = {path: path.stat().st_mode & 0o777 for path in logging_to.rglob("*")}
    assert modes
    assert {path.name: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}


async def test_local_key_goes_to_no_provider(stage: Stage) -> None:
    await traffic(stage)
    everything = b"".join(b"".join(part for line in r.headers for part in line) + r.body for r in stage.sim.received)
    assert stage.sim.received
    assert stage.key.encode() not in everything
