from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from core.admission import identity_of, same
from core.errors import NothingToDo, SignInFailed
from core.model import Account, AccountId, AccountKind, Identity
from tests.fakes import SimulatedProvider, allow
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
    assert here.tokens.due(1_000_000.0) == []


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
