"""What importing speaks of: what was read, the accounts found in it, what was wrong with it. No repr shows a secret."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.model import AccountKind, Identity, Serves

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Database:
    """The tables of an SQLite file that some importer asks for, with those of its columns that are there."""

    tables: Mapping[str, tuple[Row, ...]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Document:
    """One thing that was read: decoded JSON, a `Database`, or the text of a keychain item.

    `beside` holds the other files that its importer asks for, by their path from its folder.
    """

    path: str
    content: object = field(repr=False)
    beside: Mapping[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class KeychainItem:
    """A generic password in the keychain of macOS."""

    service: str
    account: str


@dataclass(frozen=True, slots=True)
class Choices:
    """What the person chose for an account, in an export of Tidegate. Worth having without a credential."""

    serves: Serves = Serves.ANY
    plan_limits_only: bool = False
    muted: bool = False


PLAIN = Choices()


@dataclass(frozen=True, slots=True)
class Found:
    """One account that another program has.

    The refresh token of a login is not here: what Tidegate does not hold it cannot spend. `lineage` is a fingerprint of
    it, to know two copies of one login; it is empty for keys and for logins that nobody can renew.
    """

    program: str
    kind: AccountKind
    secret: str = field(repr=False)
    """The access token or key. Empty when the program has none at the moment."""
    label: str = ""
    identity: Identity = field(default_factory=Identity)
    enabled: bool = True
    expires_at: float | None = None
    lineage: str = ""
    scopes: tuple[str, ...] = ()
    borrowed_from: str = ""
    """Who renews the login, when that is not `program`."""
    choices: Choices | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that could not be read: where, and why."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Preferences:
    """Settings in an export of Tidegate, in the words of `tidegate config set`."""

    path: str
    texts: Mapping[str, str]


Finding = Found | Preferences | Problem
