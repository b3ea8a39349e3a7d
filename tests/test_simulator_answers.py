"""Limits, profile and usage have the headers and shapes of the real providers."""

import httpx
import pytest

from core.simulator import ExtraUsage
from tests.fakes import (
    ASK,
    NOW,
    VERSION,
    SimulatedAccount,
    SimulatedProvider,
    Window,
    ask,
    signed,
)

pytestmark = pytest.mark.anyio


async def test_an_answer_carries_the_headers_of_the_edge(http: httpx.AsyncClient, work: SimulatedAccount) -> None:
    headers = (await ask(http, work)).headers
    assert headers["request-id"].startswith("req_011")
    assert headers["anthropic-organization-id"] == work.organization_uuid
    assert headers["server"] == "cloudflare"
    assert "__cf_bm=" in headers["set-cookie"]
    assert {"via", "cf-ray", "date"} <= set(headers)


async def test_a_key_shows_its_buckets(sim: SimulatedProvider, http: httpx.AsyncClient) -> None:
    team = sim.add_api_key("Team")
    answer = await http.post("/v1/messages", headers={"x-api-key": team.key, **VERSION}, json=ASK)
    assert answer.headers["anthropic-ratelimit-requests-remaining"] == "999"
    assert answer.headers["anthropic-ratelimit-requests-reset"] == "2026-09-21T14:14:20Z"
    assert "anthropic-ratelimit-unified-status" not in answer.headers


async def test_profile_and_usage_have_the_shapes_of_the_api(http: httpx.AsyncClient, work: SimulatedAccount) -> None:
    work.quota["5h"] = Window(0.37, NOW + 600.5, 18_000)
    profile = (await http.get("/api/oauth/profile", headers=signed(work))).json()
    usage = (await http.get("/api/oauth/usage", headers=signed(work))).json()
    assert profile["account"]["email"] == "work@example.org"
    assert profile["account"]["uuid"] == work.account_uuid
    assert profile["organization"]["uuid"] == work.organization_uuid
    assert profile["organization"]["organization_type"] == "claude_max"
    assert usage["five_hour"] == {"utilization": 37.0, "resets_at": "2026-09-21T14:23:20.500000+00:00"}
    assert usage["seven_day_opus"] is None
    assert [limit["kind"] for limit in usage["limits"]] == ["session", "weekly_all"]


async def test_the_usage_answer_tells_of_extra_usage_in_minor_units(
    http: httpx.AsyncClient, work: SimulatedAccount
) -> None:
    off = (await http.get("/api/oauth/usage", headers=signed(work))).json()
    work.extra_usage = ExtraUsage(limit=5000, used=1250)
    on = (await http.get("/api/oauth/usage", headers=signed(work))).json()
    work.extra_usage = ExtraUsage(limit=None, used=1250)
    unlimited = (await http.get("/api/oauth/usage", headers=signed(work))).json()

    assert (off["extra_usage"]["is_enabled"], off["spend"]) == (False, None)
    assert (on["extra_usage"]["used_credits"], on["extra_usage"]["utilization"]) == (1250.0, 25.0)
    assert on["spend"]["limit"] == {"amount_minor": 5000, "currency": "USD", "exponent": 2}
    assert (unlimited["extra_usage"]["monthly_limit"], unlimited["spend"]["limit"]) == (None, None)
