import asyncio
import json
import logging
import random
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest
from filelock import FileLock
from msgspec.structs import replace

from core.errors import LoginNeeded, RefreshFailed, VaultError, VaultLocked
from core.files import Paths
from core.model import AccountId, ApiKey, Identity, LoginHealth, LoginState, OAuthTokens
from core.server_clock import ServerClock
from core.tokens import Tokens
from core.vault import Stored, Vault, open_vault
from tests.fakes_vault import MemoryBackend
from tests.renewing_process import PASSPHRASE
from tests.token_server import HOUR_S, Hang, Say, token_server
from tests.token_world import ANNA, NOW, World, token_world

pytestmark = pytest.mark.anyio
INVALID_GRANT = Say(400, {"error": "invalid_grant", "error_description": "Refresh token not found or invalid"})


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with token_world(tmp_path / "data") as world:
        yield world


# --- what requests ask -----------------------------------------------------------------------------


async def test_a_secret_is_loaded_once_and_then_ready_without_waiting(world: World) -> None:
    await world.keep(replace(world.server.newest(), expires_at=NOW + HOUR_S), 2)
    assert world.tokens.ready(ANNA) is None

    assert await world.tokens.secret(ANNA) == "access-0"
    world.backend.calls.clear()

    assert world.tokens.ready(ANNA) == "access-0"
    assert await world.tokens.secret(ANNA) == "access-0"
    assert world.backend.calls == []
    assert world.server.received == []


async def test_a_token_is_not_ready_in_its_last_minute(world: World) -> None:
    await world.living(HOUR_S)

    world.server.now += HOUR_S - 60.5
    assert world.tokens.ready(ANNA) == "access-0"
    world.server.now += 1
    assert world.tokens.ready(ANNA) is None
    assert await world.tokens.secret(ANNA) == "access-1"


async def test_an_api_key_is_always_ready(world: World) -> None:
    await world.tokens.store(ANNA, ApiKey("key-1"))
    world.server.now += 10_000 * HOUR_S

    assert world.tokens.ready(ANNA) == "key-1"
    assert world.tokens.expires_at(ANNA) is None
    assert world.tokens.scopes(ANNA) == ()
    await world.tokens.refresh(ANNA)
    assert world.tokens.due() == []
    assert world.server.received == []


async def test_what_a_login_may_be_used_for_is_known_once_it_is_in_memory(world: World) -> None:
    unknown = world.tokens.scopes(ANNA)

    await world.tokens.store(ANNA, OAuthTokens("access", "refresh", NOW + HOUR_S, ("user:inference",)))

    assert (unknown, world.tokens.scopes(ANNA)) == ((), ("user:inference",))


async def test_a_login_that_has_ended_is_renewed_and_stored_as_the_next_generation(world: World) -> None:
    assert await world.tokens.secret(ANNA) == "access-1"

    assert await world.stored() == Stored(2, OAuthTokens("access-1", "refresh-1", NOW + 8 * HOUR_S))
    assert world.tokens.expires_at(ANNA) == NOW + 8 * HOUR_S
    assert world.server.sent() == ["refresh-0"]
    assert not world.intent.exists()


async def test_an_account_without_a_credential_needs_a_login(world: World) -> None:
    with pytest.raises(LoginNeeded):
        await world.tokens.secret(AccountId("nobody"))


async def test_a_locked_vault_is_told_as_such_and_is_asked_again_next_time(world: World) -> None:
    await world.keep(replace(world.server.newest(), expires_at=NOW + HOUR_S), 2)
    world.backend.reading_fails = VaultLocked("locked")
    with pytest.raises(VaultLocked):
        await world.tokens.secret(ANNA)

    world.backend.reading_fails = None

    assert await world.tokens.secret(ANNA) == "access-0"


# --- renewing --------------------------------------------------------------------------------------


async def test_twenty_callers_share_one_renewal(world: World) -> None:
    answers = await asyncio.gather(*(world.tokens.secret(ANNA) for _ in range(20)))

    assert set(answers) == {"access-1"}
    assert world.server.sent() == ["refresh-0"]


async def test_a_burst_of_401_rotates_the_login_once(world: World) -> None:
    await world.living()

    answers = await asyncio.gather(*(world.tokens.renew(ANNA, "access-0") for _ in range(20)))
    late = await world.tokens.renew(ANNA, "access-0")

    assert {*answers, late} == {"access-1"}
    assert world.server.sent() == ["refresh-0"]


