"""Anthropic's sign-in and its token endpoint: what to send, and what the answers mean. Sends nothing itself."""

import base64
import hashlib
import hmac
import json
import math
import re
import secrets
from collections.abc import Mapping
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec

from core.errors import UNREADABLE, SignInFailed
from core.model import Endpoints, Identity, OAuthTokens

# The public client of Anthropic's PKCE flow; it has no secret (seen 2026-07).
CLIENT_ID = "9d1c250a-e61b-44d9-88ed-5944d1962f5e"
CODE_PAGE = "https://platform.claude.com/oauth/code/callback"
"""The redirect that shows the code to the person, who pastes it."""

DEFAULT_LIFE_S = 3_600.0
LONGEST_LIFE_S = 400 * 86_400.0
"""The longest-lived token there is lives a year; a longer one is a mistake in units."""
LONGEST_WORDS = 200
"""Of the provider's words, what fits a message."""


class Purpose(StrEnum):
    """What the person signs in for."""

    SUBSCRIPTION = "subscription"
    CONSOLE = "console"


SCOPES = {
    Purpose.SUBSCRIPTION: (
        "user:profile",
        "user:inference",
        "user:sessions:claude_code",
        "user:mcp_servers",
        "user:file_upload",
    ),
    Purpose.CONSOLE: ("org:create_api_key", "user:profile"),
}


# --- signing in ------------------------------------------------------------------------------------


class Challenge(msgspec.Struct, frozen=True):
    """One sign-in: its PKCE verifier, and a state of its own (the verifier would end in the browser's history)."""

    verifier: str
    state: str
    redirect_uri: str = CODE_PAGE

    def __repr__(self) -> str:
        return f"Challenge(redirect_uri={self.redirect_uri!r})"


def new_challenge(redirect_uri: str = CODE_PAGE) -> Challenge:
    """A sign-in that comes back to `redirect_uri`: the code page, or `loopback_redirect(port)`."""
    return Challenge(secrets.token_urlsafe(32), secrets.token_urlsafe(32), redirect_uri)


def loopback_redirect(port: int) -> str:
    """The redirect to our own listener; the provider registered the name `localhost`, not the address."""
    return f"http://localhost:{port}/callback"


def authorize_url(challenge: Challenge, purpose: Purpose, endpoints: Endpoints) -> str:
    """Where the person's browser goes."""
    page = {
        Purpose.SUBSCRIPTION: endpoints.anthropic_authorize_url,
        Purpose.CONSOLE: endpoints.anthropic_console_authorize_url,
    }[purpose]
    digest = hashlib.sha256(challenge.verifier.encode()).digest()
    query = {
        "code": "true",
        "client_id": CLIENT_ID,
        "response_type": "code",
        "redirect_uri": challenge.redirect_uri,
        "scope": " ".join(SCOPES[purpose]),
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        "state": challenge.state,
    }
    return f"{page}?{urlencode(query)}"


def code_from(pasted: str, challenge: Challenge) -> str:
    """The code in what the person or the browser brought back.

    That is `CODE#STATE`, a whole address, `code=X&state=Y` or the bare code; terminals break long lines, so white
    space is ignored. Raises SignInFailed when there is no code, or when it belongs to another sign-in.
    """
    text = "".join(pasted.split())
    if re.search(r"(^|[?&#])(code|error)=", text):
        try:
            parts = urlsplit(text)
        except ValueError as exc:
            raise SignInFailed("This is no address", "Copy the whole address or the code and paste it.") from exc
        fields = parse_qs(parts.query or parts.fragment or text.lstrip("?#"))
        code, state = ("".join(fields.get(name, [""])[0].split()) for name in ("code", "state"))
        if error := fields.get("error", [""])[0]:
            raise SignInFailed(
                "The sign-in was declined" if error == "access_denied" else f"The sign-in failed: {error}",
                "Start the sign-in again when you want to go on.",
            )
    else:
        code, _, state = text.partition("#")
    if not code:
        raise SignInFailed("There is no code in what was pasted", "Copy the whole code from the page and paste it.")
    if state and not hmac.compare_digest(state.encode(errors="replace"), challenge.state.encode()):
        raise SignInFailed("This code belongs to another sign-in", "Use the page that this sign-in opened.")
    return code


def exchange_body(code: str, challenge: Challenge) -> dict[str, str]:
    """The token request that turns a code into tokens."""
    return {
        "grant_type": "authorization_code",
        "code": code,
        "state": challenge.state,
        "client_id": CLIENT_ID,
        "redirect_uri": challenge.redirect_uri,
        "code_verifier": challenge.verifier,
    }


