"""The simulated providers' answers apart from turns: envelopes, rate-limit headers, profile, usage, models. Pure.

Shapes and wording are those of the providers' documentation and of published captures (2025-08 to 2026-11). Change
one only with a new capture: clients and the code under test match on them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import msgspec

from core.model import AccountKind
from core.simulator.accounts import RATE_LIMIT_TIERS, ExtraUsage, SimulatedAccount, Window

HeaderLines = tuple[tuple[str, str], ...]
JSON_TYPE = ("content-type", "application/json")
STREAM_TYPE = ("content-type", "text/event-stream; charset=utf-8")

STATUS_OF_TYPE = {
    "overloaded_error": 529,
    "api_error": 500,
    "rate_limit_error": 429,
    "authentication_error": 401,
    "permission_error": 403,
    "invalid_request_error": 400,
    "timeout_error": 504,
}
_CLAIMS = {"5h": "five_hour", "7d": "seven_day"}
_THRESHOLDS = (1.0, 0.9, 0.75)
_MODELS = {
    "claude-fable-5": "Claude Fable 5",
    "claude-opus-5-5": "Claude Opus 5.5",
    "claude-sonnet-5-5": "Claude Sonnet 5.5",
    "claude-sonnet-5": "Claude Sonnet 5",
    "claude-haiku-4-5": "Claude Haiku 4.5",
}
GO_MODELS = (
    "glm-5.3",
    "kimi-k3",
    "deepseek-v4-pro",
    "minimax-m3",
    "qwen3.8-max",
    "grok-4.7",
    "gpt-6-luna",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer: status, header lines, body."""

    status: int
    body: bytes = b""
    headers: HeaderLines = ()

    def plus(self, headers: HeaderLines) -> "Answer":
        """The same answer with more header lines in front."""
        return replace(self, headers=headers + self.headers)


def json_answer(status: int, payload: object, headers: HeaderLines = ()) -> Answer:
    """An answer with a JSON body."""
    return Answer(status, msgspec.json.encode(payload), (JSON_TYPE, *headers))


def page(status: int, html: str, headers: HeaderLines = ()) -> Answer:
    """An answer for a browser."""
    return Answer(status, html.encode(), (("content-type", "text/html; charset=utf-8"), *headers))


def anthropic_error(status: int, type_: str, message: str, request_id: str, headers: HeaderLines = ()) -> Answer:
    """An error in Anthropic's envelope."""
    error = {"type": type_, "message": message}
    return json_answer(status, {"type": "error", "error": error, "request_id": request_id}, headers)


def go_error(status: int, type_: str, message: str, headers: HeaderLines = (), **metadata: str) -> Answer:
    """An error in OpenCode Go's envelope."""
    body: dict[str, object] = {"type": "error", "error": {"type": type_, "message": message}}
    return json_answer(status, body | ({"metadata": metadata} if metadata else {}), headers)


