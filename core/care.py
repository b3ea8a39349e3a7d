"""What is done about accounts that are here: told of, renewed, taken back into favour, removed."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from msgspec.structs import asdict

from core.admission import Admission
from core.answers import AccountError, AccountInfo, Done
from core.engine import Engine
from core.errors import NothingToDo, TidegateError, UsageError
from core.model import Account, AccountId, AccountKind, SignIn
from core.naming import labels
from core.tokens import Tokens

ERRORS_TOLD = 5
_WHERE_KEYS_END = {AccountKind.API_KEY: "the Anthropic Console", AccountKind.GO: "OpenCode's console"}


class Past(Protocol):
    """What history tells of one account."""

    async def renewed_at(self, id_: AccountId) -> float | None:
        """When its login was last renewed, or signed in again."""

    async def errors(self, id_: AccountId, limit: int) -> Sequence[tuple[float, str]]:
        """What went wrong with it and when, newest first."""


class Care:
    """Looks after the accounts of one installation. `read_quota` reads an account's quota if that can be done now."""

    def __init__(
        self,
        engine: Engine,
        tokens: Tokens,
        admission: Admission,
        past: Past,
        read_quota: Callable[[AccountId], Awaitable[None]],
    ) -> None:
        self._engine = engine
        self._tokens = tokens
        self._admission = admission
        self._past = past
        self._read_quota = read_quota

    async def info(self, account: Account) -> AccountInfo:
        """All that is known of an account. Its credential is loaded, never renewed."""
        try:
            facts = await self._tokens.facts(account.id)
        except TidegateError as exc:
            self._engine.without_secret(account.id, exc)
            facts = None
        errors = await self._past.errors(account.id, ERRORS_TOLD)
        renewed_at = await self._past.renewed_at(account.id)
        picture = self._engine.snapshot()
        view = next(view for view in picture.accounts if view.id == account.id)
        return AccountInfo(
            **asdict(view),
            at=picture.at,
            account_uuid=account.identity.account_uuid,
            organization_uuid=account.identity.organization_uuid,
            added_at=account.added_at,
            own_login=facts is not None and facts.is_renewable,
            generation=facts.generation if facts else None,
            renewed_at=renewed_at,
            renewal_due_at=facts.due_at if facts else None,
            errors=tuple(AccountError(at, text) for at, text in errors),
        )

    async def refresh(self, accounts: Sequence[Account]) -> Done:
        """Renew the logins among them now. Raises NothingToDo, or TidegateError that says who failed."""
        logins = [account for account in accounts if account.kind is AccountKind.CLAUDE]
        if not logins:
            raise NothingToDo("There is no login to renew", "API keys and OpenCode Go keys stay valid by themselves.")
        await self._each(logins, self._refresh)
        return Done(f"Renewed {labels(logins)}")

    async def _refresh(self, account: Account) -> None:
        await self._tokens.refresh(account.id)
        self._engine.sign_in(account.id, SignIn.OK)

    async def reset(self, accounts: Sequence[Account]) -> Done:
        """Forget what is held against them, try their credentials again, and read their quota where that can be asked.

        Raises NothingToDo, or TidegateError that says who is still not ready.
        """
        if not accounts:
            raise NothingToDo("There is no account yet")
        await self._each(accounts, self._reset)
        return Done(f"Nothing is held against {labels(accounts)} any more")

    async def _reset(self, account: Account) -> None:
        self._engine.reset(account.id)
        await self._tokens.look_again(account.id)
        await self._read_quota(account.id)

    async def _each(self, accounts: Sequence[Account], deed: Callable[[Account], Awaitable[None]]) -> None:
        """Do it for all, then tell who failed. Raises TidegateError."""
        failed: list[TidegateError] = []
        for account in accounts:
            try:
                await deed(account)
            except TidegateError as exc:
                self._engine.without_secret(account.id, exc)
                failed.append(TidegateError(f"{account.label}: {exc.title}", exc.hint))
        if failed:
            raise TidegateError("; ".join(exc.title for exc in failed), failed[0].hint)

    async def remove(self, account: Account, *, revoke: bool) -> Done:
        """An account goes, and its credential with it; with `revoke` its login also ends at the provider.

        First the account is off the list, then the rest is tried: nothing that fails there keeps it. Raises UsageError
        when there is no login to revoke.
        """
        is_own = account.kind is AccountKind.CLAUDE and not account.borrowed_from
        if revoke and not is_own:
            raise UsageError(f"{account.label} has no login of its own to end", _where_it_ends(account))
        await self._admission.remove(account)
        said = [f"Removed {account.label}"]
        if not is_own:
            said.append(_where_it_ends(account))
        elif revoke:
            said.append(await self._revoked(account))
        if left_over := await self._admission.forget(account):
            said.append(f"Its credential could not be deleted: {left_over}")
        return Done(". ".join(part.removesuffix(".") for part in said), account.id)

    async def _revoked(self, account: Account) -> str:
        """End the login at the provider, best effort, and say what came of it."""
        try:
            failed = await self._tokens.revoke(account.id)
        except TidegateError as exc:
            failed = exc.title
        if not failed:
            return "Its login was ended at the provider"
        return f"Its login could not be ended at the provider: {failed}. Your account's settings there can end it"


def _where_it_ends(account: Account) -> str:
    """What the person does about a credential that Tidegate cannot end."""
    if account.borrowed_from:
        return f"Its login belongs to {account.borrowed_from} and stays there."
    return f"The key itself stays valid: delete it in {_WHERE_KEYS_END[account.kind]}."
