"""What a program needs in its settings so that it uses Tidegate. Pure: values in, edits out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from core import jsonc

Path = tuple[str, ...]
Get = Callable[..., Any]
"""The value of the setting at the path that its arguments are; None when there is none."""


class Form(Protocol):
    """How settings are written: one of them is read, put or dropped, and the rest of the text stays.

    Each raises ValueError when the text does not read.
    """

    def get(self, text: str, path: Sequence[str]) -> tuple[bool, Any]:
        """Whether it is there, and its value."""

    def put(self, text: str, path: Sequence[str], value: Any) -> str:
        """The text with this value."""

    def drop(self, text: str, path: Sequence[str]) -> str:
        """The text without it."""


@dataclass(frozen=True, slots=True)
class Offered:
    """What is written into the settings."""

    address: str
    """`http://127.0.0.1:8433`."""
    key: str = field(repr=False)
    models: Mapping[str, str] = field(default_factory=dict)
    """Names of the models that accounts can serve, by id."""
    command: Sequence[str] = ()
    """What starts this installation's `tidegate`, the name of a command still to come."""


def _replaced(_: Any, ours: Any) -> Any:
    return ours


def _nobodys(_: Any) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting that Tidegate makes.

    `merged` says what becomes of the value that was there (None: there is none), `parted` what is left of a value that
    was merged and has changed since, when ours goes (None: nothing). Without it a changed value is the person's own.
    `ours` tells whether a value was left behind by another installation of Tidegate; a key of ours is known anyway.
    """

    path: Path
    value: Any
    secret: bool = False
    merged: Callable[[Any, Any], Any] = _replaced
    parted: Callable[[Any, Any], Any] | None = None
    ours: Callable[[Any], bool] = _nobodys


@dataclass(frozen=True, slots=True)
class Client:
    """One program.

    `places` are where its settings may be, with the names of `folders` in braces: the first file that exists counts,
    else the first whose folder does, else the first. `notes` tell the person what else to know, from what is set and
    from the environment.
    """

    name: str
    places: Callable[[Mapping[str, str]], Sequence[str]]
    settings: Callable[[Offered], Sequence[Setting]]
    notes: Callable[[Get, Mapping[str, str]], Iterable[str]]
    form: Callable[[str], Form] = lambda _: jsonc


def by_name(before: Any, ours: Sequence[Mapping[str, Any]]) -> Any:
    """A list of entries with names: ours in place of those that have the same."""
    return [*(without_names(before, ours) or ()), *ours]


def without_names(now: Any, ours: Sequence[Mapping[str, Any]]) -> Any:
    """The list without entries that have the names of ours; None when none is left."""
    names = [entry["name"] for entry in ours]  # compared, not hashed: in a person's file a name may be anything
    others = now if isinstance(now, list) else []
    return [e for e in others if not (isinstance(e, dict) and e.get("name") in names)] or None


def environment(offered: Offered) -> dict[str, str]:
    """What Anthropic's SDKs and most programs on them read. The base URL has no `/v1` here."""
    return {"ANTHROPIC_BASE_URL": offered.address, "ANTHROPIC_AUTH_TOKEN": offered.key}