async def test_the_new_pair_is_stored_before_anybody_can_use_it(world: World) -> None:
    class Watched(MemoryBackend):
        seen: tuple[str | None, bool] | None = None

        def set(self, key: str, secret: str) -> None:
            self.seen = (world.tokens.ready(ANNA), world.intent.exists())
            super().set(key, secret)

    watched = Watched()
    watched.items = world.backend.items
    world.backend = watched
    world.tokens = world.restarted()

    await world.tokens.secret(ANNA)

    assert watched.seen == (None, True)
    after = watched.calls[watched.calls.index(("set", "anna/0.0")) + 1 :]
    assert after == [("get", "anna/0.0")]  # read back, nothing else


async def test_what_is_about_to_be_sent_is_written_down_without_the_token(world: World) -> None:
    world.server.before.clear()
    renewal = asyncio.create_task(world.tokens.secret(ANNA))
    await world.server.arrived.wait()

    written = world.intent.read_text()

    assert json.loads(written).keys() == {"generation", "fingerprint", "at"}
    assert "refresh-0" not in written
    assert stat.S_IMODE(world.intent.stat().st_mode) == 0o600
    world.server.before.set()
    await renewal
    assert not world.intent.exists()


async def test_a_caller_that_hangs_up_does_not_cancel_the_renewal(world: World) -> None:
    world.server.after.clear()
    caller = asyncio.create_task(world.tokens.secret(ANNA))
    await world.server.rotated.wait()

    caller.cancel()
    await asyncio.wait({caller})
    world.server.after.set()

    assert await world.tokens.secret(ANNA) == "access-1"
    assert world.server.sent() == ["refresh-0"]


async def test_150_callers_that_hang_up_at_any_moment_lose_nothing(world: World) -> None:
    await world.living()

    for moment in range(150):
        rejected = f"access-{world.server.number}"
        caller = asyncio.create_task(world.tokens.renew(ANNA, rejected))
        await asyncio.wait({caller}, timeout=moment / 10_000)  # the whole of a renewal, in steps of 0.1 ms
        caller.cancel()
        await asyncio.wait({caller, *world.tokens._renewals.values()})

    await world.tokens.close()
    stored = await world.stored()
    assert stored is not None
    assert stored.credential == world.server.newest()
    assert world.server.rejected == 0
    assert world.server.number > 140


async def test_another_process_that_was_faster_is_adopted(world: World) -> None:
    await world.living()
    other = world.restarted()
    await other.renew(ANNA, "access-0")

    assert await world.tokens.renew(ANNA, "access-0") == "access-1"

    assert world.server.sent() == ["refresh-0"]


async def test_three_processes_never_send_the_same_refresh_token(tmp_path: Path) -> None:
    times = 8
    paths = Paths(tmp_path / "data")
    async with token_server() as server:
        vault = open_vault("file", paths, "install", {"TIDEGATE_VAULT_KEY": PASSPHRASE})
        await vault.save(ANNA, replace(server.newest(), expires_at=0.0), 1)
        server.life_s = 0.15
        command = [sys.executable, "-m", "tests.renewing_process", str(paths.root), server.url, str(times)]

        processes = [
            await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for _ in range(3)
        ]
        ended = [await process.communicate() for process in processes]

        assert [process.returncode for process in processes] == [0, 0, 0], ended
        assert server.rejected == 0
        assert len(set(server.sent())) == len(server.sent()) > times
        stored = await vault.load(ANNA)
        assert stored is not None
        assert stored.credential.refresh == f"refresh-{server.number}"  # type: ignore[union-attr]
        await vault.close()


async def test_a_lock_that_another_process_keeps_is_not_waited_for_while_the_token_lives(world: World) -> None:
    world.tokens = world.restarted(lock_within_s=0.05)
    await world.living(30.0)
    with FileLock(world.paths.account_lock(ANNA)):
        assert await world.tokens.secret(ANNA) == "access-0"
        world.server.now += 60
        with pytest.raises(RefreshFailed):
            await world.tokens.secret(ANNA)

    assert await world.tokens.secret(ANNA) == "access-1"


# --- a crash in flight -----------------------------------------------------------------------------


@pytest.mark.parametrize("committed", [False, True])
async def test_a_crash_between_sending_and_storing_leaves_a_known_doubt(world: World, committed: bool) -> None:
    before = OAuthTokens("access-0", "refresh-0", 0.0)
    vault = open_vault("file", world.paths, "install", {"TIDEGATE_VAULT_KEY": PASSPHRASE})
    await vault.save(ANNA, before, 1)
    server = world.server
    step, reached = (server.after, server.rotated) if committed else (server.before, server.arrived)
    step.clear()
    command = [sys.executable, "-m", "tests.renewing_process", str(world.paths.root), server.url, "0"]
    process = await asyncio.create_subprocess_exec(*command)

    try:
        await asyncio.wait_for(reached.wait(), 30)
    finally:
        process.kill()
        await process.wait()

    assert json.loads(world.intent.read_text())["generation"] == 1
    assert await vault.load(ANNA) == Stored(1, before)
    await vault.close()


