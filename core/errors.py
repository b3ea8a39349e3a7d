"""What stops a piece of work, said as a person would say it.

Menu, command line, control API and log all show `title` and `hint`, nothing else.
"""

UNREADABLE = (ValueError, RecursionError)
"""All that msgspec and json raise on bytes from outside: no JSON, of another shape, no UTF-8; nested without end."""


class TidegateError(Exception):
    """Something failed: `title` says what, `hint` what the person can do about it."""

    exit_code = 1

    def __init__(self, title: str, hint: str = "") -> None:
        super().__init__(title)
        self.title = title
        self.hint = hint


class UsageError(TidegateError):
    """The person's words do not fit: unknown account, bad value, missing piece."""

    exit_code = 2


class NothingToDo(TidegateError):
    """Already so, or nothing is ready."""

    exit_code = 3


class VaultError(TidegateError):
    """The vault did not do what was asked. Nothing was deleted."""


class VaultLocked(VaultError):
    """The vault is there and locked: a person can unlock it."""


class VaultAbsent(VaultError):
    """No vault answers on this machine."""


class VaultTimeout(VaultError):
    """The vault did not answer in time; its state is unknown."""


class InstanceRunning(TidegateError):
    """Another Tidegate owns this data directory."""


class PortTaken(TidegateError):
    """Somebody else listens on the port."""


class NoDesktop(TidegateError):
    """There is no desktop to show an icon in."""


class SignInFailed(TidegateError):
    """A sign-in or a key was refused, or its answer could not be read."""


class LoginNeeded(TidegateError):
    """Only the person can bring this account back: by signing in, or with another key."""


class RefreshFailed(TidegateError):
    """A login was not renewed, and that says nothing against the login. It will be tried again."""
