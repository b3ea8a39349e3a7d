"""What is told of an account, and what is done about it, from the command to the provider and the vault."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from core.admission import NEW
from core.answers import AccountInfo
from core.errors import NothingToDo, RefreshFailed, TidegateError, UsageError
from core.model import (
    Account,
    AccountId,
    AccountKind,
    Cause,
    ClientKind,
    ClientRefused,
    CredentialRejected,
    Identity,
    OAuthTokens,
    QuotaSpent,
    SignIn,
    Standing,
)
from tests.fakes import CLIENT_ID, NOW, SimulatedAccount, SimulatedProvider
from tests.instance import Instance, instance

pytestmark = pytest.mark.anyio

KEY = "sk-ant-api03-EXAMPLE-0001"
REVOKE = "/v1/oauth/revoke"


@pytest.fixture
async def here(tmp_path: Path, sim: SimulatedProvider) -> AsyncIterator[Instance]:
    async with instance(tmp_path, sim.endpoints(), sim.clock) as made:
        yield made


async def admit(here: Instance, simulated: SimulatedAccount, **more: str) -> AccountId:
    """List an account as if it had been signed in to."""
    account = Account(NEW, simulated.label, simulated.kind, simulated.identity, **more)  # type: ignore[arg-type]
    done = await here.commands._admission.add(account, simulated.credential)
    assert done.account
    return done.account


async def info(here: Instance, name: str) -> AccountInfo:
    return msgspec.convert(await here.commands.run("info", {"account": name}), AccountInfo)


def revocations(sim: SimulatedProvider) -> list[dict[str, str]]:
    return [json.loads(received.body) for received in sim.received if received.path == REVOKE]


# --- info ---


async def test_info_tells_whose_login_it_is_and_how_it_is_doing(here: Instance, sim: SimulatedProvider) -> None:
    ada = sim.add_login("Ada")
    await admit(here, ada)

    told = await info(here, "Ada")

    assert (told.email, told.account_uuid, told.organization_uuid) == (
        ada.email,
        ada.account_uuid,
        ada.organization_uuid,
    )
    assert (told.own_login, told.generation, told.added_at, told.at) == (True, 1, NOW, NOW)
    assert told.renewal_due_at is not None
    assert NOW < told.renewal_due_at < NOW + ada.access_lifetime_s
    assert (told.renewed_at, told.errors) == (None, ())


async def test_info_tells_when_the_login_was_renewed(here: Instance, sim: SimulatedProvider) -> None:
    await admit(here, sim.add_login("Ada"))
    await admit(here, sim.add_login("Eve"))

    await here.commands.run("refresh", {"account": "Ada"})

    assert ((await info(here, "Ada")).renewed_at, (await info(here, "Ada")).generation) == (NOW, 2)
    assert (await info(here, "Eve")).renewed_at is None


async def test_info_never_holds_a_token_and_renews_nothing(here: Instance, sim: SimulatedProvider) -> None:
    ada = sim.add_login("Ada")
    await admit(here, ada)
    asked = len(sim.received)

    text = json.dumps(await here.commands.run("info", {"account": "Ada"}))

    assert ada.access not in text
    assert ada.refresh not in text
    assert len(sim.received) == asked


async def test_info_tells_the_last_errors_of_this_account_in_words(here: Instance, sim: SimulatedProvider) -> None:
    ada, eve = await admit(here, sim.add_login("Ada")), await admit(here, sim.add_login("Eve"))
    here.engine.without_secret(ada, RefreshFailed("The provider did not answer"))
    here.engine.without_secret(ada, RefreshFailed("The provider did not answer"))
    here.engine.observe(ada, ClientRefused("This credential is only for Claude Code"))
    here.engine.observe(eve, CredentialRejected("revoked", renewable=False))

    told = await info(here, "Ada")

    assert [error.text for error in told.errors] == [
        "This credential is only for Claude Code",
        "The provider did not answer",
    ]
    assert {error.at for error in told.errors} == {NOW}
    assert [error.text for error in (await info(here, "Eve")).errors] == ["revoked"]


async def test_info_of_a_key_has_a_generation_and_no_login(here: Instance, sim: SimulatedProvider) -> None:
    await here.commands.run("add_key", {"kind": "api-key", "key": sim.add_api_key("Team").key, "label": "Team"})

    told = await info(here, "Team")

    assert (told.own_login, told.generation, told.renewal_due_at, told.login.ends_at) == (False, 1, None, None)
    assert told.account_uuid.startswith("key:")


async def test_info_of_a_borrowed_login_has_nothing_to_renew(here: Instance, sim: SimulatedProvider) -> None:
    ada = sim.add_login("Ada")
    borrowed = Account(NEW, "Ada", AccountKind.CLAUDE, ada.identity, borrowed_from="Claude Code")
    await here.commands._admission.add(borrowed, OAuthTokens(ada.access, "", NOW + 3_600))

    told = await info(here, "Ada")

    assert (told.own_login, told.renewal_due_at, told.borrowed_from) == (False, None, "Claude Code")


async def test_info_says_when_the_vault_does_not_tell(here: Instance, sim: SimulatedProvider) -> None:
    id_ = await admit(here, sim.add_login("Ada"))
    here.tokens._logins.drop(id_)
    here.lock()

    told = await info(here, "Ada")

    assert (told.generation, told.own_login, told.standing) == (None, False, Standing.LOCKED)


# --- reset ---


async def test_reset_lifts_what_is_held_against_an_account(here: Instance, sim: SimulatedProvider) -> None:
    id_ = await admit(here, sim.add_login("Ada"))
    here.engine.observe(id_, QuotaSpent("5 h window full", NOW + 3_600, cause=Cause.QUOTA))
    here.engine.observe(id_, ClientRefused("no", ClientKind.OTHER))
    here.engine.observe(id_, CredentialRejected("revoked", renewable=False))

    done = await here.commands.run("reset", {"account": "Ada"})

    state = here.engine.pool.state(id_)
    assert state is not None
    assert done["text"] == "Nothing is held against Ada any more"
    assert (state.sign_in, state.cooldowns, state.refuses, state.failures) == (SignIn.OK, (), frozenset(), 0)
    assert here.quota_read == [id_]


async def test_reset_of_a_good_login_asks_the_provider_nothing(here: Instance, sim: SimulatedProvider) -> None:
    id_ = await admit(here, sim.add_login("Ada"))
    asked = len(sim.received)

    await here.commands.run("reset", {"account": "Ada"})

    assert len(sim.received) == asked
    assert here.tokens.ready(id_)


async def test_reset_renews_a_login_in_doubt_once(here: Instance, sim: SimulatedProvider) -> None:
    ada = sim.add_login("Ada")
    id_ = await admit(here, ada)
    here.tokens._logins.change(id_, rejected=True)

    await here.commands.run("reset", {"account": "Ada"})

    assert await here.tokens.secret(id_) == ada.access
    assert sum(received.path == "/v1/oauth/token" for received in sim.received) == 1


async def test_reset_says_who_still_has_to_sign_in_and_resets_the_others(
    here: Instance, sim: SimulatedProvider
) -> None:
    ada, eve = await admit(here, sim.add_login("Ada")), await admit(here, sim.add_login("Eve"))
    for id_ in (ada, eve):
        here.engine.observe(id_, CredentialRejected("revoked", renewable=False))
    await here.tokens.store(ada, OAuthTokens("access", "refresh", NOW - 1))  # the provider knows neither

    with pytest.raises(TidegateError, match="Ada: This login has ended"):
        await here.commands.run("reset", {"account": "all"})

    assert [state.sign_in for state in here.engine.pool.accounts] == [SignIn.NEEDED, SignIn.OK]


async def test_reset_of_a_locked_keychain_is_locked_again(here: Instance, sim: SimulatedProvider) -> None:
    id_ = await admit(here, sim.add_login("Ada"))
    here.lock()

    with pytest.raises(TidegateError, match="locked"):
        await here.commands.run("reset", {"account": "Ada"})

    state = here.engine.pool.state(id_)
    assert state is not None
    assert state.sign_in is SignIn.LOCKED


async def test_reset_without_accounts_is_nothing_to_do(here: Instance) -> None:
    with pytest.raises(NothingToDo):
        await here.commands.run("reset", {"account": "all"})


# --- remove ---


async def test_remove_can_end_the_login_at_the_provider(here: Instance, sim: SimulatedProvider) -> None:
    ada = sim.add_login("Ada")
    await admit(here, ada)
    refresh = ada.refresh

    done = await here.commands.run("remove", {"account": "Ada", "revoke": True})

    assert done["text"] == "Removed Ada. Its login was ended at the provider"
    assert revocations(sim) == [{"token": refresh, "token_type_hint": "refresh_token", "client_id": CLIENT_ID}]
    assert ada.lineage is not None
    assert ada.lineage.revoked
    assert (here.labels, here.vault.items) == ([], {})


async def test_remove_leaves_the_login_at_the_provider_unless_told(here: Instance, sim: SimulatedProvider) -> None:
    await admit(here, sim.add_login("Ada"))

    assert (await here.commands.run("remove", {"account": "Ada"}))["text"] == "Removed Ada"
    assert revocations(sim) == []


async def test_account_goes_whatever_becomes_of_its_login(tmp_path: Path, sim: SimulatedProvider) -> None:
    wrong = replace(sim.endpoints(), anthropic_token_url=f"{sim.url}/nobody/token")
    async with instance(tmp_path, wrong, sim.clock) as here:
        await admit(here, sim.add_login("Ada"))

        done = await here.commands.run("remove", {"account": "Ada", "revoke": True})

        assert "could not be ended at the provider: the provider answered with status 404" in done["text"]
        assert (here.labels, here.vault.items) == ([], {})


@pytest.mark.parametrize("borrowed", [True, False])
async def test_what_is_not_tidegates_own_is_not_ended(here: Instance, sim: SimulatedProvider, borrowed: bool) -> None:
    if borrowed:
        account = Account(NEW, "It", AccountKind.CLAUDE, Identity("a", "b"), borrowed_from="Claude Code")
        await here.commands._admission.add(account, OAuthTokens("access", "", NOW + 3_600))
    else:
        await admit(here, sim.add_api_key("It"))

    with pytest.raises(UsageError) as caught:
        await here.commands.run("remove", {"account": "It", "revoke": True})
    assert here.labels == ["It"]

    done = await here.commands.run("remove", {"account": "It"})
    words = "belongs to Claude Code" if borrowed else "delete it in the Anthropic Console"
    assert words in done["text"]
    assert words in caught.value.hint
    assert (revocations(sim), here.vault.items) == ([], {})