async def test_an_intent_found_at_start_is_sent_again_at_once_before_any_other_use(world: World) -> None:
    await world.living()
    await _crash(world, Hang(rotated=False))
    tokens = world.restarted()

    assert await tokens.secret(ANNA) == "access-1"

    assert world.server.sent()[-1] == "refresh-0"
    assert not world.intent.exists()
    assert world.server.rejected == 0


async def test_when_the_crash_cost_the_login_the_living_token_serves_until_it_ends(world: World) -> None:
    await world.living()
    await _crash(world, Hang(rotated=True))
    tokens = world.restarted()

    assert await tokens.secret(ANNA) == "access-0"
    assert world.server.sent().count("refresh-0") == len(world.server.sent())
    sent = len(world.server.sent())
    assert tokens.ready(ANNA) == "access-0"
    world.server.now += 5 * HOUR_S

    with pytest.raises(LoginNeeded):
        await tokens.secret(ANNA)
    assert len(world.server.sent()) == sent


async def test_a_refused_token_stays_written_down_until_another_login_takes_its_place(world: World) -> None:
    world.server.script.append(INVALID_GRANT)

    with pytest.raises(LoginNeeded):
        await world.tokens.secret(ANNA)

    assert json.loads(world.intent.read_text())["generation"] == 1
    await world.tokens.store(ANNA, replace(world.server.newest(), expires_at=NOW + HOUR_S))
    assert not world.intent.exists()


async def test_an_intent_of_an_older_generation_is_no_doubt(world: World) -> None:
    await world.living()
    await _crash(world, Hang(rotated=False))
    await world.keep(OAuthTokens("access-x", "refresh-x", NOW + 4 * HOUR_S), 9)
    sent = len(world.server.sent())

    assert await world.restarted().secret(ANNA) == "access-x"
    assert len(world.server.sent()) == sent


async def _crash(world: World, step: Hang) -> None:
    """Leave what a process leaves that ends after the provider got its renewal, and before it got an answer."""
    world.server.script.extend([step, Hang(rotated=False)])
    with pytest.raises(RefreshFailed):
        await world.tokens.refresh(ANNA)
    assert world.intent.exists()


# --- what the token endpoint says ------------------------------------------------------------------


async def test_no_answer_is_asked_for_once_more_at_once_with_the_same_token(world: World) -> None:
    world.server.script.append(Hang(rotated=False))

    assert await world.tokens.secret(ANNA) == "access-1"
    assert world.server.sent() == ["refresh-0", "refresh-0"]


async def test_invalid_grant_without_a_living_token_needs_a_login_and_deletes_nothing(world: World) -> None:
    world.server.script.append(INVALID_GRANT)

    for _ in range(3):
        with pytest.raises(LoginNeeded):
            await world.tokens.secret(ANNA)
        world.server.now += 3_600

    assert world.server.sent() == ["refresh-0"]
    assert "delete" not in {call for call, _ in world.backend.calls}
    assert (await world.stored()) is not None


async def test_invalid_grant_for_a_token_that_another_program_has_renewed_condemns_nothing(world: World) -> None:
    world.server.before.clear()
    world.server.script.append(INVALID_GRANT)
    renewal = asyncio.create_task(world.tokens.secret(ANNA))
    await world.server.arrived.wait()

    await world.keep(OAuthTokens("access-new", "refresh-new", NOW + HOUR_S), 2)
    world.server.before.set()

    assert await renewal == "access-new"
    assert world.tokens.ready(ANNA) == "access-new"


async def test_invalid_grant_leaves_the_living_token_in_service_until_it_ends(world: World) -> None:
    await world.living(HOUR_S)
    world.server.script.append(INVALID_GRANT)

    with pytest.raises(RefreshFailed, match="can no longer be renewed; it works until"):
        await world.tokens.refresh(ANNA)

    assert world.tokens.ready(ANNA) == "access-0"
    world.server.now += HOUR_S - 61
    assert world.tokens.due() == []
    world.server.now += 31
    assert await world.tokens.secret(ANNA) == "access-0"
    world.server.now += 60
    with pytest.raises(LoginNeeded):
        await world.tokens.secret(ANNA)
    assert world.server.sent() == ["refresh-0"]


