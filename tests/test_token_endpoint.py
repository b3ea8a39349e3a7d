import time
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from msgspec import structs

from core import oauth
from core.errors import SignInFailed
from core.model import Endpoints, OAuthTokens
from core.token_endpoint import Reply, TokenEndpoint
from tests.fakes import SimulatedProvider, allow, code_shown
from tests.token_server import Hang, Say, TokenServer, token_server

pytestmark = pytest.mark.anyio
CHALLENGE = oauth.Challenge("verifier", "state")


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as http:
        yield http


@pytest.fixture
async def server() -> AsyncIterator[TokenServer]:
    async with token_server() as server:
        yield server


def endpoint_of(server: TokenServer, http: httpx.AsyncClient) -> TokenEndpoint:
    return TokenEndpoint(server.endpoints, lambda: http, lambda: server.now)


async def test_a_person_who_allows_and_pastes_the_code_gets_tokens_that_renew(http: httpx.AsyncClient) -> None:
    async with SimulatedProvider.running() as provider:
        account = provider.add_login("Ada")
        endpoint = TokenEndpoint(provider.endpoints, lambda: http, time.time)
        challenge = oauth.new_challenge()
        url = oauth.authorize_url(challenge, oauth.Purpose.SUBSCRIPTION, provider.endpoints())

        pasted = code_shown((await allow(url, account)).text)
        grant = await endpoint.exchange(oauth.code_from(pasted, challenge), challenge)
        renewed = await endpoint.renew(grant.tokens)
        again = await endpoint.renew(grant.tokens)

    assert grant.identity.account_uuid == account.account_uuid
    assert grant.identity.email == account.email
    assert grant.tokens.scopes == oauth.SCOPES[oauth.Purpose.SUBSCRIPTION]
    assert isinstance(renewed.answer, oauth.Grant)
    assert renewed.answer.tokens.refresh != grant.tokens.refresh
    assert isinstance(again.answer, oauth.InvalidGrant)


async def test_a_login_is_ended_with_its_refresh_token(http: httpx.AsyncClient) -> None:
    async with SimulatedProvider.running() as provider:
        account = provider.add_login("Ada")
        endpoint = TokenEndpoint(provider.endpoints, lambda: http, time.time)
        assert isinstance(account.credential, OAuthTokens)

        assert await endpoint.revoke(account.credential) == ""

        assert account.lineage is not None
        assert account.lineage.revoked


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("/nobody/token", "the provider answered with status 404"),
        ("/v1/oauth/grant", "nobody knows where beside"),
    ],
)
async def test_end_that_the_provider_does_not_take_is_told(http: httpx.AsyncClient, place: str, why: str) -> None:
    async with SimulatedProvider.running() as provider:
        elsewhere = structs.replace(provider.endpoints(), anthropic_token_url=f"{provider.url}{place}")

        said = await TokenEndpoint(lambda: elsewhere, lambda: http, time.time).revoke(OAuthTokens("a", "r", 0.0))

    assert said.startswith(why)


async def test_end_without_a_provider_is_told(http: httpx.AsyncClient) -> None:
    nobody = Endpoints(anthropic_token_url="http://127.0.0.1:9/v1/oauth/token")

    said = await TokenEndpoint(lambda: nobody, lambda: http, time.time).revoke(OAuthTokens("a", "r", 0.0))

    assert said == "the provider did not answer (ConnectError)"


async def test_a_token_request_is_json_and_says_so(http: httpx.AsyncClient) -> None:
    async with SimulatedProvider.running() as provider:
        endpoint = TokenEndpoint(provider.endpoints, lambda: http, time.time)
        await endpoint.renew(OAuthTokens("access", "unknown", 0.0))
        (received,) = provider.received

    assert received.method == "POST"
    assert (b"content-type", b"application/json") in {(name.lower(), value) for name, value in received.headers}


@pytest.mark.parametrize(
    ("said", "title"),
    [
        (Say(400, {"error": "invalid_grant"}), "does not take this code"),
        (Say(429), "for the moment"),
        (Say(404), "does not sign in: nothing there issues tokens"),
        (Say(307, headers=(("location", "http://127.0.0.1:9/"),)), "it points elsewhere"),
        (Say(503), "could not be finished: status 503"),
        (Say(200, b"cut"), "could not be finished: the answer could not be read"),
        (Hang(rotated=False), "did not answer"),
    ],
)
async def test_a_sign_in_that_fails_says_why_and_what_to_do(
    server: TokenServer, http: httpx.AsyncClient, said: Say | Hang, title: str
) -> None:
    server.script.append(said)

    with pytest.raises(SignInFailed) as failure:
        await endpoint_of(server, http).exchange("code", CHALLENGE)

    assert title in failure.value.title
    assert failure.value.hint
    assert len(server.received) == 1


GRANTED = Say(200, {"access_token": "access", "refresh_token": "refresh"})
INVALID_GRANT = Say(400, {"error": "invalid_grant"})
LOST = Hang(rotated=True)


@pytest.mark.parametrize("first", [Hang(rotated=False), LOST, Say(500), Say(502), Say(504), Say(524), Say(200, b"cut")])
@pytest.mark.parametrize(
    ("second", "doubtful"),
    [
        (GRANTED, False),
        (INVALID_GRANT, False),
        (Say(503), True),
        (Say(429), True),
        (Say(404), True),
        (Say(500), True),
        (Hang(rotated=False), True),
    ],
    ids=str,
)
async def test_an_answer_that_does_not_tell_is_asked_for_once_more_and_a_doubt_stays_until_one_tells(
    server: TokenServer, http: httpx.AsyncClient, first: Say | Hang, second: Say | Hang, doubtful: bool
) -> None:
    server.script.extend([first, second, Say(500)])

    reply = await endpoint_of(server, http).renew(server.newest())

    assert reply.doubtful is doubtful
    assert server.sent() == ["refresh-0", "refresh-0"]


@pytest.mark.parametrize("said", [GRANTED, INVALID_GRANT, *map(Say, (429, 401, 403, 404, 302, 503, 529))], ids=str)
async def test_an_answer_that_tells_is_not_asked_for_again(
    server: TokenServer, http: httpx.AsyncClient, said: Say
) -> None:
    server.script.extend([said, Say(500)])

    reply = await endpoint_of(server, http).renew(server.newest())

    assert not reply.doubtful
    assert len(server.received) == 1


async def test_a_renewal_that_did_not_arrive_is_not_repeated(server: TokenServer, http: httpx.AsyncClient) -> None:
    tries: list[httpx.Request] = []
    http.event_hooks["request"].append(_note_in(tries))
    nowhere = replace(server, url="http://127.0.0.1:1/v1/oauth/token")

    answer = await endpoint_of(nowhere, http).renew(server.newest())

    assert answer == Reply(oauth.Transient("the provider cannot be reached (ConnectError)"))
    assert len(tries) == 1


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://127.0.0.1/", "http://[::1"])
async def test_an_address_that_is_none_is_a_value_not_a_crash(http: httpx.AsyncClient, url: str) -> None:
    endpoint = TokenEndpoint(lambda: Endpoints(anthropic_token_url=url), lambda: http, time.time)

    reply = await endpoint.renew(OAuthTokens("access", "refresh", 0.0))

    assert isinstance(reply.answer, oauth.Misconfigured | oauth.Transient)
    assert not reply.doubtful


def _note_in(tries: list[httpx.Request]):  # noqa: ANN202 - httpx wants a coroutine function
    async def note(request: httpx.Request) -> None:
        tries.append(request)

    return note
