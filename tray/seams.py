"""What the tray asks of the core and of the desktop, and why it ends."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import Enum, auto
from typing import Protocol

from core.autostart import Status
from core.import_glance import Glance
from core.model import Notification, Snapshot


class Core(Protocol):
    """The core, as the tray sees it. Every method may be called from any thread."""

    def snapshot(self) -> Snapshot:
        """The picture of this moment. Cheap: it is called for each drawing."""

    def do(self, name: str, /, **arguments: object) -> None:
        """Give the core a command and do not wait. What comes of it shows in the snapshot or as a notification.

        The names and arguments are those of `core.commands`.
        """

    def subscribed(
        self, changed: Callable[[], None], notify: Callable[[Notification], None], ended: Callable[[str], None]
    ) -> AbstractContextManager[None]:
        """Until the block ends, call `changed` after every change of the snapshot and `notify` with each message.

        `ended` is called with the reason when the core has failed or hangs, and with none when it answers again. It
        may be called before the block begins.
        """

    def answering(self, shows: Callable[[], None]) -> AbstractContextManager[None]:
        """Until the block ends, call `shows` when somebody starts Tidegate a second time."""

    def local_key(self) -> str:
        """The key that clients of the proxy send."""

    def sign_in(self, kind: str) -> str:
        """Begin a sign-in. Returns the address for the browser; how it ends comes as a notification."""

    def look_around(self, found: Callable[[Glance], None]) -> None:
        """Have `found` called, soon and at most once, with what other programs have that could be imported."""

    def take_over(self) -> None:
        """Import it, and do not wait. What comes of it shows in the snapshot and as a notification."""

    def dashboard_url(self) -> str:
        """Where a browser finds the dashboard; empty while there is none."""

    def stop(self) -> None:
        """Stop, and wait until it is safe to end the process. Raises TidegateError when it is not; twice is fine."""

    def finish(self) -> None:
        """The process ends whatever is said: save what can be saved, and be quick about it."""


class End(Enum):
    """Why there is no icon any more."""

    QUIT = auto()
    """The person quit, or the desktop session is over."""
    AGAIN = auto()
    """The core has failed or hangs, and the person wants another one."""


class Autostart(Protocol):
    """Whether the desktop starts Tidegate when the person logs in. Raises TidegateError when it cannot be told."""

    def status(self) -> Status:
        """How it is now."""

    def switch_on(self) -> Status:
        """Have it do so."""

    def switch_off(self) -> Status:
        """Have it do so no longer."""
