"""What happened in a scenario, written down while it was played: each side tells what it did and saw, nobody judges.

Times are the loop's. A record is all that the judge gets, so it can be forged: that is how the judge is tested.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec


class Fact(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """One thing that happened."""

    at: float


class Asked(Fact, frozen=True, tag=True):
    """A client sent a request, all of it unless it left: its number, its head and its body."""

    request: int
    target: str
    body: bytes
    stream: bool = True
    tools: bool = False


class Quit(Fact, frozen=True, tag=True):
    """A client closed its connection before it had the answer to this request."""

    request: int


class Saw(Fact, frozen=True, tag=True):
    """All that a client received for one request, from the first byte (`began_at`) on, and how its connection ended."""

    request: int
    raw: bytes
    began_at: float | None = None
    ended: bool = False
    """By an orderly end."""
    reset: bool = False


class Attempt(Fact, frozen=True, tag=True):
    """One turn of a provider: what it received, what it said, and how that ended."""

    server: str
    request: int
    """0: not one of a client."""
    account: str
    """Whose credential it carried; empty for nobody's."""
    received: bytes
    whole: bool
    """The request arrived to its end."""
    said: bytes
    ended: bool
    """The provider closed in an orderly way behind what it said."""
    over_at: float
    left_at: float | None = None
    """When Tidegate closed the connection in the middle of the turn."""


class Told(Fact, frozen=True, tag=True):
    """Tidegate told of an event."""

    event: str
    account: str = ""


class Happened(Fact, frozen=True, tag=True):
    """Something happened to Tidegate, or was over."""

    what: str


class Row(Fact, frozen=True, tag=True):
    """What Tidegate's own history says of one request, in order of their ends."""

    outcome: str
    attempts: int
    status: int
    account: str


class Stood(Fact, frozen=True, tag=True):
    """An account at the end: as Tidegate shows it, and what the vault holds of it against the provider's ledger."""

    account: str
    sign_in: str
    rests: tuple[str, ...]
    """The causes of its cooldowns."""
    failures: int
    enabled: bool
    login: str
    newest: bool
    """The stored login is the one that the provider gave out last."""
    known_doubt: bool
    """The files or the sealed recovery say that it may be spent, or hold the newer one."""


class Broke(Fact, frozen=True, tag=True):
    """Something failed inside Tidegate that it has no words for: a logged traceback, a task or a thread that stayed."""

    text: str


AnyFact = Asked | Quit | Saw | Attempt | Told | Happened | Row | Stood | Broke
F = TypeVar("F", bound=Fact)


@dataclass
class Record:
    """The facts of one scenario, in the order in which they were written down."""

    local_key: str = ""
    facts: list[AnyFact] = field(default_factory=list)

    def all(self, kind: type[F]) -> Sequence[F]:
        """The facts of one kind, by time."""
        return sorted((fact for fact in self.facts if isinstance(fact, kind)), key=lambda fact: fact.at)

    def of(self, kind: type[F], request: int) -> Iterator[F]:
        """Those about one request."""
        return (fact for fact in self.all(kind) if fact.request == request)  # type: ignore[attr-defined]

    def attempts(self, request: int | None = None, server: str = "api") -> list[Attempt]:
        """What reached a provider, for one request or for all."""
        return [a for a in self.all(Attempt) if a.server == server and request in {None, a.request}]
