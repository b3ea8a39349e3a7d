import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.errors import LoginNeeded, RefreshFailed, VaultError, VaultLocked, VaultTimeout
from core.model import AccountId, ApiKey, LoginState, OAuthTokens
from core.recovery import Entry
from core.vault import Stored
from tests.fakes_vault import MemoryBackend
from tests.token_server import HOUR_S, Hang
from tests.token_world import ANNA, NOW, World, token_world

pytestmark = pytest.mark.anyio
BERT = AccountId("bert")
FULL = VaultError("full")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with token_world(tmp_path / "data") as world:
        await world.tokens.open()
        yield world


async def sealed(world: World, id_: AccountId = ANNA) -> Entry | None:
    return await world.restarted()._recovery.entry(id_)


async def renewed_but_not_saved(world: World) -> None:
    """anna's login is renewed while the vault takes nothing."""
    world.backend.writing_fails = FULL
    await world.tokens.secret(ANNA)


# --- a vault that does not take it -----------------------------------------------------------------


async def test_a_pair_that_the_vault_does_not_take_is_sealed_at_once_and_taken_up_by_the_next_process(
    world: World,
) -> None:
    await renewed_but_not_saved(world)
    assert (world.tokens.unsaved(), world.tokens.at_risk()) == ((ANNA,), ())
    world.backend.writing_fails = None

    tokens = await world.crash()

    assert await tokens.secret(ANNA) == "access-1"
    assert await world.stored() == Stored(2, world.server.newest())
    assert world.server.sent() == ["refresh-0"]
    assert tokens.unsaved() == ()
    assert not world.paths.recovery.exists()
    assert not world.intent.exists()


async def test_a_vault_that_is_locked_at_the_next_start_gets_it_when_it_opens(world: World) -> None:
    await renewed_but_not_saved(world)
    world.backend.reading_fails = VaultLocked("locked")
    tokens = await world.crash()
    with pytest.raises(VaultLocked):
        await tokens.secret(ANNA)

    world.backend.reading_fails = world.backend.writing_fails = None

    assert await tokens.secret(ANNA) == "access-1"
    assert await world.stored() == Stored(2, world.server.newest())
    assert world.server.sent() == ["refresh-0"]


async def test_a_vault_that_still_takes_nothing_at_the_next_start_gets_it_later(world: World) -> None:
    await renewed_but_not_saved(world)
    tokens = await world.crash()

    assert await tokens.secret(ANNA) == "access-1"
    assert (tokens.unsaved(), tokens.at_risk()) == ((ANNA,), ())
    world.backend.writing_fails = None
    await asyncio.wait_for(tokens._keeping._savers[ANNA], 20)

    assert await world.stored() == Stored(2, world.server.newest())
    assert tokens.unsaved() == ()
    assert not world.paths.recovery.exists()


async def test_a_process_that_dies_while_the_vault_writes_loses_nothing(world: World) -> None:
    asked, go_on = asyncio.Event(), threading.Event()
    loop, answering = asyncio.get_running_loop(), world.backend

    class Stuck(MemoryBackend):
        def set(self, key: str, secret: str) -> None:
            del key, secret
            loop.call_soon_threadsafe(asked.set)
            go_on.wait()

    world.backend = Stuck()
    world.backend.items = answering.items
    renewal = asyncio.create_task((await world.crash()).secret(ANNA))
    await asyncio.wait_for(asked.wait(), 20)
    for task in (renewal, *world.tokens._renewals.values()):
        task.cancel()
        await asyncio.wait({task})
    world.backend = answering

    assert await (await world.crash()).secret(ANNA) == "access-1"
    assert await world.stored() == Stored(2, world.server.newest())
    assert world.server.sent() == ["refresh-0"]
    go_on.set()


async def test_renewals_go_on_from_what_is_sealed_and_the_newest_counts(world: World) -> None:
    await renewed_but_not_saved(world)
    for _ in range(2):
        world.server.now += 9 * HOUR_S
        await world.tokens.secret(ANNA)
    world.backend.writing_fails = None

    await (await world.crash()).secret(ANNA)

    assert await world.stored() == Stored(4, world.server.newest())
    assert world.server.sent() == ["refresh-0", "refresh-1", "refresh-2"]


