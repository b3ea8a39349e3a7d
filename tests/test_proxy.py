import asyncio
import time

import httpx
import pytest
from msgspec.structs import replace

from core.model import ProviderName, SignIn
from core.proxy import account_header, route
from core.simulator import faults
from tests.stage import MODEL, PROMPT, Stage

BODY = {"model": MODEL, "max_tokens": 64, "messages": PROMPT}
VERSION = {"anthropic-version": "2023-06-01"}


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/v1/messages", (ProviderName.ANTHROPIC, b"/v1/messages")),
        (b"/v1/messages?beta=true", (ProviderName.ANTHROPIC, b"/v1/messages?beta=true")),
        (b"/v1/files/file_1/content", (ProviderName.ANTHROPIC, b"/v1/files/file_1/content")),
        (b"/messages", (ProviderName.ANTHROPIC, b"/v1/messages")),
        (b"/messages/count_tokens?beta=true", (ProviderName.ANTHROPIC, b"/v1/messages/count_tokens?beta=true")),
        (b"/models", (ProviderName.ANTHROPIC, b"/v1/models")),
        (b"/zen/go/v1/chat/completions", (ProviderName.OPENCODE_GO, b"/zen/go/v1/chat/completions")),
        (b"/zen/v1/messages", None),
        (b"/v1", None),
        (b"/v2/messages", None),
        (b"/messages-elsewhere", None),
        (b"/", None),
    ],
)
def test_path_leads_to_one_provider(target: bytes, expected: tuple[ProviderName, bytes] | None) -> None:
    assert route(target) == expected


def test_account_header_is_ascii_whatever_the_label() -> None:
    assert account_header("Büro 1\r\nx: y")[1].isascii()
    assert b"\r" not in account_header("a\r\nb")[1]
    assert account_header("Work (Max)") == (b"x-tidegate-account", b"Work (Max)")


@pytest.mark.anyio
class TestNoAccount:
    async def test_client_with_a_credential_of_its_own_is_passed_through_untouched(self, stage: Stage) -> None:
        own = stage.sim.add_login("Own")
        headers = {**VERSION, "authorization": f"Bearer {own.access}", "anthropic-beta": "oauth-2025-04-20"}
        async with httpx.AsyncClient(base_url=stage.url, trust_env=False) as client:
            answer = await client.post("/v1/messages", json=BODY, headers=headers)
        assert answer.status_code == 200
        assert "x-tidegate-account" not in answer.headers
        received = stage.sim.received[-1]
        assert received.account == "Own"
        assert received.header("authorization") == f"Bearer {own.access}"

    async def test_streams_are_passed_through_too(self, stage: Stage) -> None:
        own = stage.sim.add_api_key("Own")
        headers = {**VERSION, "x-api-key": own.key}
        async with httpx.AsyncClient(base_url=stage.url, trust_env=False) as client:
            answer = await client.post("/v1/messages", json={**BODY, "stream": True}, headers=headers)
        assert answer.text.endswith('event: message_stop\ndata: {"type":"message_stop"}\n\n')

    async def test_local_key_gets_a_sentence_that_says_what_to_do(self, stage: Stage) -> None:
        async with httpx.AsyncClient(base_url=stage.url, trust_env=False) as client:
            answer = await client.post("/v1/messages", json=BODY, headers={"x-api-key": stage.key})
        assert answer.status_code == 403
        assert "tidegate add" in answer.json()["error"]["message"]
        assert answer.headers["x-should-retry"] == "false"

    async def test_setting_switches_it_off(self, stage: Stage) -> None:
        await stage.settle(passthrough=False)
        own = stage.sim.add_api_key("Own")
        async with httpx.AsyncClient(base_url=stage.url, trust_env=False) as client:
            answer = await client.post("/v1/messages", json=BODY, headers={"x-api-key": own.key})
        assert answer.status_code == 401
        assert not stage.sim.received

    async def test_unreachable_provider_is_said(self, stage: Stage) -> None:
        await stage.settle(endpoints=type(stage.sim.endpoints())(anthropic_api_url="http://127.0.0.1:9"))
        async with httpx.AsyncClient(base_url=stage.url, trust_env=False) as client:
            answer = await client.post("/v1/messages", json=BODY, headers={"x-api-key": "sk-ant-api03-own"})
        assert answer.status_code == 502


@pytest.mark.anyio
async def test_own_credential_is_never_mixed_with_the_pool(stage: Stage) -> None:
    """With an account there is no pass-through, and a stranger's key opens nothing."""
    await stage.login("Work")
    own = stage.sim.add_api_key("Own")
    async with httpx.AsyncClient(base_url=stage.url, trust_env=False) as client:
        refused = await client.post("/v1/messages", json=BODY, headers={"x-api-key": own.key})
        both = await client.post(
            "/v1/messages", json=BODY, headers={**VERSION, "x-api-key": own.key, "authorization": f"Bearer {stage.key}"}
        )
    assert refused.status_code == 401
    assert both.headers["x-tidegate-account"] == "Work"
    sent = [r for r in stage.sim.received if r.path == "/v1/messages"]
    assert [r.account for r in sent] == ["Work"]
    assert sent[0].header("x-api-key") == ""


