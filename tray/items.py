"""What a menu is made of: rows, and what each would do when it is clicked. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass

from core.model import AccountKind

# --- what a row does -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Order:
    """Give the core a command."""

    name: str
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class SignIn:
    """Open the provider's page. For a new account and for one that is here: the provider's answer tells which."""

    kind: AccountKind


@dataclass(frozen=True, slots=True)
class Import:
    """Take over the accounts that other programs have."""


@dataclass(frozen=True, slots=True)
class CopyAddress:
    """Put the proxy's address on the clipboard."""


@dataclass(frozen=True, slots=True)
class CopyKey:
    """Put the local key on the clipboard."""


@dataclass(frozen=True, slots=True)
class OpenDashboard:
    """Open the status page in the browser: at the part with the id `place`, or with that button's dialog."""

    place: str = ""


@dataclass(frozen=True, slots=True)
class OpenFolder:
    """Show a folder in the file manager."""

    path: str


@dataclass(frozen=True, slots=True)
class StartAtLogin:
    """Have the desktop start Tidegate when the person logs in, or no longer."""

    on: bool


@dataclass(frozen=True, slots=True)
class StartAgain:
    """Start a core in place of the one that has failed."""


@dataclass(frozen=True, slots=True)
class Quit:
    """Stop Tidegate."""


Action = Order | SignIn | Import | CopyAddress | CopyKey | OpenDashboard | OpenFolder | StartAtLogin | StartAgain | Quit


# --- rows ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """A heading or small print: keyboards and screen readers may pass over it."""

    label: str


@dataclass(frozen=True, slots=True)
class Button:
    """Something to do. Without an action it cannot be clicked."""

    label: str
    action: Action | None


@dataclass(frozen=True, slots=True)
class Radio:
    """One of several, of which at most one is chosen."""

    label: str
    action: Action | None
    checked: bool


@dataclass(frozen=True, slots=True)
class Check:
    """Something that is on or off."""

    label: str
    action: Action | None
    checked: bool


@dataclass(frozen=True, slots=True)
class Submenu:
    """Rows behind a row."""

    label: str
    items: tuple["Item", ...]


@dataclass(frozen=True, slots=True)
class Separator:
    """A line between groups."""


Item = Line | Button | Radio | Check | Submenu | Separator
