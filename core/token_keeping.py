"""The way of a login between memory and disk.

A renewed pair rests on disk before anything else happens to it: sealed in the recovery file, then in the vault. What
the vault does not take is tried again in the background, and nobody else can touch the account until it has it.
"""

import asyncio
import contextlib
import logging

from core.errors import LoginNeeded, RefreshFailed, TidegateError, VaultError
from core.model import AccountId, Credential, OAuthTokens
from core.recovery import Entry, Recovery
from core.token_intents import Intents, fingerprint
from core.token_locks import Locks
from core.token_login import Login
from core.token_memory import Logins
from core.vault import Stored, Vault

log = logging.getLogger(__name__)

LONGEST_SAVE_AGAIN_S = 60.0
SAVE_NOW_PAUSE_S = 1.0


class Keeping:
    """Loads, keeps and removes the credentials of all accounts. Belongs to the event loop that uses it."""

    def __init__(
        self,
        *,
        vault: Vault,
        logins: Logins,
        locks: Locks,
        intents: Intents,
        recovery: Recovery,
        save_again_s: float,
    ) -> None:
        self._vault = vault
        self._logins = logins
        self._locks = locks
        self._intents = intents
        self._recovery = recovery
        self._save_again_s = save_again_s
        self._savers: dict[AccountId, asyncio.Task[None]] = {}

    # --- from disk ---------------------------------------------------------------------------------

    async def loaded(self, id_: AccountId) -> Login:
        """The login in memory, loaded if need be. Raises LoginNeeded when there is none, and VaultError."""
        if login := self._logins.get(id_):
            return login
        if await self._recovery.entry(id_):
            # Left by a process that ended before the vault took it. One that lives has the lock, and saves it.
            with contextlib.suppress(RefreshFailed):
                async with self._locks.alone(id_, within_s=0.0):
                    await self.take_newer(id_)
        async with self._locks.turn(id_):
            if self._logins.get(id_) is None and (stored := await self._vault.load(id_)):
                await self._take(id_, stored)
        if login := self._logins.get(id_):
            return login
        raise LoginNeeded(
            "The vault holds no credential of this account",
            "Sign in again, from the tray icon or with `tidegate add`.",
        )

    async def take_newer(self, id_: AccountId) -> bool:
        """Take over what is newer than the login in memory, if another process left such. The account is locked."""
        stored, entry, login = await self._vault.load(id_), await self._recovery.entry(id_), self._logins.get(id_)
        if entry and stored and entry.generation <= stored.generation:
            await self._recovery.drop(id_)
            entry = None
        if entry and (login is None or entry.generation > login.stored.generation):
            await self._take_sealed(id_, entry, stored)
            return True
        # A sign-in that the vault took after its time-out may have the same generation: the person's word counts.
        known = login and stored and (stored == login.stored or stored.generation < login.stored.generation)
        if stored is None or known:
            return False
        if login:
            log.info("%s: adopted generation %d", id_, stored.generation)
        await self._take(id_, stored)
        return True

    async def _take(self, id_: AccountId, stored: Stored) -> None:
        # The process that sent this refresh token may have ended before it stored the answer.
        in_doubt = await self._intents.holds(id_, stored.generation, stored.credential)
        self._logins.take(id_, stored, in_doubt=in_doubt)

    async def _take_sealed(self, id_: AccountId, entry: Entry, stored: Stored | None) -> None:
        log.info("%s: took up generation %d from the recovery file", id_, entry.generation)
        if stored and isinstance(stored.credential, OAuthTokens) and fingerprint(stored.credential) != entry.sent:
            log.warning("%s: the vault's generation %d is not the one before", id_, stored.generation)
        await self._use(id_, entry, sealed=True)

    # --- to disk -----------------------------------------------------------------------------------

    async def keep(self, id_: AccountId, renewed: OAuthTokens, sent: OAuthTokens) -> None:
        """Store what the provider gave for `sent`, then use it: until it rests on disk, a crash loses the login.

        A file is written sooner than a keychain, which may not answer at all.
        """
        generation = self._logins[id_].stored.generation + 1
        entry = Entry(generation, renewed, fingerprint(sent))
        await self._use(id_, entry, sealed=await self._recovery.seal(id_, entry), granted=True)

    async def replace(self, id_: AccountId, credential: Credential) -> None:
        """Store a credential that has nothing to do with the one before. The account is locked. Raises VaultError."""
        login = self._logins.get(id_)
        known = (await self._vault.load(id_), await self._recovery.entry(id_), login.stored if login else None)
        generation = max((one.generation for one in known if one), default=0) + 1
        await self._vault.save(id_, credential, generation)
        self._logins.take(id_, Stored(generation, credential))
        await self._settle(id_)

    async def remove(self, id_: AccountId) -> None:
        """Delete the credential everywhere. The account is locked. Raises VaultError."""
        await self._recovery.drop(id_)
        await self._vault.delete(id_)
        self._logins.forget(id_)
        await self._intents.remove(id_)

    async def _use(self, id_: AccountId, entry: Entry, *, sealed: bool, granted: bool = False) -> None:
        saved = await self._saved(id_, entry.stored)
        self._logins.take(
            id_, entry.stored, granted=granted, saved=saved, sealed=sealed and not saved, granted_for=entry.sent
        )
        if not saved:
            await self._keep_saving(id_)

    async def _saved(self, id_: AccountId, stored: Stored) -> bool:
        try:
            await self._vault.save(id_, stored.credential, stored.generation)
        except VaultError as exc:
            log.warning("%s: the vault did not take the renewed login: %s", id_, exc.title)
            return False
        await self._settle(id_)
        log.info("%s: the renewed login is in the vault", id_)
        return True

    async def _settle(self, id_: AccountId) -> None:
        """The newest login is in the vault: what was kept for a crash is over."""
        await self._recovery.drop(id_)
        await self._intents.remove(id_)

    # --- what the vault did not take ---------------------------------------------------------------

    def at_risk(self) -> tuple[AccountId, ...]:
        """Accounts whose newest login is in memory only: neither in the vault nor sealed."""
        return tuple(id_ for id_ in self._logins.unsaved() if not self._logins[id_].sealed)

    async def save(self, within_s: float) -> None:
        """Try to get into the vault what it did not take, until it has all or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._logins.unsaved():
                    await self._save_all()
                    if self._logins.unsaved():
                        await asyncio.sleep(SAVE_NOW_PAUSE_S)

    async def close(self) -> None:
        """Try once more, and end the background tasks."""
        await self._save_all()
        savers = list(self._savers.values())
        for saver in savers:
            saver.cancel()
        await asyncio.gather(*savers, return_exceptions=True)
        for id_ in self._logins.unsaved():
            if self._logins[id_].sealed:
                log.warning("%s: the renewed login is sealed for recovery; the next start takes it up", id_)
            else:
                log.error("%s: the renewed login could not be saved anywhere and ends with this process", id_)

    async def _keep_saving(self, id_: AccountId) -> None:
        """Save in the background. Keeps the account's lock: others would find a spent refresh token in the vault."""
        if id_ in self._savers:
            return
        await self._locks.keep(id_)
        task = asyncio.create_task(self._save_until_saved(id_), name=f"save {id_}")
        self._savers[id_] = task
        task.add_done_callback(lambda _: self._savers.pop(id_))

    async def _save_until_saved(self, id_: AccountId) -> None:
        pause_s = self._save_again_s
        try:
            while id_ in self._logins.unsaved():
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_SAVE_AGAIN_S)
                with contextlib.suppress(TidegateError):
                    await self._save_again(id_)
        finally:
            await self._locks.free(id_)

    async def _save_all(self) -> None:
        for id_ in self._logins.unsaved():
            with contextlib.suppress(TidegateError):
                await self._save_again(id_)

    async def _save_again(self, id_: AccountId) -> None:
        async with self._locks.alone(id_):
            login = self._logins.get(id_)
            if login is None or login.saved:
                return
            if not login.sealed and isinstance(login.stored.credential, OAuthTokens):
                entry = Entry(login.stored.generation, login.stored.credential, login.granted_for)
                self._logins.change(id_, sealed=await self._recovery.seal(id_, entry))
            if not await self.take_newer(id_) and await self._saved(id_, login.stored):
                self._logins.change(id_, saved=True, sealed=False)
