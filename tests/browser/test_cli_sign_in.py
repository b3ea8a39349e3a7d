"""Signing in with a real browser: `tidegate add` in a real terminal, Chromium on the provider's page."""

from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page

from core.vault import open_vault
from tests.browser.default_browser import DefaultBrowser
from tests.browser.person import PASSPHRASE, Person
from tests.browser.terminal import CTRL_C
from tests.fakes import CLIENT_ID, SimulatedProvider, allow, query_of

pytestmark = pytest.mark.anyio

TOKEN = "/v1/oauth/token"
CODE_PAGE = "https://platform.claude.com/oauth/code/callback"


@pytest.fixture
async def sim() -> AsyncIterator[SimulatedProvider]:
    """A simulated provider in today's time, as the program that is started sees it."""
    async with SimulatedProvider.running() as sim:
        yield sim


@pytest.fixture
async def ada(tmp_path: Path, sim: SimulatedProvider, page: Page) -> AsyncIterator[Person]:
    """Ada has two subscriptions and nothing in Tidegate yet."""
    sim.add_login("Work")
    sim.add_login("Home")
    with closing(DefaultBrowser(tmp_path)) as default:
        yield Person(tmp_path, sim, page, default)


async def generation(person: Person, account: str) -> int:
    """How often a credential of this account was stored."""
    vault = open_vault("file", person.paths, "", {"TIDEGATE_VAULT_KEY": PASSPHRASE})
    stored = await vault.load(account)
    await vault.close()
    assert stored
    return stored.generation


async def test_account_that_was_allowed_in_the_browser_serves(ada: Person) -> None:
    async with ada.types_tidegate("add", "claude", "--label", "Mine") as terminal:
        await ada.allows(await ada.default_browser.opened(), "Home")
        page = await ada.reads("Signed in")
        assert await terminal.ends() == 0
    assert "You can close this page" in page
    assert terminal.shown.endswith("Added Mine\n")
    (account,) = await ada.accounts()
    assert (account["label"], account["email"], account["standing"]) == ("Mine", "home@example.org", "ready")

    async with ada.serving() as client:
        assert await client.asks() == "Mine"
    assert [r.account for r in ada.sim.requests_for("/v1/messages")] == ["Home"]


async def test_person_who_denies_reads_so_in_both_places(ada: Person) -> None:
    async with ada.types_tidegate("add", "claude") as terminal:
        await ada.allows(await ada.default_browser.opened(), button="Deny")
        page = await ada.reads("The sign-in was declined")
        assert await terminal.ends() == 1
    assert "Start the sign-in again" in page
    assert "Error: The sign-in was declined\n" in terminal.shown
    assert "Traceback" not in terminal.shown
    assert not ada.sim.requests_for(TOKEN)


async def test_page_with_another_state_changes_nothing_and_the_right_one_counts_once(ada: Person) -> None:
    async with ada.serving() as client:
        async with ada.types_tidegate("add", "claude") as terminal:
            url = await ada.default_browser.opened()
            await ada.allows(url.replace(query_of(url)["state"], "another"))
            await ada.reads("This page does not belong to the sign-in")
            assert not ada.sim.requests_for(TOKEN)
            asked: list[str] = []
            ada.page.on("request", lambda request: asked.append(request.url))
            await ada.allows(url)
            await ada.reads("Signed in")
            assert await terminal.ends() == 0
        went_by = next(address for address in asked if address.partition("?")[0].endswith("/callback"))
        assert "?" not in ada.page.url  # nor does it stay in the browser's history
        assert await status_of_reload(ada.page) in {400, None}
        assert len(ada.sim.requests_for(TOKEN)) == 1
        assert len(client.accounts) == 1
    assert await what_a_thief_gets(ada.sim, went_by) == "invalid_grant"
    assert query_of(went_by)["code"] not in terminal.shown


async def what_a_thief_gets(sim: SimulatedProvider, address: str) -> str:
    """What the provider says to somebody who read the address to which the browser was sent."""
    stolen = {name: query_of(address)[name] for name in ("code", "state")}
    stolen |= {"grant_type": "authorization_code", "client_id": CLIENT_ID, "code_verifier": "v" * 43}
    stolen |= {"redirect_uri": address.partition("?")[0]}
    async with httpx.AsyncClient(trust_env=False) as thief:
        answer = await thief.post(sim.endpoints().anthropic_token_url, json=stolen)
    return str(answer.json()["error"])


async def status_of_reload(page: Page) -> int | None:
    """What comes when the person reloads the page; None when nobody listens there any more."""
    try:
        answer = await page.reload()
    except PlaywrightError as exc:
        return None if "ERR_CONNECTION_REFUSED" in exc.message else 0
    return answer.status if answer else 0


