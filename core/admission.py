"""How an account comes in: a key, a setup token, a login, a key made with a Console sign-in.

The credential goes into the vault first, then the account into the config, then into the Pool; what cannot be finished
leaves nothing behind. Whose login it is, and which plan pays for it, is asked when it is safe. The same key twice is
nothing to do; the same login again signs in in place, and so does the key of an account that lost it.
"""

import logging
import secrets
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from core import key_check, oauth, profile
from core.answers import Done
from core.config import Config, ConfigFile
from core.engine import Engine
from core.errors import NothingToDo, SignInFailed, TidegateError, UsageError
from core.known import BY_KEY, SETUP_TOKEN_LIFE_S, SETUP_TOKEN_PREFIX, identity_of, same, who
from core.model import (
    Account,
    AccountId,
    AccountKind,
    ApiKey,
    Credential,
    Endpoints,
    Identity,
    OAuthTokens,
    SignIn,
)
from core.naming import free_label, refuse_taken, valid_label
from core.orders import AddKey, BeginLogin
from core.tokens import Tokens
from core.wording import KIND_NAMES

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

MAX_KEY_BYTES = 1024
NEW = AccountId("")
"""Of an account that is not here yet."""
NOT_HERE = "its credential is not on this computer"
"""Of an account that came without one."""


