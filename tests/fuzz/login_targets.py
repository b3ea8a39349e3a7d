"""What providers say about logins and keys, and what people paste."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from core import key_check, oauth, profile
from core.errors import SignInFailed
from core.model import AccountKind, Endpoints, Identity, OAuthTokens
from core.server_clock import ServerClock
from core.token_endpoint import TokenEndpoint
from core.usage_reading import UsageEndpoint
from tests.fuzz.targets import pieces, target
from tests.fuzz.wire_targets import ERRORS, NOW, USAGE, finite
from tests.recorded import content

URL = "http://provider.test"
ENDPOINTS = Endpoints(URL, f"{URL}/authorize", f"{URL}/authorize", f"{URL}/v1/oauth/token", f"{URL}/zen/go/v1")
OLD = OAuthTokens("access-0", "refresh-0", NOW + 60)
GRANT = (
    b'{"token_type":"Bearer","access_token":"a","expires_in":28800,"refresh_token":"r",'
    b'"scope":"user:inference user:profile",'
    b'"organization":{"uuid":"o","name":"n"},"account":{"uuid":"u","email_address":"e@example.org"}}'
)
PROFILE = (
    b'{"account":{"uuid":"u","email":"e@example.org"},'
    b'"organization":{"uuid":"o","organization_type":"claude_max","rate_limit_tier":"x"}}'
)
REFUSALS = [
    b'{"error":"invalid_grant","error_description":"gone"}',
    b'{"error":{"type":"invalid_request_error","message":"not supported"}}',
    *ERRORS,
]
STATUSES = (0, 200, 201, 204, 302, 400, 401, 403, 404, 405, 410, 429, 500, 502, 503, 529, 999)
WORDS = (
    b'"access_token":',
    b'"refresh_token":',
    b'"expires_in":',
    b'"scope":',
    b'"error":"invalid_grant"',
    b'"account":',
    b'"uuid":',
)


@target("the token endpoint's answer", [GRANT, *REFUSALS], WORDS)
def an_answer_about_a_login_is_one_of_five_and_only_one_kills(data: bytes) -> None:
    for status in STATUSES:
        answer = oauth.read_answer(status, data, data[:20].decode("latin-1"), NOW, OLD)
        finite(answer)
        if isinstance(answer, oauth.Grant):
            assert status == 200
            assert answer.tokens.access
            assert NOW < answer.tokens.expires_at <= NOW + oauth.LONGEST_LIFE_S
        if isinstance(answer, oauth.InvalidGrant):
            assert status in {400, 401, 403}
            assert b"invalid_grant" in data or b"\\u" in data
        if isinstance(answer, oauth.Throttled):
            assert answer.wait_s is None or answer.wait_s >= 0


@target(
    "a pasted code",
    [
        b"abc#STATE",
        b"https://platform.claude.com/oauth/code/callback?code=abc&state=STATE",
        b"?error=access_denied",
        b"code=a",
    ],
    [b"code=", b"&state=", b"error=", b"http://", b"[", b"]", b"%zz", b"\xe2\x80\x8b"],
)
def a_code_comes_out_or_a_sentence(data: bytes) -> None:
    challenge = oauth.Challenge("verifier", "STATE", oauth.CODE_PAGE)
    try:
        code = oauth.code_from(data.decode(errors="surrogateescape"), challenge)
    except SignInFailed as exc:
        assert exc.title
        return
    assert code
    assert code == "".join(code.split())


@target(
    "a server's date",
    [b"Fri, 31 Dec 2027 23:59:59 GMT"],
    [b" GMT", b" +9999", b" -2400", b" +99999999999999999999", b"0000", b"9999", b"Jan"],
)
def a_date_sets_the_clock_or_says_nothing(data: bytes) -> None:
    clock = ServerClock(lambda: NOW, lambda: 17.0)
    clock.heed(data.decode("latin-1"))
    finite(clock())
    first = clock()
    clock.heed(data.decode("latin-1"))
    assert clock() == first


def asked(data: bytes, question: Callable[[httpx.AsyncClient], Awaitable[Any]], date: bytes = b"") -> list[Any]:
    """What a question comes to when the provider answers `data`, with each status: its value, or SignInFailed."""

    async def all_of_them() -> list[Any]:
        results: list[Any] = []
        for status in (200, 302, 401, 403, 429, 500):
            headers = [(b"date", date), (b"retry-after", date), (b"anthropic-organization-id", b"o")]
            transport = httpx.MockTransport(
                lambda _, status=status, headers=headers: httpx.Response(status, headers=headers, content=data)
            )
            async with httpx.AsyncClient(transport=transport, trust_env=False) as http:
                try:
                    results.append(await question(http))
                except SignInFailed as exc:
                    results.append(exc)
        return results

    return asyncio.run(all_of_them())


@target("whose a login is", [PROFILE, *ERRORS], [b'"uuid":', b'"email":', b'"organization_type":'])
def an_owner_is_known_or_not(data: bytes) -> None:
    for found in asked(data, lambda http: profile.owner("access", ENDPOINTS, http)):
        assert found is None or isinstance(found, Identity | SignInFailed)
    for found in asked(data, lambda http: key_check.whose(AccountKind.GO, "key", Identity(), ENDPOINTS, http)):
        assert found is None or isinstance(found, Identity | SignInFailed)
    for found in asked(data, lambda http: key_check.new_key("access", ENDPOINTS, http)):
        assert isinstance(found, SignInFailed) or (isinstance(found, str) and found)


@target("quota over HTTP", [b"30\0" + content(name) for name in USAGE], [b'"utilization":'])
def a_question_for_quota_has_an_answer(data: bytes) -> None:
    wait, body = pieces(data)
    wait = b"".join(wait.splitlines())
    for kind in (AccountKind.CLAUDE, AccountKind.GO):
        for reading in asked(
            body,
            lambda http, kind=kind: UsageEndpoint(lambda: ENDPOINTS, lambda: http, lambda: NOW).read(kind, "s"),
            wait,
        ):
            finite(reading)


@target("a renewal over HTTP", [b"30\0" + GRANT], WORDS)
def a_renewal_has_an_answer_and_a_code_is_taken_or_not(data: bytes) -> None:
    wait, body = pieces(data)
    wait = b"".join(wait.splitlines())
    for reply in asked(body, lambda http: TokenEndpoint(lambda: ENDPOINTS, lambda: http, lambda: NOW).renew(OLD), wait):
        finite(reply.answer)
    challenge = oauth.new_challenge()
    for grant in asked(
        body, lambda http: TokenEndpoint(lambda: ENDPOINTS, lambda: http, lambda: NOW).exchange("code", challenge), wait
    ):
        assert isinstance(grant, oauth.Grant | SignInFailed)
