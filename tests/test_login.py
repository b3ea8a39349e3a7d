import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from core import oauth
from core.answers import Done, Offer
from core.errors import SignInFailed, TidegateError, UsageError
from core.login import MAX_OPEN, SignIns
from core.model import OAuthTokens
from core.token_endpoint import TokenEndpoint
from tests.fakes import SimulatedAccount, SimulatedProvider, allow, code_shown

pytestmark = pytest.mark.anyio
SUBSCRIPTION = oauth.Purpose.SUBSCRIPTION


@pytest.fixture
def ada(sim: SimulatedProvider) -> SimulatedAccount:
    return sim.add_login("Ada")


class Desk:
    """A person at the browser, and what was admitted."""

    def __init__(self, sim: SimulatedProvider, http: httpx.AsyncClient, life_s: float = 300.0) -> None:
        self.http = http
        self.granted: list[OAuthTokens] = []
        endpoint = TokenEndpoint(sim.endpoints, lambda: http, sim.clock)
        self.sign_ins = SignIns(endpoint.exchange, sim.endpoints, life_s)

    async def admit(self, grant: oauth.Grant) -> Done:
        self.granted.append(grant.tokens)
        return Done(f"Added {grant.identity.email}")

    async def begin(self, *, browser: bool = True) -> Offer:
        return await self.sign_ins.begin(SUBSCRIPTION, self.admit, browser=browser)

    async def back(self, offer: Offer, account: SimulatedAccount | None, decision: str = "allow") -> str:
        """Where the provider's page sends the browser."""
        return (await allow(offer.url, account, decision=decision)).headers["location"]


@pytest.fixture
async def desk(sim: SimulatedProvider) -> AsyncIterator[Desk]:
    async with httpx.AsyncClient(trust_env=False) as http:
        desk = Desk(sim, http)
        yield desk
        await desk.sign_ins.close()


async def test_browser_comes_back_and_the_account_is_admitted(desk: Desk, ada: SimulatedAccount) -> None:
    offer = await desk.begin()
    page = await desk.http.get(await desk.back(offer, ada))
    assert page.status_code == 200
    assert "Signed in" in page.text
    assert await desk.sign_ins.wait(offer.id, 1) == Done("Added ada@example.org")
    assert [tokens.access for tokens in desk.granted] == [ada.access]


async def test_page_shows_no_code_and_sends_none_on(desk: Desk, ada: SimulatedAccount) -> None:
    offer = await desk.begin()
    page = await desk.http.get(await desk.back(offer, ada))
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "ac_" not in page.text


async def test_code_works_once(desk: Desk, ada: SimulatedAccount) -> None:
    offer = await desk.begin()
    back = await desk.back(offer, ada)
    first, second = await asyncio.gather(desk.http.get(back), desk.http.get(back), return_exceptions=True)
    answers = [answer.status_code for answer in (first, second) if isinstance(answer, httpx.Response)]
    assert answers.count(200) == 1
    assert len(desk.granted) == 1


@pytest.mark.parametrize("query", ["", "?code=x", "?code=x&state=wrong", "?error=access_denied&state=wrong"])
async def test_visit_without_the_right_state_changes_nothing(desk: Desk, ada: SimulatedAccount, query: str) -> None:
    offer = await desk.begin()
    back = await desk.back(offer, ada)
    page = await desk.http.get(back.partition("?")[0] + query)
    assert page.status_code == 400
    assert await desk.sign_ins.wait(offer.id, 0) is None
    assert (await desk.http.get(back)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/callback", {}),
        ("GET", "/", {}),
        ("GET", "/callback/x", {}),
        ("GET", "/callback", {"origin": "https://example.org"}),
        ("GET", "/callback", {"host": "example.org"}),
    ],
)
async def test_nothing_but_the_browsers_visit_is_served(
    desk: Desk, ada: SimulatedAccount, method: str, path: str, headers: dict[str, str]
) -> None:
    offer = await desk.begin()
    back = httpx.URL(await desk.back(offer, ada))
    answer = await desk.http.request(method, back.copy_with(path=path), headers=headers)
    assert answer.status_code in {404, 421}
    assert await desk.sign_ins.wait(offer.id, 0) is None


async def test_person_who_declines_is_told_and_the_port_is_closed(desk: Desk, ada: SimulatedAccount) -> None:
    offer = await desk.begin()
    back = await desk.back(offer, ada, decision="deny")
    assert "declined" in (await desk.http.get(back)).text
    with pytest.raises(SignInFailed, match="declined"):
        await desk.sign_ins.wait(offer.id, 1)
    await desk.sign_ins.close()
    async with httpx.AsyncClient(trust_env=False) as other:
        with pytest.raises(httpx.ConnectError):
            await other.get(back)


