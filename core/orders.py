"""What a person can order: the shapes that travel to a running instance. What it answers is in `answers`.

Arguments are read strictly (an unknown one is an error); types with a secret keep it out of their `repr`.
"""

from typing import Annotated, Literal

import msgspec

from core.model import AccountKind, ProviderName, Serves


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


class Remove(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account goes. `revoke`: its login is ended at the provider as well; only a login of Tidegate's own can be."""

    account: str
    revoke: bool = False


class Rename(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new label."""

    account: str
    label: str


class LimitToPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A subscription rests when its plan is spent (`on`), or goes on into paid extra usage."""

    account: str
    on: bool


class ServeClients(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which clients an account may serve."""

    account: str
    serves: Serves


class PinTo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One account serves its provider, for a while or until unpinned."""

    account: str
    for_s: float | None = None


class Unpin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One pin ends, named by its account or its provider; without a name, every pin."""

    account: str | None = None
    provider: ProviderName | None = None


class Pause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing is let through, for a while or until resumed."""

    for_s: float | None = None


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The accounts named go to the front, in this order; the others keep theirs."""

    accounts: tuple[str, ...]


class ChooseStrategy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A strategy by name; without one the answer tells which is on."""

    name: str | None = None


class Mute(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether an account is silent (`on`): nothing is told about it but what the person must do."""

    account: str
    on: bool


class SwitchFailover(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether others serve when an account cannot."""

    on: bool


class ToClient(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One program, by its name: to connect it, to say what that would change, or to undo it."""

    client: str


class KnowClient(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The digest by which a program's own key is known from now on; empty: by none, its key opens nothing any more."""

    client: str
    sha256: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{64})?$")]


class Explain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who would serve a request of Claude Code, and why: for one provider, else for each that has accounts.

    `model` and `session` are those of the request; without a session it begins a new conversation.
    """

    provider: ProviderName | None = None
    model: str = ""
    session: str | None = None


class Recount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happened lately, so many things of it."""

    limit: int = 20


class RecountUsage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was used in the last so many days."""

    days: int = 7


class RecountQuota(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The course of every quota window in the last so many days."""

    days: int = 1


class RecountRequests(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last requests, so many of them."""

    limit: int = 100


class RecountLog(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The end of the log, so many entries of it; of level `warning`, only those that are one or worse."""

    limit: int = 200
    level: Literal["", "warning"] = ""


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
    `passphrase` opens a sealed export of Tidegate.
    """

    home: str
    environ: dict[str, str] = {}
    path: str | None = None
    source: str | None = None
    dry_run: bool = False
    passphrase: str = ""

    def __repr__(self) -> str:
        return f"ImportFrom(path={self.path!r}, source={self.source!r}, dry_run={self.dry_run!r})"
