"""The simulated sign-in: authorize page, code exchange with PKCE, rotating refresh tokens, revocation.

A refresh token works once. Whoever sends an old one again gets `invalid_grant` and takes the whole sign-in with it:
that is what happens to two programs that share a login.
"""

import base64
import hashlib
import html
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

from core.simulator.accounts import Lineage, SimulatedAccount
from core.simulator.answers import Answer, json_answer, organization_name, page

CLIENT_ID = "9d1c250a-e61b-44d9-88ed-5944d1962f5e"
MANUAL_REDIRECTS = frozenset(
    {
        "https://platform.claude.com/oauth/code/callback",
        "https://console.anthropic.com/oauth/code/callback",
    }
)
_CODE_LIFETIME_S = 600.0
_REMEMBERED = 10_000  # codes, and tokens of each sort; a longer memory would serve no test
_CHALLENGE_CHARS = 43
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}

T = TypeVar("T")


@dataclass(slots=True)
class Code:
    """An authorization code that waits to be exchanged."""

    account: SimulatedAccount
    redirect_uri: str
    challenge: str
    state: str
    scopes: tuple[str, ...]
    expires_at: float


class Authority:
    """All sign-ins of one simulated provider."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._codes: OrderedDict[str, Code] = OrderedDict()
        self._lineages: OrderedDict[str, tuple[SimulatedAccount, Lineage]] = OrderedDict()
        self._owners: OrderedDict[str, tuple[SimulatedAccount, Lineage]] = OrderedDict()

    def sign_in(self, account: SimulatedAccount, scopes: tuple[str, ...]) -> Lineage:
        """Begin a new lineage for `account`; its older ones go on working."""
        lineage = account.lineage = Lineage(scopes)
        self._issue(account, lineage)
        return lineage

    def owner(self, access: str) -> tuple[SimulatedAccount, Lineage] | None:
        """Whose access token this is, from which sign-in; None for one that was never given out."""
        found = self._owners.get(access)
        return found if found and access in found[1].access else None

    # --- the browser's side ------------------------------------------------------------------------

    def ask(self, query: Mapping[str, str], accounts: list[SimulatedAccount]) -> Answer:
        """Show the authorize page: a choice of accounts, Allow and Deny."""
        if problem := _authorize_problem(query):
            return page(HTTPStatus.BAD_REQUEST, f"<!doctype html><title>Sign in</title><p>{html.escape(problem)}</p>")
        hidden = "".join(
            f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
            for name, value in query.items()
        )
        choices = "".join(
            f'<p><label><input type="radio" name="account" value="{choice_of(account)}"'
            f"{' checked' if index == 0 else ''}> {html.escape(f'{account.email} ({account.label})')}</label></p>"
            for index, account in enumerate(accounts)
        )
        return page(
            HTTPStatus.OK,
            "<!doctype html><html lang=en><title>Sign in (simulated)</title><h1>Simulated sign-in</h1>"
            f'<p>A program wants to use an account.</p><form method="post" action="/oauth/authorize">{hidden}{choices}'
            '<button name="decision" value="allow">Allow</button> '
            '<button name="decision" value="deny">Deny</button></form></html>',
        )

    def decide(self, form: Mapping[str, str], account: SimulatedAccount | None) -> Answer:
        """Take the person's decision: redirect to a loopback address, or show `CODE#STATE` to paste."""
        if problem := _authorize_problem(form):
            return page(HTTPStatus.BAD_REQUEST, f"<!doctype html><title>Sign in</title><p>{html.escape(problem)}</p>")
        state = form.get("state", "")
        redirect_uri = form["redirect_uri"]
        if form.get("decision") != "allow" or account is None:
            denied = urlencode({"error": "access_denied", "error_description": "The person said no.", "state": state})
            return _redirect(redirect_uri, denied)
        scopes = tuple(form.get("scope", "").split())
        expires_at = self._clock() + _CODE_LIFETIME_S
        code = f"ac_{secrets.token_urlsafe(32)}"
        self._codes[code] = Code(account, redirect_uri, form["code_challenge"], state, scopes, expires_at)
        _forget_oldest(self._codes)
        if redirect_uri in MANUAL_REDIRECTS:
            shown = html.escape(f"{code}#{state}")
            return page(HTTPStatus.OK, f"<!doctype html><title>Code</title><p>Paste this:</p><pre>{shown}</pre>")
        return _redirect(redirect_uri, urlencode({"code": code, "state": state}))

    # --- the token endpoint ------------------------------------------------------------------------

    def token(self, body: Mapping[str, object]) -> Answer:
        """Answer a request of the token endpoint."""
        grant = body.get("grant_type")
        if grant not in {"authorization_code", "refresh_token"}:
            return _refuse("unsupported_grant_type", f"Unsupported grant type: {grant}")
        if body.get("client_id") != CLIENT_ID:
            return _refuse("invalid_client", "Unknown client_id")
        return self._exchange(body) if grant == "authorization_code" else self._renew(body)

    def _exchange(self, body: Mapping[str, object]) -> Answer:
        code = self._codes.pop(str(body.get("code", "")), None)
        if code is None or code.expires_at <= self._clock():
            return _refuse("invalid_grant", "Invalid 'code' in request.")
        if body.get("redirect_uri") != code.redirect_uri:
            return _refuse("invalid_grant", "Invalid 'redirect_uri' in request.")
        if body.get("state") != code.state:
            return _refuse("invalid_grant", "Invalid 'state' in request.")
        if challenge_of(str(body.get("code_verifier", ""))) != code.challenge:
            return _refuse("invalid_grant", "Invalid 'code_verifier' in request.")
        return self._granted(code.account, self.sign_in(code.account, code.scopes))

    def _renew(self, body: Mapping[str, object]) -> Answer:
        refresh = body.get("refresh_token")
        if not isinstance(refresh, str) or not refresh:
            return _refuse("invalid_request", "Missing refresh token.")
        account, lineage = self._lineages.get(refresh, (None, None))
        if account is None or lineage is None or lineage.revoked:
            return _refuse("invalid_grant", "Refresh token not found or invalid")
        if refresh != lineage.refresh:
            lineage.revoked = True
            return _refuse("invalid_grant", "Refresh token not found or invalid")
        self._issue(account, lineage)
        return self._granted(account, lineage)

    def revoke(self, body: Mapping[str, object]) -> Answer:
        """End the sign-in a token belongs to. Unknown tokens are fine, as RFC 7009 wants it."""
        _, lineage = self._lineages.get(str(body.get("token", "")), (None, None))
        if lineage is not None:
            lineage.revoked = True
        return json_answer(HTTPStatus.OK, {})

    def _issue(self, account: SimulatedAccount, lineage: Lineage) -> None:
        access = f"sk-ant-oat01-{secrets.token_urlsafe(70)}"
        refresh = f"sk-ant-ort01-{secrets.token_urlsafe(70)}"
        lineage.issue(access, refresh, self._clock() + account.access_lifetime_s)
        self._lineages[refresh] = self._owners[access] = (account, lineage)
        _forget_oldest(self._lineages)
        _forget_oldest(self._owners)

    def _granted(self, account: SimulatedAccount, lineage: Lineage) -> Answer:
        return json_answer(
            HTTPStatus.OK,
            {
                "token_type": "Bearer",
                "access_token": next(reversed(lineage.access)),
                "expires_in": account.access_lifetime_s,
                "refresh_token": lineage.refresh,
                "scope": " ".join(lineage.scopes),
                "account": {"uuid": account.account_uuid, "email_address": account.email},
                "organization": {"uuid": account.organization_uuid, "name": organization_name(account)},
            },
        )