def edge_headers(request_id: str, organization_uuid: str, ray: str, now: float) -> HeaderLines:
    """What the edge in front of api.anthropic.com adds to every answer, and what an answer says of itself."""
    organization = (("anthropic-organization-id", organization_uuid),) if organization_uuid else ()
    return (
        ("date", datetime.fromtimestamp(now, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")),
        ("request-id", request_id),
        *organization,
        ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
        ("x-envoy-upstream-service-time", "812"),
        ("via", "1.1 google"),
        ("cf-cache-status", "DYNAMIC"),
        ("set-cookie", f"__cf_bm=SIMULATED.{ray}; path=/; HttpOnly; Secure; SameSite=None"),
        ("x-robots-tag", "none"),
        ("server", "cloudflare"),
        ("cf-ray", f"{ray}-FRA"),
    )


# --- rate-limit headers ----------------------------------------------------------------------------


def limit_headers(account: SimulatedAccount, *, extra: bool = False) -> HeaderLines:
    """What an answer tells of the account's quota: windows of a subscription, buckets of a key, nothing at Go.

    `extra`: this answer was paid with extra usage.
    """
    match account.kind:
        case AccountKind.CLAUDE:
            return unified_headers(account, extra=extra)
        case AccountKind.API_KEY:
            return bucket_headers(account.quota)
        case AccountKind.GO:
            return ()


def unified_headers(account: SimulatedAccount, *, refused: bool = False, extra: bool = False) -> HeaderLines:
    """A subscription's `anthropic-ratelimit-unified-…` lines: fractions and epoch seconds.

    `refused` is for the answer that says no: a window of one class of models alone can be the cause. `extra` is for
    one that was paid with extra usage.
    """
    windows = account.quota
    prefix = "anthropic-ratelimit-unified-"
    lines: list[tuple[str, str]] = []
    for name, window in windows.items():
        lines += [
            (f"{prefix}{name}-status", _status(window)),
            (f"{prefix}{name}-utilization", f"{window.utilization:.4g}"),
            (f"{prefix}{name}-reset", str(int(window.resets_at))),
        ]
        crossed = next((share for share in _THRESHOLDS if window.utilization >= share), None)
        if crossed is not None:
            lines.append((f"{prefix}{name}-surpassed-threshold", str(crossed)))
    claims = {claim: windows[name] for name, claim in _CLAIMS.items() if name in windows}
    claim, decisive = max(claims.items(), key=lambda item: item[1].utilization)
    return (
        (f"{prefix}status", "rejected" if refused else "allowed" if extra else _status(decisive)),
        *lines,
        (f"{prefix}representative-claim", claim),
        (f"{prefix}reset", str(int(decisive.resets_at))),
        (f"{prefix}fallback-percentage", "0.5"),
        *_overage(prefix, account.extra_usage, extra=extra),
    )


def _overage(prefix: str, usage: ExtraUsage | None, *, extra: bool) -> HeaderLines:
    if usage is None or usage.out:
        reason = "org_level_disabled" if usage is None else "out_of_credits"
        return ((f"{prefix}overage-status", "rejected"), (f"{prefix}overage-disabled-reason", reason))
    return ((f"{prefix}overage-status", "allowed"), (f"{prefix}overage-in-use", "true" if extra else "false"))


def bucket_headers(windows: Mapping[str, Window]) -> HeaderLines:
    """An API key's `anthropic-ratelimit-…` triples: counts and RFC 3339."""
    return tuple(
        line
        for name, window in windows.items()
        for line in (
            (f"anthropic-ratelimit-{name}-limit", str(window.limit)),
            (f"anthropic-ratelimit-{name}-remaining", str(max(0, round(window.limit * (1 - window.utilization))))),
            (
                f"anthropic-ratelimit-{name}-reset",
                f"{datetime.fromtimestamp(window.resets_at, UTC):%Y-%m-%dT%H:%M:%SZ}",
            ),
        )
    )


def _status(window: Window) -> str:
    if window.full:
        return "rejected"
    return "allowed_warning" if window.utilization >= min(_THRESHOLDS) else "allowed"


# --- profile, usage, models ------------------------------------------------------------------------


def profile(account: SimulatedAccount) -> Answer:
    """The body of `/api/oauth/profile`."""
    who = {
        "uuid": account.account_uuid,
        "email": account.email,
        "full_name": f"{account.label} Example",
        "display_name": account.label,
        "has_claude_max": account.plan == "claude_max",
        "has_claude_pro": account.plan == "claude_pro",
    }
    organization = {
        "uuid": account.organization_uuid,
        "name": organization_name(account),
        "organization_type": account.plan,
        "billing_type": "stripe_subscription",
        "rate_limit_tier": RATE_LIMIT_TIERS.get(account.plan, "default_claude_ai"),
    }
    return json_answer(200, {"account": who, "organization": organization})


def organization_name(account: SimulatedAccount) -> str:
    """The name that sign-in and profile give."""
    return f"{account.email or account.label}'s Organization"


def usage(account: SimulatedAccount) -> Answer:
    """The body of `/api/oauth/usage`: percent and ISO 8601."""
    shown = {_CLAIMS[name]: window for name, window in account.quota.items() if name in _CLAIMS}
    body: dict[str, object] = {name: _usage_window(window) for name, window in shown.items()}
    body |= {"seven_day_opus": None, "seven_day_sonnet": None, "seven_day_oauth_apps": None}
    body |= _extra_usage(account.extra_usage)
    kinds = {"five_hour": ("session", "session"), "seven_day": ("weekly_all", "weekly")}
    limits = [_usage_limit(*kinds[name], window) for name, window in shown.items()]
    if scoped := account.quota.get("7d_oi"):
        scope = {"model": {"id": None, "display_name": "Fable"}, "surface": None}
        limits.append(_usage_limit("weekly_scoped", "weekly", scoped) | {"scope": scope})
    return json_answer(200, body | {"limits": limits})


def _extra_usage(extra: ExtraUsage | None) -> dict[str, object]:
    if extra is None:
        nothing = {"is_enabled": False, "monthly_limit": None, "used_credits": None, "utilization": None}
        return {"extra_usage": nothing, "spend": None}
    percent = 100 * extra.used / extra.limit if extra.limit else None
    named = {"is_enabled": True, "monthly_limit": extra.limit, "used_credits": float(extra.used)}
    spend = {
        "used": _amount(extra.used),
        "limit": None if extra.limit is None else _amount(extra.limit),
        "percent": None if percent is None else round(percent),
        "severity": "normal",
        "enabled": True,
        "currency": "USD",
        "disabled_reason": "out_of_credits" if extra.out else None,
    }
    return {"extra_usage": named | {"utilization": percent, "currency": "USD"}, "spend": spend}


def _amount(cents: int) -> dict[str, object]:
    return {"amount_minor": cents, "currency": "USD", "exponent": 2}


def _usage_window(window: Window) -> dict[str, object]:
    return {"utilization": round(window.utilization * 100, 1), "resets_at": _iso(window.resets_at)}


def _usage_limit(kind: str, group: str, window: Window) -> dict[str, object]:
    severity = "critical" if window.full else "warning" if window.utilization >= min(_THRESHOLDS) else "normal"
    return {
        "kind": kind,
        "group": group,
        "percent": round(window.utilization * 100),
        "severity": severity,
        "resets_at": _iso(window.resets_at),
        "scope": None,
        "is_active": kind == "session",
    }


def go_usage(account: SimulatedAccount) -> Answer:
    """The body of OpenCode Go's `/usage`."""
    windows = {
        name: {
            "status": "rate-limited" if window.full else "ok",
            "percent": round(min(1.0, window.utilization) * 100),
            "resetsAt": f"{datetime.fromtimestamp(window.resets_at, UTC):%Y-%m-%dT%H:%M:%S.000Z}",
        }
        for name, window in account.quota.items()
    }
    workspace = workspace_id(account)
    user = f"usr_{account.account_uuid.replace('-', '')[:26].upper()}"
    return json_answer(200, {"workspaceID": workspace, "userID": user, "usage": windows})


def workspace_id(account: SimulatedAccount) -> str:
    """How OpenCode Go names the workspace that subscribes."""
    return f"wrk_{account.organization_uuid.replace('-', '')[:26].upper()}"


def go_models(now: float) -> Answer:
    """The body of OpenCode Go's `/models`."""
    data = [{"id": id_, "object": "model", "created": int(now), "owned_by": "opencode"} for id_ in GO_MODELS]
    return json_answer(200, {"object": "list", "data": data})


def models(limit: int, after_id: str, before_id: str) -> Answer:
    """One page of `/v1/models`."""
    ids = list(_MODELS)
    if after_id in ids:
        ids = ids[ids.index(after_id) + 1 :]
    if before_id in ids:
        ids = ids[: ids.index(before_id)]
    shown = ids[:limit]
    first, last = (shown[0], shown[-1]) if shown else (None, None)
    body = {"data": _model_list(shown), "first_id": first, "last_id": last, "has_more": len(ids) > limit}
    return json_answer(200, body)


def model(id_: str, request_id: str) -> Answer:
    """The body of `/v1/models/{id}`."""
    if id_ not in _MODELS:
        return anthropic_error(404, "not_found_error", f"model: {id_}", request_id)
    return json_answer(200, _model_list([id_])[0])


def _model_list(ids: Sequence[str]) -> list[dict[str, object]]:
    return [
        {
            "type": "model",
            "id": id_,
            "display_name": _MODELS[id_],
            "created_at": "2026-05-01T00:00:00Z",
            "max_input_tokens": 200_000,
            "max_tokens": 64_000,
            "capabilities": None,
        }
        for id_ in ids
    ]


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds")
