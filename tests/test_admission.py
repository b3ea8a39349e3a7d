from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace

from core import oauth
from core.admission import NEW, NOT_HERE, identity_of, same
from core.errors import NothingToDo, SignInFailed
from core.model import Account, AccountId, AccountKind, CredentialRejected, Identity, LoginRenewed, OAuthTokens, SignIn
from core.orders import BeginLogin
from tests.fakes import SimulatedAccount, SimulatedProvider, allow, code_shown
from tests.instance import Instance, instance

pytestmark = pytest.mark.anyio


@pytest.fixture
async def here(sim: SimulatedProvider, tmp_path: Path) -> AsyncIterator[Instance]:
    async with instance(tmp_path, sim.endpoints()) as here:
        yield here


async def add_key(here: Instance, key: str, kind: str = "api-key", **more: str) -> str:
    return str((await here.commands.run("add_key", {"kind": kind, "key": key, **more}))["text"])


async def test_key_is_checked_and_its_organisation_kept(here: Instance, sim: SimulatedProvider) -> None:
    team = sim.add_api_key("Team")
    assert await add_key(here, team.key, label="Team") == "Added Team"
    assert here.config.current.accounts[0].identity.organization_uuid == team.organization_uuid


async def test_refused_key_adds_nothing(here: Instance) -> None:
    with pytest.raises(SignInFailed):
        await add_key(here, "sk-ant-api03-NOBODYS")
    assert here.labels == []
    assert here.vault.items == {}


async def test_key_that_cannot_be_checked_is_added_and_the_person_told(tmp_path: Path) -> None:
    async with instance(tmp_path) as offline:
        text = await add_key(offline, "sk-ant-api03-EXAMPLE", label="Team")
        assert text.startswith("Added Team. The provider could not be asked")
        assert offline.labels == ["Team"]


async def test_same_key_again_is_nothing_to_do_although_its_organisation_is_known_now(
    here: Instance, sim: SimulatedProvider
) -> None:
    key = sim.add_api_key("Team").key
    await add_key(here, key)
    with pytest.raises(NothingToDo):
        await add_key(here, key)


async def test_setup_token_is_a_login_that_is_never_renewed(here: Instance, sim: SimulatedProvider) -> None:
    token = sim.add_login("Work", scopes=("user:inference",)).access
    await add_key(here, token, label="CI")
    (account,) = here.config.current.accounts
    assert account.kind is AccountKind.CLAUDE
    assert await here.tokens.secret(account.id) == token
    assert here.tokens.due() == []


async def test_key_of_an_account_that_lost_it_is_taken_in_place(here: Instance, sim: SimulatedProvider) -> None:
    key = sim.add_api_key("Team").key
    await add_key(here, key, label="Team")
    (before,) = here.config.current.accounts
    await here.tokens.forget(before.id)

    assert await add_key(here, key, label="Ignored") == "Team has its key again"
    assert here.config.current.accounts == (before,)
    assert await here.tokens.secret(before.id) == key


async def test_key_that_the_provider_had_refused_is_tried_again(here: Instance, sim: SimulatedProvider) -> None:
    key = sim.add_api_key("Team").key
    await add_key(here, key, label="Team")
    (account,) = here.config.current.accounts
    here.engine.observe(account.id, CredentialRejected("invalid x-api-key", renewable=False))

    assert await add_key(here, key) == "Team has its key again"
    assert here.engine.pool.accounts[0].sign_in is SignIn.OK


async def test_account_without_its_credential_waits_for_the_person(here: Instance, sim: SimulatedProvider) -> None:
    ada = sim.add_login("Ada")
    await here.commands._admission.add(Account(NEW, "Work", AccountKind.CLAUDE, ada.identity), None)
    (state,) = here.engine.pool.accounts
    assert (state.sign_in, state.sign_in_text) == (SignIn.NEEDED, NOT_HERE)
    assert here.vault.items == {}

    assert await sign_in(here, ada) == "Work is signed in again"
    assert LoginRenewed(state.account.id) in here.events

    assert here.engine.pool.accounts[0].sign_in is SignIn.OK
    assert await here.tokens.secret(state.account.id) == ada.access


# --- whose login it is ---


async def sign_in(here: Instance, account: SimulatedAccount, **more: str) -> str:
    offer = await here.commands.run("begin_login", {"browser": False, **more})
    shown = code_shown((await allow(offer["paste_url"], account)).text)
    return str((await here.commands.run("paste_login", {"id": offer["id"], "text": shown}))["text"])


