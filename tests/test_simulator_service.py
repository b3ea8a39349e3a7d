"""Credentials, clients, bodies and paths are judged as the real providers judge them."""

from typing import Any

import httpx
import pytest

from tests.fakes import (
    ANSWER,
    ASK,
    VERSION,
    SimulatedAccount,
    SimulatedProvider,
    ask,
    faults,
    signed,
)

pytestmark = pytest.mark.anyio

GO_ASK: dict[str, Any] = {"model": "glm-5.3", "messages": [{"role": "user", "content": "Hello there"}]}


def go_signed(account: SimulatedAccount) -> dict[str, str]:
    return {"authorization": f"Bearer {account.key}", "x-opencode-session": "ses_1"}


async def test_credentials_are_refused_in_the_words_of_the_api(sim: SimulatedProvider, http: httpx.AsyncClient) -> None:
    work, team, old, gone = (
        sim.add_login("Work"),
        sim.add_api_key("Team"),
        sim.add_login("Old"),
        sim.add_login("Gone"),
    )
    old.expire_access()
    gone.revoke()
    cases = [
        ({}, 401, "x-api-key header is required"),
        ({"x-api-key": "sk-ant-api03-unknown"}, 401, "invalid x-api-key"),
        ({"x-api-key": work.access}, 401, "invalid x-api-key"),
        ({"authorization": f"Bearer {work.access}"}, 401, "OAuth authentication is currently not supported."),
        ({**signed(work), "authorization": "Bearer sk-ant-oat01-unknown"}, 401, "Invalid bearer token"),
        ({**signed(work), "x-api-key": "local"}, 401, "invalid x-api-key"),
        (signed(old), 401, "OAuth token has expired."),
        (signed(gone), 403, "OAuth token has been revoked."),
        ({"x-api-key": team.key, "origin": "http://evil.example"}, 401, "CORS requests are not allowed"),
        ({"authorization": f"Bearer {team.key}"}, 200, ""),
        ({"x-api-key": team.key}, 200, ""),
    ]
    for headers, status, text in cases:
        answer = await http.post("/v1/messages", headers={**VERSION, **headers}, json=ASK)
        assert (answer.status_code, text in answer.text) == (status, True), (headers, answer.text)
        if status != 200:
            assert answer.json()["request_id"] == answer.headers["request-id"]


async def test_a_login_may_refuse_other_programs_than_claude_code(
    sim: SimulatedProvider, http: httpx.AsyncClient
) -> None:
    home = sim.add_login("Home", third_party_refused=True)
    other = await ask(http, home)
    claude_code = {**signed(home), "user-agent": "claude-cli/2.1.329 (external, cli)"}
    own = await http.post("/v1/messages", headers=claude_code, json=ASK)
    assert other.status_code == 400
    assert other.json()["error"]["message"].startswith("This credential is only authorized for use with Claude Code")
    assert own.status_code == 200


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{", "not valid JSON"),
        (b'{"messages": [], "max_tokens": 1}', "model: Field required"),
        (b'{"model": "claude-opus-5-5", "messages": [{}]}', "max_tokens: Field required"),
        (b'{"model": "claude-opus-5-5", "messages": [], "max_tokens": 1}', "at least one message"),
    ],
)
async def test_a_malformed_request_is_the_clients_fault_and_uses_no_script(
    http: httpx.AsyncClient, work: SimulatedAccount, body: bytes, text: str
) -> None:
    work.script(faults.Overloaded())
    answer = await http.post("/v1/messages", headers=signed(work), content=body)
    assert answer.status_code == 400
    assert text in answer.json()["error"]["message"]
    assert (await ask(http, work)).status_code == 529


async def test_a_body_above_the_limit_is_refused_and_not_kept(
    sim: SimulatedProvider, http: httpx.AsyncClient, work: SimulatedAccount
) -> None:
    body = b" " * (33 * 1024 * 1024)
    answer = await http.post("/v1/messages", headers=signed(work), content=body)
    assert answer.status_code == 413
    assert answer.json()["error"]["type"] == "request_too_large"
    assert len(sim.received[0].body) <= 32 * 1024 * 1024


async def test_unknown_paths_and_methods_are_refused(http: httpx.AsyncClient) -> None:
    assert (await http.get("/v1/nothing")).status_code == 404
    assert (await http.get("/v1/messages")).status_code == 405
    assert (await http.head("/api/hello")).status_code == 200
    assert (await http.get("/api/hello")).status_code == 200


async def test_usage_needs_a_scope_and_has_a_budget_of_its_own(sim: SimulatedProvider, http: httpx.AsyncClient) -> None:
    setup = sim.add_login("Setup", scopes=("user:inference",))
    sim.script("/api/oauth/usage", faults.EndpointThrottle(3600))
    throttled = await http.get("/api/oauth/usage", headers=signed(setup))
    unscoped = await http.get("/api/oauth/usage", headers=signed(setup))
    assert (throttled.status_code, throttled.headers["retry-after"]) == (429, "3600")
    assert throttled.json() == {
        "error": {"type": "rate_limit_error", "message": "Rate limited. Please try again later."}
    }
    assert unscoped.status_code == 403
    assert "scope requirement user:profile" in unscoped.json()["error"]["message"]


async def test_go_messages_take_the_key_as_x_api_key_only(sim: SimulatedProvider, http: httpx.AsyncClient) -> None:
    go = sim.add_go_key("Go")
    body = {**ASK, "model": "minimax-m3"}
    session = {"x-opencode-session": "ses_1"}
    right = await http.post("/zen/go/v1/messages", headers={"x-api-key": go.key, **session}, json=body)
    wrong = await http.post("/zen/go/v1/messages", headers=go_signed(go), json=body)
    assert right.json()["content"][0]["text"] == ANSWER
    assert (wrong.status_code, wrong.json()["error"]) == (401, {"type": "AuthError", "message": "Missing API key."})


async def test_go_refuses_a_request_without_a_session(sim: SimulatedProvider, http: httpx.AsyncClient) -> None:
    go = sim.add_go_key("Go")
    headers = {"authorization": f"Bearer {go.key}"}
    answer = await http.post("/zen/go/v1/chat/completions", headers=headers, json=GO_ASK)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "MissingSessionID")


async def test_go_lists_models_for_everybody(http: httpx.AsyncClient) -> None:
    answer = await http.get("/zen/go/v1/models")
    assert answer.json()["data"][0]["object"] == "model"