async def test_a_running_process_finds_what_another_one_sealed_and_left(world: World) -> None:
    await world.living()
    running = world.restarted()
    await running.secret(ANNA)
    world.backend.writing_fails = FULL
    await world.tokens.renew(ANNA, "access-0")
    await world.crash()
    world.backend.writing_fails = None

    assert await running.renew(ANNA, "access-0") == "access-1"

    assert world.server.sent() == ["refresh-0"]
    assert await world.stored() == Stored(3, world.server.newest())


async def test_what_a_living_process_has_sealed_is_its_own(world: World) -> None:
    await world.living()
    world.backend.writing_fails = FULL
    await world.tokens.renew(ANNA, "access-0")
    other = world.restarted(lock_within_s=0.05)

    assert await other.secret(ANNA) == "access-0"
    with pytest.raises(RefreshFailed, match="busy with this login"):
        await other.refresh(ANNA)

    assert world.server.sent() == ["refresh-0"]
    assert other.unsaved() == ()


async def test_what_the_vault_has_already_is_dropped_from_the_file(world: World) -> None:
    await renewed_but_not_saved(world)
    before = await sealed(world)
    assert before is not None
    world.backend.writing_fails = None
    await asyncio.wait_for(world.tokens._keeping._savers[ANNA], 20)
    for generation in (1, 2):
        await world.tokens._recovery.seal(ANNA, Entry(generation, before.tokens, before.sent))

        await (await world.crash()).secret(ANNA)

        assert await world.stored() == Stored(2, world.server.newest())
        assert not world.paths.recovery.exists()


async def test_what_is_sealed_for_an_account_that_is_not_here_stays_where_it_is(world: World) -> None:
    ghost = Entry(7, OAuthTokens("access-g", "refresh-g", NOW), "")
    await world.tokens._recovery.seal(AccountId("ghost"), ghost)

    await world.tokens.secret(ANNA)

    assert await world.vault.load("ghost") is None
    assert await sealed(world, AccountId("ghost")) == ghost


async def test_several_accounts_are_sealed_and_taken_up_each_for_itself(world: World) -> None:
    await world.vault.save(BERT, OAuthTokens("access-b", "refresh-b", NOW - 1), 1)
    await renewed_but_not_saved(world)
    await world.tokens._recovery.seal(BERT, Entry(2, OAuthTokens("access-b2", "refresh-b2", NOW + HOUR_S), ""))
    world.backend.writing_fails = None
    tokens = await world.crash()

    assert await tokens.secret(BERT) == "access-b2"
    assert await sealed(world) is not None
    assert await tokens.secret(ANNA) == "access-1"

    assert not world.paths.recovery.exists()
    assert world.server.sent() == ["refresh-0"]


async def test_a_vault_that_fell_back_to_an_older_slot_is_told_in_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await world.keep(OAuthTokens("access-1", "refresh-1", NOW - 1), 2)
    await world.tokens._recovery.seal(ANNA, Entry(3, OAuthTokens("access-2", "refresh-2", NOW + HOUR_S), "0" * 8))

    assert await world.tokens.secret(ANNA) == "access-2"

    assert "anna: the vault's generation 2 is not the one before" in caplog.text


# --- neither vault nor disk ------------------------------------------------------------------------


async def test_a_login_that_is_neither_stored_nor_sealed_is_at_risk_until_it_is_either(world: World) -> None:
    world.paths.recovery.mkdir()  # a file cannot take its place
    await renewed_but_not_saved(world)
    assert world.tokens.at_risk() == (ANNA,)

    world.paths.recovery.rmdir()
    await world.tokens.save(0.05)

    assert (world.tokens.unsaved(), world.tokens.at_risk()) == ((ANNA,), ())
    assert await sealed(world) is not None


async def test_saving_ends_as_soon_as_the_vault_has_all(world: World) -> None:
    await renewed_but_not_saved(world)
    world.backend.writing_fails = None

    await asyncio.wait_for(world.tokens.save(3_600.0), 20)

    assert world.tokens.unsaved() == ()
    assert await world.stored() == Stored(2, world.server.newest())


