"""A refusal has the status, headers and words of the real providers."""

from typing import Any

import httpx
import pytest

from tests.fakes import (
    SimulatedAccount,
    SimulatedProvider,
    ask,
    faults,
)

pytestmark = pytest.mark.anyio


REFUSALS: list[tuple[faults.Refusal, int, str, str]] = [
    (faults.QuotaRejected(), 429, "rate_limit_error", "would exceed your account's rate limit"),
    (faults.ModelQuotaRejected(), 429, "rate_limit_error", "would exceed your account's rate limit"),
    (faults.ShortThrottle(2), 429, "rate_limit_error", "rate limit"),
    (faults.BareThrottle(), 429, "rate_limit_error", "Rate limited"),
    (faults.Unauthorized(), 401, "authentication_error", "Invalid bearer token"),
    (faults.Forbidden(), 403, "permission_error", "OAuth token has been revoked."),
    (faults.Forbidden("organization"), 403, "permission_error", "not allowed for this organization"),
    (faults.OrganizationDisabled(), 400, "invalid_request_error", "This organization has been disabled."),
    (faults.OrganizationDisabled(403), 403, "permission_error", "This organization has been disabled."),
    (faults.CreditTooLow(), 400, "invalid_request_error", "Your credit balance is too low"),
    (faults.ThirdPartyRefused(), 400, "invalid_request_error", "only authorized for use with Claude Code"),
    (faults.NotFound(), 404, "not_found_error", "Not found"),
    (faults.BadRequest("bad"), 400, "invalid_request_error", "bad"),
    (faults.ServerError(500), 500, "api_error", "Internal server error"),
    (faults.ServerError(503), 503, "overloaded_error", "Overloaded"),
    (faults.ServerError(504), 504, "timeout_error", "timed out"),
    (faults.Overloaded(), 529, "overloaded_error", "Overloaded"),
]


GO_REFUSALS: list[tuple[faults.Refusal, int, str]] = [
    (faults.QuotaRejected("weekly", 100), 429, "GoUsageLimitError"),
    (faults.ShortThrottle(60), 429, "RateLimitError"),
    (faults.BareThrottle(), 429, "error"),
    (faults.Unauthorized(), 401, "AuthError"),
    (faults.CreditTooLow(), 401, "CreditsError"),
    (faults.Forbidden(), 403, "EntitlementError"),
    (faults.OrganizationDisabled(), 403, "EntitlementError"),
    (faults.BadRequest(), 400, "InvalidRequestError"),
    (faults.NotFound(), 404, "NotFoundError"),
    (faults.ServerError(), 500, "error"),
    (faults.Overloaded(), 503, "error"),
]


GO_ASK: dict[str, Any] = {"model": "glm-5.3", "messages": [{"role": "user", "content": "Hello there"}]}


def go_signed(account: SimulatedAccount) -> dict[str, str]:
    return {"authorization": f"Bearer {account.key}", "x-opencode-session": "ses_1"}


@pytest.mark.parametrize(("fault", "status", "type_", "text"), REFUSALS, ids=lambda value: str(value)[:40])
async def test_a_refusal_has_its_status_type_and_words(
    http: httpx.AsyncClient, work: SimulatedAccount, *, fault: faults.Refusal, status: int, type_: str, text: str
) -> None:
    work.script(fault)
    answer = await ask(http, work, stream=True)
    assert answer.status_code == status
    assert answer.json()["type"] == "error"
    assert answer.json()["error"]["type"] == type_
    assert text in answer.json()["error"]["message"]
    assert (await ask(http, work)).status_code == 200


async def test_the_three_429s_differ_in_their_headers(http: httpx.AsyncClient, work: SimulatedAccount) -> None:
    work.script(faults.QuotaRejected("7d", 1000), faults.ShortThrottle(2.5), faults.BareThrottle())
    spent, short, bare = [(await ask(http, work)).headers for _ in range(3)]
    prefix = "anthropic-ratelimit-unified-"
    assert (spent[f"{prefix}status"], spent[f"{prefix}7d-status"], spent["retry-after"]) == (
        "rejected",
        "rejected",
        "1000",
    )
    assert (short[f"{prefix}status"], short["retry-after"]) == ("allowed", "2.5")
    assert "retry-after" not in bare
    assert bare["x-should-retry"] == "true"
    assert not any(name.startswith("anthropic-ratelimit") for name in bare)


async def test_a_bad_gateway_is_a_page_and_a_redirect_has_a_target(
    http: httpx.AsyncClient, work: SimulatedAccount
) -> None:
    work.script(faults.ServerError(502), faults.Redirect(307, "http://127.0.0.1:9/x"))
    page, redirect = await ask(http, work), await ask(http, work)
    assert (page.status_code, page.headers["content-type"]) == (502, "text/html")
    assert page.text.startswith("<html>")
    assert (redirect.status_code, redirect.headers["location"]) == (307, "http://127.0.0.1:9/x")


@pytest.mark.parametrize(("fault", "status", "type_"), GO_REFUSALS, ids=lambda value: str(value)[:40])
async def test_go_refuses_by_class_and_without_rate_limit_headers(
    sim: SimulatedProvider, http: httpx.AsyncClient, fault: faults.Refusal, status: int, type_: str
) -> None:
    go = sim.add_go_key("Go")
    go.script(fault)
    answer = await http.post("/zen/go/v1/chat/completions", headers=go_signed(go), json=GO_ASK)
    assert (answer.status_code, answer.json()["error"]["type"]) == (status, type_)
    assert set(answer.headers) <= {"content-type", "cache-control", "content-length", "connection", "retry-after"}
