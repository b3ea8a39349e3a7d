"""How the simulated providers say no, with status, headers and words of the real ones. Pure.

Clients and the code under test match on this wording: change it only with a new capture.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import assert_never

from core.model import AccountKind
from core.simulator.accounts import SimulatedAccount, Window
from core.simulator.answers import (
    Answer,
    anthropic_error,
    bucket_headers,
    go_error,
    json_answer,
    unified_headers,
    workspace_id,
)
from core.simulator.faults import (
    BadRequest,
    BareThrottle,
    CreditTooLow,
    EndpointThrottle,
    Forbidden,
    ModelQuotaRejected,
    NotFound,
    OrganizationDisabled,
    Overloaded,
    QuotaRejected,
    Redirect,
    Refusal,
    ServerError,
    ShortThrottle,
    ThirdPartyRefused,
    Unauthorized,
)

QUOTA_TEXT = "This request would exceed your account's rate limit. Please try again later."
CLIENT_TEXT = "This credential is only authorized for use with Claude Code and cannot be used for other API requests."
CREDIT_TEXT = (
    "Your credit balance is too low to access the Anthropic API. "
    "Please go to Plans & Billing to upgrade or purchase credits."
)
EXTRA_SPENT_TEXT = "You're out of extra usage. Add more at claude.ai/settings/usage and keep going."
REVOKED_TEXT = "OAuth token has been revoked. Please obtain a new token."
EXPIRED_TEXT = "OAuth token has expired. Please obtain a new token or refresh your existing token."
CORS_TEXT = "CORS requests are not allowed for this Organization because it has custom data retention settings."
ENDPOINT_THROTTLE_TEXT = "Rate limited. Please try again later."
_EDGE_PAGE = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"  # noqa: E501
_GO_LIMITS = {"5h": "5 hour", "rolling": "5 hour", "7d": "weekly", "weekly": "weekly", "monthly": "monthly"}


def quota_refusal(account: SimulatedAccount, full: Mapping[str, Window], now: float, request_id: str) -> Answer:
    """The 429 for windows that are really full."""
    resets_at = max(window.resets_at for window in full.values())
    retry_after = ("retry-after", str(math.ceil(resets_at - now)))
    match account.kind:
        case AccountKind.CLAUDE:
            headers = (*unified_headers(account, refused=True), retry_after, ("x-should-retry", "true"))
            return anthropic_error(429, "rate_limit_error", QUOTA_TEXT, request_id, headers)
        case AccountKind.API_KEY:
            bucket = next(iter(full)).replace("-", " ")
            text = f"Number of {bucket} has exceeded your per-minute rate limit (https://docs.claude.com/en/api/rate-limits)"
            headers = (*bucket_headers(account.quota), retry_after, ("x-should-retry", "true"))
            return anthropic_error(429, "rate_limit_error", text, request_id, headers)
        case AccountKind.GO:
            limit = _GO_LIMITS[next(name for name in ("weekly", "monthly", "rolling") if name in full)]
            return _go_quota(account, limit, retry_after)


def extra_usage_spent(account: SimulatedAccount, request_id: str) -> Answer:
    """The 400 for a full window when extra usage has paid all it may."""
    headers = unified_headers(account, refused=True)
    return anthropic_error(400, "invalid_request_error", EXTRA_SPENT_TEXT, request_id, headers)


def refusal(fault: Refusal, account: SimulatedAccount, now: float, request_id: str) -> Answer:
    """The answer of `account`'s provider for a scripted refusal."""
    if account.kind is AccountKind.GO:
        return _go_refusal(fault, account)
    match fault:
        case QuotaRejected(window, resets_in_s):
            return _scripted_rejection(account, window, resets_in_s, now, request_id)
        case ModelQuotaRejected(resets_in_s):
            return _scripted_rejection(account, "7d_oi", resets_in_s, now, request_id)
        case ShortThrottle(retry_after_s):
            full = {name: replace(w, utilization=1.0) if name == "requests" else w for name, w in account.quota.items()}
            lines = bucket_headers(full) if account.kind is AccountKind.API_KEY else unified_headers(account)
            headers = (*lines, ("retry-after", f"{retry_after_s:g}"), ("x-should-retry", "true"))
            return anthropic_error(429, "rate_limit_error", QUOTA_TEXT, request_id, headers)
        case CreditTooLow():
            return anthropic_error(400, "invalid_request_error", CREDIT_TEXT, request_id)
        case OrganizationDisabled(status):
            type_ = {400: "invalid_request_error", 403: "permission_error"}[status]
            return anthropic_error(status, type_, "This organization has been disabled.", request_id)
        case ThirdPartyRefused():
            return anthropic_error(400, "invalid_request_error", CLIENT_TEXT, request_id)
        case _:
            return endpoint_refusal(fault, request_id)


