import base64
import hashlib
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from core import oauth
from core.errors import SignInFailed
from core.model import Endpoints, Identity, OAuthTokens
from core.oauth import Grant, InvalidGrant, Misconfigured, Purpose, Throttled, Transient

NOW = 1_800_000_000.0
CHALLENGE = oauth.Challenge("verifier", "state-1")
OLD = OAuthTokens("old-access", "old-refresh", NOW - 1, ("user:profile",))


# --- signing in ------------------------------------------------------------------------------------


def test_every_sign_in_has_its_own_verifier_and_a_state_that_tells_nothing_of_it() -> None:
    challenges = [oauth.new_challenge() for _ in range(50)]

    secrets = [secret for each in challenges for secret in (each.verifier, each.state)]
    assert len(set(secrets)) == 100
    assert {len(secret) for secret in secrets} == {43}
    assert challenges[0].verifier not in repr(challenges[0])
    assert challenges[0].state not in repr(challenges[0])


@pytest.mark.parametrize(
    ("purpose", "page", "scope"),
    [
        (
            Purpose.SUBSCRIPTION,
            "https://claude.ai/oauth/authorize",
            "user:profile user:inference user:sessions:claude_code user:mcp_servers user:file_upload",
        ),
        (Purpose.CONSOLE, "https://platform.claude.com/oauth/authorize", "org:create_api_key user:profile"),
    ],
)
def test_the_authorize_address_says_what_the_protocol_wants(purpose: Purpose, page: str, scope: str) -> None:
    challenge = oauth.new_challenge()

    url = urlsplit(oauth.authorize_url(challenge, purpose, Endpoints()))

    digest = hashlib.sha256(challenge.verifier.encode()).digest()
    assert f"{url.scheme}://{url.netloc}{url.path}" == page
    assert {name: values[0] for name, values in parse_qs(url.query).items()} == {
        "code": "true",
        "client_id": "9d1c250a-e61b-44d9-88ed-5944d1962f5e",
        "response_type": "code",
        "redirect_uri": "https://platform.claude.com/oauth/code/callback",
        "scope": scope,
        "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
        "code_challenge_method": "S256",
        "state": challenge.state,
    }


def test_the_redirect_is_the_same_in_the_address_and_in_the_exchange() -> None:
    challenge = oauth.new_challenge(oauth.loopback_redirect(54545))

    url = oauth.authorize_url(challenge, Purpose.SUBSCRIPTION, Endpoints())
    body = oauth.exchange_body("code-1", challenge)

    assert (
        parse_qs(urlsplit(url).query)["redirect_uri"] == [body["redirect_uri"]] == ["http://localhost:54545/callback"]
    )


@pytest.mark.parametrize(
    "pasted",
    [
        "ac_1#state-1",
        "  ac_1#state-1\n",
        "ac_\n 1#sta\r\nte-1",
        "ac_1",
        "https://platform.claude.com/oauth/code/callback?code=ac_1&state=state-1",
        "http://localhost:54545/callback?state=state-1&code=ac_1",
        "https://platform.claude.com/oauth/code/callback?code=ac_1#state=state-1",
        "https://platform.claude.com/oauth/code/callback#code=ac_1&state=state-1",
        "code=ac_1&state=state-1",
        "?code=ac_1&state=state-1",
        "code=ac_1",
        "code=ac+_1%20&state=state-1",
    ],
)
def test_the_code_is_found_in_whatever_was_pasted(pasted: str) -> None:
    assert oauth.code_from(pasted, CHALLENGE) == "ac_1"


@pytest.mark.parametrize(
    ("pasted", "title"),
    [
        ("", "no code"),
        ("   ", "no code"),
        ("#state-1", "no code"),
        ("code=&state=state-1", "no code"),
        ("ac_1#state-2", "another sign-in"),
        ("ac_1#stäte", "another sign-in"),
        ("http://localhost/callback?code=ac_1&state=other", "another sign-in"),
        ("http://localhost/callback?error=access_denied&state=state-1", "declined"),
        ("http://localhost/callback?error=server_error&state=state-1", "server_error"),
    ],
)
def test_what_holds_no_code_of_this_sign_in_is_refused_in_words(pasted: str, title: str) -> None:
    with pytest.raises(SignInFailed) as failure:
        oauth.code_from(pasted, CHALLENGE)

    assert title in failure.value.title
    assert failure.value.hint


def test_the_token_requests_are_as_the_provider_wants_them() -> None:
    assert oauth.exchange_body("ac_1", CHALLENGE) == {
        "grant_type": "authorization_code",
        "code": "ac_1",
        "state": "state-1",
        "client_id": oauth.CLIENT_ID,
        "redirect_uri": oauth.CODE_PAGE,
        "code_verifier": "verifier",
    }
    assert oauth.refresh_body("old-refresh") == {
        "grant_type": "refresh_token",
        "refresh_token": "old-refresh",
        "client_id": oauth.CLIENT_ID,
    }


# --- answers ---------------------------------------------------------------------------------------


def answer(status: int, body: object, retry_after: str | None = None, old: OAuthTokens | None = OLD) -> oauth.Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return oauth.read_answer(status, content, retry_after, NOW, old)


