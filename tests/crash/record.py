"""What happened in a storm, as events in their order: what the provider did, what was killed, what was found.

The provider's part is the truth; the rest is what Tidegate made of it. A record holds no token: a token is known by
its account, its sign-in and its number in that sign-in.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec


class Event(msgspec.Struct, frozen=True, tag=True):
    """One fact. `run` counts the processes of the storm; 0 is before the first one."""

    run: int


class Token(msgspec.Struct, frozen=True):
    """A refresh token: the `number`th (from 0) of the `login`th sign-in of the storm."""

    login: int
    number: int


class Issued(Event, frozen=True, tag=True):
    """The provider gave out a pair; number 0 is a sign-in."""

    account: str
    token: Token


class Presented(Event, frozen=True, tag=True):
    """A refresh token was judged. One that was not accepted has ended its whole sign-in."""

    account: str
    token: Token
    accepted: bool


class Started(Event, frozen=True, tag=True):
    """The process listens, so many seconds after it was started."""

    seconds: float


class Listed(Event, frozen=True, tag=True):
    """What `tidegate list` would print."""

    accounts: tuple[str, ...]


class Failed(Event, frozen=True, tag=True):
    """The process ended by itself, never listened, or did not do what it was told."""

    text: str


class Shown(Event, frozen=True, tag=True):
    """When every login had been tried: the accounts that are shown as `sign in again`, and the others."""

    gone: tuple[str, ...]
    served: tuple[str, ...]


class Unsettled(Event, frozen=True, tag=True):
    """These accounts neither renewed nor asked for a sign-in in time."""

    accounts: tuple[str, ...]


class Ordered(Event, frozen=True, tag=True):
    """A setting was to become `value`."""

    value: float


class Obeyed(Event, frozen=True, tag=True):
    """Tidegate said that it is `value` now."""

    value: float


class Killed(Event, frozen=True, tag=True):
    """The process got SIGKILL; `where` says at what point."""

    where: str


class Ended(Event, frozen=True, tag=True):
    """The process ended when it was asked to, with this exit code."""

    code: int


class Rest(msgspec.Struct, frozen=True):
    """One account in the files of a process that is gone."""

    token: Token | None
    """None: nothing that can be read, or nothing that was ever issued."""
    generation: int = 0
    in_doubt: bool = False
    sign_in: bool = False


class Found(Event, frozen=True, tag=True):
    """What lay on disk when the process was gone."""

    accounts: Mapping[str, Rest]
    setting: float
    broken: tuple[str, ...] = ()
    """Files that were moved aside, or cannot be read."""


AnyEvent = (
    Issued | Presented | Started | Listed | Failed | Shown | Unsettled | Ordered | Obeyed | Killed | Ended | Found
)


def save(path: Path, events: list[AnyEvent]) -> None:
    """One JSON line an event."""
    path.write_bytes(b"\n".join(msgspec.json.encode(event) for event in events) + b"\n")


def load(path: Path) -> list[AnyEvent]:
    """What `save` wrote."""
    return [msgspec.json.decode(line, type=AnyEvent) for line in path.read_bytes().splitlines()]
