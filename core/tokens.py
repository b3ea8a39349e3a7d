"""Fresh credentials: in memory for the request, in the vault for tomorrow, renewed before they run out.

The promise is that no login is lost. A renewed pair rests on disk before anything else happens to it: sealed in the
recovery file, then in the vault; one renewal runs for each account, in a task that no caller can cancel and under a
lock that other processes respect; and one `invalid_grant` condemns only the token that was sent, never a newer one.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from core import oauth
from core.blocking import Blocking, blocking
from core.errors import LoginNeeded, RefreshFailed, TidegateError, VaultError
from core.files import Paths
from core.model import AccountId, ApiKey, Credential, Endpoints, Identity, LoginHealth, OAuthTokens
from core.recovery import Recovery
from core.token_endpoint import TokenEndpoint
from core.token_intents import Intents
from core.token_keeping import Keeping
from core.token_locks import LOCK_WITHIN_S, Lock, Locks, kernel_lock
from core.token_login import LONGEST_THROTTLED_REST_S, MARGIN_S, THROTTLED_REST_S, Facts, Login
from core.token_memory import Logins
from core.vault import Vault
from core.wording import clock_time

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

SAVE_AGAIN_S = 5.0
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
        http: "Callable[[], httpx.AsyncClient]",
        clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
        *,
        on_health: Callable[[AccountId, LoginHealth], None] = lambda _id, _health: None,
        on_owner: Callable[[AccountId, Identity], None] = lambda _id, _owner: None,
        on_end: Callable[[AccountId, TidegateError], None] = lambda _id, _exc: None,
        lock_within_s: float = LOCK_WITHIN_S,
        save_again_s: float = SAVE_AGAIN_S,
        make_lock: Callable[[Path], Lock] = kernel_lock,
        blocking: Blocking = blocking,
    ) -> None:
        """`clock` is the provider's time; `jitter` gives numbers from 0 to 1.

        `on_health` hears of every change in how a login is doing, `on_owner` whose a renewed one is, when it was told,
        `on_end` that one has ended for good: whoever had it renewed may have left.
        """
        paths.create()
        self._endpoint = TokenEndpoint(endpoints, http, clock)
        self._clock = clock
        self._on_owner = on_owner
        self._on_end = on_end
        self._logins = Logins(clock, jitter, on_health)
        self._locks = Locks(paths, lock_within_s, make_lock)
        self._intents = Intents(paths, blocking)
        self._recovery = Recovery(vault, paths, self._locks, blocking)
        self._keeping = Keeping(
            vault=vault,
            logins=self._logins,
            locks=self._locks,
            intents=self._intents,
            recovery=self._recovery,
            save_again_s=save_again_s,
        )
        self._renewals: dict[AccountId, asyncio.Task[None]] = {}

    async def open(self) -> str | None:
        """Get ready to seal what the vault does not take. Returns what the person should know of an earlier file."""
        await self._recovery.open()
        return self._recovery.problem

    # --- what requests ask -------------------------------------------------------------------------

    def ready(self, id_: AccountId) -> str | None:
        """The secret to send, from memory; None when `secret` has to load or renew it first."""
        login = self._logins.get(id_)
        if login is None or login.held_back or not login.lives(self._clock(), MARGIN_S):
            return None
        return login.secret

    async def secret(self, id_: AccountId) -> str:
        """The secret to send, loaded and renewed as needed. A token that still lives serves when renewing fails.

        Raises LoginNeeded, RefreshFailed or VaultError.
        """
        if secret := self.ready(id_):
            return secret
        await self._keeping.loaded(id_)
        return self.ready(id_) or await self._renewed(id_)

    async def renew(self, id_: AccountId, rejected: str) -> str:
        """Another secret than `rejected`, which the provider answered with 401.

        Raises LoginNeeded, RefreshFailed or VaultError.
        """
        login = await self._keeping.loaded(id_)
        if login.secret != rejected:
            return await self.secret(id_)
        if isinstance(login.stored.credential, ApiKey):
            raise LoginNeeded("The provider refused this API key", "Add the account again with another key.")
        self._logins.change(id_, rejected=True)
        return await self._renewed(id_)

    # --- what the poller and the person ask --------------------------------------------------------

    def due(self, *, dead_only: bool = False) -> list[AccountId]:
        """The logins that `refresh` should renew now: about half an hour before they end, or when they have ended."""
        now = self._clock()
        due = [id_ for id_ in self._logins if self._logins[id_].due(now) and id_ not in self._renewals]
        return [id_ for id_ in due if not (dead_only and self._logins[id_].lives(now))]

    def heed_time(self) -> None:
        """Tell what has changed with the login of each account by the passing of time."""
        for id_ in self._logins:
            self._logins.report(id_)

    async def refresh(self, id_: AccountId) -> None:
        """Renew a login although its token still works; an API key has nothing to renew.

        Raises RefreshFailed, and the token goes on serving as long as it lives; LoginNeeded or VaultError when there
        is none to serve.
        """
        login = await self._keeping.loaded(id_)
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

    async def facts(self, id_: AccountId) -> Facts | None:
        """What can be told of a credential without showing it; None when the vault holds none. Renews nothing.

        Raises VaultError.
        """
        try:
            login = await self._keeping.loaded(id_)
        except LoginNeeded:
            return None
        return Facts.of(login)

    async def look_again(self, id_: AccountId) -> None:
        """Forget what went wrong with a credential and read it again, as at a start; in doubt it is renewed once.

        Raises LoginNeeded, RefreshFailed or VaultError.
        """
        async with self._locks.alone(id_):
            before = self._logins.get(id_)
            if before and before.saved:  # one that is not saved exists nowhere else
                self._logins.drop(id_)
        login = await self._keeping.loaded(id_)
        if before and (before.spent or before.rejected) and login.is_renewable:
            self._logins.change(id_, in_doubt=True)
        await self.secret(id_)

    async def revoke(self, id_: AccountId) -> str:
        """End the login at the provider, which may fail. Returns why it did, empty when it worked.

        Raises LoginNeeded or VaultError when there is nothing to end, RefreshFailed when another process is at it.
        """
        login = await self._keeping.loaded(id_)
        async with self._locks.alone(id_):
            login = self._logins.get(id_) or login
        if not isinstance(login.stored.credential, OAuthTokens) or not login.is_renewable:
            raise LoginNeeded("There is no login of Tidegate's own to end", _SIGN_IN)
        return await self._endpoint.revoke(login.stored.credential)

    # --- what the vault did not take ---------------------------------------------------------------

    def unsaved(self) -> tuple[AccountId, ...]:
        """Accounts whose newest login the vault did not take yet. It is tried again by itself."""
        return self._logins.unsaved()

    def at_risk(self) -> tuple[AccountId, ...]:
        """Of the unsaved ones those that are not sealed either: they exist in memory only. Do not quit."""
        return self._keeping.at_risk()

    async def save(self, within_s: float) -> None:
        """Try to get into the vault what it did not take, until it has all or the time is over."""
        await self._keeping.save(within_s)

    # --- signing in and out ------------------------------------------------------------------------

    async def exchange(self, code: str, challenge: oauth.Challenge) -> oauth.Grant:
        """Turn the code of a sign-in into tokens. Stores nothing. Raises SignInFailed."""
        return await self._endpoint.exchange(code, challenge)

    async def store(self, id_: AccountId, credential: Credential) -> None:
        """Keep a new credential of the account: the next generation, whatever became of the one before.

        Raises VaultError or RefreshFailed, and then the credential before goes on serving.
        """
        async with self._locks.alone(id_):
            await self._keeping.replace(id_, credential)

    async def forget(self, id_: AccountId) -> None:
        """Remove the account's credential from vault and memory. Raises VaultError or RefreshFailed."""
        async with self._locks.alone(id_):
            await self._keeping.remove(id_)

    async def close(self) -> None:
        """Let renewals finish, try once more to save what is not saved, and end the background tasks."""
        if renewals := set(self._renewals.values()):
            await asyncio.wait(renewals, timeout=CLOSE_WITHIN_S)
        await self._keeping.close()

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
        return (await self._keeping.loaded(id_)).secret

    async def _renewal(self, id_: AccountId) -> None:
        """Wait for the account's one renewal; start it, unless the account rests from a failed one."""
        task = self._renewals.get(id_)
        if task is None:
            if self._logins[id_].rests(self._clock()):
                raise self._trouble(id_)
            task = asyncio.create_task(self._renew(id_), name=f"renew {id_}")
            self._renewals[id_] = task
            task.add_done_callback(lambda done: self._landed(id_, done))
            self._logins.renewing(id_, True)
        # A caller that hangs up must not cancel the renewal that others wait for: the provider may already have
        # rotated the refresh token.
        await asyncio.shield(task)

    def _landed(self, id_: AccountId, task: "asyncio.Task[None]") -> None:
        del self._renewals[id_]
        self._logins.renewing(id_, False)
        match None if task.cancelled() else task.exception():
            case TidegateError() as exc:
                log.warning("%s: the login was not renewed: %s", id_, exc.title)
                if isinstance(exc, LoginNeeded):
                    self._on_end(id_, exc)
            case BaseException() as exc:
                log.error("%s: the renewal of the login broke", id_, exc_info=exc)

    async def _renew(self, id_: AccountId) -> None:
        async with self._locks.alone(id_):
            login = self._logins.get(id_)
            # A login that is not saved has kept its lock, so nobody can have left a newer one.
            if login and login.saved and await self._keeping.take_newer(id_):
                login = self._logins[id_]
                if login.lives(self._clock(), MARGIN_S) and not login.in_doubt:
                    return
            if login is None or isinstance(login.stored.credential, ApiKey):
                return  # removed or replaced while we waited
            if login.spent or not login.stored.credential.refresh:
                raise self._refused(id_)
            await self._send(id_, login, login.stored.credential)

    async def _send(self, id_: AccountId, login: Login, tokens: OAuthTokens) -> None:
        await self._recovery.open()
        await self._write_intent(id_, login, tokens)
        reply = await self._endpoint.renew(tokens)
        match reply.answer:
            case oauth.Grant(tokens=renewed, identity=owner):
                await self._keeping.keep(id_, renewed, tokens)
                self._on_owner(id_, owner)
            case oauth.InvalidGrant():
                # It speaks of the token that was sent: if another program has renewed it meanwhile, that one counts.
                # Else the intent stays, so that the files tell of the dead token until another login takes its place.
                if not (login.saved and await self._keeping.take_newer(id_)):
                    raise self._refused(id_)
            case answer:
                in_doubt = login.in_doubt or reply.doubtful
                if not in_doubt:
                    await self._intents.remove(id_)
                self._logins.change(id_, in_doubt=in_doubt)
                raise self._put_off(id_, answer)

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
        login, now = self._logins[id_], self._clock()
        self._logins.change(
            id_,
            failures=login.failures + 1,
            rest_from_at=now,
            rest_until_at=now + (rest_s or login.backoff_s),
            trouble=(title, hint),
        )
        return self._trouble(id_)

    def _put_off(
        self, id_: AccountId, answer: oauth.Throttled | oauth.Misconfigured | oauth.Transient
    ) -> TidegateError:
        """The provider does not renew this login now, and that is not the login's fault."""
        match answer:
            case oauth.Throttled(wait_s=wait_s):
                rest_s = min(max(wait_s or 0.0, THROTTLED_REST_S), LONGEST_THROTTLED_REST_S)
                return self._failed(id_, "The provider renews no logins for the moment", _BY_ITSELF, rest_s)
            case oauth.Misconfigured(text=text):
                title = f"{self._endpoint.url} is the wrong address for renewing logins: {text}"
                return self._failed(id_, title, "Check the endpoint settings; the login is not at fault.")
            case oauth.Transient(text=text):
                return self._failed(id_, f"The login could not be renewed: {text}", _BY_ITSELF)

    def _refused(self, id_: AccountId) -> TidegateError:
        """The refresh token is worth nothing; the access token may still be."""
        self._logins.change(id_, spent=True, in_doubt=False)
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