def endpoint_refusal(fault: Refusal, request_id: str) -> Answer:
    """The answer for a scripted refusal that is about no account: what any of Anthropic's paths can say."""
    match fault:
        case BareThrottle():
            return anthropic_error(429, "rate_limit_error", "Rate limited", request_id, (("x-should-retry", "true"),))
        case EndpointThrottle(retry_after_s):
            headers = (("retry-after", f"{retry_after_s:g}"),) if retry_after_s is not None else ()
            error = {"type": "rate_limit_error", "message": ENDPOINT_THROTTLE_TEXT}
            return json_answer(429, {"error": error}, headers)
        case Unauthorized(message):
            return anthropic_error(401, "authentication_error", message, request_id)
        case Forbidden("revoked"):
            return anthropic_error(403, "permission_error", REVOKED_TEXT, request_id)
        case Forbidden():
            text = "OAuth authentication is currently not allowed for this organization."
            return anthropic_error(403, "permission_error", text, request_id)
        case NotFound():
            return json_answer(404, {"type": "error", "error": {"type": "not_found_error", "message": "Not found"}})
        case BadRequest(message):
            return anthropic_error(400, "invalid_request_error", message, request_id)
        case ServerError(status):
            return _server_error(status, request_id)
        case Overloaded():
            return anthropic_error(529, "overloaded_error", "Overloaded", request_id, (("x-should-retry", "true"),))
        case Redirect(status, location):
            return Answer(status, b"", (("location", location),))
        case QuotaRejected() | ModelQuotaRejected() | ShortThrottle() | CreditTooLow() | OrganizationDisabled():
            raise ValueError(f"{fault} needs an account: script it there")
        case ThirdPartyRefused():
            raise ValueError(f"{fault} needs an account: script it there")
        case _:
            assert_never(fault)


def _scripted_rejection(
    account: SimulatedAccount, window: str, resets_in_s: float, now: float, request_id: str
) -> Answer:
    full = Window(1.01, now + resets_in_s, length_s=0, limit=1000)
    shown = replace(account, quota={**account.quota, window: full})
    return quota_refusal(shown, {window: full}, now, request_id)


def _server_error(status: int, request_id: str) -> Answer:
    if status == HTTPStatus.BAD_GATEWAY:
        return Answer(status, _EDGE_PAGE, (("content-type", "text/html"),))
    type_, text = {
        HTTPStatus.SERVICE_UNAVAILABLE: ("overloaded_error", "Overloaded"),
        HTTPStatus.GATEWAY_TIMEOUT: ("timeout_error", "Request timed out"),
    }.get(HTTPStatus(status), ("api_error", "Internal server error"))
    return anthropic_error(status, type_, text, request_id)


def _go_refusal(fault: Refusal, account: SimulatedAccount) -> Answer:
    match fault:
        case QuotaRejected(window, resets_in_s):
            return _go_quota(account, _GO_LIMITS[window], ("retry-after", str(math.ceil(resets_in_s))))
        case ShortThrottle(retry_after_s):
            retry_after = ("retry-after", f"{retry_after_s:g}")
            return go_error(429, "RateLimitError", "Rate limit exceeded. Please try again later.", (retry_after,))
        case BareThrottle():
            text = "Error from provider (Console Go): Upstream rate limit exceeded"
            error = {"type": "error", "code": "provider_rate_limit_exceeded", "message": text}
            return json_answer(429, {"type": "error", "error": error})
        case Unauthorized():
            return go_error(401, "AuthError", "Unauthorized")
        case CreditTooLow():
            return go_error(401, "CreditsError", "Insufficient balance. Manage your billing here: https://opencode.ai")
        case Forbidden() | OrganizationDisabled():
            return go_error(403, "EntitlementError", "OpenCode Go subscription required.")
        case BadRequest(message):
            return go_error(400, "InvalidRequestError", message)
        case NotFound():
            return go_error(404, "NotFoundError", "Not found")
        case Overloaded():
            return go_error(503, "error", "Overloaded")
        case ServerError(HTTPStatus.BAD_GATEWAY):
            return Answer(502, _EDGE_PAGE, (("content-type", "text/html"),))
        case ServerError(status):
            return go_error(status, "error", "Internal server error")
        case Redirect(status, location):
            return Answer(status, b"", (("location", location),))
        case ModelQuotaRejected() | EndpointThrottle() | ThirdPartyRefused():
            raise ValueError(f"OpenCode Go has no {fault}")
        case _:
            assert_never(fault)


def _go_quota(account: SimulatedAccount, limit: str, retry_after: tuple[str, str]) -> Answer:
    text = f"You have reached your {limit} usage limit for OpenCode Go."
    return go_error(429, "GoUsageLimitError", text, (retry_after,), workspace=workspace_id(account), limitName=limit)
