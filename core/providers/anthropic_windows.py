"""Anthropic's quota windows, from the headers of any answer and from the usage endpoint, under the same names.

Everything is optional there and new windows appear without notice: what is unknown is kept under the provider's own
name. Three scales meet here (headers: fractions and epoch seconds; usage: percent and ISO 8601; API keys: what
remains of a limit, and RFC 3339); only fractions and Unix seconds leave.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

import msgspec

from core.model import ModelFamily, QuotaWindow, WindowStatus
from core.providers.anthropic_extra import extra_usage_refused
from core.providers.base import json_object, moment, number, percent, share
from core.providers.headers import Headers

RATE_LIMIT_PREFIX = b"anthropic-ratelimit-"

# These look like windows and are none. "overage" is paid extra usage, `rejected` on accounts that serve well; "grace"
# is a small allowance past a full window, "slow" Claude Code's low-priority lane (names: Claude Code 2.1.258).
_FIELD = re.compile(
    rb"anthropic-ratelimit-(?:"
    rb"unified-(?!(?:overage|grace|slow)-)(?P<window>.+)-(?P<field>status|utilization|reset|surpassed-threshold)"
    rb"|(?!unified-)(?P<bucket>.+)-(?P<part>limit|remaining|reset))"
)
_STATUSES = {
    b"allowed": WindowStatus.ALLOWED,
    b"allowed_warning": WindowStatus.WARNING,
    b"queueing_soft": WindowStatus.WARNING,
    b"rejected": WindowStatus.REJECTED,
    # No capture of these four is known; the names say that nothing gets through (2026-08).
    b"rate_limited": WindowStatus.REJECTED,
    b"blocked": WindowStatus.REJECTED,
    b"queueing_hard": WindowStatus.REJECTED,
    b"payment_required": WindowStatus.REJECTED,
}
_COUNTS_EVERYTHING = re.compile(r"\d+[a-z]")  # 5h, 7d: a span and nothing more
# The headers' name for the windows of one model family, seen 2026-08, is short for "overage included". The usage
# endpoint calls them so or by the family.
_HEADER_NAMES = {"fable": "oi", "overage_included": "oi"}
_FAMILY_OF = {"7d_oi": "fable", "5h_oi": "fable"}
_SPANS = {"five_hour": "5h", "seven_day": "7d"}
_FAMILY = re.compile(r"(?:claude )?(?:[\d.]+ )*([a-z]+)")
_NOT_WINDOWS = frozenset({"extra_usage", "spend"})
_LIMIT_KINDS = {"session": "5h", "weekly_all": "7d"}


def header_windows(headers: Headers, now: float) -> tuple[QuotaWindow, ...]:
    """The windows in an answer's headers, in their order there: unified ones (OAuth) and buckets (API keys)."""
    return tuple([_window(headers, place, now) for place in _places(headers.names)])


class _Place(msgspec.Struct, frozen=True):
    """A window that answers tell of, and the header of each of its fields; `b""` for a field that they lack."""

    name: str
    scope: ModelFamily | None
    reset: bytes = b""
    limit: bytes = b""
    remaining: bytes = b""
    utilization: bytes = b""
    surpassed_threshold: bytes = b""
    status: bytes = b""


@lru_cache(maxsize=64)  # an account's answers come with the same names again and again
def _places(names: tuple[bytes, ...]) -> tuple[_Place, ...]:
    """The windows in headers of these names, in their order there."""
    found: dict[str, dict[str, bytes]] = {}
    for name in names:
        if match := _FIELD.fullmatch(name):
            window, field = match["window"] or match["bucket"], match["field"] or match["part"]
            fields = found.setdefault(window.decode("latin-1"), {})
            fields[field.decode("ascii").replace("-", "_")] = name
    return tuple(_Place(name, scope_of(name), **fields) for name, fields in found.items())


def _window(headers: Headers, place: _Place, now: float) -> QuotaWindow:
    resets_at = moment(headers.get(place.reset), now)
    if place.limit or place.remaining:
        limit, remaining = number(headers.get(place.limit)), number(headers.get(place.remaining))
        spent = max(0.0, 1 - remaining / limit) if limit and remaining is not None else None
        return QuotaWindow(place.name, spent, resets_at, seen_at=now)
    utilization = share(number(headers.get(place.utilization)))
    if utilization is None:
        utilization = share(number(headers.get(place.surpassed_threshold)))  # then it is at least this much
    status = _STATUSES.get(headers.get(place.status) or b"", WindowStatus.UNKNOWN)
    return QuotaWindow(place.name, utilization, resets_at, status, place.scope, now)


