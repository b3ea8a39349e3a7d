import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from core.bus import Bus
from core.engine import Engine
from core.errors import VaultLocked
from core.files import Paths
from core.model import (
    Account,
    AccountId,
    AccountKind,
    AccountRefused,
    ApiKey,
    Credential,
    Endpoints,
    Event,
    LoginRequired,
    OAuthTokens,
    QuotaSpent,
    SignIn,
)
from core.poller import Poller
from core.tokens import Tokens
from core.vault import Vault
from tests.fakes import SimulatedProvider, faults
from tests.fakes_vault import MemoryBackend
from tests.pools import NOW, A, B
from tests.raw import until

pytestmark = pytest.mark.anyio

LIFE_S = 28_800.0
"""Of an access token."""


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
        bus = Bus()
        bus.subscribe(self.events.append)
        self.engine = Engine(bus, clock, saved=lambda _: None, moved=lambda _: None)
        self.keychain = MemoryBackend()
        self.vault = Vault(self.keychain)
        self.tokens = Tokens(self.vault, Paths(folder), lambda: endpoints, lambda: http, clock)


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


async def add(here: Here, id_: AccountId, credential: Credential) -> None:
    """An account whose credential is in the vault and not in memory, as at the start of a program."""
    kind = AccountKind.API_KEY if isinstance(credential, ApiKey) else AccountKind.CLAUDE
    here.engine.add(Account(id_, id_.upper(), kind))
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

    running = asyncio.create_task(Poller(here.engine, here.tokens, clock).run())
    await until(lambda: here.tokens.ready(AccountId("d")))
    running.cancel()

    assert [here.tokens.ready(AccountId(name)) for name in "abcd"] == ["key-a", "key-b", None, "key-d"]
    assert sign_in(here, AccountId("c")) is SignIn.NEEDED


async def test_an_account_behind_a_locked_keychain_serves_once_it_is_unlocked(here: Here, clock: Clock) -> None:
    await add(here, A, ApiKey("key-a"))
    here.keychain.reading_fails = VaultLocked("The keychain is locked", "Unlock it.")

    running = asyncio.create_task(Poller(here.engine, here.tokens, clock, look_every_s=0.01).run())
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
    poller = Poller(here.engine, here.tokens, clock)

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
    poller = Poller(here.engine, here.tokens, clock)

    clock.now = NOW + LIFE_S / 2
    await poller.look()
    early = here.tokens.ready(A)
    clock.now = NOW + LIFE_S - 900
    await poller.look()

    assert early == before.access
    assert here.tokens.ready(A) == sim.accounts[0].access != before.access
    assert sim.received_in_all == 1


@pytest.mark.parametrize("fault", [faults.ServerError(503), faults.EndpointThrottle()], ids=["down", "throttled"])
async def test_a_login_that_cannot_be_renewed_now_goes_on_serving(
    here: Here, sim: SimulatedProvider, clock: Clock, fault: faults.ServerError | faults.EndpointThrottle
) -> None:
    before = await loaded_login(here, sim)
    sim.script("/v1/oauth/token", fault)

    clock.now = NOW + LIFE_S - 900
    await Poller(here.engine, here.tokens, clock).look()

    assert here.tokens.ready(A) == before.access
    assert sign_in(here) is SignIn.OK
    assert sim.received_in_all == 1


async def test_a_login_that_has_ended_calls_for_the_person_once(
    here: Here, sim: SimulatedProvider, clock: Clock
) -> None:
    await loaded_login(here, sim)
    sim.accounts[0].revoke()
    poller = Poller(here.engine, here.tokens, clock)

    clock.now = NOW + LIFE_S + 1
    for _ in range(3):
        await poller.look()
        clock.now += 3600

    assert [event for event in here.events if isinstance(event, LoginRequired)] == [
        LoginRequired(A, "This login has ended")
    ]
    assert sign_in(here) is SignIn.NEEDED


async def test_a_fresh_login_does_not_mend_an_account_that_the_provider_shut_out(
    here: Here, sim: SimulatedProvider, clock: Clock
) -> None:
    before = await loaded_login(here, sim)
    here.engine.observe(A, AccountRefused("organization disabled"))

    clock.now = NOW + LIFE_S - 900
    await Poller(here.engine, here.tokens, clock).look()

    assert here.tokens.ready(A) != before.access
    assert sign_in(here) is SignIn.NEEDED


async def test_what_breaks_is_logged_and_the_others_are_looked_after(
    here: Here, sim: SimulatedProvider, http: httpx.AsyncClient, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for id_ in (A, B):
        await loaded_login(here, sim, id_)
    await http.aclose()  # whoever uses it now gets a RuntimeError, which nobody expects

    clock.now = NOW + LIFE_S - 900
    await Poller(here.engine, here.tokens, clock).look()

    for label in "AB":
        assert f"{label}: its credential could not be looked after" in caplog.text


async def test_an_account_that_is_removed_meanwhile_is_no_matter(here: Here, clock: Clock) -> None:
    await add(here, A, ApiKey("key-a"))
    here.engine.sign_in(A, SignIn.LOCKED, "The keychain is locked")

    looking = asyncio.create_task(Poller(here.engine, here.tokens, clock).look())
    await asyncio.sleep(0)
    here.engine.remove(A)
    await looking

    assert here.engine.pool.accounts == ()