async def test_invalid_grant_after_a_401_needs_a_login(world: World) -> None:
    await world.living()
    world.server.script.append(INVALID_GRANT)

    with pytest.raises(LoginNeeded):
        await world.tokens.renew(ANNA, "access-0")
    assert world.tokens.ready(ANNA) is None


async def test_the_end_of_a_login_is_told_also_when_whoever_had_it_renewed_has_left(world: World) -> None:
    await world.living()
    world.server.before.clear()
    world.server.script.append(INVALID_GRANT)
    caller = asyncio.create_task(world.tokens.renew(ANNA, "access-0"))
    await world.server.arrived.wait()

    caller.cancel()
    assert world.ended == []
    world.server.before.set()
    await world.tokens.close()

    assert world.ended == [ANNA]


async def test_a_login_that_serves_on_has_not_ended(world: World) -> None:
    await world.living(HOUR_S)
    world.server.script.append(INVALID_GRANT)
    with pytest.raises(RefreshFailed):
        await world.tokens.refresh(ANNA)
    assert world.ended == []


async def test_a_new_sign_in_brings_a_dead_login_back(world: World) -> None:
    world.server.script.append(INVALID_GRANT)
    with pytest.raises(LoginNeeded):
        await world.tokens.secret(ANNA)

    await world.tokens.store(ANNA, OAuthTokens("access-b", "refresh-b", NOW + HOUR_S))

    assert world.tokens.ready(ANNA) == "access-b"
    assert await world.stored() == Stored(2, OAuthTokens("access-b", "refresh-b", NOW + HOUR_S))


async def test_a_sign_in_by_another_process_is_found_when_the_rest_is_over(world: World) -> None:
    world.server.script.append(INVALID_GRANT)
    with pytest.raises(LoginNeeded):
        await world.tokens.secret(ANNA)

    await world.keep(OAuthTokens("access-b", "refresh-b", NOW + HOUR_S), 2)
    world.server.now += 6

    assert await world.tokens.secret(ANNA) == "access-b"


async def test_a_login_without_a_refresh_token_serves_until_it_ends_and_is_never_renewed(world: World) -> None:
    await world.tokens.store(ANNA, OAuthTokens("borrowed", "", NOW + HOUR_S))
    world.server.now += HOUR_S - 30

    assert await world.tokens.secret(ANNA) == "borrowed"
    world.server.now += 60
    with pytest.raises(LoginNeeded):
        await world.tokens.secret(ANNA)
    assert world.server.received == []


@pytest.mark.parametrize(
    ("said", "rest_s"),
    [
        (Say(429), 300),
        (Say(429, headers=(("retry-after", "7"),)), 300),
        (Say(429, headers=(("retry-after", "900"),)), 900),
        (Say(429, headers=(("retry-after", "999999"),)), 3_600),
        (Say(503), 5),
        (Say(529), 5),
        (Say(404, {"type": "error", "error": {"type": "not_found_error", "message": "Not found"}}), 5),
        (Say(302, headers=(("location", "http://127.0.0.1:9/"),)), 5),
        (Say(401, {"error": "invalid_client"}), 5),
    ],
)
async def test_a_failure_that_is_not_the_logins_is_tried_again_after_a_rest(
    world: World, said: Say, rest_s: float
) -> None:
    world.server.script.append(said)
    for _ in range(3):
        with pytest.raises(RefreshFailed):
            await world.tokens.secret(ANNA)
    world.server.now += rest_s - 0.5
    with pytest.raises(RefreshFailed):
        await world.tokens.secret(ANNA)
    assert len(world.server.received) == 1

    world.server.now += 1

    assert await world.tokens.secret(ANNA) == "access-1"
    assert world.server.sent() == ["refresh-0", "refresh-0"]


async def test_the_rest_doubles_up_to_five_minutes_and_a_success_ends_it(world: World) -> None:
    rests = []
    for _ in range(9):
        world.server.script.append(Say(503))
        with pytest.raises(RefreshFailed):
            await world.tokens.secret(ANNA)
        began = world.server.now
        while world.tokens._logins[ANNA].rests(world.server.now):
            world.server.now += 1
        rests.append(world.server.now - began)

    assert rests == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert await world.tokens.secret(ANNA) == "access-1"
    assert world.tokens._logins[ANNA].failures == 0


