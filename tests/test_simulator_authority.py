"""The simulated sign-in: PKCE is checked, refresh tokens rotate, and one that is used twice ends the sign-in."""

from urllib.parse import urlencode

import httpx
import pytest

from tests.fakes import (
    CLIENT_ID,
    SimulatedAccount,
    SimulatedProvider,
    allow,
    challenge_of,
    code_shown,
    faults,
    query_of,
)

pytestmark = pytest.mark.anyio

VERIFIER = "v" * 43
LOOPBACK = "http://localhost:54545/callback"
MANUAL = "https://platform.claude.com/oauth/code/callback"
AUTHORIZE = {
    "code": "true",
    "client_id": CLIENT_ID,
    "response_type": "code",
    "redirect_uri": LOOPBACK,
    "scope": "user:profile user:inference",
    "code_challenge": challenge_of(VERIFIER),
    "code_challenge_method": "S256",
    "state": "st_1",
}
TOKEN = "/v1/oauth/token"


def authorize_url(sim: SimulatedProvider, **changes: str) -> str:
    return f"{sim.endpoints().anthropic_authorize_url}?{urlencode({**AUTHORIZE, **changes})}"


def exchange(code: str, **changes: str) -> dict[str, str]:
    body = {
        "grant_type": "authorization_code",
        "code": code,
        "state": "st_1",
        "client_id": CLIENT_ID,
        "redirect_uri": LOOPBACK,
        "code_verifier": VERIFIER,
    }
    return {**body, **changes}


def renewal(refresh: str) -> dict[str, str]:
    return {"grant_type": "refresh_token", "refresh_token": refresh, "client_id": CLIENT_ID}


def signed(access: str) -> dict[str, str]:
    return {"authorization": f"Bearer {access}", "anthropic-beta": "oauth-2025-04-20"}


async def new_code(sim: SimulatedProvider, account: SimulatedAccount) -> str:
    answer = await allow(authorize_url(sim), account)
    return query_of(answer.headers["location"])["code"]


async def test_a_person_allows_and_the_code_becomes_tokens_that_work(
    sim: SimulatedProvider, http: httpx.AsyncClient
) -> None:
    sim.add_login("Work")
    home = sim.add_login("Home")
    answer = await allow(authorize_url(sim), home)
    redirect = query_of(answer.headers["location"])
    tokens = (await http.post(TOKEN, json=exchange(redirect["code"]))).json()
    profile = await http.get("/api/oauth/profile", headers=signed(tokens["access_token"]))
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(f"{LOOPBACK}?")
    assert redirect["state"] == "st_1"
    assert tokens["access_token"].startswith("sk-ant-oat01-")
    assert tokens["refresh_token"].startswith("sk-ant-ort01-")
    assert tokens["expires_in"] == 28_800
    assert tokens["scope"] == AUTHORIZE["scope"]
    assert tokens["account"] == {"uuid": home.account_uuid, "email_address": "home@example.org"}
    assert profile.json()["account"]["uuid"] == home.account_uuid


async def test_the_manual_page_shows_code_and_state(sim: SimulatedProvider, http: httpx.AsyncClient) -> None:
    sim.add_login("Work")
    page = await allow(authorize_url(sim, redirect_uri=MANUAL), None)
    code, _, state = code_shown(page.text).partition("#")
    answer = await http.post(TOKEN, json=exchange(code, redirect_uri=MANUAL))
    assert state == "st_1"
    assert answer.status_code == 200


async def test_a_person_chooses_between_two_organisations(sim: SimulatedProvider, http: httpx.AsyncClient) -> None:
    first, second = sim.add_login("Ada at home"), sim.add_login("Ada at work")
    second.account_uuid, second.email = first.account_uuid, first.email
    for chosen in (second, first):
        answer = await allow(authorize_url(sim), chosen)
        granted = (await http.post(TOKEN, json=exchange(query_of(answer.headers["location"])["code"]))).json()
        assert granted["account"]["uuid"] == first.account_uuid
        assert granted["organization"]["uuid"] == chosen.organization_uuid


async def test_a_person_can_say_no(sim: SimulatedProvider) -> None:
    answer = await allow(authorize_url(sim), sim.add_login("Work"), decision="deny")
    assert query_of(answer.headers["location"])["error"] == "access_denied"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code": "ac_other"}, "invalid_grant"),
        ({"state": "st_2"}, "invalid_grant"),
        ({"redirect_uri": "http://localhost:1/callback"}, "invalid_grant"),
        ({"client_id": "someone"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
async def test_an_exchange_that_does_not_fit_is_refused(
    sim: SimulatedProvider, http: httpx.AsyncClient, changes: dict[str, str], error: str
) -> None:
    code = await new_code(sim, sim.add_login("Work"))
    answer = await http.post(TOKEN, json=exchange(code) | changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_a_code_works_once(sim: SimulatedProvider, http: httpx.AsyncClient) -> None:
    code = await new_code(sim, sim.add_login("Work"))
    first = await http.post(TOKEN, json=exchange(code))
    second = await http.post(TOKEN, json=exchange(code))
    assert (first.status_code, second.status_code) == (200, 400)


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "someone"},
        {"code_challenge_method": "plain"},
        {"redirect_uri": "http://evil.example/callback"},
        {"response_type": "token"},
    ],
)
async def test_a_page_that_does_not_fit_is_refused(
    sim: SimulatedProvider, http: httpx.AsyncClient, changes: dict[str, str]
) -> None:
    assert (await http.get(authorize_url(sim, **changes))).status_code == 400


