"""What goes wrong around Tidegate while it works: at the provider, on the network, in the keychain, on the disk."""

import asyncio
import random
from collections.abc import Awaitable, Sequence
from contextlib import suppress

from filelock import FileLock, Timeout

from core.model import AccountKind
from core.simulator import SimulatedAccount, SimulatedProvider
from core.simulator.faults import (
    BareThrottle,
    CutClean,
    CutHard,
    EmptyStream,
    EndpointThrottle,
    ErrorFirst,
    ErrorMidStream,
    Fault,
    GarbageHead,
    HalfHead,
    Overloaded,
    Phase,
    QuotaRejected,
    Redirect,
    ResetBeforeAnswer,
    ServerError,
    ShortThrottle,
    Slow,
    Stall,
    Unauthorized,
)
from tests.crash.full_disk import FileSizeLimit
from tests.crash.program import Process
from tests.soak.ledger import Ledger

REQUEST_FAULTS: Sequence[tuple[Fault, int]] = (
    (QuotaRejected(resets_in_s=6), 4),
    (ShortThrottle(retry_after_s=1), 3),
    (BareThrottle(), 2),
    (Overloaded(), 4),
    (ServerError(), 2),
    (ServerError(502), 1),
    (ServerError(503), 1),
    (Redirect(), 1),
    (ErrorFirst(), 2),
    (ErrorFirst(after_start=True), 2),
    (ErrorMidStream(8), 2),
    (CutClean(8), 3),
    (CutHard(8), 3),
    (CutHard(8, reset=False), 2),
    (EmptyStream(), 1),
    (ResetBeforeAnswer(), 4),
    (HalfHead(), 2),
    (GarbageHead(), 1),
    (Slow(0.3), 3),
    (Stall(Phase.BEFORE_HEAD, 4), 2),
    (Stall(Phase.AFTER_HEAD, 3), 2),
    (Stall(Phase.MID_STREAM, 4), 2),
)
"""Each with its weight. None of them ends a login: an account that asks for a sign-in afterwards was lost by us."""
RENEWAL_FAULTS: Sequence[Fault] = (ServerError(503), Stall(Phase.BEFORE_HEAD, 3), ResetBeforeAnswer())
USAGE_FAULTS: Sequence[Fault] = (EndpointThrottle(), ServerError(), Stall(Phase.BEFORE_HEAD, 3))
TOKEN, USAGE = "/v1/oauth/token", "/api/oauth/usage"
FAULT_EVERY_S = 0.8
RENEWAL_FAULT_EVERY_S = 40.0
KEYCHAIN_SLOW_EVERY_S = 45.0
KEYCHAIN_SLOW_S = 5.0
DISK_FULL_EVERY_S = 60.0
DISK_FULL_S = 3.0
DROP_EVERY_S = 15.0


async def over_the_provider(sim: SimulatedProvider, ledger: Ledger, chance: random.Random) -> None:
    """Single requests go wrong in every way; with twenty-odd faults for a hundred requests, everybody is hit."""
    faults, weights = [fault for fault, _ in REQUEST_FAULTS], [weight for _, weight in REQUEST_FAULTS]
    while True:
        await asyncio.sleep(chance.expovariate(1 / FAULT_EVERY_S))
        account = chance.choice(sim.accounts)
        (fault,) = chance.choices(faults, weights)
        if isinstance(fault, Slow) and not sim.gap_s:
            continue  # `no_slowness`
        if not account._script:  # faults that queue up would all hit when an account comes back from a rest
            account.script(fault)
            ledger.weather[type(fault).__name__] += 1


def no_slowness(sim: SimulatedProvider) -> None:
    """An answer of tens of thousands of events comes next: with a pause before each it would take hours."""
    for account in sim.accounts:
        if any(isinstance(step, Slow) for step in account._script):
            account._script.clear()


async def over_the_logins(sim: SimulatedProvider, ledger: Ledger, chance: random.Random) -> None:
    """Access tokens are refused before their time; renewals and quota readings fail."""
    logins = [account for account in sim.accounts if account.kind is AccountKind.CLAUDE]
    while True:
        await asyncio.sleep(chance.expovariate(1 / RENEWAL_FAULT_EVERY_S))
        sim.script(TOKEN, chance.choice(RENEWAL_FAULTS))
        sim.script(USAGE, chance.choice(USAGE_FAULTS))
        account: SimulatedAccount = chance.choice(logins)
        if not account._script:
            account.script(Unauthorized())
        ledger.weather["renewal"] += 1


async def on_the_network(sim: SimulatedProvider, ledger: Ledger, chance: random.Random) -> None:
    """Idle connections are closed by the provider; answers are compressed for a while."""
    while True:
        await asyncio.sleep(chance.expovariate(1 / DROP_EVERY_S))
        sim.drop_idle_connections()
        sim.encode = "gzip" if chance.random() < 0.5 else None
        ledger.weather["idle connections dropped"] += 1


async def in_the_keychain(process: Process, ledger: Ledger, chance: random.Random) -> None:
    """Somebody else has the vault's lock for seconds: no read and no write comes to its end."""
    while True:
        await asyncio.sleep(chance.expovariate(1 / KEYCHAIN_SLOW_EVERY_S))
        lock = FileLock(f"{process.program.paths.vault}.lock", thread_local=False)
        with suppress(Timeout):
            lock.acquire(timeout=0)
            try:
                await asyncio.sleep(chance.uniform(0.5, KEYCHAIN_SLOW_S))
                ledger.weather["keychain slow"] += 1
            finally:
                lock.release()


async def on_the_disk(process: Process, ledger: Ledger, chance: random.Random) -> None:
    """No file may grow for seconds."""
    disk = FileSizeLimit(process.process.pid)
    while True:
        await asyncio.sleep(chance.expovariate(1 / DISK_FULL_EVERY_S))
        disk.fill()
        try:
            await asyncio.sleep(chance.uniform(0.5, DISK_FULL_S))
            ledger.weather["disk full"] += 1
        finally:
            disk.free()


def bad(process: Process, sim: SimulatedProvider, ledger: Ledger, chance: random.Random) -> list[Awaitable[None]]:
    """All of it at once."""
    return [
        over_the_provider(sim, ledger, chance),
        over_the_logins(sim, ledger, chance),
        on_the_network(sim, ledger, chance),
        in_the_keychain(process, ledger, chance),
        on_the_disk(process, ledger, chance),
    ]


def good_again(sim: SimulatedProvider) -> None:
    """What was to come does not."""
    for account in sim.accounts:
        account._script.clear()
    sim._scripts.clear()
    sim.encode = None