async def test_listens_on_both_loopback_addresses(desk: Desk, ada: SimulatedAccount) -> None:
    offer = await desk.begin()
    back = httpx.URL(await desk.back(offer, ada))
    for host in ("127.0.0.1", "::1"):
        answer = await desk.http.get(back.copy_with(host=host, query=b""))
        assert answer.status_code == 400


async def test_code_can_be_pasted_while_the_browser_is_awaited(desk: Desk, ada: SimulatedAccount) -> None:
    offer = await desk.begin()
    page = await allow(offer.paste_url, ada)
    await desk.sign_ins.paste(offer.id, f"  {code_shown(page.text)}\n")
    assert await desk.sign_ins.wait(offer.id, 1) == Done("Added ada@example.org")


async def test_address_that_the_browser_could_not_open_can_be_pasted(desk: Desk, ada: SimulatedAccount) -> None:
    """The browser is on another machine: its address line holds the code."""
    offer = await desk.begin()
    await desk.sign_ins.paste(offer.id, await desk.back(offer, ada))
    assert await desk.sign_ins.wait(offer.id, 1) == Done("Added ada@example.org")


async def test_wrong_paste_leaves_the_sign_in_open(desk: Desk, ada: SimulatedAccount) -> None:
    offer = await desk.begin(browser=False)
    for wrong in ("", "code#otherstate"):
        with pytest.raises(SignInFailed):
            await desk.sign_ins.paste(offer.id, wrong)
    await desk.sign_ins.paste(offer.id, code_shown((await allow(offer.paste_url, ada)).text))
    assert len(desk.granted) == 1


async def test_two_ways_have_proofs_of_their_own(desk: Desk) -> None:
    offer = await desk.begin()
    states = [httpx.URL(url).params["state"] for url in (offer.url, offer.paste_url)]
    challenges = [httpx.URL(url).params["code_challenge"] for url in (offer.url, offer.paste_url)]
    assert len({*states, *challenges}) == 4


async def test_without_a_browser_nothing_listens(desk: Desk) -> None:
    assert (await desk.begin(browser=False)).url == ""


async def test_refused_exchange_ends_the_sign_in(desk: Desk) -> None:
    offer = await desk.begin(browser=False)
    state = httpx.URL(offer.paste_url).params["state"]
    with pytest.raises(SignInFailed, match="does not take this code"):
        await desk.sign_ins.paste(offer.id, f"ac_made_up#{state}")
    with pytest.raises(SignInFailed):
        await desk.sign_ins.wait(offer.id, 0)


async def test_account_that_cannot_be_stored_is_told_in_both_places(
    sim: SimulatedProvider, ada: SimulatedAccount
) -> None:
    async def full(_: oauth.Grant) -> Done:
        raise TidegateError("The disk is full")

    async with httpx.AsyncClient(trust_env=False) as http:
        desk = Desk(sim, http)
        offer = await desk.sign_ins.begin(SUBSCRIPTION, full, browser=True)
        page = await http.get(await desk.back(offer, ada))
        assert "The disk is full" in page.text
        with pytest.raises(TidegateError, match="disk is full"):
            await desk.sign_ins.wait(offer.id, 1)
        await desk.sign_ins.close()


async def test_sign_in_ends_by_itself_when_nobody_finishes_it(sim: SimulatedProvider) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        desk = Desk(sim, http, life_s=0.05)
        offer = await desk.begin()
        with pytest.raises(SignInFailed, match="too long"):
            await desk.sign_ins.wait(offer.id, 5)
        await desk.sign_ins.close()


async def test_cancelled_sign_in_is_over(desk: Desk) -> None:
    offer = await desk.begin()
    desk.sign_ins.cancel(offer.id)
    with pytest.raises(SignInFailed, match="cancelled"):
        await desk.sign_ins.wait(offer.id, 0)
    with pytest.raises(UsageError):
        await desk.sign_ins.paste(offer.id, "x")


async def test_number_of_sign_ins_is_bounded(desk: Desk) -> None:
    for _ in range(MAX_OPEN):
        await desk.begin(browser=False)
    with pytest.raises(UsageError, match="Too many"):
        await desk.begin(browser=False)


async def test_sign_ins_that_have_failed_take_nobodys_place(desk: Desk) -> None:
    for _ in range(MAX_OPEN):
        desk.sign_ins.cancel((await desk.begin(browser=False)).id)
    assert (await desk.begin(browser=False)).paste_url
