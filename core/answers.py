"""What a running instance answers to a person's orders: the shapes that travel to the faces, and what `--json` prints.

A shape grows: what is there keeps its name and its meaning. One with a secret keeps it out of its `repr`.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import msgspec

from core import model
from core.model import AccountId, AccountKind, AccountView, ProviderName, Strategy
from core.policy.explain import Turn


class Done(msgspec.Struct, frozen=True):
    """It is done, and this is what to tell the person."""

    text: str
    account: AccountId | None = None


class KnownBefore(msgspec.Struct, frozen=True):
    """The digest by which a program's key was known until now; empty: by none."""

    sha256: str


class PlannedChange(msgspec.Struct, frozen=True):
    """One setting of a program: what it is and what it would become, in words that hold no secret."""

    setting: str
    before: str
    after: str


class ConnectionPlan(msgspec.Struct, frozen=True):
    """What connecting a program would change in its settings, and what else to know. Nothing is changed by asking."""

    client: str
    name: str
    file: str
    changes: tuple[PlannedChange, ...]
    notes: tuple[str, ...]


class Connected(msgspec.Struct, frozen=True):
    """A program is connected: which of its settings were changed where, and what else to know."""

    text: str
    file: str
    settings: tuple[str, ...]
    notes: tuple[str, ...]


class AccountError(msgspec.Struct, frozen=True):
    """Something that went wrong with an account, as it was told then."""

    at: float
    text: str


class AccountInfo(AccountView, frozen=True):
    """All that is known of one account: its row of the snapshot, and what only this question tells. Holds no secret.

    The shape of `tidegate info --json`. It grows; what is there keeps its name and its meaning.
    """

    at: float = 0.0
    """When this was so."""
    account_uuid: str = ""
    """The provider's id of the person; `key:` and a digest for an account that is known by its key."""
    organization_uuid: str = ""
    """The provider's id of the organisation or workspace, whose limits it draws on."""
    added_at: float = 0.0
    own_login: bool = False
    """A login that Tidegate renews, and may end at the provider."""
    generation: int | None = None
    """How often the credential was stored: each renewal and each sign-in is one more. None: it cannot be read."""
    renewed_at: float | None = None
    renewal_due_at: float | None = None
    errors: tuple[AccountError, ...] = ()
    """The last ones, newest first."""


class Line(msgspec.Struct, frozen=True):
    """Who would serve a provider's next request: every account, the first to be tried first."""

    provider: ProviderName
    turns: tuple[Turn, ...]
    lost_since_at: float | None = None
    """The provider cannot be reached since then: requests wait, whoever is next."""


class Explanation(msgspec.Struct, frozen=True):
    """One line for each provider that was asked about."""

    at: float
    strategy: Strategy
    lines: tuple[Line, ...]
    pause: model.Pause | None = None
    """Nothing is let through, whoever is next."""


class Happened(msgspec.Struct, frozen=True):
    """Something that happened. `kind` is the event's name: `Move` for a failover, `SessionMoved`, `LoginRequired`."""

    at: float
    kind: str
    text: str
    tokens: int = 0
    """What the prompt cache of a conversation that moved held: the price of moving it."""
    labels: tuple[str, ...] = ()
    """The accounts that it is about; those of a move as they were called then."""


class Recounted(msgspec.Struct, frozen=True):
    """What happened, newest first, and what moving conversations cost in the last `within_s`."""

    at: float
    entries: tuple[Happened, ...]
    within_s: float
    moves: int
    tokens: int


class Tally(msgspec.Struct, frozen=True):
    """Requests and the tokens of their answers, added up."""

    requests: int = 0
    not_served: int = 0
    """Requests whose last outcome was a failure, a refusal or a client that left."""
    attempts: int = 0
    input: int = 0
    """Tokens that were read anew, without a prompt cache."""
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0

    @property
    def tokens(self) -> int:
        """All of them."""
        return self.input + self.output + self.cache_read + self.cache_write

    @property
    def from_cache(self) -> float | None:
        """Which share of what was read came from prompt caches; None when nothing was read."""
        read = self.input + self.cache_read + self.cache_write
        return self.cache_read / read if read else None


class UsedBy(Tally, frozen=True):
    """What one account used of one model. `account` is empty when nobody served, or it was removed."""

    account: str = ""
    label: str = ""
    model: str = ""


class UsedIn(Tally, frozen=True):
    """What was used in one span of time, by all."""

    at: float = 0.0
    """When the span began."""


