"""Who is due: logins are renewed before they run out, and accounts behind a locked vault are tried again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from core.engine import Engine
from core.errors import TidegateError
from core.model import AccountId, SignIn
from core.tokens import Tokens

log = logging.getLogger(__name__)

LOOK_EVERY_S = 60.0
"""A login is renewed half an hour early, so a minute more or less is nothing; one wake-up a minute is cheap."""


class Poller:
    """Looks after the credentials of all accounts, also of those that rest."""

    def __init__(
        self, engine: Engine, tokens: Tokens, clock: Callable[[], float], *, look_every_s: float = LOOK_EVERY_S
    ) -> None:
        self._engine = engine
        self._tokens = tokens
        self._clock = clock
        self._look_every_s = look_every_s

    async def run(self) -> None:
        """Load every credential, then look once a minute, until cancelled."""
        for state in self._engine.pool.accounts:
            if state.sign_in is not SignIn.NEEDED:
                await self._try(state.account.id, self._tokens.secret(state.account.id))
        while True:
            await asyncio.sleep(self._look_every_s)
            await self.look()

    async def look(self) -> None:
        """Try again what was locked, and renew what is due."""
        for state in self._engine.pool.accounts:
            if state.sign_in is SignIn.LOCKED:
                await self._try(state.account.id, self._tokens.secret(state.account.id))
        for id_ in self._tokens.due(self._clock()):
            await self._try(id_, self._tokens.refresh(id_))

    async def _try(self, id_: AccountId, work: Awaitable[object]) -> None:
        try:
            await work
        except TidegateError as exc:
            self._engine.without_secret(id_, exc)
        except Exception:  # the edge: what breaks for one account must not end the care for all of them
            log.exception("%s: its credential could not be looked after", self._engine.label(id_))
        else:
            state = self._engine.pool.state(id_)
            if state and state.sign_in is SignIn.LOCKED:  # what only the person can mend, a fresh login does not
                self._engine.sign_in(id_, SignIn.OK)
