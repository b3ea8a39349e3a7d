"""Fresh credentials: in memory for the request, in the vault for tomorrow, renewed before they run out.

The promise is that no login is lost. A renewed pair is in the vault before anything else happens to it; one renewal
runs for each account, in a task that no caller can cancel and under a lock that other processes respect; and one
`invalid_grant` condemns only the token that was sent, never a newer one.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import httpx
from filelock import AsyncFileLock, Timeout

from core import oauth
from core.errors import LoginNeeded, RefreshFailed, TidegateError, VaultError
from core.files import OWNER_ONLY, Paths
from core.model import AccountId, ApiKey, Credential, Endpoints, OAuthTokens
from core.token_endpoint import TokenEndpoint
from core.token_intents import Intents
from core.token_login import LONGEST_THROTTLED_REST_S, MARGIN_S, THROTTLED_REST_S, Login
from core.vault import Stored, Vault
from core.wording import clock_time

log = logging.getLogger(__name__)

LOCK_WITHIN_S = 45.0
"""Longer than a renewal in another process usually takes with its time-outs."""
SAVE_AGAIN_S = 5.0
LONGEST_SAVE_AGAIN_S = 60.0
CLOSE_WITHIN_S = 40.0

_SIGN_IN = "Sign in again, from the tray icon or with `tidegate add`."
_BY_ITSELF = "It is tried again by itself."


class Tokens:
    """The credentials of all accounts. Belongs to the event loop that uses it; `close` it before the loop ends."""

    def __init__(  # noqa: PLR0917 - the six things it stands on
        self,
        vault: Vault,
        paths: Paths,
        endpoints: Callable[[], Endpoints],
        http: Callable[[], httpx.AsyncClient],
        clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
        *,
        lock_within_s: float = LOCK_WITHIN_S,
        save_again_s: float = SAVE_AGAIN_S,
    ) -> None:
        """`jitter` gives numbers from 0 to 1."""
        paths.create()
        self._vault = vault
        self._paths = paths
        self._endpoint = TokenEndpoint(endpoints, http, clock)
        self._intents = Intents(paths)
        self._clock = clock
        self._jitter = jitter
        self._lock_within_s = lock_within_s
        self._save_again_s = save_again_s
        self._logins: dict[AccountId, Login] = {}
        self._renewals: dict[AccountId, asyncio.Task[None]] = {}
        self._savers: dict[AccountId, asyncio.Task[None]] = {}
        self._turns: defaultdict[AccountId, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._locks: dict[AccountId, AsyncFileLock] = {}

    # --- what requests ask -------------------------------------------------------------------------

    def ready(self, id_: AccountId) -> str | None:
        """The secret to send, from memory; None when `secret` has to load or renew it first."""
        login = self._logins.get(id_)
        if login is None or login.in_doubt or not login.lives(self._clock(), MARGIN_S):
            return None
        return login.secret

    async def secret(self, id_: AccountId) -> str:
        """The secret to send, loaded and renewed as needed. A token that still lives serves when renewing fails.

        Raises LoginNeeded, RefreshFailed or VaultError.
        """
        if secret := self.ready(id_):
            return secret
        await self._loaded(id_)
        return self.ready(id_) or await self._renewed(id_)

    async def renew(self, id_: AccountId, rejected: str) -> str:
        """Another secret than `rejected`, which the provider answered with 401.

        Raises LoginNeeded, RefreshFailed or VaultError.
        """
        login = await self._loaded(id_)
        if login.secret != rejected:
            return await self.secret(id_)
        if isinstance(login.stored.credential, ApiKey):
            raise LoginNeeded("The provider refused this API key", "Add the account again with another key.")
        self._change(id_, rejected=True)
        return await self._renewed(id_)

    # --- what the poller and the person ask --------------------------------------------------------

    def due(self, now: float) -> list[AccountId]:
        """The logins that `refresh` should renew now: about half an hour before they end."""
        return [id_ for id_, login in self._logins.items() if login.due(now) and id_ not in self._renewals]

    async def refresh(self, id_: AccountId) -> None:
        """Renew a login although its token still works; an API key has nothing to renew.

        Raises RefreshFailed, and the token goes on serving as long as it lives; LoginNeeded or VaultError when there
        is none to serve.
        """
        login = await self._loaded(id_)
        if isinstance(login.stored.credential, ApiKey):
            return
        try:
            await self._renewal(id_)
        except VaultError as exc:
            if login.lives(self._clock()):
                raise RefreshFailed(f"The login was not renewed: {exc.title}", exc.hint) from exc
            raise

    def expires_at(self, id_: AccountId) -> float | None:
        """When the token in memory ends; None for an API key and for what is not in memory."""
        login = self._logins.get(id_)
        return login.expires_at if login else None

    def scopes(self, id_: AccountId) -> tuple[str, ...]:
        """What the login in memory may be used for; empty when the provider did not say, and for a key."""
        login = self._logins.get(id_)
        credential = login.stored.credential if login else None
        return credential.scopes if isinstance(credential, OAuthTokens) else ()

    def unsaved(self) -> tuple[AccountId, ...]:
        """Accounts whose newest login is in memory only, because the vault did not take it. Do not quit."""
        return tuple(id_ for id_, login in self._logins.items() if not login.saved)

    # --- signing in and out ------------------------------------------------------------------------

    async def exchange(self, code: str, challenge: oauth.Challenge) -> oauth.Grant:
        """Turn the code of a sign-in into tokens. Stores nothing. Raises SignInFailed."""
        return await self._endpoint.exchange(code, challenge)

    async def store(self, id_: AccountId, credential: Credential) -> None:
        """Keep a new credential of the account: the next generation, whatever became of the one before.

        Raises VaultError or RefreshFailed, and then the credential before goes on serving.
        """
        async with self._alone(id_):
            stored = await self._vault.load(id_)
            login = self._logins.get(id_)
            newest = max(stored.generation if stored else 0, login.stored.generation if login else 0)
            await self._vault.save(id_, credential, newest + 1)
            self._take(id_, Stored(newest + 1, credential))
            await self._intents.remove(id_)

    async def forget(self, id_: AccountId) -> None:
        """Remove the account's credential from vault and memory. Raises VaultError or RefreshFailed."""
        async with self._alone(id_):
            await self._vault.delete(id_)
            self._logins.pop(id_, None)
            await self._intents.remove(id_)

    async def close(self) -> None:
        """Let renewals finish, try once more to save what is not saved, and end the background tasks."""
        if renewals := set(self._renewals.values()):
            await asyncio.wait(renewals, timeout=CLOSE_WITHIN_S)
        for id_ in self.unsaved():
            with contextlib.suppress(TidegateError):
                await self._save_again(id_)
        savers = list(self._savers.values())
        for saver in savers:
            saver.cancel()
        await asyncio.gather(*savers, return_exceptions=True)

    # --- memory ------------------------------------------------------------------------------------

    async def _loaded(self, id_: AccountId) -> Login:
        if login := self._logins.get(id_):
            return login
        async with self._turns[id_]:
            if login := self._logins.get(id_):
                return login
            stored = await self._vault.load(id_)
            if stored is None:
                raise LoginNeeded("The vault holds no credential of this account", _SIGN_IN)
            in_doubt = isinstance(stored.credential, OAuthTokens) and await self._intents.holds(
                id_, stored.generation, stored.credential
            )
            self._take(id_, stored)
            # The process that sent this refresh token ended before it stored the answer. `secret` sends the same one
            # again before anything else: if there is a period of grace, it is short.
            return self._change(id_, in_doubt=in_doubt)

    def _take(self, id_: AccountId, stored: Stored, *, granted: bool = False, saved: bool = True) -> None:
        """Make `stored` the account's login in memory; what was known of the one before is over."""
        granted_at = self._clock() if granted else None
        self._logins[id_] = Login.of(stored, self._jitter(), granted_at=granted_at, saved=saved)

    def _change(self, id_: AccountId, **changes: object) -> Login:
        login = self._logins[id_] = replace(self._logins[id_], **changes)  # type: ignore[arg-type]  # as replace()
        return login

    async def _adopt_newer(self, id_: AccountId) -> bool:
        """Take over a newer generation from the vault, if another process left one there."""
        stored = await self._vault.load(id_)
        if stored is None or stored.generation <= self._logins[id_].stored.generation:
            return False
        log.info("%s: adopted generation %d", id_, stored.generation)
        self._take(id_, stored)
        return True

    # --- renewing ----------------------------------------------------------------------------------

    async def _renewed(self, id_: AccountId) -> str:
        """The secret after a renewal, or the one that still lives when that failed."""
        try:
            await self._renewal(id_)
        except TidegateError:
            login = self._logins.get(id_)
            if login is None or not login.lives(self._clock()):
                raise
            return login.secret
        return (await self._loaded(id_)).secret

    async def _renewal(self, id_: AccountId) -> None:
        """Wait for the account's one renewal; start it, unless the account rests from a failed one."""
        task = self._renewals.get(id_)
        if task is None:
            if self._logins[id_].rests(self._clock()):
                raise self._trouble(id_)
            task = asyncio.create_task(self._renew(id_), name=f"renew {id_}")
            self._renewals[id_] = task
            task.add_done_callback(lambda done: self._landed(id_, done))
        # A caller that hangs up must not cancel the renewal that others wait for: the provider may already have
        # rotated the refresh token.
        await asyncio.shield(task)

    def _landed(self, id_: AccountId, task: "asyncio.Task[None]") -> None:
        del self._renewals[id_]
        match None if task.cancelled() else task.exception():
            case TidegateError() as exc:
                log.warning("%s: the login was not renewed: %s", id_, exc.title)
            case BaseException() as exc:
                log.error("%s: the renewal of the login broke", id_, exc_info=exc)

    async def _renew(self, id_: AccountId) -> None:
        async with self._alone(id_):
            login = self._logins.get(id_)
            # A login that is not saved has kept its lock, so the vault cannot hold a newer one.
            if login and login.saved and await self._adopt_newer(id_):
                login = self._logins[id_]
                if login.lives(self._clock(), MARGIN_S):
                    return
            if login is None or isinstance(login.stored.credential, ApiKey):
                return  # removed or replaced while we waited
            if login.spent or not login.stored.credential.refresh:
                raise self._refused(id_)
            await self._send(id_, login, login.stored.credential)

    async def _send(self, id_: AccountId, login: Login, tokens: OAuthTokens) -> None:
        await self._write_intent(id_, login, tokens)
        match await self._endpoint.renew(tokens):
            case oauth.Grant(tokens=renewed):
                await self._keep(id_, Stored(login.stored.generation + 1, renewed))
            case oauth.InvalidGrant():
                # It speaks of the token that was sent: if another program has renewed it meanwhile, that one counts.
                if not await self._adopt_newer(id_):
                    await self._intents.remove(id_)
                    raise self._refused(id_)
            case oauth.Throttled(wait_s=wait_s):
                await self._intents.remove(id_)
                rest_s = min(max(wait_s or 0.0, THROTTLED_REST_S), LONGEST_THROTTLED_REST_S)
                raise self._failed(id_, "The provider renews no logins for the moment", _BY_ITSELF, rest_s)
            case oauth.Misconfigured(text=text):
                await self._intents.remove(id_)
                title = f"{self._endpoint.url} is the wrong address for renewing logins: {text}"
                raise self._failed(id_, title, "Check the endpoint settings; the login is not at fault.")
            case oauth.Transient(text=text):  # it may have counted, so the intent stays
                raise self._failed(id_, f"The login could not be renewed: {text}", _BY_ITSELF)

    async def _keep(self, id_: AccountId, renewed: Stored) -> None:
        """Store first, then use it: until it is in the vault, a crash loses the login."""
        try:
            await self._vault.save(id_, renewed.credential, renewed.generation)
        except VaultError as exc:
            log.warning("%s: the renewed login is in memory only: %s", id_, exc.title)
            self._take(id_, renewed, granted=True, saved=False)
            await self._keep_saving(id_)
            return
        self._take(id_, renewed, granted=True)
        await self._intents.remove(id_)
        log.info("%s: the login was renewed", id_)

    async def _write_intent(self, id_: AccountId, login: Login, tokens: OAuthTokens) -> None:
        now = self._clock()
        try:
            await self._intents.write(id_, login.stored.generation, tokens, now)
        except OSError as exc:
            # Without a trace of it a crash would be a riddle, so only a login that has ended is worth the risk.
            if login.lives(now):
                title = f"The login was not renewed because the disk takes no writes: {exc.strerror or exc}"
                raise self._failed(id_, title, "Make room on the disk.") from exc

    # --- failing -----------------------------------------------------------------------------------

    def _failed(self, id_: AccountId, title: str, hint: str, rest_s: float | None = None) -> TidegateError:
        """Let the login rest, `backoff_s` unless told otherwise."""
        login = self._logins[id_]
        self._change(
            id_,
            in_doubt=False,
            failures=login.failures + 1,
            rest_until_at=self._clock() + (rest_s or login.backoff_s),
            trouble=(title, hint),
        )
        return self._trouble(id_)

    def _refused(self, id_: AccountId) -> TidegateError:
        """The refresh token is worth nothing; the access token may still be."""
        self._change(id_, spent=True)
        return self._failed(id_, "", "")

    def _trouble(self, id_: AccountId) -> TidegateError:
        """Why the login is not renewed now."""
        login, now = self._logins[id_], self._clock()
        if not login.spent:
            return RefreshFailed(*login.trouble)
        if login.expires_at is not None and login.lives(now):
            until = clock_time(login.expires_at, now)
            return RefreshFailed(f"This login can no longer be renewed; it works until {until}", _SIGN_IN)
        return LoginNeeded("This login has ended", _SIGN_IN)

    # --- what the vault did not take ---------------------------------------------------------------

    async def _keep_saving(self, id_: AccountId) -> None:
        """Save in the background. Keeps the account's lock: others would find a spent refresh token in the vault."""
        if id_ in self._savers:
            return
        lock = self._locks[id_]
        await lock.acquire(timeout=0)
        task = asyncio.create_task(self._save_until_saved(id_, lock), name=f"save {id_}")
        self._savers[id_] = task
        task.add_done_callback(lambda _: self._savers.pop(id_))

    async def _save_until_saved(self, id_: AccountId, lock: AsyncFileLock) -> None:
        pause_s = self._save_again_s
        try:
            while id_ in self.unsaved():
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_SAVE_AGAIN_S)
                with contextlib.suppress(TidegateError):
                    await self._save_again(id_)
        finally:
            await lock.release()

    async def _save_again(self, id_: AccountId) -> None:
        async with self._alone(id_):
            if id_ not in self.unsaved() or await self._adopt_newer(id_):
                return
            stored = self._logins[id_].stored
            await self._vault.save(id_, stored.credential, stored.generation)
            self._change(id_, saved=True)
            await self._intents.remove(id_)
            log.info("%s: the renewed login is saved now", id_)

    # --- one at a time, in this process and across processes ---------------------------------------

    @contextlib.asynccontextmanager
    async def _alone(self, id_: AccountId) -> AsyncIterator[None]:
        """Nobody else reads, renews or writes this login meanwhile. Raises RefreshFailed when somebody does for long.

        The lock is the kernel's, so a crash frees it. It is reentrant, and `_keep_saving` may hold it as well.
        """
        async with self._turns[id_]:
            if (lock := self._locks.get(id_)) is None:
                lock = self._locks[id_] = AsyncFileLock(self._paths.account_lock(id_), mode=OWNER_ONLY)
            try:
                await lock.acquire(timeout=self._lock_within_s)
            except Timeout as exc:
                raise RefreshFailed("Another Tidegate is busy with this login", _BY_ITSELF) from exc
            except OSError as exc:
                title = f"{lock.lock_file} cannot be locked: {exc.strerror or exc}"
                raise RefreshFailed(title, "Check the disk and the folder's permissions.") from exc
            try:
                yield
            finally:
                await lock.release()