@pytest.mark.parametrize("said", [Say(429), Say(503), Say(404), INVALID_GRANT, Hang(rotated=False)])
async def test_a_token_that_still_lives_serves_whatever_the_token_endpoint_says(world: World, said: Say | Hang) -> None:
    await world.living(30.0)
    world.server.script.extend([said, said])

    assert await world.tokens.secret(ANNA) == "access-0"
    assert await world.tokens.secret(ANNA) == "access-0"


async def test_a_token_that_was_answered_with_401_serves_no_more_when_renewing_fails(world: World) -> None:
    await world.living()
    world.server.script.append(Say(503))

    with pytest.raises(RefreshFailed):
        await world.tokens.renew(ANNA, "access-0")

    assert world.tokens.ready(ANNA) is None
    world.server.now += 6
    assert await world.tokens.secret(ANNA) == "access-1"


async def test_a_wrong_address_is_named_as_such(world: World) -> None:
    world.server.script.append(Say(404))

    with pytest.raises(RefreshFailed) as failure:
        await world.tokens.secret(ANNA)

    assert f"{world.server.url} is the wrong address" in failure.value.title
    assert not world.intent.exists()


async def test_nobody_listening_is_transient(world: World) -> None:
    url, world.server.url = world.server.url, "http://127.0.0.1:1/v1/oauth/token"

    with pytest.raises(RefreshFailed, match="cannot be reached"):
        await world.tokens.secret(ANNA)

    world.server.url = url
    world.server.now += 6
    assert await world.tokens.secret(ANNA) == "access-1"


async def test_a_rejected_api_key_needs_another_one(world: World) -> None:
    await world.tokens.store(ANNA, ApiKey("key-1"))

    with pytest.raises(LoginNeeded):
        await world.tokens.renew(ANNA, "key-1")
    await world.tokens.store(ANNA, ApiKey("key-2"))

    assert await world.tokens.renew(ANNA, "key-1") == "key-2"


@pytest.mark.parametrize("jump_s", [-400 * 86_400, 400 * 86_400])
async def test_a_clock_that_jumps_costs_at_most_one_renewal_and_no_login(world: World, jump_s: float) -> None:
    await world.living()
    world.server.script.append(Say(429))
    with pytest.raises(RefreshFailed):
        await world.tokens.refresh(ANNA)
    world.server.now += jump_s

    for _ in range(5):
        secret = await world.tokens.secret(ANNA)
    after_401 = await world.tokens.renew(ANNA, secret)

    assert after_401 != secret
    assert len(world.server.sent()) <= 3
    assert world.server.rejected == 0


# --- due -------------------------------------------------------------------------------------------


async def test_a_login_is_due_half_an_hour_before_its_end_and_serves_meanwhile(world: World) -> None:
    await world.living()
    ends_at = NOW + 4 * HOUR_S
    world.server.now = ends_at - 1_801
    assert world.tokens.due() == []
    world.server.now = ends_at - 1_799
    assert world.tokens.due() == [ANNA]
    assert world.tokens.due(dead_only=True) == []
    world.server.before.clear()

    refresh = asyncio.create_task(world.tokens.refresh(ANNA))
    await world.server.arrived.wait()

    assert world.tokens.due() == []
    assert world.tokens.ready(ANNA) == "access-0"
    world.server.before.set()
    await refresh
    assert world.tokens.ready(ANNA) == "access-1"
    assert world.tokens.due() == []


async def test_a_short_lived_login_is_not_due_as_soon_as_it_is_there(world: World) -> None:
    world.server.life_s = 600
    await world.tokens.secret(ANNA)

    world.server.now = NOW + 299
    assert world.tokens.due() == []
    world.server.now = NOW + 301
    assert world.tokens.due() == [ANNA]


async def test_a_failed_early_renewal_rests_too(world: World) -> None:
    await world.living()
    world.server.now += 4 * HOUR_S - 1_000
    world.server.script.append(Say(429))

    with pytest.raises(RefreshFailed):
        await world.tokens.refresh(ANNA)
    with pytest.raises(RefreshFailed):
        await world.tokens.refresh(ANNA)

    assert world.tokens.due() == []
    assert len(world.server.received) == 1
    world.server.now += 301
    assert world.tokens.due() == [ANNA]


# --- a vault that fails ----------------------------------------------------------------------------


async def test_a_vault_that_cannot_be_read_starts_no_renewal(world: World) -> None:
    await world.living(2 * HOUR_S)
    world.backend.reading_fails = VaultLocked("locked")

    with pytest.raises(RefreshFailed, match="not renewed: locked"):
        await world.tokens.refresh(ANNA)
    assert world.tokens.ready(ANNA) == "access-0"
    world.server.now += 2 * HOUR_S
    with pytest.raises(VaultLocked):
        await world.tokens.secret(ANNA)

    assert world.server.received == []