async def test_plan_is_asked_for_once_the_login_is_stored(here: Instance, sim: SimulatedProvider) -> None:
    ada = sim.add_login("Ada", plan="claude_max")

    await sign_in(here, ada)

    (account,) = here.config.current.accounts
    assert account.identity == replace(ada.identity, plan="max 5x")
    assert here.engine.snapshot().accounts[0].plan == "max 5x"


async def test_login_is_kept_when_nobody_says_whose_it_is(tmp_path: Path, sim: SimulatedProvider) -> None:
    silent = replace(sim.endpoints(), anthropic_api_url="http://127.0.0.1:9")
    async with instance(tmp_path, silent) as here:
        ada = sim.add_login("Ada")

        assert await sign_in(here, ada) == f"Added {ada.email}"
        assert here.config.current.accounts[0].identity.plan == ""


async def test_plan_that_is_not_known_is_asked_for_after_a_renewal(tmp_path: Path, sim: SimulatedProvider) -> None:
    where = replace(sim.endpoints(), anthropic_api_url="http://127.0.0.1:9")
    async with instance(tmp_path, lambda: where) as here:
        await sign_in(here, sim.add_login("Ada", plan="claude_pro"))
        where = sim.endpoints()

        await here.commands.run("refresh", {"account": "all"})
        await here.commands.finish()

        assert here.config.current.accounts[0].identity.plan == "pro"


async def test_login_that_turns_out_to_be_here_already_signs_in_in_place(
    here: Instance, sim: SimulatedProvider
) -> None:
    """The token endpoint may say nothing of the owner."""
    ada = sim.add_login("Ada", plan="claude_max")
    await sign_in(here, ada, label="Work")
    (before,) = here.config.current.accounts
    sim._service.authority.sign_in(ada, oauth.SCOPES[oauth.Purpose.SUBSCRIPTION])
    tokens = ada.credential
    assert isinstance(tokens, OAuthTokens)

    done = await here.commands._admission.login(BeginLogin(), oauth.Grant(tokens, Identity()))

    assert (done.text, done.account) == ("Work is signed in again", before.id)
    assert here.config.current.accounts == (before,)
    assert await here.tokens.secret(before.id) == tokens.access
    assert {name.partition("/")[0] for name in here.vault.items} == {before.id}


async def test_profile_of_somebody_else_does_not_change_who_signed_in(here: Instance, sim: SimulatedProvider) -> None:
    ada, eve = sim.add_login("Ada"), sim.add_login("Eve")
    account = Account(NEW, "Ada", AccountKind.CLAUDE, replace(ada.identity, plan=""))
    done = await here.commands._admission.add(account, eve.credential)
    assert done.account

    assert await here.commands._admission.describe(done.account) is None
    assert here.config.current.accounts[0].identity == account.identity


async def test_console_sign_in_becomes_an_api_key_of_the_organisation(here: Instance, sim: SimulatedProvider) -> None:
    console = sim.add_login("Console", scopes=("org:create_api_key", "user:profile"))
    offer = await here.commands.run("begin_login", {"kind": "api-key", "label": "Team"})
    back = (await allow(offer["url"], console)).headers["location"]
    async with httpx.AsyncClient(trust_env=False) as browser:
        assert (await browser.get(back)).status_code == 200
    done = await here.commands.run("await_login", {"id": offer["id"], "for_s": 5})
    assert done["text"] == "Added Team"
    (account,) = here.config.current.accounts
    assert account.kind is AccountKind.API_KEY
    assert account.identity.organization_uuid == console.organization_uuid
    assert (await here.tokens.secret(account.id)).startswith("sk-ant-api03-")


async def test_one_person_in_two_organisations_is_two_accounts() -> None:
    account = Account(AccountId("1"), "A", AccountKind.CLAUDE, Identity("ada", "one", "ada@example.org"))
    assert same([account], AccountKind.CLAUDE, Identity("ada", "two", "ada@example.org")) is None
    assert same([account], AccountKind.CLAUDE, Identity("ada", "one", "new@example.org")) == account


async def test_login_whose_owner_is_not_told_is_never_the_same_as_another() -> None:
    account = Account(AccountId("1"), "A", AccountKind.CLAUDE, Identity("", "", "ada@example.org"))
    assert same([account], AccountKind.CLAUDE, Identity("", "", "ada@example.org")) is None


def test_identity_of_a_key_does_not_hold_it() -> None:
    assert "SECRET" not in repr(identity_of("sk-ant-api03-SECRET"))
    assert identity_of("a") != identity_of("b")