class Admission:
    """Adds accounts to one installation."""

    def __init__(
        self,
        engine: Engine,
        config: ConfigFile,
        tokens: Tokens,
        *,
        endpoints: Callable[[], Endpoints],
        http: "Callable[[], httpx.AsyncClient]",
        now: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._config = config
        self._tokens = tokens
        self._endpoints = endpoints
        self._http = http
        self._now = now

    async def key(self, order: AddKey) -> Done:
        """A key or a setup token. Raises SignInFailed when the provider refuses it."""
        if order.kind is AccountKind.CLAUDE:
            raise UsageError("A Claude subscription has no key", "Use `tidegate add claude`.")
        key = valid_key(order.key)
        identity = identity_of(key)
        if order.kind is AccountKind.API_KEY and key.startswith(SETUP_TOKEN_PREFIX):
            # Inference only, good for a year, and nothing to renew it with.
            login = OAuthTokens(key, "", self._now() + SETUP_TOKEN_LIFE_S, scopes=("user:inference",))
            return await self._keep(_wish(order, AccountKind.CLAUDE, identity), login)
        return await self.checked(_wish(order, order.kind, identity), key)

    async def checked(self, account: Account, key: str) -> Done:
        """A key that the provider takes, checked with one free request. Raises SignInFailed when it refuses."""
        known = same(self._config.current.accounts, account.kind, account.identity)
        if known is not None:
            await self._refuse_unless_wanted(known)
        owner = await key_check.whose(account.kind, key, account.identity, self._endpoints(), self._http())
        done = await self._keep(replace(account, identity=owner or account.identity), ApiKey(key))
        if owner is None:
            return Done(f"{done.text}. The provider could not be asked whether the key is good", done.account)
        return done

    async def login(self, order: BeginLogin, grant: oauth.Grant) -> Done:
        """A subscription; one that is here already signs in again and keeps its label and place."""
        known = same(self._config.current.accounts, AccountKind.CLAUDE, grant.identity)
        if known is not None:
            done = await self._again(known, grant.tokens, grant.identity)
            await self.describe(known.id)
            return done
        done = await self.add(_wish(order, AccountKind.CLAUDE, grant.identity), grant.tokens)
        if done.account is not None and (twin := await self.describe(done.account)):
            return await self._moved(done.account, twin, grant)
        return done

    async def console(self, order: BeginLogin, grant: oauth.Grant) -> Done:
        """A new API key, made with a Console sign-in that is not kept."""
        key = await key_check.new_key(grant.tokens.access, self._endpoints(), self._http())
        owner = grant.identity
        identity = replace(identity_of(key), organization_uuid=owner.organization_uuid, email=owner.email)
        return await self.add(_wish(order, AccountKind.API_KEY, identity), ApiKey(key))

    async def add(self, account: Account, credential: Credential | None) -> Done:
        """Store the credential, then list the account. When it cannot be listed, the credential goes again.

        The account gets its id here, and a label if it has none. Without a credential it waits for the person to sign
        in, or to add its key.
        """
        label = valid_label(account.label) if account.label else None
        account = replace(account, id=AccountId(secrets.token_hex(4)), added_at=self._now())

        def edit(now: Config) -> Config:
            refuse_known(now.accounts, account.kind, account.identity)
            chosen = label or free_label(now.accounts, account.identity.email or KIND_NAMES[account.kind])
            refuse_taken(now.accounts, chosen)
            return replace(now, accounts=(*now.accounts, replace(account, label=chosen)))

        if credential is not None:
            await self._tokens.store(account.id, credential)
        try:
            config = await self._config.change(edit)
        except TidegateError:
            await self.forget(account)
            raise
        listed = config.accounts[-1]
        self._engine.add(listed)
        if credential is None:
            self._engine.sign_in(listed.id, SignIn.NEEDED, NOT_HERE)
        return Done(f"Added {listed.label}", listed.id)

    async def describe(self, id_: AccountId) -> Account | None:
        """Ask the provider whose a login is and which plan pays for it, if that is not known. Best effort.

        Returns the other account that is the same, when the one asked about turns out to be one.
        """
        account = next((a for a in self._config.current.accounts if a.id == id_), None)
        if account is None or account.kind is not AccountKind.CLAUDE or not _is_wondered_about(account.identity):
            return None
        scopes, access = self._tokens.scopes(id_), self._tokens.ready(id_)
        if access is None or (scopes and profile.SCOPE not in scopes):
            return None
        try:
            owner = await profile.owner(access, self._endpoints(), self._http())
        except SignInFailed:  # what is refused here may serve all the same; requests will tell
            return None
        if owner is None:
            return None
        if account.identity.organization_uuid and who(owner) != who(account.identity):
            return None  # it signed in as somebody, and that stands
        others = [a for a in self._config.current.accounts if a.id != id_]
        if twin := same(others, AccountKind.CLAUDE, owner):
            return twin
        await self.change([id_], lambda a: replace(a, identity=owner))
        return None

    async def _keep(self, account: Account, credential: Credential) -> Done:
        """A key or setup token for a new account, or for the one that it belongs to."""
        known = same(self._config.current.accounts, account.kind, account.identity)
        if known is None:
            return await self.add(account, credential)
        await self._refuse_unless_wanted(known)
        await self._again(known, credential, account.identity)
        return Done(f"{known.label} has its key again", known.id)

    async def _refuse_unless_wanted(self, known: Account) -> None:
        """Raises NothingToDo when an account that is here has its credential and nothing is wrong with it."""
        state = self._engine.pool.state(known.id)
        fine = state is None or state.sign_in is not SignIn.NEEDED
        if fine and await self._tokens.facts(known.id) is not None:
            raise _is_here(known)

    async def _again(self, known: Account, credential: Credential, identity: Identity) -> Done:
        """A new credential for an account: it keeps its label and place, and a borrowed login becomes our own."""
        await self._tokens.store(known.id, credential)
        self._engine.sign_in(known.id, SignIn.OK)
        self._engine.renewed(known.id)
        email = identity.email or known.identity.email
        organization = identity.organization_uuid or known.identity.organization_uuid
        await self.change(
            [known.id],
            lambda a: replace(
                a, identity=replace(a.identity, email=email, organization_uuid=organization), borrowed_from=""
            ),
        )
        return Done(f"{known.label} is signed in again", known.id)

    async def _moved(self, id_: AccountId, twin: Account, grant: oauth.Grant) -> Done:
        """Sign in `twin` with the login of an account that was added a moment ago, and take that one out again.

        In this order no login is ever listed twice: two that renew it would sign each other out.
        """
        added = next(a for a in self._config.current.accounts if a.id == id_)
        await self.remove(added)
        done = await self._again(twin, grant.tokens, twin.identity)
        await self.forget(added)
        return done

    async def remove(self, account: Account) -> None:
        """Take an account off the list. Its credential is still there: `forget` it."""
        await self._config.change(
            lambda now: replace(now, accounts=tuple(a for a in now.accounts if a.id != account.id))
        )
        self._engine.remove(account.id)

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


def _wish(order: AddKey | BeginLogin, kind: AccountKind, identity: Identity) -> Account:
    return Account(NEW, order.label, kind, identity, serves=order.serves)


def valid_key(text: str) -> str:
    """The key as it was pasted. Only its shape is judged."""
    key = text.strip()
    if not key or len(key) > MAX_KEY_BYTES or not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError("This does not look like a key", "Paste the whole key, one line without spaces.")
    return key


def refuse_known(accounts: Iterable[Account], kind: AccountKind, identity: Identity) -> None:
    """Raises NothingToDo when the account is here already."""
    if known := same(accounts, kind, identity):
        raise _is_here(known)


def _is_here(known: Account) -> NothingToDo:
    return NothingToDo(f"This {KIND_NAMES[known.kind]} is here already: {known.label}")


def _is_wondered_about(identity: Identity) -> bool:
    """Whether the provider has more to say of it. Whoever is known by a digest has a setup token, which may not ask."""
    known = identity.account_uuid and identity.organization_uuid and identity.plan
    return not known and not identity.account_uuid.startswith(BY_KEY)
