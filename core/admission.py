"""How an account comes in: a key, a setup token, a login, a key made with a Console sign-in.

The credential goes into the vault first, then the account into the config, then into the Pool; what cannot be finished
leaves nothing behind. The same key twice is nothing to do; the same login again signs in in place.
"""

import logging
import secrets
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

import httpx

from core import key_check, oauth
from core.config import Config, ConfigFile
from core.engine import Engine
from core.errors import NothingToDo, TidegateError, UsageError
from core.known import SETUP_TOKEN_LIFE_S, SETUP_TOKEN_PREFIX, identity_of, same
from core.model import (
    Account,
    AccountId,
    AccountKind,
    ApiKey,
    Credential,
    Endpoints,
    Identity,
    OAuthTokens,
    Serves,
    SignIn,
)
from core.naming import free_label, refuse_taken, valid_label
from core.orders import AddKey, BeginLogin, Done
from core.tokens import Tokens
from core.wording import KIND_NAMES

log = logging.getLogger(__name__)

MAX_KEY_BYTES = 1024


class Admission:
    """Adds accounts to one installation."""

    def __init__(
        self,
        engine: Engine,
        config: ConfigFile,
        tokens: Tokens,
        *,
        endpoints: Callable[[], Endpoints],
        http: Callable[[], httpx.AsyncClient],
        now: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._config = config
        self._tokens = tokens
        self._endpoints = endpoints
        self._http = http
        self._now = now

    async def key(self, order: AddKey, *, enabled: bool = True) -> Done:
        """A key that the provider takes, checked with one free request. Raises SignInFailed when it refuses."""
        if order.kind is AccountKind.CLAUDE:
            raise UsageError("A Claude subscription has no key", "Use `tidegate add claude`.")
        key = valid_key(order.key)
        identity = identity_of(key)
        if order.kind is AccountKind.API_KEY and key.startswith(SETUP_TOKEN_PREFIX):
            # Inference only, good for a year, and nothing to renew it with.
            login = OAuthTokens(key, "", self._now() + SETUP_TOKEN_LIFE_S, scopes=("user:inference",))
            return await self.add(AccountKind.CLAUDE, order.label, order.serves, identity, login)
        refuse_known(self._config.current.accounts, order.kind, identity)
        checked = await key_check.whose(order.kind, key, identity, self._endpoints(), self._http())
        done = await self.add(order.kind, order.label, order.serves, checked or identity, ApiKey(key), enabled=enabled)
        if checked is None:
            return replace(done, text=f"{done.text}. The provider could not be asked whether the key is good")
        return done

    async def login(self, order: BeginLogin, grant: oauth.Grant) -> Done:
        """A subscription; one that is here already signs in again and keeps its label and place."""
        known = same(self._config.current.accounts, AccountKind.CLAUDE, grant.identity)
        if known is None:
            return await self.add(AccountKind.CLAUDE, order.label, order.serves, grant.identity, grant.tokens)
        await self._tokens.store(known.id, grant.tokens)
        self._engine.sign_in(known.id, SignIn.OK)
        email = grant.identity.email or known.identity.email
        await self.change(  # a borrowed login becomes Tidegate's own here
            [known.id], lambda a: replace(a, identity=replace(a.identity, email=email), borrowed_from="")
        )
        return Done(f"{known.label} is signed in again", known.id)

    async def console(self, order: BeginLogin, grant: oauth.Grant) -> Done:
        """A new API key, made with a Console sign-in that is not kept."""
        key = await key_check.new_key(grant.tokens.access, self._endpoints(), self._http())
        owner = grant.identity
        identity = replace(identity_of(key), organization_uuid=owner.organization_uuid, email=owner.email)
        return await self.add(AccountKind.API_KEY, order.label, order.serves, identity, ApiKey(key))

    async def add(
        self,
        kind: AccountKind,
        label: str,
        serves: Serves,
        identity: Identity,
        credential: Credential,
        *,
        enabled: bool = True,
        borrowed_from: str = "",
    ) -> Done:
        """Store the credential, then list the account. When it cannot be listed, the credential goes again."""
        wanted = valid_label(label) if label else None
        id_, now = AccountId(secrets.token_hex(4)), self._now()
        account = Account(id_, "", kind, identity, enabled, serves, added_at=now, borrowed_from=borrowed_from)

        def edit(now: Config) -> Config:
            refuse_known(now.accounts, kind, identity)
            label = wanted or free_label(now.accounts, identity.email or KIND_NAMES[kind])
            refuse_taken(now.accounts, label)
            return replace(now, accounts=(*now.accounts, replace(account, label=label)))

        await self._tokens.store(account.id, credential)
        try:
            config = await self._config.change(edit)
        except TidegateError:
            await self.forget(account)
            raise
        account = config.accounts[-1]
        self._engine.add(account)
        return Done(f"Added {account.label}", account.id)

    async def change(self, ids: Collection[AccountId], edit: Callable[[Account], Account]) -> None:
        """Save another version of some accounts, then show it."""
        config = await self._config.change(
            lambda now: replace(now, accounts=tuple(edit(a) if a.id in ids else a for a in now.accounts))
        )
        for account in config.accounts:
            if account.id in ids:
                self._engine.replace(account)

    async def forget(self, account: Account) -> str:
        """Delete the credential. Returns why it is still there, empty when it is gone."""
        try:
            await self._tokens.forget(account.id)
        except TidegateError as exc:
            log.warning("The credential of %s (%s) stays in the vault: %s", account.label, account.id, exc.title)
            return exc.title
        return ""


def valid_key(text: str) -> str:
    """The key as it was pasted. Only its shape is judged."""
    key = text.strip()
    if not key or len(key) > MAX_KEY_BYTES or not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError("This does not look like a key", "Paste the whole key, one line without spaces.")
    return key


def refuse_known(accounts: Iterable[Account], kind: AccountKind, identity: Identity) -> None:
    """Raises NothingToDo when the account is here already."""
    if known := same(accounts, kind, identity):
        raise NothingToDo(f"This {KIND_NAMES[kind]} is here already: {known.label}")
