"""The words that fault scenarios are written in: what each side does, when, and what both must see.

A scenario is a two-sided script. The provider's side is a list of turns, one for each request that reaches it (or for
each connection, when it does not wait for a request); when they are used up it serves well. The client's side is a
list of steps, and so is what happens to Tidegate meanwhile: a stop, a full disk, a keychain that hangs. All of these
are values: `play.py` acts them out, `record.py` says what is written down, and `judge.py` judges that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from core.link import Patience
from core.listener import Limits

# --- when -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Arrived:
    """So many requests of clients have reached the provider, at least in part."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class Renewing:
    """So many token requests have reached the provider."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class Begun:
    """The client has received a part of its answer."""

    request: int = 1


@dataclass(frozen=True, slots=True)
class Answered:
    """The client has its answer, or was cut off."""

    request: int = 1


@dataclass(frozen=True, slots=True)
class Left:
    """So many connections to the provider were closed by Tidegate in the middle of a turn."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class Told:
    """Tidegate has told of such an event, by its name in `core.model`."""

    event: str


@dataclass(frozen=True, slots=True)
class Done:
    """A mark was reached, something has happened to Tidegate, or an order was obeyed."""

    what: str


@dataclass(frozen=True, slots=True)
class UnderWay:
    """So many requests have been given to an account and are not over."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class Ready:
    """This account may serve."""

    account: str


Moment = Arrived | Renewing | Begun | Answered | Left | Told | Done | UnderWay | Ready


@dataclass(frozen=True, slots=True)
class When:
    """Wait for a moment. A scenario in which it never comes fails."""

    moment: Moment


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so long by the loop's clock."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Mark:
    """Make it a moment that the script came here: `Done` of the same name."""

    name: str


# --- the provider -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Say:
    """Send these bytes, at once or `by` so many at a time. `{elsewhere}` stands for an address of nobody's."""

    data: bytes
    by: int = 0


@dataclass(frozen=True, slots=True)
class Grant:
    """The refresh token is exchanged; its answer goes out, or is kept (`answer=False`) for a `Tell`."""

    answer: bool = True


@dataclass(frozen=True, slots=True)
class Tell:
    """The answer that a `Grant` has kept goes out."""


class End(Enum):
    """How the provider ends a turn."""

    CLOSE = "close"
    """An orderly end of the connection."""
    RESET = "reset"
    WAIT = "wait"
    """Nothing more, until Tidegate closes."""


class Reads(Enum):
    """How much of a request is read before a turn begins."""

    ALL = "all"
    HEAD = "head"
    """Up to the empty line; the body stays unread."""
    NOTHING = "nothing"
    """The turn begins with the connection."""


Act = Say | Grant | Tell | Pause | When | Mark | End


@dataclass(frozen=True, slots=True)
class Turn:
    """What the provider does with one request, or with one connection. Without an `End` the connection is kept."""

    acts: tuple[Act, ...]
    reads: Reads = Reads.ALL


def turn(*acts: Act | bytes, reads: Reads = Reads.ALL) -> Turn:
    """A turn; bytes are said."""
    return Turn(tuple(Say(act) if isinstance(act, bytes) else act for act in acts), reads)


class Line(Enum):
    """What becomes of connections to a provider."""

    OPEN = "open"
    REFUSED = "refused"
    """Nobody listens."""
    DEAF = "deaf"
    """Connections are neither taken nor refused."""
    NAMELESS = "nameless"
    """Its name does not resolve."""
    MUTE_TLS = "mute TLS"
    """It takes connections and never answers the handshake."""
    NO_TLS = "no TLS"
    """It answers the handshake with something else."""
    DROPPED_TLS = "dropped TLS"
    """It resets the connection in the handshake."""
    FALSE_TLS = "false TLS"
    """Its certificate is nobody's."""


# --- the client -------------------------------------------------------------------------------------


class Sends(Enum):
    """How much of a request the client sends."""

    ALL = "all"
    HALF = "half"
    """The head and half of the body."""
    SLOWLY = "slowly"
    """All of it, in small pieces."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Send a request: the next number, on this client's connection."""

    stream: bool = True
    tools: bool = False
    """With a tool that runs at the provider."""
    sends: Sends = Sends.ALL
    session: str = "one"
    body_bytes: int = 0
    """Padding, for a request that does not fit into socket buffers."""


@dataclass(frozen=True, slots=True)
class Read:
    """Read one whole answer."""