async def test_a_pair_that_the_vault_does_not_take_serves_from_memory_and_is_saved_later(world: World) -> None:
    world.backend.writing_fails = VaultError("full")

    assert await world.tokens.secret(ANNA) == "access-1"
    assert world.tokens.ready(ANNA) == "access-1"
    assert world.tokens.unsaved() == (ANNA,)
    assert (await world.stored()) == Stored(1, OAuthTokens("access-0", "refresh-0", NOW - 1))
    assert world.intent.exists()
    world.backend.writing_fails = None
    await asyncio.wait_for(world.tokens._keeping._savers[ANNA], 20)

    assert world.tokens.unsaved() == ()
    assert await world.stored() == Stored(2, world.server.newest())
    assert not world.intent.exists()


async def test_while_a_pair_is_not_saved_the_old_one_is_never_sent_again(world: World) -> None:
    world.backend.writing_fails = VaultError("full")
    await world.tokens.secret(ANNA)

    for _ in range(3):
        world.server.now += 9 * HOUR_S
        await world.tokens.secret(ANNA)

    assert world.server.sent() == ["refresh-0", "refresh-1", "refresh-2", "refresh-3"]
    assert world.tokens.unsaved() == (ANNA,)
    world.backend.writing_fails = None
    await world.tokens.close()
    assert world.tokens.unsaved() == ()
    assert await world.stored() == Stored(5, world.server.newest())


async def test_while_a_pair_is_not_saved_no_other_process_can_send_the_old_one(world: World) -> None:
    world.backend.writing_fails = VaultError("full")
    await world.tokens.secret(ANNA)

    with pytest.raises(RefreshFailed, match="busy with this login"):
        await world.restarted(lock_within_s=0.05).secret(ANNA)

    assert world.server.sent() == ["refresh-0"]


async def test_a_sign_in_that_cannot_be_saved_leaves_the_one_before_in_service(world: World) -> None:
    await world.living()
    world.backend.writing_fails = VaultError("full")

    with pytest.raises(VaultError):
        await world.tokens.store(ANNA, ApiKey("new"))

    assert world.tokens.ready(ANNA) == "access-0"
    assert world.tokens.unsaved() == ()


async def test_a_disk_that_takes_no_intent_renews_only_what_has_ended(world: World) -> None:
    await world.living(HOUR_S)
    world.intent.mkdir()  # a file cannot take its place

    with pytest.raises(RefreshFailed, match="disk takes no writes"):
        await world.tokens.refresh(ANNA)
    assert world.server.received == []
    world.server.now += 2 * HOUR_S

    assert await world.tokens.secret(ANNA) == "access-1"


# --- storing and forgetting ------------------------------------------------------------------------


async def test_a_sign_in_during_a_renewal_waits_for_it_and_wins(world: World) -> None:
    await world.living()
    world.server.after.clear()
    refresh = asyncio.create_task(world.tokens.refresh(ANNA))
    await world.server.rotated.wait()

    signed_in = asyncio.create_task(world.tokens.store(ANNA, OAuthTokens("access-b", "refresh-b", NOW + HOUR_S)))
    world.server.after.set()
    await asyncio.gather(refresh, signed_in)

    assert world.tokens.ready(ANNA) == "access-b"
    stored = await world.stored()
    assert stored is not None
    assert stored.credential == OAuthTokens("access-b", "refresh-b", NOW + HOUR_S)


async def test_a_forgotten_account_has_no_credential_left(world: World) -> None:
    await world.tokens.secret(ANNA)

    await world.tokens.forget(ANNA)

    assert world.tokens.ready(ANNA) is None
    assert world.tokens.expires_at(ANNA) is None
    assert not [key for key in world.backend.items if key.startswith("anna")]
    with pytest.raises(LoginNeeded):
        await world.tokens.secret(ANNA)


async def test_what_may_be_told_of_a_credential_is_told_without_renewing_it(world: World) -> None:
    facts = await world.tokens.facts(ANNA)
    nobody = await world.tokens.facts(AccountId("nobody"))

    assert facts is not None
    assert (facts.generation, facts.is_renewable, facts.ends_at) == (1, True, NOW - 1)
    assert nobody is None
    assert world.server.received == []


