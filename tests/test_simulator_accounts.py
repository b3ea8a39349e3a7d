"""A simulated account's quota counts, refuses when it is full, and starts anew; its script is played in order."""

from typing import Any

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
    faults,
)

pytestmark = pytest.mark.anyio

GO_ASK: dict[str, Any] = {"model": "glm-5.3", "messages": [{"role": "user", "content": "Hello there"}]}


def go_signed(account: SimulatedAccount) -> dict[str, str]:
    return {"authorization": f"Bearer {account.key}", "x-opencode-session": "ses_1"}


async def test_quota_counts_down_and_then_refuses_until_its_reset(
    http: httpx.AsyncClient, work: SimulatedAccount
) -> None:
    work.quota["5h"] = Window(0.7, NOW + 600, 18_000, cost=0.2)
    prefix = "anthropic-ratelimit-unified-"
    seen = [(await ask(http, work)) for _ in range(3)]
    assert [answer.status_code for answer in seen] == [200, 200, 429]
    assert [answer.headers[f"{prefix}5h-utilization"] for answer in seen] == ["0.9", "1.1", "1.1"]
    assert [answer.headers[f"{prefix}status"] for answer in seen] == ["allowed_warning", "rejected", "rejected"]
    refused = seen[2].headers
    assert refused["retry-after"] == "600"
    assert refused["x-should-retry"] == "true"
    assert refused[f"{prefix}representative-claim"] == "five_hour"
    assert refused[f"{prefix}5h-reset"] == str(int(NOW) + 600)
    assert refused[f"{prefix}5h-surpassed-threshold"] == "1.0"
    assert refused[f"{prefix}7d-status"] == "allowed"


async def test_a_window_is_empty_again_after_its_reset() -> None:
    now = [NOW]
    async with SimulatedProvider.running(clock=lambda: now[0]) as sim:
        work = sim.add_login("Work")
        work.quota["5h"] = Window(1.0, NOW + 600, 18_000)
        async with httpx.AsyncClient(base_url=sim.url, trust_env=False) as http:
            before = await ask(http, work)
            now[0] += 600
            after = await ask(http, work)
    assert (before.status_code, after.status_code) == (429, 200)
    assert work.quota["5h"].resets_at == NOW + 600 + 18_000


async def test_a_full_model_window_refuses_that_class_of_models_only(
    http: httpx.AsyncClient, work: SimulatedAccount
) -> None:
    work.quota["7d_oi"] = Window(1.01, NOW + 600, 604_800)
    refused = await ask(http, work, model="claude-fable-5")
    served = await ask(http, work, model="claude-sonnet-5")
    assert refused.status_code == 429
    assert refused.headers["anthropic-ratelimit-unified-7d_oi-status"] == "rejected"
    assert refused.headers["anthropic-ratelimit-unified-5h-status"] == "allowed"
    assert served.status_code == 200
    assert served.headers["anthropic-ratelimit-unified-status"] == "allowed"


async def test_go_quota_counts_and_names_the_limit(sim: SimulatedProvider, http: httpx.AsyncClient) -> None:
    go = sim.add_go_key("Go")
    go.quota["rolling"] = Window(0.5, NOW + 100, 18_000, cost=0.5)
    path = "/zen/go/v1/chat/completions"
    served = await http.post(path, headers=go_signed(go), json=GO_ASK)
    refused = await http.post(path, headers=go_signed(go), json=GO_ASK)
    usage = (await http.get("/zen/go/v1/usage", headers=go_signed(go))).json()
    assert (served.status_code, refused.status_code) == (200, 429)
    assert refused.json()["metadata"]["limitName"] == "5 hour"
    assert refused.headers["retry-after"] == "100"
    assert usage["usage"]["rolling"] == {
        "status": "rate-limited",
        "percent": 100,
        "resetsAt": "2026-09-21T14:15:00.000Z",
    }


async def test_scripts_come_one_per_request_and_always_until_further_notice(
    http: httpx.AsyncClient, work: SimulatedAccount
) -> None:
    work.script(faults.ServerError(), faults.Overloaded())
    work.always(faults.BareThrottle())
    statuses = [(await ask(http, work)).status_code for _ in range(4)]
    work.always(None)
    assert statuses == [500, 529, 429, 429]
    assert (await ask(http, work)).status_code == 200


OVERAGE = "anthropic-ratelimit-unified-overage-"


async def test_extra_usage_pays_when_a_window_is_full_until_the_months_limit(
    http: httpx.AsyncClient, work: SimulatedAccount
) -> None:
    work.extra_usage = ExtraUsage(limit=20, cost=10)
    work.quota["5h"] = Window(0.9, NOW + 600, 18_000, cost=0.1)

    plan, *extra, refused = [await ask(http, work) for _ in range(4)]

    assert (plan.status_code, plan.headers[f"{OVERAGE}in-use"]) == (200, "false")
    assert [answer.status_code for answer in extra] == [200, 200]
    assert extra[0].headers[f"{OVERAGE}in-use"] == "true"
    assert extra[0].headers["anthropic-ratelimit-unified-status"] == "allowed"
    assert extra[0].headers["anthropic-ratelimit-unified-5h-status"] == "rejected"
    assert (refused.status_code, refused.headers[f"{OVERAGE}disabled-reason"]) == (400, "out_of_credits")
    assert refused.json()["error"]["message"].startswith("You're out of extra usage.")
    assert work.extra_usage.used == 20


async def test_keys_of_one_organisation_empty_the_same_buckets(sim: SimulatedProvider, http: httpx.AsyncClient) -> None:
    keys = [sim.add_api_key(label, organization_uuid="org") for label in ("One", "Two")]
    keys[0].quota["requests"].utilization = 1.0

    answers = [await http.post("/v1/messages", headers={"x-api-key": key.key, **VERSION}, json=ASK) for key in keys]

    assert [answer.status_code for answer in answers] == [429, 429]
