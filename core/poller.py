"""Who is due: logins are renewed before they run out, locked vaults tried again, and quota read where nobody tells it.

It wakes once a minute, and earlier only for a reading that is due. After the machine has slept, only what cannot serve
any more is renewed at once: the network comes back in its own time, and an answer lost on the way may cost a login.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from core.engine import Engine
from core.errors import TidegateError
from core.model import Account, AccountId, AccountKind, Event, Polling, SignIn, Traffic
from core.policy.polling import Failed, Reading, TurnedAway, Unreadable, may_be_asked, schedule
from core.server_clock import steady
from core.tokens import Tokens
from core.usage_reading import UsageEndpoint

log = logging.getLogger(__name__)

LOOK_EVERY_S = 60.0
"""A login is renewed half an hour early, so a minute more or less is nothing; one wake-up a minute is cheap."""
LEAST_PAUSE_S = 1.0
CALM_S = 60.0
"""How long after a sleep nothing is renewed that still serves."""
ASLEEP_S = 15.0
"""A pause that took so much longer than it should means that the machine or this process slept; less is a busy hour."""
READS_USAGE = "user:profile"
"""The scope that the usage endpoint asks for; a setup token does not have it."""


def _nothing() -> None:
    """Nobody is interested."""


class Poller:
    """Looks after the credentials of all accounts, also of those that rest, and after what is known of their quota."""

    def __init__(
        self,
        engine: Engine,
        tokens: Tokens,
        usage: UsageEndpoint,
        clock: Callable[[], float],
        *,
        look_every_s: float = LOOK_EVERY_S,
        jitter: Callable[[], float] = random.random,
        steady: Callable[[], float] = steady,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`jitter` gives numbers from 0 to 1; `steady` goes on while the machine sleeps, and nobody sets it."""
        self._engine = engine
        self._tokens = tokens
        self._usage = usage
        self._clock = clock
        self._look_every_s = look_every_s
        self._jitter = jitter
        self._steady = steady
        self._sleep = sleep
        self._woken = asyncio.Event()
        self._slept = False
        """It has slept since the last pause: what a look that was under way has seen is old."""
        self._calm_until = 0.0
        self.on_wake: Callable[[], None] = _nothing
        """Called when the machine has slept: what was connected before may be dead."""
        self._started_at = clock()

    async def run(self) -> None:
        """Load every credential, then look, until cancelled.

        A login that has ended is tried once more: the person may have signed in again right before a crash, when the
        vault had the new login and nothing else was saved.
        """
        for state in self._engine.pool.accounts:
            id_ = state.account.id
            if state.sign_in is not SignIn.NEEDED:
                await self._try(id_, self._tokens.secret(id_))
            elif state.account.kind is AccountKind.CLAUDE:
                await self._try(id_, self._tokens.refresh(id_), mends=SignIn.NEEDED)
        while True:
            try:
                await self.look()
            except Exception:  # the edge of a task: without it no login would be renewed any more
                log.exception("the accounts could not be looked after; tried again in a minute")
            await self._pause(self._pause_s())

    async def look(self) -> None:
        """Try again what was locked, renew what is due, and read what is due."""
        for state in self._engine.pool.accounts:
            if state.sign_in is SignIn.LOCKED:
                await self._try(state.account.id, self._tokens.secret(state.account.id))
        self._tokens.heed_time()
        calm = self._steady() < self._calm_until
        for id_ in self._tokens.due(dead_only=calm):
            if id_ in self._tokens.due(dead_only=calm):  # while others were renewed, a request may have had it renewed
                await self._try(id_, self._tokens.refresh(id_))
        self._engine.heed_clock()
        self._engine.heed_windows()
        for at, id_ in self._schedule():
            if at <= self._clock():
                await self._read(id_)

    async def read_now(self, id_: AccountId) -> None:
        """Read one account's quota because the person wants it, unless its endpoint was asked a moment ago."""
        state = self._engine.pool.state(id_)
        if state is not None and may_be_asked(state, self._clock()):
            await self._read(id_)

    def calm(self) -> None:
        """The machine is about to sleep, or has just slept: renew nothing for a while that still serves."""
        self._calm_until = self._steady() + CALM_S

    def woke(self) -> None:
        """The machine has slept: whoever knows need not wait until a pause turns out to have been too long."""
        self.calm()
        self.on_wake()
        self._slept = True
        self._woken.set()

    def heed(self, event: Event) -> None:
        """Something happened: wake up if it made a reading due, as a new account or a new login does."""
        if not isinstance(event, Traffic) and self._pause_s() <= LEAST_PAUSE_S:
            self._woken.set()

    async def _pause(self, pause_s: float) -> None:
        began_at = self._steady()
        if not self._slept:
            self._woken.clear()
        waiting = [asyncio.ensure_future(self._sleep(pause_s)), asyncio.ensure_future(self._woken.wait())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._slept = False
            for one in waiting:
                one.cancel()
        if self._steady() - began_at > pause_s + ASLEEP_S:
            self.calm()
            self.on_wake()

    def _pause_s(self) -> float:
        soonest = min((at - self._clock() for at, _ in self._schedule()), default=self._look_every_s)
        return min(self._look_every_s, max(soonest, LEAST_PAUSE_S))

    # --- logins ---

    async def _try(self, id_: AccountId, work: Awaitable[object], mends: SignIn = SignIn.LOCKED) -> None:
        try:
            await work
        except TidegateError as exc:
            self._engine.without_secret(id_, exc)
        except Exception:  # the edge: what breaks for one account must not end the care for all of them
            log.exception("%s: its credential could not be looked after", self._engine.label(id_))
        else:
            state = self._engine.pool.state(id_)
            if state and state.sign_in is mends:  # what only the person can mend, a fresh login does not
                self._engine.sign_in(id_, SignIn.OK)

    # --- quota ---

    def _schedule(self) -> list[tuple[float, AccountId]]:
        engine = self._engine
        return schedule(engine.pool, self._clock(), started_at=self._started_at, wanted_at=engine.wanted_at)

    async def _read(self, id_: AccountId) -> None:
        state = self._engine.pool.state(id_)
        if state is None:  # removed while another one was read
            return
        self._engine.asks(id_, self._jitter())
        try:
            reading = await self._ask(state.account, state.polling)
        except TidegateError as exc:
            self._engine.without_secret(id_, exc)
            reading = Failed(exc.title)
        except Exception:  # the edge, as above
            log.exception("%s: its quota could not be read", state.account.label)
            reading = Failed("see the log")
        self._engine.learn(id_, reading)
        _tell(state.account, state.polling, reading)

    async def _ask(self, account: Account, before: Polling) -> Reading:
        secret = await self._tokens.secret(account.id)
        scopes = self._tokens.scopes(account.id)
        if scopes and READS_USAGE not in scopes:
            return Unreadable()
        reading = await self._usage.read(account.kind, secret)
        # Renewed once, and used at the next reading. Not `renew`: what this endpoint refuses may still serve requests.
        rejected = isinstance(reading, Failed) and reading.rejected and not before.failures
        if rejected and self._tokens.ready(account.id) == secret:
            await self._try(account.id, self._tokens.refresh(account.id))
        return reading


def _tell(account: Account, before: Polling, reading: Reading) -> None:
    """Log what went wrong, the first time."""
    match reading:
        case Failed(text=text) if not before.failures:
            log.info("%s: quota was not read: %s", account.label, text)
        case TurnedAway() if not before.throttled:
            log.info("%s: quota was not read: the usage endpoint is asked too often", account.label)
        case Unreadable():
            log.info("%s: this login may not read its quota; answers tell it", account.label)
        case _:
            pass