@pytest.mark.anyio
@pytest.mark.parametrize("phase", [faults.Phase.BEFORE_HEAD, faults.Phase.AFTER_HEAD, faults.Phase.MID_STREAM])
async def test_client_that_leaves_closes_the_upstream_within_a_second_and_is_nobodys_fault(
    stage: Stage, phase: faults.Phase
) -> None:
    account = await stage.login("Work")
    account.script(faults.Stall(phase, 20))
    async with httpx.AsyncClient(base_url=stage.url, trust_env=False) as client:
        asking = asyncio.create_task(
            client.post("/v1/messages", json={**BODY, "stream": True}, headers={**VERSION, "x-api-key": stage.key})
        )
        await stage.sim.wait_received(1)
        asking.cancel()
        left_at = time.time()
        await asyncio.gather(asking, return_exceptions=True)
    await stage.sim.wait_until(lambda: stage.sim.received[-1].left_at is not None)
    assert (stage.sim.received[-1].left_at or 0) - left_at < 1
    state = stage.core.engine.pool.accounts[0]
    assert (state.in_flight, state.cooldowns, state.failures) == (0, (), 0)


@pytest.mark.anyio
async def test_client_that_leaves_is_not_sent_on_to_another_account(stage: Stage) -> None:
    first = await stage.login("First")
    await stage.login("Second")
    await stage.settle(strategy="priority")
    first.script(faults.Stall(faults.Phase.BEFORE_HEAD, 20))
    async with httpx.AsyncClient(base_url=stage.url, headers={**VERSION, "x-api-key": stage.key}) as client:
        asking = asyncio.create_task(client.post("/v1/messages", json=BODY))
        await stage.sim.wait_until(lambda: bool(stage.sim.requests_for("/v1/messages")))
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await stage.sim.wait_until(lambda: stage.sim.requests_for("/v1/messages")[0].left_at is not None)
        await client.post("/v1/messages", json=BODY)  # whatever the other had left to do is done by then
    assert [r.account for r in stage.sim.requests_for("/v1/messages")] == ["First", "First"]


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("accounts", [0, 1])
async def test_a_provider_whose_address_is_tidegates_own_is_refused_at_once(
    stage: Stage, host: str, accounts: int
) -> None:
    """Else a request would come back to us, and again, and an account would be blamed for it."""
    for number in range(accounts):
        await stage.login(f"Account {number}")
    here = stage.url.replace("127.0.0.1", host)
    await stage.settle(endpoints=replace(stage.sim.endpoints(), anthropic_api_url=here))
    async with httpx.AsyncClient(base_url=stage.url, trust_env=False) as client:
        key = stage.key if accounts else "sk-ant-api03-own"
        answer = await client.post("/v1/messages", json=BODY, headers={**VERSION, "x-api-key": key})
    assert (answer.status_code, answer.headers["x-should-retry"]) == (502, "false")
    assert "Tidegate's own" in answer.json()["error"]["message"]
    assert all(s.sign_in is SignIn.OK and not s.cooldowns for s in stage.core.engine.pool.accounts)


@pytest.mark.anyio
async def test_every_request_is_remembered_with_what_became_of_it(stage: Stage) -> None:
    account = await stage.login("Work")
    account.script(faults.BadRequest())
    async with httpx.AsyncClient(base_url=stage.url, trust_env=False) as client:
        for _ in range(2):
            await client.post("/v1/messages", json=BODY, headers={**VERSION, "x-api-key": stage.key})
    good, bad = await stage.core.history.requests(2)
    assert (bad.status, bad.outcome) == (400, "RequestRefused")
    assert (good.status, good.outcome, good.account) == (200, "Served", "work")
    assert good.usage.output > 0
    assert good.model == MODEL


@pytest.mark.anyio
async def test_account_for_claude_code_alone_serves_nobody_else(stage: Stage) -> None:
    for label, serves in (("Work", "claude-code"), ("Team", "any")):
        key = stage.sim.add_api_key(label).key
        await stage.core.commands.run("add_key", {"kind": "api-key", "key": key, "label": label, "serves": serves})
    async with httpx.AsyncClient(base_url=stage.url, headers={**VERSION, "x-api-key": stage.key}) as client:
        await client.post("/v1/messages", json=BODY)
        await stage.core.commands.run("disable", {"account": "Team"})
        refused = await client.post("/v1/messages", json=BODY)
        claude_code = await client.post("/v1/messages", json=BODY, headers={"user-agent": "claude-cli/2.1.329"})
    assert [r.account for r in stage.sim.received if r.path == "/v1/messages"] == ["Team", "Work"]
    assert (refused.status_code, claude_code.status_code) == (403, 200)
    assert "serves Claude Code only" in refused.json()["error"]["message"]


@pytest.mark.anyio
@pytest.mark.parametrize(("method", "path"), [("HEAD", "/"), ("HEAD", "/api/hello"), ("GET", "/api/hello")])
async def test_small_questions_are_answered_here(stage: Stage, method: str, path: str) -> None:
    async with httpx.AsyncClient(base_url=stage.url, trust_env=False) as client:
        answer = await client.request(method, path, headers={"x-api-key": stage.key})
    assert answer.status_code == 200
    assert not stage.sim.received