async def test_second_look_forgets_a_rest_and_renews_a_login_in_doubt_once(world: World) -> None:
    world.server.script.append(Say(429, b"", (("retry-after", "3000"),)))
    with pytest.raises(RefreshFailed):
        await world.tokens.secret(ANNA)
    with pytest.raises(RefreshFailed):
        await world.tokens.secret(ANNA)

    await world.tokens.look_again(ANNA)

    assert world.tokens.ready(ANNA) == "access-1"
    assert len(world.server.received) == 2


async def test_second_look_at_a_good_login_sends_nothing(world: World) -> None:
    await world.living()

    await world.tokens.look_again(ANNA)

    assert world.tokens.ready(ANNA) == "access-0"
    assert world.server.received == []


async def test_second_look_never_loses_what_the_vault_has_not_taken(world: World) -> None:
    world.backend.writing_fails = VaultError("full")
    assert await world.tokens.secret(ANNA) == "access-1"

    await world.tokens.look_again(ANNA)

    assert world.tokens.ready(ANNA) == "access-1"


async def test_what_tidegate_cannot_renew_it_cannot_end(world: World) -> None:
    await world.tokens.store(ANNA, OAuthTokens("access", "", NOW + HOUR_S))

    with pytest.raises(LoginNeeded):
        await world.tokens.revoke(ANNA)


async def test_closing_waits_for_a_renewal_in_flight(world: World) -> None:
    world.server.after.clear()
    caller = asyncio.create_task(world.tokens.secret(ANNA))
    await world.server.rotated.wait()
    caller.cancel()

    closing = asyncio.create_task(world.tokens.close())
    world.server.after.set()
    await closing

    assert await world.stored() == Stored(2, world.server.newest())


async def test_the_log_names_accounts_and_never_a_token(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="core")
    world.backend.writing_fails = VaultError("full")
    world.server.script.extend([Say(503), Say(429)])
    for _ in range(3):
        try:
            await world.tokens.secret(ANNA)
        except RefreshFailed:
            world.server.now += 301

    assert "anna: the login was not renewed" in caplog.text
    assert "anna: the vault did not take the renewed login: full" in caplog.text
    assert not [word for word in ("access-", "refresh-") if word in caplog.text]


# --- a doubt that stays ----------------------------------------------------------------------------


async def test_a_login_in_doubt_serves_while_it_lives_and_is_tried_again_by_itself(world: World) -> None:
    await world.living()
    world.server.script.extend([Hang(rotated=False)] * 2)

    with pytest.raises(RefreshFailed):
        await world.tokens.refresh(ANNA)

    assert world.states[-1] is LoginState.IN_DOUBT
    assert world.tokens.ready(ANNA) == "access-0"
    assert world.tokens.due() == []
    world.server.now += 6
    assert world.tokens.due() == [ANNA]
    await world.tokens.refresh(ANNA)
    assert world.states[-1] is LoginState.FINE
    assert not world.intent.exists()


@pytest.mark.parametrize("said", [Say(429), Say(503), Say(404)], ids=str)
async def test_an_answer_that_does_not_tell_of_the_token_ends_no_doubt(world: World, said: Say) -> None:
    await world.living()
    await _crash(world, Hang(rotated=True))
    tokens = world.restarted()
    world.server.script.append(said)

    assert await tokens.secret(ANNA) == "access-0"

    assert world.intent.exists()
    assert world.states[-1] is LoginState.IN_DOUBT
    assert await world.restarted().secret(ANNA) == "access-0"  # in doubt again at the next start, and now it is known
    assert world.server.rejected == 1


async def test_a_provider_that_cannot_be_reached_leaves_no_doubt(world: World) -> None:
    await world.living()
    world.server.url = "http://127.0.0.1:1/v1/oauth/token"

    with pytest.raises(RefreshFailed):
        await world.tokens.refresh(ANNA)

    assert not world.intent.exists()
    assert world.states[-1] is LoginState.FINE


# --- how a login is doing --------------------------------------------------------------------------


async def test_a_renewal_is_told_from_its_beginning_to_its_end(world: World) -> None:
    await world.tokens.secret(ANNA)

    assert world.healths == [
        LoginHealth(LoginState.FINE, NOW - 1),
        LoginHealth(LoginState.RENEWING, NOW - 1),
        LoginHealth(LoginState.RENEWING, NOW + 8 * HOUR_S),
        LoginHealth(LoginState.FINE, NOW + 8 * HOUR_S),
    ]


async def test_a_login_that_cannot_be_renewed_any_more_is_told_once_with_its_end(world: World) -> None:
    await world.living(HOUR_S)
    world.server.script.append(INVALID_GRANT)

    for _ in range(3):
        with pytest.raises(RefreshFailed):
            await world.tokens.refresh(ANNA)
        world.tokens.heed_time()

    assert [health for health in world.healths if health.state is LoginState.ENDING] == [
        LoginHealth(LoginState.ENDING, NOW + HOUR_S)
    ]


