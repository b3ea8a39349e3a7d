import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from msgspec import structs
from msgspec.structs import replace

from core.bus import Bus
from core.demo_run import Memory
from core.engine import Engine
from core.errors import VaultLocked
from core.files import Paths
from core.model import (
    Account,
    AccountId,
    AccountKind,
    AccountRefused,
    AccountState,
    ApiKey,
    Changed,
    Choice,
    Credential,
    Endpoints,
    Event,
    LoginRequired,
    LoginState,
    OAuthTokens,
    QuotaSpent,
    QuotaWindow,
    Served,
    SignIn,
    Traffic,
    WindowStatus,
)
from core.poller import Poller
from core.tokens import Tokens
from core.usage_reading import UsageEndpoint
from core.vault import Vault
from tests.fakes import SimulatedProvider, faults
from tests.fakes_vault import MemoryBackend
from tests.pools import ANTHROPIC, GO, NOW, A, B
from tests.raw import until
from tests.stage import on_stage

pytestmark = pytest.mark.anyio

LIFE_S = 28_800.0
"""Of an access token."""
TOKEN = "/v1/oauth/token"
USAGE = "/api/oauth/usage"
GO_USAGE = "/zen/go/v1/usage"
HOUR = 3600.0


@dataclass
class Clock:
    """A clock that a test sets."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def sim(clock: Clock) -> AsyncIterator[SimulatedProvider]:
    async with SimulatedProvider.running(clock) as provider:
        yield provider


class Here:
    """An engine, and credentials in a keychain in memory."""

    def __init__(self, folder: Path, endpoints: Endpoints, http: httpx.AsyncClient, clock: Clock) -> None:
        self.events: list[Event] = []
        self.bus = Bus()
        self.bus.subscribe(self.events.append)
        self.engine = Engine(self.bus, clock, saved=lambda _: None, moved=lambda _: None)
        self.keychain = MemoryBackend()
        self.vault = Vault(self.keychain)
        self.healths: list[LoginState] = []
        self.tokens = Tokens(
            self.vault,
            Paths(folder),
            lambda: endpoints,
            lambda: http,
            clock,
            on_health=lambda _, health: self.healths.append(health.state),
        )
        self.usage = UsageEndpoint(lambda: endpoints, lambda: http, clock)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


@pytest.fixture
async def here(tmp_path: Path, sim: SimulatedProvider, http: httpx.AsyncClient, clock: Clock) -> AsyncIterator[Here]:
    made = Here(tmp_path, sim.endpoints(), http, clock)
    yield made
    await made.tokens.close()
    await made.vault.close()


async def add(here: Here, id_: AccountId, credential: Credential, kind: AccountKind | None = None) -> None:
    """An account whose credential is in the vault and not in memory, as at the start of a program."""
    by_credential = AccountKind.API_KEY if isinstance(credential, ApiKey) else AccountKind.CLAUDE
    here.engine.add(Account(id_, id_.upper(), kind or by_credential))
    await here.vault.save(id_, credential, 1)


def sign_in(here: Here, id_: AccountId = A) -> SignIn:
    state = here.engine.pool.state(id_)
    assert state is not None
    return state.sign_in


async def test_at_the_start_every_credential_is_loaded_except_where_the_person_is_needed(
    here: Here, clock: Clock
) -> None:
    for name in "abcd":
        await add(here, AccountId(name), ApiKey(f"key-{name}"))
    here.engine.observe(AccountId("b"), QuotaSpent("5 h window full", NOW + 600))
    here.engine.observe(AccountId("c"), AccountRefused("organization disabled"))

    running = asyncio.create_task(Poller(here.engine, here.tokens, here.usage, clock).run())
    await until(lambda: here.tokens.ready(AccountId("d")))
    running.cancel()

    assert [here.tokens.ready(AccountId(name)) for name in "abcd"] == ["key-a", "key-b", None, "key-d"]
    assert sign_in(here, AccountId("c")) is SignIn.NEEDED


async def test_person_has_the_quota_read_now_and_not_twice(here: Here, sim: SimulatedProvider, clock: Clock) -> None:
    ada = sim.add_login("Ada")
    await add(here, A, ada.credential)
    poller = Poller(here.engine, here.tokens, here.usage, clock)

    for id_ in (A, A, AccountId("nobody")):
        await poller.read_now(id_)

    assert [received.path for received in sim.received] == ["/api/oauth/usage"]
    state = here.engine.pool.state(A)
    assert state is not None
    assert state.windows


async def test_an_account_behind_a_locked_keychain_serves_once_it_is_unlocked(here: Here, clock: Clock) -> None:
    await add(here, A, ApiKey("key-a"))
    here.keychain.reading_fails = VaultLocked("The keychain is locked", "Unlock it.")

    running = asyncio.create_task(Poller(here.engine, here.tokens, here.usage, clock, look_every_s=0.01).run())
    await until(lambda: sign_in(here) is SignIn.LOCKED)
    shown = here.engine.snapshot().accounts[0].detail
    here.keychain.reading_fails = None
    await until(lambda: sign_in(here) is SignIn.OK)
    running.cancel()

    assert shown == "The keychain is locked"
    assert here.tokens.ready(A) == "key-a"


async def test_a_keychain_that_stays_locked_is_told_once(here: Here, clock: Clock) -> None:
    await add(here, A, ApiKey("key-a"))
    here.engine.sign_in(A, SignIn.LOCKED, "The keychain is locked")
    here.events.clear()
    here.keychain.reading_fails = VaultLocked("The keychain is locked", "Unlock it.")
    poller = Poller(here.engine, here.tokens, here.usage, clock)

    for _ in range(3):
        await poller.look()

    assert here.events == []


async def loaded_login(here: Here, sim: SimulatedProvider, id_: AccountId = A) -> OAuthTokens:
    """A subscription whose login is in memory."""
    credential = sim.add_login(id_.upper()).credential
    assert isinstance(credential, OAuthTokens)
    await add(here, id_, credential)
    assert await here.tokens.secret(id_) == credential.access
    return credential


async def test_a_login_is_renewed_before_it_ends_also_while_its_account_rests(
    here: Here, sim: SimulatedProvider, clock: Clock
) -> None:
    before = await loaded_login(here, sim)
    here.engine.observe(A, QuotaSpent("week full", NOW + 86_400))
    poller = Poller(here.engine, here.tokens, here.usage, clock)

    clock.now = NOW + LIFE_S / 2
    await poller.look()
    early = here.tokens.ready(A)
    clock.now = NOW + LIFE_S - 900
    await poller.look()

    assert early == before.access
    assert here.tokens.ready(A) == sim.accounts[0].access != before.access
    assert len(sim.requests_for(TOKEN)) == 1


class Renewed(Tokens):
    """Renewing A takes so long that a request has B renewed meanwhile."""

    def __init__(self) -> None:
        self.left = [A, B]
        self.refreshed: list[AccountId] = []

    def heed_time(self) -> None:
        pass

    def due(self, *, dead_only: bool = False) -> list[AccountId]:
        return [] if dead_only else list(self.left)

    async def refresh(self, id_: AccountId) -> None:
        self.refreshed.append(id_)
        self.left.clear()


async def test_a_login_that_a_request_had_renewed_meanwhile_is_not_renewed_again(here: Here, clock: Clock) -> None:
    tokens = Renewed()
    await Poller(here.engine, tokens, here.usage, clock).look()
    assert tokens.refreshed == [A]


async def asleep(here: Here, clock: Clock, seconds: float, on_wake: Callable[[], None] = lambda: None) -> Poller:
    """A poller whose pause of a minute has just ended, `seconds` after it began."""

    async def nap(_: float) -> None:
        clock.now += seconds

    poller = Poller(here.engine, here.tokens, here.usage, clock, steady=clock, sleep=nap)
    poller.on_wake = on_wake
    await poller._pause(60.0)
    return poller


@pytest.mark.parametrize(("seconds", "slept"), [(60.0, 0), (74.0, 0), (3600.0, 1)])
async def test_who_holds_connections_is_told_of_a_sleep(here: Here, clock: Clock, seconds: float, slept: int) -> None:
    told: list[None] = []

    await asleep(here, clock, seconds, lambda: told.append(None))

    assert len(told) == slept


async def test_who_knows_of_a_sleep_need_not_wait_for_the_pause_to_be_too_long(here: Here, clock: Clock) -> None:
    told: list[None] = []
    asleep = asyncio.Event()

    async def sleep(_: float) -> None:
        asleep.set()
        await asyncio.Event().wait()

    poller = Poller(here.engine, here.tokens, here.usage, clock, steady=clock, sleep=sleep)
    poller.on_wake = lambda: told.append(None)
    pausing = asyncio.create_task(poller._pause(60.0))
    await asyncio.wait_for(asleep.wait(), 5)

    poller.woke()

    await asyncio.wait_for(pausing, 5)
    assert len(told) == 1


async def test_a_sleep_that_ends_while_the_accounts_are_looked_after_is_not_forgotten(here: Here, clock: Clock) -> None:
    """What was seen before it is old: a vault that was locked may be open."""
    pauses: list[float] = []

    async def sleep(pause_s: float) -> None:
        pauses.append(pause_s)
        await asyncio.Event().wait()

    poller = Poller(here.engine, here.tokens, here.usage, clock, steady=clock, sleep=sleep)
    poller.woke()

    await asyncio.wait_for(poller._pause(60.0), 5)
    pausing = asyncio.create_task(poller._pause(60.0))
    await until(lambda: len(pauses) == 2)

    assert not pausing.done()
    pausing.cancel()


async def test_before_a_sleep_nothing_is_renewed_that_still_lives(
    here: Here, sim: SimulatedProvider, clock: Clock
) -> None:
    await loaded_login(here, sim)
    poller = Poller(here.engine, here.tokens, here.usage, clock, steady=clock)
    clock.now += LIFE_S - 900

    poller.calm()
    await poller.look()

    assert not sim.requests_for(TOKEN)


async def test_a_look_that_fails_is_not_the_last(here: Here, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    looks = asyncio.Queue[None]()
    asked = itertools.count()

    def steady() -> float:
        if next(asked) % 3 == 0:  # asked once by a look, twice by a pause
            looks.put_nowait(None)
            raise OSError("a defect")
        return 0.0

    poller = Poller(here.engine, here.tokens, here.usage, clock, steady=steady, sleep=lambda _: asyncio.sleep(0))
    running = asyncio.create_task(poller.run())
    for _ in range(2):
        await asyncio.wait_for(looks.get(), 5)
    running.cancel()

    assert "could not be looked after" in caplog.text


async def test_after_a_sleep_a_login_that_still_lives_is_renewed_a_minute_later(
    here: Here, sim: SimulatedProvider, clock: Clock
) -> None:
    before = await loaded_login(here, sim)
    poller = await asleep(here, clock, LIFE_S - 900)

    await poller.look()
    early = here.tokens.ready(A)
    clock.now += 59
    await poller.look()
    calm = len(sim.requests_for(TOKEN))
    clock.now += 2
    await poller.look()

    assert (early, calm) == (before.access, 0)
    assert len(sim.requests_for(TOKEN)) == 1


async def test_after_a_sleep_a_login_that_has_ended_is_renewed_at_once(
    here: Here, sim: SimulatedProvider, clock: Clock
) -> None:
    await loaded_login(here, sim)
    poller = await asleep(here, clock, LIFE_S + 900)

    await poller.look()

    assert len(sim.requests_for(TOKEN)) == 1


async def test_a_pause_that_was_a_little_long_is_no_sleep(here: Here, sim: SimulatedProvider, clock: Clock) -> None:
    await loaded_login(here, sim)
    clock.now += LIFE_S - 900
    poller = await asleep(here, clock, 74.0)

    await poller.look()

    assert len(sim.requests_for(TOKEN)) == 1


async def test_the_end_of_a_login_that_nobody_can_renew_is_noticed_by_looking(
    here: Here, sim: SimulatedProvider, clock: Clock
) -> None:
    credential = sim.add_login("A").credential
    assert isinstance(credential, OAuthTokens)
    await add(here, A, replace(credential, refresh=""))
    await here.tokens.secret(A)
    poller = Poller(here.engine, here.tokens, here.usage, clock)

    clock.now += LIFE_S - 900
    await poller.look()

    assert here.healths == [LoginState.FINE, LoginState.ENDING]


@pytest.mark.parametrize("fault", [faults.ServerError(503), faults.EndpointThrottle()], ids=["down", "throttled"])
async def test_a_login_that_cannot_be_renewed_now_goes_on_serving(
    here: Here, sim: SimulatedProvider, clock: Clock, fault: faults.ServerError | faults.EndpointThrottle
) -> None:
    before = await loaded_login(here, sim)
    sim.script(TOKEN, fault)

    clock.now = NOW + LIFE_S - 900
    await Poller(here.engine, here.tokens, here.usage, clock).look()

    assert here.tokens.ready(A) == before.access
    assert sign_in(here) is SignIn.OK
    assert len(sim.requests_for(TOKEN)) == 1


async def test_a_login_that_has_ended_calls_for_the_person_once(
    here: Here, sim: SimulatedProvider, clock: Clock
) -> None:
    await loaded_login(here, sim)
    sim.accounts[0].revoke()
    poller = Poller(here.engine, here.tokens, here.usage, clock)

    clock.now = NOW + LIFE_S + 1
    for _ in range(3):
        await poller.look()
        clock.now += 3600

    assert [event for event in here.events if isinstance(event, LoginRequired)] == [
        LoginRequired(A, "This login has ended")
    ]
    assert sign_in(here) is SignIn.NEEDED


async def test_a_login_that_was_stored_right_before_a_crash_serves_after_the_start(
    here: Here, sim: SimulatedProvider, clock: Clock
) -> None:
    ada = sim.add_login("Ada")
    await add(here, A, ada.credential)
    here.engine.sign_in(A, SignIn.NEEDED, "This login has ended")  # of the login before; the pool is saved later

    running = asyncio.create_task(Poller(here.engine, here.tokens, here.usage, clock).run())
    await until(lambda: sign_in(here) is SignIn.OK)
    running.cancel()

    assert here.tokens.ready(A) == ada.access


async def test_a_login_that_has_ended_is_tried_once_at_the_start_and_told_once(
    here: Here, sim: SimulatedProvider, clock: Clock
) -> None:
    ada = sim.add_login("Ada")
    await add(here, A, ada.credential)
    await add(here, B, ApiKey("key-b"))
    ada.revoke()
    clock.now += LIFE_S
    here.engine.sign_in(A, SignIn.NEEDED, "This login has ended")
    here.events.clear()

    running = asyncio.create_task(Poller(here.engine, here.tokens, here.usage, clock).run())
    await until(lambda: here.tokens.ready(B))
    running.cancel()

    assert sign_in(here) is SignIn.NEEDED
    assert len(sim.requests_for(TOKEN)) == 1
    assert not any(isinstance(event, LoginRequired) for event in here.events)


async def test_a_fresh_login_does_not_mend_an_account_that_the_provider_shut_out(
    here: Here, sim: SimulatedProvider, clock: Clock
) -> None:
    before = await loaded_login(here, sim)
    here.engine.observe(A, AccountRefused("organization disabled"))

    clock.now = NOW + LIFE_S - 900
    await Poller(here.engine, here.tokens, here.usage, clock).look()

    assert here.tokens.ready(A) != before.access
    assert sign_in(here) is SignIn.NEEDED


async def test_what_breaks_is_logged_and_the_others_are_looked_after(
    here: Here, sim: SimulatedProvider, http: httpx.AsyncClient, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for id_ in (A, B):
        await loaded_login(here, sim, id_)
    await http.aclose()  # whoever uses it now gets a RuntimeError, which nobody expects

    clock.now = NOW + LIFE_S - 900
    await Poller(here.engine, here.tokens, here.usage, clock).look()

    for label in "AB":
        assert f"{label}: its credential could not be looked after" in caplog.text


async def test_an_account_that_is_removed_meanwhile_is_no_matter(here: Here, clock: Clock) -> None:
    await add(here, A, ApiKey("key-a"))
    here.engine.sign_in(A, SignIn.LOCKED, "The keychain is locked")

    looking = asyncio.create_task(Poller(here.engine, here.tokens, here.usage, clock).look())
    await asyncio.sleep(0)
    here.engine.remove(A)
    await looking

    assert here.engine.pool.accounts == ()


# --- quota -----------------------------------------------------------------------------------------


@pytest.fixture
def poller(here: Here, clock: Clock) -> Poller:
    return Poller(here.engine, here.tokens, here.usage, clock, jitter=lambda: 0.5)


def state_of(here: Here, id_: AccountId = A) -> AccountState:
    state = here.engine.pool.state(id_)
    assert state is not None
    return state


def spent(here: Here, id_: AccountId = A) -> dict[str, float | None]:
    return {window.name: window.utilization for window in state_of(here, id_).windows}


def serve(here: Here, id_: AccountId = A, *windows: QuotaWindow) -> None:
    with here.engine.lease(ANTHROPIC, Choice(id_, "test")):
        here.engine.observe(id_, Served(windows))


async def look_for(here: Here, poller: Poller, clock: Clock, seconds: float, *, serving: bool = True) -> None:
    """What a poller does in this time when it wakes every ten seconds, with or without requests."""
    end = clock.now + seconds
    while clock.now < end:
        clock.now += 10
        if serving:
            serve(here)
        await poller.look()


async def test_subscriptions_and_go_keys_are_read_and_api_keys_are_not(
    here: Here, sim: SimulatedProvider, poller: Poller
) -> None:
    await add(here, A, sim.add_login("A").credential)
    await add(here, GO, sim.add_go_key("Go").credential, AccountKind.GO)
    await add(here, B, sim.add_api_key("B").credential)
    here.events.clear()

    await poller.look()

    assert [spent(here, id_) for id_ in (A, GO, B)] == [
        {"5h": 0.1, "7d": 0.1},
        {"rolling": 0.1, "weekly": 0.1, "monthly": 0.1},
        {},
    ]
    assert [received.path for received in sim.received] == [USAGE, GO_USAGE]
    assert here.events == [Traffic("A: new quota reading"), Traffic("GO: new quota reading")]


async def test_a_setup_token_is_never_asked_about(
    here: Here, sim: SimulatedProvider, clock: Clock, poller: Poller
) -> None:
    await add(here, A, sim.add_login("A", scopes=("user:inference",)).credential)

    await look_for(here, poller, clock, HOUR)

    assert sim.received == []


async def test_a_login_that_may_not_ask_is_asked_about_again_only_when_it_is_signed_in_anew(
    here: Here, sim: SimulatedProvider, clock: Clock, poller: Poller
) -> None:
    login = sim.add_login("A", scopes=("user:inference",))
    assert isinstance(login.credential, OAuthTokens)
    await add(here, A, replace(login.credential, scopes=()))

    await look_for(here, poller, clock, HOUR)
    asked_before = len(sim.requests_for(USAGE))
    sim.sign_in(login)
    await here.tokens.store(A, login.credential)
    here.engine.sign_in(A, SignIn.OK)
    await poller.look()

    assert asked_before == 1
    assert len(sim.requests_for(USAGE)) == 2
    assert spent(here) == {"5h": 0.1, "7d": 0.1}


async def test_a_serving_account_is_read_every_five_minutes_and_nothing_is_asked_when_nobody_works(
    here: Here, sim: SimulatedProvider, clock: Clock, poller: Poller
) -> None:
    await loaded_login(here, sim)

    await look_for(here, poller, clock, HOUR / 2)
    serving = len(sim.requests_for(USAGE))
    await look_for(here, poller, clock, 10 * HOUR, serving=False)
    afterwards = len(sim.requests_for(USAGE)) - serving

    assert serving == 6
    assert afterwards == 6  # one every ten minutes until the machine has been idle for an hour


async def test_what_headers_tell_is_not_asked(here: Here, sim: SimulatedProvider, clock: Clock, poller: Poller) -> None:
    await loaded_login(here, sim)

    for _ in range(60):
        clock.now += 60
        serve(here, A, QuotaWindow("5h", 0.4, NOW + 2 * HOUR, seen_at=clock.now))
        await poller.look()

    assert sim.requests_for(USAGE) == []


async def test_being_asked_too_often_is_no_verdict_on_the_account(
    here: Here, sim: SimulatedProvider, clock: Clock, poller: Poller, caplog: pytest.LogCaptureFixture
) -> None:
    await loaded_login(here, sim)
    here.engine.observe(A, QuotaSpent("5 h window full", NOW + HOUR, windows=(QuotaWindow("5h", 1.0, NOW + HOUR),)))
    before = state_of(here)
    here.events.clear()
    sim.script(USAGE, faults.EndpointThrottle(0), faults.EndpointThrottle())

    with caplog.at_level("INFO"):
        await look_for(here, poller, clock, 600, serving=False)

    assert len(sim.requests_for(USAGE)) == 2  # at once and after six minutes; the next after nine
    assert structs.replace(state_of(here), polling=before.polling) == before
    assert here.events == []
    assert caplog.text.count("A: quota was not read: the usage endpoint is asked too often") == 1


async def test_a_login_that_the_endpoint_rejects_is_renewed_once(
    here: Here, sim: SimulatedProvider, clock: Clock, poller: Poller
) -> None:
    before = await loaded_login(here, sim)
    sim.script(USAGE, *[faults.Unauthorized()] * 4)

    await look_for(here, poller, clock, HOUR)

    assert len(sim.requests_for(TOKEN)) == 1
    secrets = [received.header("authorization").removeprefix("Bearer ") for received in sim.requests_for(USAGE)]
    assert secrets[0] == before.access
    assert set(secrets[1:]) == {sim.accounts[0].access}
    assert sign_in(here) is SignIn.OK
    assert spent(here) == {"5h": 0.1, "7d": 0.1}


async def test_a_login_that_cannot_be_renewed_goes_on_serving_whatever_the_usage_endpoint_says(
    here: Here, sim: SimulatedProvider, clock: Clock, poller: Poller
) -> None:
    before = await loaded_login(here, sim)
    sim.script(USAGE, faults.Unauthorized())
    sim.script(TOKEN, faults.ServerError(503))

    await look_for(here, poller, clock, 60)

    assert here.tokens.ready(A) == before.access
    assert sign_in(here) is SignIn.OK


async def test_quota_that_is_given_back_before_its_reset_is_noticed(
    here: Here, sim: SimulatedProvider, clock: Clock, poller: Poller
) -> None:
    await loaded_login(here, sim)
    full = QuotaWindow("5h", 1.0, NOW + 3 * HOUR, WindowStatus.REJECTED, seen_at=NOW)
    here.engine.observe(A, QuotaSpent("5 h window full", NOW + 3 * HOUR, windows=(full,)))
    here.engine.choose(ANTHROPIC)
    here.events.clear()
    sim.accounts[0].quota["5h"].utilization = 1.0

    await look_for(here, poller, clock, 1200, serving=False)
    resting = state_of(here).cooldowns
    sim.accounts[0].quota["5h"].utilization = 0.0
    await look_for(here, poller, clock, 600, serving=False)

    assert resting
    assert isinstance(chosen := here.engine.choose(ANTHROPIC), Choice)
    assert chosen.account == A
    assert here.events[-1] == Changed("A has quota again")


async def test_an_account_without_its_secret_is_not_tried_without_end(
    here: Here, sim: SimulatedProvider, clock: Clock, poller: Poller
) -> None:
    await add(here, A, sim.add_login("A").credential)
    here.keychain.reading_fails = VaultLocked("The keychain is locked", "Unlock it.")

    await poller.look()
    locked = sign_in(here)
    here.keychain.reading_fails = None
    await poller.look()
    early = len(sim.received)
    clock.now += 180
    await poller.look()

    assert locked is SignIn.LOCKED
    assert early == 0
    assert spent(here) == {"5h": 0.1, "7d": 0.1}


async def test_what_breaks_while_reading_is_logged_and_not_tried_at_once_again(
    here: Here, sim: SimulatedProvider, http: httpx.AsyncClient, poller: Poller, caplog: pytest.LogCaptureFixture
) -> None:
    for id_ in (A, B):
        await loaded_login(here, sim, id_)
    await http.aclose()

    for _ in range(3):
        await poller.look()

    assert caplog.text.count("A: its quota could not be read") == 1
    assert caplog.text.count("B: its quota could not be read") == 1


async def test_a_clock_that_is_set_back_does_not_stop_the_readings(
    here: Here, sim: SimulatedProvider, clock: Clock, poller: Poller
) -> None:
    await loaded_login(here, sim)
    await poller.look()

    clock.now -= 24 * HOUR
    await look_for(here, poller, clock, 150)
    early = len(sim.requests_for(USAGE))
    await look_for(here, poller, clock, 200)

    assert early == 1
    assert len(sim.requests_for(USAGE)) == 2


async def test_it_sleeps_until_somebody_is_due_and_a_minute_at_most(
    here: Here, sim: SimulatedProvider, clock: Clock, poller: Poller
) -> None:
    nobody = poller._pause_s()
    await loaded_login(here, sim)
    overdue = poller._pause_s()
    await poller.look()
    serve(here)
    later = poller._pause_s()
    clock.now += 280
    soon = poller._pause_s()

    assert (nobody, overdue, later, soon) == (60.0, 1.0, 60.0, 20.0)


async def test_a_running_poller_reads_at_its_start(here: Here, sim: SimulatedProvider, poller: Poller) -> None:
    await add(here, A, sim.add_login("A").credential)

    running = asyncio.create_task(poller.run())
    await until(lambda: spent(here))
    running.cancel()

    assert spent(here) == {"5h": 0.1, "7d": 0.1}


async def test_an_account_that_is_added_while_it_sleeps_is_read_at_once(
    here: Here, sim: SimulatedProvider, clock: Clock
) -> None:
    asleep = asyncio.Event()

    async def sleep(_: float) -> None:
        asleep.set()
        await asyncio.Event().wait()

    poller = Poller(here.engine, here.tokens, here.usage, clock, sleep=sleep)
    here.bus.subscribe(poller.heed)
    running = asyncio.create_task(poller.run())
    await asyncio.wait_for(asleep.wait(), 5)

    await loaded_login(here, sim)
    await until(lambda: spent(here))
    running.cancel()

    assert len(sim.requests_for(USAGE)) == 1


async def test_an_account_that_is_removed_while_it_is_read_is_no_matter(
    here: Here, sim: SimulatedProvider, poller: Poller
) -> None:
    for id_ in (A, B):
        await loaded_login(here, sim, id_)

    looking = asyncio.create_task(poller.look())
    await sim.wait_received(1)
    for id_ in (A, B):
        here.engine.remove(id_)
    await looking

    assert here.engine.pool.accounts == ()
    assert len(sim.requests_for(USAGE)) == 1


async def test_a_restart_does_not_ask_again(tmp_path: Path) -> None:
    memory = Memory()
    async with on_stage(tmp_path, memory=memory) as stage:
        work = await stage.login("Work")
        work.quota["5h"].utilization = 0.62
        core = stage.core
        await core.poller.look()
        (received,) = stage.sim.requests_for(USAGE)
        before = core.engine.pool.accounts[0]
    async with on_stage(tmp_path, memory=memory) as stage:
        core = stage.core
        await core.poller.look()
        after = core.engine.pool.accounts[0]
        assert stage.sim.requests_for(USAGE) == []

    assert received.header("user-agent").startswith("tidegate/")
    assert before.windows[0].utilization == 0.62
    assert before.polling.asked_at > 0
    assert (after.windows, after.polling) == (before.windows, before.polling)