def refresh_body(refresh: str) -> dict[str, str]:
    """The token request that renews a login."""
    return {"grant_type": "refresh_token", "refresh_token": refresh, "client_id": CLIENT_ID}


def revoke_url(token_url: str) -> str:
    """Where a login is ended: beside the token endpoint. Empty when that has another name than the provider's."""
    place, _, name = token_url.rpartition("/")
    return f"{place}/revoke" if name == "token" else ""


def revoke_body(refresh: str) -> dict[str, str]:
    """The request that ends a login at the provider (RFC 7009, as JSON)."""
    return {"token": refresh, "token_type_hint": "refresh_token", "client_id": CLIENT_ID}


# --- what the token endpoint says ------------------------------------------------------------------


class Grant(msgspec.Struct, frozen=True):
    """It gave tokens. `identity` is what it said of their owner, perhaps nothing."""

    tokens: OAuthTokens
    identity: Identity


class InvalidGrant(msgspec.Struct, frozen=True):
    """It does not take this refresh token or code, and never will again."""

    text: str


class Throttled(msgspec.Struct, frozen=True):
    """Too many token requests. `wait_s` is None when it did not say how long."""

    wait_s: float | None = None


class Misconfigured(msgspec.Struct, frozen=True):
    """Wrong address or wrong client: our settings, nobody's login."""

    text: str


class Transient(msgspec.Struct, frozen=True):
    """Its trouble or the network's: the login may be as good as ever."""

    text: str


Answer = Grant | InvalidGrant | Throttled | Misconfigured | Transient

_OUR_FAULT = frozenset(
    {"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_request", "invalid_scope"}
)


def read_answer(
    status: int, body: bytes, retry_after: str | None, now: float, old: OAuthTokens | None = None
) -> Answer:
    """What an answer of the token endpoint means. `old` are the tokens being renewed.

    A login is dead by one answer only: 400, 401 or 403 with `invalid_grant` at the top level. Throttling, wrong
    addresses (404 since the endpoint moved), an unknown client and 5xx say nothing about it.
    """
    answer = _object(body)
    error, text = _error(answer)
    match status:
        case 200:
            return _grant(answer, now, old) or Transient("the answer could not be read")
        case 429:
            return Throttled(_seconds(retry_after))
        case 400 | 401 | 403 if answer.get("error") == "invalid_grant":
            return InvalidGrant(text)
        case 404 | 405 | 410:
            return Misconfigured(f"nothing there issues tokens (status {status})")
        case _ if 300 <= status < 400:  # noqa: PLR2004 - the redirects, which are never followed
            return Misconfigured(f"it points elsewhere (status {status})")
        case 400 | 401 | 403 if error in _OUR_FAULT or "not supported" in text:
            return Misconfigured(text or error)
        case _:
            return Transient(text or f"status {status}")


def _grant(answer: Mapping[str, Any], now: float, old: OAuthTokens | None) -> Grant | None:
    """Only the access token must be there: a rotated refresh token is not thrown away for an odd field beside it."""
    access = _text(answer, "access_token")
    if not access:
        return None
    scopes = tuple(_text(answer, "scope").split())
    tokens = OAuthTokens(
        access=access,
        refresh=_text(answer, "refresh_token") or (old.refresh if old else ""),
        expires_at=now + _life_s(answer.get("expires_in")),
        scopes=scopes or (old.scopes if old else ()),
    )
    account, organization = _mapping(answer, "account"), _mapping(answer, "organization")
    return Grant(tokens, Identity(_text(account, "uuid"), _text(organization, "uuid"), _text(account, "email_address")))


def _life_s(expires_in: object) -> float:
    try:
        life_s = float(expires_in)  # type: ignore[arg-type]  # the point is to find out
    except (TypeError, ValueError, OverflowError):
        return DEFAULT_LIFE_S
    return life_s if 0 < life_s <= LONGEST_LIFE_S else DEFAULT_LIFE_S


def _error(answer: Mapping[str, Any]) -> tuple[str, str]:
    """Code and words of an error, in the form of OAuth or of Anthropic's API: the endpoint uses both."""
    nested = _mapping(answer, "error")
    code = _text(answer, "error") or _text(nested, "type")
    words = _text(answer, "error_description") or _text(nested, "message")
    return code, " ".join(words.split())[:LONGEST_WORDS]


def _seconds(retry_after: str | None) -> float | None:
    try:
        wait_s = float(retry_after or "")
    except ValueError:
        return None
    return wait_s if math.isfinite(wait_s) and wait_s >= 0 else None


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except UNREADABLE:
        return {}
    return value if isinstance(value, dict) else {}


def _mapping(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


def _text(parent: Mapping[str, Any], name: str) -> str:
    value = parent.get(name)
    return value if isinstance(value, str) else ""