async def test_browser_for_which_localhost_is_the_ipv6_address_arrives(ada: Person) -> None:
    async with ada.types_tidegate("add", "claude") as terminal:
        sent_to = (await allow(await ada.default_browser.opened(), ada.sim.accounts[0])).headers["location"]
        await ada.page.goto(sent_to.replace("//localhost:", "//[::1]:"))
        await ada.reads("Signed in")
        assert await terminal.ends() == 0


async def test_ctrl_c_ends_the_sign_in_and_closes_its_port(ada: Person) -> None:
    async with ada.serving() as client:
        async with ada.types_tidegate("add", "claude") as terminal:
            callback = query_of(await ada.default_browser.opened())["redirect_uri"]
            await ada.page.goto(callback)
            await ada.reads("This page does not belong to the sign-in")
            terminal.types(CTRL_C)
            assert await terminal.ends() == 1
        assert "Aborted!" in terminal.shown
        assert "Traceback" not in terminal.shown
        assert await status_of_reload(ada.page) is None
        assert client.accounts == []


async def test_code_that_the_page_shows_can_be_typed_while_the_browser_is_awaited(ada: Person) -> None:
    async with ada.types_tidegate("add", "claude") as terminal:
        await ada.default_browser.opened()  # on a machine that cannot reach this one
        await ada.allows((await terminal.shows(r"paste the code:\s+(\S+)\n"))[1], "Home")
        terminal.types(f"{await ada.page.inner_text('pre')}\n")
        assert await terminal.ends() == 0
    assert terminal.shown.endswith("Added home@example.org\n")


def as_the_page_shows_it(code: str, state: str) -> str:
    return f"{code}#{state}"


def as_an_address(code: str, state: str) -> str:
    return f"{CODE_PAGE}?{urlencode({'code': code, 'state': state})}"


def as_the_bare_code(code: str, _: str) -> str:
    return code


@pytest.mark.parametrize("form", [as_the_page_shows_it, as_an_address, as_the_bare_code])
async def test_without_a_browser_on_this_machine_the_code_is_pasted(
    ada: Person, form: Callable[[str, str], str]
) -> None:
    async with ada.types_tidegate("add", "claude", "--paste", "--label", "Far away") as terminal:
        await ada.allows((await terminal.shows(r"(http\S+/oauth/authorize\S+)\n"))[1])
        code, _, state = (await ada.page.inner_text("pre")).partition("#")
        await terminal.shows("Code: ")
        terminal.types(f"{code}#{state[:-5]}\n")  # the mouse let go too early
        await terminal.shows("This code belongs to another sign-in")
        await terminal.shows("Code: ")
        terminal.types(f"{form(code, state)}\n")
        assert await terminal.ends() == 0
    assert terminal.shown.endswith("Added Far away\n")


async def test_console_sign_in_makes_a_key_and_keeps_it(ada: Person) -> None:
    shown = await ada.signs_in("Work", "console", "--label", "Team")

    assert shown.endswith("Added Team\n")
    async with ada.serving() as client:
        (account,) = client.accounts
        assert (account["label"], account["kind"], account["standing"]) == ("Team", "api-key", "ready")
        assert await client.asks() == "Team"
    made = ada.sim.accounts[-1]
    assert [r.header("x-api-key") for r in ada.sim.requests_for("/v1/messages")] == [made.key]


async def test_second_login_of_the_same_person_signs_in_in_place(ada: Person) -> None:
    async with ada.serving() as client:
        await ada.signs_in("Work", "claude", "--label", "Mine")
        await ada.signs_in("Home")
        client.orders("pin", account="Mine")
        assert await client.asks() == "Mine"
        before = client.accounts

        shown = await ada.signs_in("Work")

        assert shown.endswith("Mine is signed in again\n")
        after = client.accounts
        kept = ("id", "label", "email", "served", "pinned", "standing")
        assert [[one[name] for name in kept] for one in after] == [[one[name] for name in kept] for one in before]
        assert after[0]["served"] == 1
        assert await client.asks() == "Mine"
    work = ada.sim.accounts[0]
    assert ada.sim.requests_for("/v1/messages")[-1].header("authorization") == f"Bearer {work.access}"
    assert [await generation(ada, account["id"]) for account in after] == [2, 1]


async def test_same_address_in_two_organisations_is_two_accounts(ada: Person) -> None:
    work, home = ada.sim.accounts
    home.account_uuid, home.email = work.account_uuid, work.email
    async with ada.serving() as client:
        await ada.signs_in("Work")
        await ada.signs_in("Home")

        first, second = client.accounts
        assert first["email"] == second["email"] == "work@example.org"
        assert first["label"] != second["label"]
        for account, served_by in ((first, "Work"), (second, "Home")):
            client.orders("pin", account=account["id"])
            assert await client.asks() == account["label"]
            assert ada.sim.requests_for("/v1/messages")[-1].account == served_by