async def test_a_vault_that_times_out_and_has_stored_it_all_the_same_is_fine(world: World) -> None:
    class Late(MemoryBackend):
        def set(self, key: str, secret: str) -> None:
            super().set(key, secret)
            if key.startswith("anna") and self.writing_fails is None:
                self.writing_fails = VaultTimeout("late")
                raise self.writing_fails

    late = Late()
    late.items = world.backend.items
    world.backend = late
    world.tokens = world.restarted()

    assert await world.tokens.secret(ANNA) == "access-1"
    await asyncio.wait_for(world.tokens._keeping._savers[ANNA], 20)

    assert world.tokens.unsaved() == ()
    assert await world.stored() == Stored(2, world.server.newest())


@pytest.mark.parametrize(
    ("blocked", "said"),
    [(False, "is sealed for recovery; the next start takes it up"), (True, "ends with this process")],
)
async def test_the_log_says_what_becomes_of_a_login_that_was_never_saved(
    world: World, blocked: bool, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    if blocked:
        world.paths.recovery.mkdir()
    await renewed_but_not_saved(world)

    await world.tokens.close()

    assert said in caplog.text
    assert not [word for word in ("access-", "refresh-") if word in caplog.text]


# --- signing in and out ----------------------------------------------------------------------------


async def test_a_sign_in_outranks_what_is_sealed(world: World) -> None:
    await renewed_but_not_saved(world)
    world.backend.writing_fails = None
    tokens = await world.crash()

    await tokens.store(ANNA, OAuthTokens("access-s", "refresh-s", NOW + HOUR_S))

    assert await world.stored() == Stored(3, OAuthTokens("access-s", "refresh-s", NOW + HOUR_S))
    assert not world.paths.recovery.exists()
    assert await (await world.crash()).secret(ANNA) == "access-s"


async def test_a_sign_in_that_came_too_late_for_its_caller_counts_over_a_renewal_of_the_same_generation(
    world: World,
) -> None:
    await renewed_but_not_saved(world)
    signed_in = OAuthTokens("access-s", "refresh-s", NOW + HOUR_S)
    world.backend.writing_fails = None
    await world.keep(signed_in, 2)

    await world.tokens.save(20.0)

    assert world.tokens.ready(ANNA) == "access-s"
    assert world.tokens.unsaved() == ()
    assert await world.stored() == Stored(2, signed_in)


async def test_a_forgotten_account_leaves_nothing_sealed(world: World) -> None:
    await renewed_but_not_saved(world)
    world.backend.writing_fails = None

    await world.tokens.forget(ANNA)

    assert not world.paths.recovery.exists()
    with pytest.raises(LoginNeeded):
        await (await world.crash()).secret(ANNA)


async def test_a_key_is_stored_and_never_sealed(world: World) -> None:
    await world.tokens.store(ANNA, ApiKey("key-1"))

    assert await (await world.crash()).secret(ANNA) == "key-1"
    assert not world.paths.recovery.exists()


# --- how it is doing -------------------------------------------------------------------------------


async def test_the_person_hears_of_a_login_that_is_not_saved_until_it_is(world: World) -> None:
    await renewed_but_not_saved(world)
    world.backend.writing_fails = None
    await asyncio.wait_for(world.tokens._keeping._savers[ANNA], 20)

    assert world.states == [LoginState.FINE, LoginState.RENEWING, LoginState.UNSAVED, LoginState.FINE]
    assert world.healths[-1].ends_at == NOW + 8 * HOUR_S


async def test_a_doubt_that_another_process_left_is_found_when_its_login_is_adopted(world: World) -> None:
    await world.living()
    running = world.restarted()
    await running.secret(ANNA)
    await world.tokens.renew(ANNA, "access-0")
    world.server.script.extend([Hang(rotated=False)] * 2)
    with pytest.raises(RefreshFailed):
        await world.tokens.refresh(ANNA)
    await world.crash()

    assert await running.renew(ANNA, "access-0") == "access-2"

    assert world.server.sent() == ["refresh-0", *["refresh-1"] * 3]


async def test_nothing_of_a_token_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="core")
    await renewed_but_not_saved(world)
    world.backend.writing_fails = None

    await (await world.crash()).secret(ANNA)

    assert "anna: took up generation 2 from the recovery file" in caplog.text
    assert not [word for word in ("access-", "refresh-") if word in caplog.text]
