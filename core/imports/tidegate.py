"""Tidegate's own export: its form, written and read.

An export never holds a refresh token. It would be worth something until the next renewal only, which is hours away, and
whoever used it afterwards would sign both installations out. So a login goes along as its access token, borrowed from
the installation that renews it, and the new one signs in for itself.
"""

from collections.abc import Iterable, Iterator, Mapping

from core.imports.entry import Malformed, each, epoch_s, mapping, members, text, token
from core.imports.found import Choices, Document, Finding, Found, Preferences, Problem
from core.known import BY_KEY
from core.model import Account, AccountKind, ApiKey, Credential, Identity, OAuthTokens, Serves

PROGRAM = "Tidegate's export"
ELSEWHERE = "another Tidegate"
"""Who renews a login that was exported."""
VERSION = 1
MARK = "tidegate_export"
SEALED = "sealed"
OF_THE_MACHINE = frozenset({"port", "log"})
"""Settings that stay where they are. So do the endpoints: where credentials go is never taken from a file."""


# --- written ---------------------------------------------------------------------------------------


def document(
    accounts: Iterable[tuple[Account, Credential | None]], settings: Mapping[str, str], made_at: float
) -> dict[str, object]:
    """The export as JSON has it: accounts in the person's order, and settings by name."""
    return {
        MARK: VERSION,
        "made_at": made_at,
        "accounts": [_entry(account, credential) for account, credential in accounts],
        "settings": {name: said for name, said in settings.items() if _travels(name)},
    }


def _entry(account: Account, credential: Credential | None) -> dict[str, object]:
    identity = account.identity
    entry: dict[str, object] = {
        "label": account.label,
        "kind": account.kind.value,
        "account_uuid": identity.account_uuid,
        "organization_uuid": identity.organization_uuid,
        "email": identity.email,
        "plan": identity.plan,
        "enabled": account.enabled,
        "serves": account.serves.value,
        "plan_limits_only": account.plan_limits_only,
        "muted": account.muted,
        "borrowed_from": account.borrowed_from,
    }
    match credential:
        case ApiKey(key=key):
            entry["key"] = key
        case OAuthTokens(access=access, expires_at=expires_at, scopes=scopes):
            entry |= {"access": access, "expires_at": expires_at, "scopes": list(scopes)}
            if credential.refresh:
                entry["borrowed_from"] = ELSEWHERE
    return entry


def _travels(name: str) -> bool:
    return name not in OF_THE_MACHINE and not name.startswith("endpoints.")


# --- read ------------------------------------------------------------------------------------------


def fits(content: object) -> bool:
    """It says what it is."""
    return MARK in mapping(content)


def sealed_part(content: object) -> object | None:
    """What only its passphrase opens; None when the export is open."""
    export = mapping(content)
    return export.get(SEALED) if MARK in export else None


def read(document: Document) -> Iterator[Finding]:
    """The accounts in their order, then the settings."""
    export = mapping(document.content)
    if export.get(MARK) != VERSION:
        yield Problem(document.path, "it is an export of a newer Tidegate")
        return
    yield from each(document.path, members(export.get("accounts")), _accounts)
    texts = {name: text(said) for name, said in mapping(export.get("settings")).items() if _travels(name)}
    if texts:
        yield Preferences(document.path, texts)


def _accounts(entry: Mapping[str, object]) -> Iterable[Found]:
    try:
        kind, serves = AccountKind(text(entry.get("kind"))), Serves(text(entry.get("serves")) or Serves.ANY)
    except ValueError:
        raise Malformed("it is of a kind that this Tidegate does not know") from None
    secret = token(entry.get("access") if kind is AccountKind.CLAUDE else entry.get("key"))
    yield Found(
        PROGRAM,
        kind,
        secret,
        text(entry.get("label")),
        _identity(entry, known_by_secret=bool(secret)),
        entry.get("enabled") is not False,
        epoch_s(entry.get("expires_at")),
        scopes=tuple(scope for scope in members(entry.get("scopes")) if isinstance(scope, str)),
        borrowed_from=text(entry.get("borrowed_from")),
        choices=Choices(serves, entry.get("plan_limits_only") is True, entry.get("muted") is True),
    )


def _identity(entry: Mapping[str, object], *, known_by_secret: bool) -> Identity:
    """Who it is. The digest of a key counts only where the key itself is not there to tell."""
    account, organization = text(entry.get("account_uuid")), text(entry.get("organization_uuid"))
    if known_by_secret and account.startswith(BY_KEY):
        account = organization = ""
    return Identity(account, organization, text(entry.get("email")), text(entry.get("plan")))
