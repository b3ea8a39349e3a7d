"""Anthropic's paid usage beyond a plan, "extra usage" or "overage": from any answer's headers and the usage endpoint.

Headers say whether it would pay and whether it just did, the endpoint how much of the month's limit is spent. Every
field may be missing or null. Amounts are minor units; only their share of the limit leaves this module.
"""

from collections.abc import Mapping

from core.model import ExtraUsage
from core.providers.base import json_object, number, percent, share
from core.providers.headers import Headers

_STATUS = b"anthropic-ratelimit-unified-overage-status"
_DISABLED_REASON = b"anthropic-ratelimit-unified-overage-disabled-reason"
_IN_USE = b"anthropic-ratelimit-unified-overage-in-use"
_UTILIZATION = b"anthropic-ratelimit-unified-overage-utilization"
_VERDICT = b"anthropic-ratelimit-unified-status"
_CLAIM = b"anthropic-ratelimit-unified-representative-claim"
_LONGEST_EXPONENT = 6  # no currency has more than four decimals; what says more is a mistake


def header_extra(headers: Headers, now: float) -> ExtraUsage | None:
    """What an answer's headers say; None when they say nothing. What does not claim to be paid with it is not."""
    status, reason, in_use = headers.get(_STATUS) or b"", headers.get(_DISABLED_REASON), headers.get(_IN_USE)
    if not status and not reason and not in_use:
        return None
    # Answers of 2025 gave the reason alone.
    enabled = False if reason or status == b"rejected" else status.startswith(b"allowed") or None
    return ExtraUsage(enabled, in_use == b"true", share(number(headers.get(_UTILIZATION))), now)


def extra_usage_refused(headers: Headers) -> bool:
    """Whether a refusal is for the limit of extra usage, which means that the plan is spent as well."""
    allowed = (headers.get(_VERDICT) or b"").startswith(b"allowed")
    return headers.get(_CLAIM) == b"overage" and not allowed


def usage_extra(body: bytes, now: float) -> ExtraUsage | None:
    """What an answer of `/api/oauth/usage` says in `extra_usage`, or else in `spend`; None when it says nothing."""
    content = json_object(body)
    extra, spend = _object(content.get("extra_usage")), _object(content.get("spend"))
    enabled = next((v for v in (extra.get("is_enabled"), spend.get("enabled")) if isinstance(v, bool)), None)
    if spend.get("disabled_reason"):
        enabled = False
    shares = (
        _share(number(extra.get("used_credits")), number(extra.get("monthly_limit"))),
        percent(extra.get("utilization")),
        _share(_amount(spend.get("used")), _amount(spend.get("limit"))),
        percent(spend.get("percent")),
    )
    utilization = next((found for found in map(share, shares) if found is not None), None)
    return None if enabled is None and utilization is None else ExtraUsage(enabled, None, utilization, now)


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _amount(value: object) -> float | None:
    """`{"amount_minor": 1250, "currency": "USD", "exponent": 2}` is 12.5 dollars."""
    minor, exponent = number(_object(value).get("amount_minor")), number(_object(value).get("exponent"))
    if minor is None or exponent is None or not 0 <= exponent <= _LONGEST_EXPONENT:
        return None
    return float(minor / 10**exponent)


def _share(used: float | None, limit: float | None) -> float | None:
    return used / limit if used is not None and limit else None