FULL: dict[str, Any] = {
    "token_type": "Bearer",
    "access_token": "new-access",
    "expires_in": 28800,
    "refresh_token": "new-refresh",
    "scope": "user:profile user:inference",
    "account": {"uuid": "account-1", "email_address": "ada@example.org"},
    "organization": {"uuid": "organization-1", "name": "Ada's Organization"},
}


def test_a_full_grant_is_read() -> None:
    assert answer(200, FULL) == Grant(
        OAuthTokens("new-access", "new-refresh", NOW + 28800, ("user:profile", "user:inference")),
        Identity("account-1", "organization-1", "ada@example.org"),
    )


def test_what_a_renewal_leaves_out_stays_as_it_was() -> None:
    granted = answer(200, {"access_token": "new-access"})

    assert granted == Grant(OAuthTokens("new-access", "old-refresh", NOW + 3600, ("user:profile",)), Identity())


def test_a_sign_in_without_a_refresh_token_can_be_used_until_it_ends() -> None:
    assert answer(200, {"access_token": "a", "expires_in": 31_536_000}, old=None) == Grant(
        OAuthTokens("a", "", NOW + 31_536_000), Identity()
    )


@pytest.mark.parametrize(
    ("expires_in", "life_s"),
    [
        *[(28800, 28800), ("600", 600), (0.15, 0.15)],
        *[(odd, 3600) for odd in (None, "soon", 0, -5, [], 28_800_000_000, float("inf"), float("nan"), 10**400)],
    ],
)
def test_an_absurd_life_is_an_hour(expires_in: object, life_s: float) -> None:
    granted = answer(200, {**FULL, "expires_in": expires_in})

    assert isinstance(granted, Grant)
    assert granted.tokens.expires_at == pytest.approx(NOW + life_s)


@pytest.mark.parametrize("field", ["account", "organization", "scope", "expires_in", "token_type"])
@pytest.mark.parametrize("odd", [None, 7, "text", [], {"uuid": 3}])
def test_an_odd_field_never_costs_the_rotated_refresh_token(field: str, odd: object) -> None:
    granted = answer(200, {**FULL, field: odd})

    assert isinstance(granted, Grant)
    assert granted.tokens.refresh == "new-refresh"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": "invalid_grant", "error_description": "Refresh token not found or invalid"}, InvalidGrant),
        (400, {"error": "invalid_grant", "error_description": "Refresh token expired"}, InvalidGrant),
        (401, {"error": "invalid_grant"}, InvalidGrant),
        (403, {"error": "invalid_grant"}, InvalidGrant),
        (500, {"error": "invalid_grant"}, Transient),
        (400, {"type": "error", "error": {"type": "invalid_grant", "message": "nested"}}, Transient),
        (400, {"error": "invalid_request", "error_description": "Missing refresh token."}, Misconfigured),
        (400, {"error": "invalid_client"}, Misconfigured),
        (401, {"error": "invalid_client"}, Misconfigured),
        (
            401,
            {
                "type": "error",
                "error": {
                    "type": "authentication_error",
                    "message": "OAuth authentication is currently not supported.",
                },
            },
            Misconfigured,
        ),
        (404, {"type": "error", "error": {"type": "not_found_error", "message": "Not found"}}, Misconfigured),
        (404, b"<html>", Misconfigured),
        (405, b"", Misconfigured),
        (302, b"", Misconfigured),
        (429, {"error": {"type": "rate_limit_error", "message": "Rate limited. Please try again later."}}, Throttled),
        (500, b"", Transient),
        (503, b"<html>", Transient),
        (529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, Transient),
        (403, b"<html>blocked by a firewall</html>", Transient),
        (400, {"error": 7}, Transient),
        (200, b"", Transient),
        (200, b"[]", Transient),
        (200, b'{"access_token": "cut', Transient),
        (200, {"access_token": ""}, Transient),
        (200, b"\xff\xfe", Transient),
        (200, b"[" * 100_000, Transient),
    ],
)
def test_only_invalid_grant_speaks_of_the_login(status: int, body: object, kind: type[oauth.Answer]) -> None:
    assert type(answer(status, body)) is kind


@pytest.mark.parametrize(
    ("retry_after", "wait_s"),
    [(None, None), ("", None), ("30", 30.0), ("0", 0.0), ("-1", None), ("nan", None), ("inf", None), ("soon", None)],
)
def test_a_throttle_says_how_long_when_it_was_told(retry_after: str | None, wait_s: float | None) -> None:
    assert answer(429, b"", retry_after) == Throttled(wait_s)


@pytest.mark.parametrize(
    ("token_url", "url"),
    [
        (Endpoints().anthropic_token_url, "https://platform.claude.com/v1/oauth/revoke"),
        ("http://127.0.0.1:8/v1/oauth/token", "http://127.0.0.1:8/v1/oauth/revoke"),
        ("https://example.com/grant", ""),
    ],
)
def test_login_is_ended_beside_the_token_endpoint(token_url: str, url: str) -> None:
    assert oauth.revoke_url(token_url) == url


def test_the_providers_words_are_shown_in_one_short_line() -> None:
    said = answer(400, {"error": "invalid_grant", "error_description": "Refresh\ntoken " + "x" * 500})

    assert isinstance(said, InvalidGrant)
    assert said.text.startswith("Refresh token xxx")
    assert len(said.text) == 200