@dataclass(frozen=True, slots=True)
class Hear:
    """Read until so many bytes of the answer have come, or all of it, and then no more."""

    size: int


class Go(Enum):
    """How a client leaves, half leaves, or comes back."""

    RESET = "reset"
    CLOSE = "close"
    HALF_CLOSE = "half-close"
    """It sends no more and still reads."""
    RETURN = "return"
    """It connects anew, to wherever Tidegate listens now."""


Step = Ask | Read | Hear | Go | When | Pause | Mark

# --- what happens to Tidegate -----------------------------------------------------------------------


class Fate(Enum):
    """What happens to Tidegate and around it."""

    STOP = "stop"
    """It is told to stop; goes on without waiting for the end."""
    RESTART = "restart"
    """It is stopped and started again."""
    SUSPEND = "suspend"
    """The machine is about to sleep."""
    DISK_FULL = "disk full"
    DISK_BACK = "disk back"
    LOCK_VAULT = "lock the vault"
    """Reading and writing fail at once."""
    HANG_VAULT = "hang the vault"
    """Calls do not come back."""
    FREE_VAULT = "free the vault"
    SECOND_COPY = "second copy"
    """Another Tidegate is started on the same folder."""
    OTHER_RENEWS = "other renews"
    """Another program with the same login renews it and leaves it in the vault."""
    OTHER_SPENDS = "other spends"
    """Another program renews it and leaves nothing."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The wall clock is set by so many seconds."""

    by_s: float


@dataclass(frozen=True, slots=True)
class Slept:
    """The machine has slept so long, and wakes."""

    for_s: float = 28_800.0


@dataclass(frozen=True, slots=True)
class Connects:
    """What becomes of connections to the provider changes."""

    to: Line


@dataclass(frozen=True, slots=True)
class Order:
    """A person gives an order; `fails` when it must be refused in words."""

    name: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    fails: bool = False


Happening = Fate | Clock | Slept | Connects | Order | When | Pause | Mark

EVER = Patience()
USUAL = Limits()
SOON = Patience(connect_s=0.4, head_s=0.4, idle_s=0.4)
"""For scenarios in which the provider is not waited for."""

# --- what must be seen ------------------------------------------------------------------------------


class Stands(Enum):
    """How an account stands at the end."""

    READY = "ready"
    COOLING = "cooling"
    SIGN_IN = "sign-in"
    LOCKED = "locked"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Sees:
    """What a client must see of one answer."""

    status: int = 200
    whole: bool = True
    """The answer has its proper end."""
    body: bytes | None = None
    """None: not looked at."""
    error: str = ""
    """The type in the error that it got, as the answer or as the last event of the stream."""
    text: str = ""
    """What the message of the error has in it."""
    unknown: bool = False
    """The answer says that the provider may have done the work."""
    retry_after: bool = False
    should_retry: str | None = None
    ping: bool = False
    """It got a ping of Tidegate's."""


@dataclass(frozen=True, slots=True)
class Gone:
    """It left before its answer."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """Its connection ended without a byte of an answer."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One script with both sides, and what must come of it. `cells` are the places of the matrix it fills."""

    name: str
    cells: tuple[tuple[str, str], ...]
    client: tuple[Step, ...] = (Ask(), Read())
    upstream: tuple[Turn, ...] = ()
    tokens: tuple[Turn, ...] = ()
    meanwhile: tuple[Happening, ...] = ()
    line: Line = Line.OPEN
    token_line: Line = Line.OPEN
    accounts: tuple[str, ...] = ("First", "Second")
    ends_in_s: Mapping[str, float] = field(default_factory=dict)
    """Accounts whose login ends sooner than in eight hours."""
    patience: Patience = EVER
    limits: Limits = USUAL
    hurried: bool = False
    """Its subject is a time; it is played with a clock that goes ten times as fast."""
    slow: bool = False
    """It takes seconds, and `make test` leaves it out."""
    sees: tuple[Sees | Gone | Nothing, ...] = (Sees(),)
    """By request."""
    asked: tuple[str, ...] = ("First",)
    """Whose credential each request that reached the provider carried, in order."""
    renewals: int = 0
    """Token requests that reached the provider."""
    outcome: str | None = "Served"
    """The last word of history on the last request. None: there is none."""
    stands: Mapping[str, Stands] = field(default_factory=dict)
    """Accounts that are not ready at the end."""
    tells: tuple[str, ...] = ()
    """Events that must have been told."""
    sdk: str = ""
    """What the official SDK makes of it: `ok`, or the exception's name. Empty: it is not asked."""
