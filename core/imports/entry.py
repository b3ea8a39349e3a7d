"""The pieces that all formats are read with: tokens, times and identities, from values that may be anything."""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

import msgspec

from core.errors import UNREADABLE
from core.imports.found import Found, Problem
from core.model import AccountKind, Identity

API_KEY_PREFIX = "sk-ant-api"
NOBODY = Identity()
MAX_TOKEN = 1024
"""Characters; real ones have about a hundred."""
_MILLISECONDS_FROM = 1e11
"""As seconds this is the year 5138, as milliseconds 1973."""
_EARLIEST_AT = 1_577_836_800.0
"""The beginning of 2020: nothing that is imported is older."""
_LATEST_AT = 4_102_444_800.0
"""The beginning of 2100."""
_LONGEST_NAME = 64
_PLACEHOLDERS = frozenset({"unknown", "none", "null", "n/a"})


class Malformed(ValueError):
    """A piece is not what it should be. The text says so to the person and quotes nothing of it."""


def decoded(raw: bytes) -> object:
    """JSON, with or without a byte order mark. Raises Malformed."""
    try:
        return msgspec.json.decode(raw.removeprefix(b"\xef\xbb\xbf"))
    except UNREADABLE as exc:
        raise Malformed("it is not valid JSON") from exc


def mapping(value: object) -> Mapping[str, object]:
    """An object, else an empty one."""
    return value if isinstance(value, dict) else {}


def members(value: object) -> list[object]:
    """A list, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: object) -> str:
    """Text without space around it, else nothing."""
    return value.strip() if isinstance(value, str) else ""


def token(value: object) -> str:
    """A token or key; empty when there is none. Raises Malformed for what could not travel in a header."""
    if value is None:
        return ""
    said = text(value)
    sendable = said.isascii() and said.isprintable() and " " not in said and len(said) <= MAX_TOKEN
    if not isinstance(value, str) or not sendable:
        raise Malformed("its token cannot be one")
    return said


def epoch_s(value: object) -> float | None:
    """A point in time, given in seconds, milliseconds or as RFC 3339; None when it is not given.

    0 is what programs write for a login that has ended. Raises Malformed for a time that cannot be.
    """
    if value is None or value == "":
        return None
    at = _seconds(value)
    if at != 0 and not _EARLIEST_AT <= at <= _LATEST_AT:
        raise Malformed("its end is a time that cannot be")
    return at


def _seconds(value: object) -> float:
    try:
        if isinstance(value, str):
            if not value.strip().isdecimal():
                moment = datetime.fromisoformat(value.strip())
                # Without a zone it could mean any of two dozen hours.
                return moment.timestamp() if moment.tzinfo else math.nan
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return math.nan
        return float(value) / 1000 if value >= _MILLISECONDS_FROM else float(value)
    except (ValueError, OverflowError):
        return math.nan


def fingerprint(refresh: str) -> str:
    """What tells two refresh tokens apart; empty for none."""
    return hashlib.sha256(refresh.encode()).hexdigest()[:16] if refresh else ""


def identity(
    *, account: object = None, organization: object = None, email: object = None, plan: object = None
) -> Identity:
    """Who it is. One account can belong to several organisations, so without both ids nobody is known by either."""
    uuids = text(account), text(organization)
    known = uuids if all(uuids) else ("", "")
    address = text(email)
    return Identity(*known, email="" if address.lower() in _PLACEHOLDERS else address, plan=text(plan))


def login(
    program: str,
    *,
    access: object,
    refresh: object,
    expires: object,
    label: object = "",
    who: Identity = NOBODY,
    enabled: bool = True,
    scopes: object = None,
) -> Found:
    """A Claude login, or the API key that some programs keep in the place of one. Raises Malformed."""
    secret, renewal = token(access), token(refresh)
    if api_key := next((given for given in (secret, renewal) if given.startswith(API_KEY_PREFIX)), ""):
        return key(program, AccountKind.API_KEY, api_key, label=label, who=who, enabled=enabled)
    if not secret and not renewal:
        raise Malformed("it has no token")
    return Found(
        program,
        AccountKind.CLAUDE,
        secret,
        text(label),
        who,
        enabled,
        epoch_s(expires),
        fingerprint(renewal),
        tuple(scope for scope in members(scopes) if isinstance(scope, str)),
    )


def key(
    program: str,
    kind: AccountKind,
    value: object,
    *,
    label: object = "",
    who: Identity = NOBODY,
    enabled: bool = True,
) -> Found:
    """An account that pays with a key. Raises Malformed."""
    secret = token(value)
    if not secret:
        raise Malformed("it has no key")
    return Found(program, kind, secret, text(label), Identity(email=who.email, plan=who.plan), enabled)


def each(
    path: str, entries: Iterable[object], read: Callable[[Mapping[str, object]], Iterable[Found]]
) -> Iterator[Found | Problem]:
    """Read entry by entry: one that is malformed is told and does not keep the others out."""
    for number, entry in enumerate(entries, 1):
        try:
            if not isinstance(entry, dict):
                raise Malformed("it is not an object")  # noqa: TRY301 - the same answer as for what `read` raises
            yield from read(entry)
        except Malformed as exc:
            yield Problem(path, f"account {_called(entry) or number}: {exc}")


def _called(entry: object) -> str:
    """What the person knows it by, in quotes and without what could steer a terminal; empty for nothing."""
    names = (text(mapping(entry).get(name)) for name in ("label", "name", "email"))
    name = next(filter(None, names), "")[:_LONGEST_NAME]
    return repr(name) if name else ""