class UsedOver(msgspec.Struct, frozen=True):
    """What was used of one model, by all, over time."""

    model: str
    spans: tuple[UsedIn, ...]
    """The oldest first; those in which it was used."""


class UsageReport(msgspec.Struct, frozen=True):
    """What was used from `since_at` to `at`. `spans` are those of `span_s` in which something was used."""

    at: float
    since_at: float
    span_s: float
    total: Tally
    by: tuple[UsedBy, ...]
    """The most tokens first."""
    spans: tuple[UsedIn, ...]
    """The oldest first."""
    models: tuple[UsedOver, ...]
    """The most tokens first; together their spans are `spans`."""


Points = Sequence[tuple[float, float | None]]
"""Times, the oldest first, and the share from then on; None where it is not known."""


class Curve(msgspec.Struct, frozen=True):
    """The course of one quota window of one account.

    Each point is a time and the utilization from then on; None after a reset, until the window was read anew.
    """

    account: AccountId
    label: str
    window: str
    family: model.ModelFamily | None
    points: tuple[tuple[float, float | None], ...]
    """The oldest first. Where there were more readings than a chart can show: the highest of each span."""


def highest(points: Points, since_at: float, at: float, cells: int) -> list[float | None]:
    """The highest share in each of so many spans of the same length; None where none was known."""
    found: list[float | None] = [None] * cells
    ends = [*(after_at for _, (after_at, _) in pairwise(points)), at]
    for (began_at, share), end_at in zip(points, ends, strict=True):
        if share is None:
            continue
        first, last = (
            min(cells - 1, int((moment - since_at) / (at - since_at) * cells)) for moment in (began_at, end_at)
        )
        for cell in range(first, last + 1):
            found[cell] = max(share, found[cell] or 0.0)
    return found


class QuotaReport(msgspec.Struct, frozen=True):
    """How full the quota windows were from `since_at` to `at`, and who took over from whom."""

    at: float
    since_at: float
    curves: tuple[Curve, ...]
    """In the order of the accounts."""
    moves: tuple[model.Move, ...]
    """The newest first, bounded."""


class RequestEntry(msgspec.Struct, frozen=True):
    """One request of a client, when it was over. Holds nothing of what was asked or answered."""

    at: float
    label: str
    """Of the account that served it last; empty when nobody did."""
    provider: ProviderName
    model: str
    client: str
    """The connected program whose key it carried; empty for the key that every program may have."""
    session: str
    status: int
    outcome: str
    """`Served`, or the name of what went wrong."""
    attempts: int
    input: int
    output: int
    cache_read: int
    cache_write: int
    duration_s: float
    first_byte_s: float | None


class RequestsReport(msgspec.Struct, frozen=True):
    """The last requests, the newest first."""

    at: float
    entries: tuple[RequestEntry, ...]


class LogEntry(msgspec.Struct, frozen=True):
    """One entry of the log. `text` may go over several lines; secrets are out of it as they are out of the log."""

    at: float
    level: str
    request: str
    """The id of the request that it is about; empty for none."""
    text: str


class LogReport(msgspec.Struct, frozen=True):
    """The end of the log, the oldest entry first."""

    at: float
    entries: tuple[LogEntry, ...]


class LocalKey(msgspec.Struct, frozen=True):
    """What clients send to Tidegate."""

    key: str

    def __repr__(self) -> str:
        return "LocalKey()"


class Offer(msgspec.Struct, frozen=True):
    """A sign-in that has begun. `url` comes back by itself (empty without a browser), `paste_url` shows a code."""

    id: str
    url: str
    paste_url: str


class Pending(msgspec.Struct, frozen=True):
    """A sign-in is still under way."""

    pending: bool = True


class ImportLine(msgspec.Struct, frozen=True):
    """What became of something that was found, or would; `problem` is for what could not be read or kept."""

    outcome: Literal["import", "update", "settings", "skip", "problem"]
    text: str
    label: str = ""
    program: str = ""
    kind: AccountKind | None = None
    borrowed: bool = False
    until_at: float | None = None
    """When a login stops to serve."""


class Imported(msgspec.Struct, frozen=True):
    """What an import came to. With `dry_run` nothing was changed.

    `sealed`: the file is an export of Tidegate that wants its passphrase; then nothing was done and there are no lines.
    """

    dry_run: bool
    lines: tuple[ImportLine, ...]
    sealed: bool = False