def scope_of(name: str) -> ModelFamily | None:
    """What a unified window is limited to, None when it counts everything the account does.

    An unknown name is taken for a scope of its own, which is no model family and so keeps no request from anybody:
    code names such as `iguana_necktie` come and go, and none of them has been seen to stop a whole account.
    """
    if _COUNTS_EVERYTHING.fullmatch(name):
        return None
    return ModelFamily(_FAMILY_OF.get(name) or name.partition("_")[2] or name)


def rejected_windows(headers: Headers, windows: tuple[QuotaWindow, ...], now: float) -> list[QuotaWindow]:
    """The windows that refuse. Older answers mark none and give one verdict for all: then the one it names.

    None when that is extra usage, whose limit ends with the month: the plan has windows that end sooner.
    """
    rejected = [window for window in windows if window.status is WindowStatus.REJECTED]
    verdict = _STATUSES.get(headers.get(b"anthropic-ratelimit-unified-status") or b"")
    if rejected or verdict is not WindowStatus.REJECTED:
        return rejected
    if extra_usage_refused(headers):
        return []
    claim = (headers.get(b"anthropic-ratelimit-unified-representative-claim") or b"").decode("latin-1")
    name = _window_of_key(claim)
    family = scope_of(name) if name != claim else None
    resets_at = moment(headers.get(b"anthropic-ratelimit-unified-reset"), now)
    return [QuotaWindow(name or "quota", None, resets_at, WindowStatus.REJECTED, family, now)]


def usage_windows(body: bytes, now: float) -> tuple[QuotaWindow, ...]:
    """The windows in an answer of `/api/oauth/usage`; () when it has none or is not that."""
    content = json_object(body)
    found = {window.name: window for window in _named_windows(content, now)}
    for window in _listed_windows(content.get("limits"), now):
        found.setdefault(window.name, window)
    return tuple(found.values())


def _named_windows(content: Mapping[str, object], now: float) -> Iterator[QuotaWindow]:
    """`{"five_hour": {"utilization": 37.0, "resets_at": …}, …}`; each may be null."""
    for key, value in content.items():
        if key not in _NOT_WINDOWS and isinstance(value, dict) and "utilization" in value:
            name = _window_of_key(key)
            yield _usage_window(name, value["utilization"], value.get("resets_at"), now)


def _listed_windows(limits: object, now: float) -> Iterator[QuotaWindow]:
    """`[{"kind": "session", "percent": 37, "resets_at": …, "scope": null}, …]`, all that newer answers have."""
    for limit in limits if isinstance(limits, list) else ():
        if not isinstance(limit, dict) or not isinstance(kind := limit.get("kind"), str):
            continue
        name = _LIMIT_KINDS.get(kind, kind)
        if kind == "weekly_scoped":
            family = _scoped_to(limit.get("scope"))
            if family is None:
                continue
            name = _window_of("7d", family)
        yield _usage_window(name, limit.get("percent"), limit.get("resets_at"), now)


def _usage_window(name: str, utilization: object, resets_at: object, now: float) -> QuotaWindow:
    return QuotaWindow(name, percent(utilization), moment(resets_at, now), family=scope_of(name), seen_at=now)


def _scoped_to(scope: object) -> str | None:
    """The model family of a limit's scope: `{"model": {"id": null, "display_name": "Fable"}, …}`.

    Only families have been seen there (2026-08); should it be a model one day, its family is what requests go by.
    """
    model = scope.get("model") if isinstance(scope, dict) else None
    name = model.get("display_name") if isinstance(model, dict) else None
    family = _FAMILY.match(name.lower()) if isinstance(name, str) else None
    return family[1] if family else None


def _window_of_key(key: str) -> str:
    """The header's name for the usage endpoint's: `five_hour` is `5h`, `seven_day_opus` is `7d_opus`."""
    for words, span in _SPANS.items():
        if key == words:
            return span
        if key.startswith(f"{words}_"):
            return _window_of(span, key.removeprefix(f"{words}_"))
    return key


def _window_of(span: str, family: str) -> str:
    return f"{span}_{_HEADER_NAMES.get(family, family)}"
