"""What a person can order and what is answered: the shapes that travel between the faces and a running instance.

Arguments are read strictly (an unknown one is an error); types with a secret keep it out of their `repr`.
"""

from dataclasses import dataclass, field
from typing import Literal

import msgspec

from core.model import AccountId, AccountKind, ProviderName, Serves

# --- what is ordered -------------------------------------------------------------------------------


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command without arguments."""


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One account, by label, e-mail, id or list number; some commands take `all`."""

    account: str


class AddKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new account that pays with a key."""

    kind: AccountKind
    key: str
    label: str = ""
    serves: Serves = Serves.ANY

    def __repr__(self) -> str:
        return f"AddKey(kind={self.kind!r}, label={self.label!r})"


class BeginLogin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sign-in: to a subscription, or to the Console for a new API key. `browser`: one on this machine comes back."""

    kind: AccountKind = AccountKind.CLAUDE
    label: str = ""
    serves: Serves = Serves.ANY
    browser: bool = True


class AwaitLogin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a sign-in ended; without an answer within `for_s` it is still under way."""

    id: str
    for_s: float = 0.0


class PasteLogin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the provider's page showed at the end of a sign-in."""

    id: str
    text: str

    def __repr__(self) -> str:
        return f"PasteLogin(id={self.id!r})"


class CancelLogin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sign-in that nobody wants any more."""

    id: str


class Rename(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new label."""

    account: str
    label: str


class PinTo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One account serves its provider, for a while or until unpinned."""

    account: str
    for_s: float | None = None


class Unpin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One pin ends, named by its account or its provider; without a name, every pin."""

    account: str | None = None
    provider: ProviderName | None = None


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The accounts named go to the front, in this order; the others keep theirs."""

    accounts: tuple[str, ...]


class ChooseStrategy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A strategy by name; without one the answer tells which is on."""

    name: str | None = None


class GetSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One setting, or all."""

    key: str | None = None


class SetSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One setting, in the words of `tidegate config set`."""

    key: str
    text: str


class ImportFrom(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Take over accounts: from a file or folder, from one program by name, else from every program that is known.

    `home` and `environ` are those of the person who orders: a running instance may have been started with others.
    """

    home: str
    environ: dict[str, str] = {}
    path: str | None = None
    source: str | None = None
    dry_run: bool = False


# --- what is answered ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Done:
    """It is done, and this is what to tell the person."""

    text: str
    account: AccountId | None = None


@dataclass(frozen=True, slots=True)
class LocalKey:
    """What clients send to Tidegate."""

    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Offer:
    """A sign-in that has begun. `url` comes back by itself (empty without a browser), `paste_url` shows a code."""

    id: str
    url: str
    paste_url: str


@dataclass(frozen=True, slots=True)
class Pending:
    """A sign-in is still under way."""

    pending: bool = True


@dataclass(frozen=True, slots=True)
class ImportLine:
    """What became of one account that was found, or would; `problem` is for what could not be read or kept."""

    outcome: Literal["import", "update", "skip", "problem"]
    text: str
    label: str = ""
    program: str = ""
    kind: AccountKind | None = None
    borrowed: bool = False
    until_at: float | None = None
    """When a login stops to serve."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import came to. With `dry_run` nothing was changed."""

    dry_run: bool
    lines: tuple[ImportLine, ...]