def choice_of(account: SimulatedAccount) -> str:
    """What the authorize page sends for an account: one person may be in several organisations."""
    return f"{account.account_uuid}/{account.organization_uuid}"


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a PKCE verifier (RFC 7636, 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _authorize_problem(query: Mapping[str, str]) -> str:
    redirect = urlsplit(query.get("redirect_uri", ""))
    loopback = redirect.scheme == "http" and redirect.hostname in _LOOPBACK and redirect.path == "/callback"
    if query.get("client_id") != CLIENT_ID:
        return "Unknown client_id"
    if query.get("response_type") != "code":
        return "response_type must be code"
    if query.get("code_challenge_method") != "S256" or len(query.get("code_challenge", "")) != _CHALLENGE_CHARS:
        return "An S256 code_challenge is required"
    if not loopback and query.get("redirect_uri") not in MANUAL_REDIRECTS:
        return "Redirect URI is not supported by client"
    return "" if query.get("scope") else "scope is required"


def _redirect(uri: str, query: str) -> Answer:
    return Answer(HTTPStatus.FOUND, b"", (("location", f"{uri}?{query}"),))


def _refuse(error: str, description: str) -> Answer:
    return json_answer(HTTPStatus.BAD_REQUEST, {"error": error, "error_description": description})


def _forget_oldest(remembered: "OrderedDict[str, T]") -> None:
    while len(remembered) > _REMEMBERED:
        remembered.popitem(last=False)
