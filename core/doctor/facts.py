"""What the doctor found, before anybody judges it. Pure."""

from dataclasses import dataclass, field
from typing import Literal

from core.answers import AccountInfo

Tray = Literal["status-notifier", "xembed", "none", "not-asked"]
"""Which kind of tray there is; `not-asked` where the system always has one, or there is no desktop to ask."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that failed, with what to do about it."""

    title: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Instance:
    """The one that runs."""

    pid: int
    port: int
    version: str


@dataclass(frozen=True, slots=True)
class Desktop:
    """What shows an icon and messages here. `session` is None where no session bus has to be asked (no Linux)."""

    session: bool | None
    tray: Tray = "not-asked"
    notifications: bool = False


@dataclass(frozen=True, slots=True)
class Program:
    """A connected program. `ours`: its settings are as they were written; None when their file is gone."""

    name: str
    file: str
    address: str
    ours: bool | None
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Reached:
    """Whether a provider's address takes connections. `wanted`: there is an account that needs it."""

    where: str
    wanted: bool
    took_s: float = 0.0
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file that others than its owner may read or write."""

    path: str
    mode: int


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it."""

    at: float
    version: str
    system: str
    folder: str
    port: int
    desktop: Desktop
    free_bytes: int
    instance: Instance | None = None
    hung: bool = False
    """Somebody has the installation's lock, and does not answer."""
    taken_by: str | None = None
    """Who holds the port, when it is not our instance: ` by nginx (pid 7)`, empty when nobody tells; None: nobody."""
    installed: bool = True
    """There is a config."""
    has_key: bool = True
    """The local key was made."""
    local_key: Trouble | None = None
    vault: Trouble | None = None
    vault_kind: str = "keyring"
    vault_took_s: float = 0.0
    skew_s: float | None = None
    """How far this computer's clock is ahead of the provider's; None when it could not be asked."""
    programs: tuple[Program, ...] = ()
    accounts: tuple[AccountInfo, ...] = ()
    accounts_trouble: Trouble | None = None
    upstreams: tuple[Reached, ...] = ()
    open_files: tuple[OpenFile, ...] = ()
    changed_settings: tuple[str, ...] = ()
    """Names only: a value may be an address of the person's."""
    other: tuple[Trouble, ...] = field(default_factory=tuple)
    """What kept the doctor from looking."""