async def test_a_refresh_token_rotates_and_the_new_pair_works(sim: SimulatedProvider, http: httpx.AsyncClient) -> None:
    work = sim.add_login("Work")
    access, refresh = work.access, work.refresh
    tokens = (await http.post(TOKEN, data=renewal(refresh))).json()
    assert tokens["refresh_token"] != refresh
    assert tokens["access_token"] != access
    assert (work.access, work.refresh) == (tokens["access_token"], tokens["refresh_token"])
    assert (await http.get("/api/oauth/profile", headers=signed(tokens["access_token"]))).status_code == 200
    assert (await http.get("/api/oauth/profile", headers=signed(access))).status_code == 200
    assert (await http.post(TOKEN, json=renewal(tokens["refresh_token"]))).status_code == 200


async def test_an_old_refresh_token_ends_the_whole_sign_in(sim: SimulatedProvider, http: httpx.AsyncClient) -> None:
    work = sim.add_login("Work")
    stale = work.refresh
    renewed = (await http.post(TOKEN, json=renewal(stale))).json()
    replayed = await http.post(TOKEN, json=renewal(stale))
    latest = await http.post(TOKEN, json=renewal(renewed["refresh_token"]))
    profile = await http.get("/api/oauth/profile", headers=signed(renewed["access_token"]))
    assert replayed.status_code == 400
    assert replayed.json() == {
        "error": "invalid_grant",
        "error_description": "Refresh token not found or invalid",
    }
    assert latest.json()["error"] == "invalid_grant"
    assert (profile.status_code, profile.json()["error"]["type"]) == (403, "permission_error")


async def test_sign_ins_of_one_account_are_independent(sim: SimulatedProvider, http: httpx.AsyncClient) -> None:
    work = sim.add_login("Work")
    mine = work.refresh
    theirs = sim.sign_in(work)
    await http.post("/v1/oauth/revoke", json={"token": theirs.refresh, "token_type_hint": "refresh_token"})
    assert (await http.post(TOKEN, json=renewal(theirs.refresh))).status_code == 400
    assert (await http.post(TOKEN, json=renewal(mine))).status_code == 200


async def test_a_refresh_without_token_is_the_callers_mistake(http: httpx.AsyncClient) -> None:
    answer = await http.post(TOKEN, json={"grant_type": "refresh_token", "client_id": CLIENT_ID})
    assert answer.json() == {"error": "invalid_request", "error_description": "Missing refresh token."}


async def test_the_token_endpoint_can_be_scripted(sim: SimulatedProvider, http: httpx.AsyncClient) -> None:
    work = sim.add_login("Work")
    refresh = work.refresh
    sim.script(TOKEN, faults.EndpointThrottle(), faults.ServerError(), faults.NotFound(), faults.ResetBeforeAnswer())
    statuses = [(await http.post(TOKEN, json=renewal(refresh))).status_code for _ in range(3)]
    with pytest.raises(httpx.TransportError):
        await http.post(TOKEN, json=renewal(refresh))
    assert statuses == [429, 500, 404]
    assert work.refresh == refresh


async def test_an_answer_lost_after_the_rotation_leaves_the_old_token_dead(
    sim: SimulatedProvider, http: httpx.AsyncClient
) -> None:
    work = sim.add_login("Work")
    refresh = work.refresh
    sim.script(TOKEN, faults.CloseBeforeAnswer())
    with pytest.raises(httpx.TransportError):
        await http.post(TOKEN, json=renewal(refresh))
    assert work.refresh != refresh
    assert (await http.post(TOKEN, json=renewal(refresh))).json()["error"] == "invalid_grant"


async def test_a_delayed_refresh_answers_in_the_end(sim: SimulatedProvider, http: httpx.AsyncClient) -> None:
    sim.script(TOKEN, faults.Stall(seconds=0.05))
    assert (await http.post(TOKEN, json=renewal(sim.add_login("Work").refresh))).status_code == 200


async def test_a_console_login_makes_a_key_that_works(sim: SimulatedProvider, http: httpx.AsyncClient) -> None:
    console = sim.add_login("Console", scopes=("org:create_api_key", "user:profile"))
    path = "/api/oauth/claude_cli/create_api_key"
    key = (await http.post(path, headers=signed(console.access))).json()["raw_key"]
    models = await http.get("/v1/models", headers={"x-api-key": key})
    refused = await http.post(path, headers=signed(sim.add_login("Work").access))
    assert key.startswith("sk-ant-api03-")
    assert models.headers["anthropic-organization-id"] == console.organization_uuid
    assert refused.status_code == 403