async def test_the_end_of_a_login_that_nobody_can_renew_is_told_by_the_passing_of_time(world: World) -> None:
    await world.tokens.store(ANNA, OAuthTokens("borrowed", "", NOW + 8 * HOUR_S))
    world.server.now += 8 * HOUR_S - 1_700

    world.tokens.heed_time()

    assert world.states == [LoginState.FINE, LoginState.ENDING]
    assert world.tokens.ready(ANNA) == "borrowed"


async def test_whose_a_renewed_login_is_reaches_who_wants_to_know(world: World) -> None:
    owner = {"account": {"uuid": "person"}, "organization": {"uuid": "organisation"}}
    world.server.script.append(Say(200, {"access_token": "access-1", "refresh_token": "refresh-1", **owner}))

    await world.tokens.secret(ANNA)

    assert world.owners == [Identity("person", "organisation")]


# --- clocks ----------------------------------------------------------------------------------------


class Machine:
    """A machine's clocks. Somebody sets the one on the wall; the other one goes on by itself, also in sleep."""

    def __init__(self, world: World) -> None:
        self.wall = NOW
        self.steady = 0.0
        self.clock = ServerClock(lambda: self.wall, lambda: self.steady)
        self._world = world

    async def started(self) -> Tokens:
        """A process on this machine: every answer tells it the time, as in the product."""

        async def heed(response: httpx.Response) -> None:
            self.clock.heed(response.headers.get("date"))

        world = self._world
        world.http.event_hooks["response"].append(heed)
        return Tokens(
            Vault(world.backend), world.paths, world.server.endpoints, lambda: world.http, self.clock, lambda: 0.0
        )

    def passes(self, seconds: float) -> None:
        """Time, for everybody."""
        self.wall += seconds
        self.steady += seconds
        self._world.server.now += seconds
        self._world.server.date = format_datetime(datetime.fromtimestamp(self._world.server.now, UTC), usegmt=True)


async def test_a_wall_clock_that_is_set_a_hundred_times_renews_and_ends_nothing(world: World) -> None:
    await world.living(4 * HOUR_S)
    machine = Machine(world)
    tokens = await machine.started()
    chance = random.Random(1)

    for _ in range(100):
        machine.wall = NOW + chance.uniform(-400, 400) * 86_400
        assert await tokens.secret(ANNA) == "access-0"
        assert tokens.ready(ANNA) == "access-0"
        assert tokens.due() == []

    assert world.server.received == []


async def test_sleep_counts_as_time_and_ends_a_login_with_one_renewal(world: World) -> None:
    await world.living(4 * HOUR_S)
    machine = Machine(world)
    tokens = await machine.started()
    await tokens.secret(ANNA)

    machine.passes(8 * HOUR_S)

    assert tokens.due(dead_only=True) == [ANNA]
    assert {await tokens.secret(ANNA) for _ in range(3)} == {"access-1"}
    assert world.server.sent() == ["refresh-0"]


@pytest.mark.parametrize("wrong_by_s", [-400 * 86_400, -HOUR_S, HOUR_S, 400 * 86_400])
async def test_a_clock_that_is_wrong_at_the_start_costs_at_most_one_renewal(world: World, wrong_by_s: float) -> None:
    await world.living(4 * HOUR_S)
    machine = Machine(world)
    machine.passes(0)
    machine.wall += wrong_by_s
    machine.clock = ServerClock(lambda: machine.wall, lambda: machine.steady)
    tokens = await machine.started()

    secret = await tokens.secret(ANNA)
    machine.passes(4 * HOUR_S + 1)
    after_401 = await tokens.renew(ANNA, secret)
    machine.wall -= wrong_by_s
    for _ in range(3):
        await tokens.secret(ANNA)

    assert after_401 != secret
    assert len(world.server.sent()) <= 2
    assert world.server.rejected == 0
    stored = await world.stored()
    assert stored is not None
    assert stored.credential.expires_at == pytest.approx(world.server.now + 8 * HOUR_S, abs=5)  # type: ignore[union-attr]


async def test_a_clock_that_is_set_back_ends_a_rest(world: World) -> None:
    world.server.script.append(Say(429))
    with pytest.raises(RefreshFailed):
        await world.tokens.secret(ANNA)

    world.server.now -= 2

    assert await world.tokens.secret(ANNA) == "access-1"
