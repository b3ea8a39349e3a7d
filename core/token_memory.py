"""The logins in memory, and who hears how they are doing."""

from collections.abc import Callable, Iterator

from msgspec.structs import replace

from core.model import AccountId, LoginHealth
from core.token_login import Login
from core.vault import Stored


class Logins:
    """One `Login` for each account whose credential was loaded. Every change is reported, once."""

    def __init__(
        self,
        clock: Callable[[], float],
        jitter: Callable[[], float],
        on_health: Callable[[AccountId, LoginHealth], None],
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self._on_health = on_health
        self._logins: dict[AccountId, Login] = {}
        self._renewing: set[AccountId] = set()
        self._reported: dict[AccountId, LoginHealth] = {}

    def get(self, id_: AccountId) -> Login | None:
        """What is known of an account's login; None when it is not in memory."""
        return self._logins.get(id_)

    def __getitem__(self, id_: AccountId) -> Login:
        return self._logins[id_]

    def __iter__(self) -> Iterator[AccountId]:
        return iter(self._logins)

    def unsaved(self) -> tuple[AccountId, ...]:
        """Accounts whose newest login the vault did not take yet."""
        return tuple(id_ for id_, login in self._logins.items() if not login.saved)

    def take(self, id_: AccountId, stored: Stored, *, granted: bool = False, **known: object) -> None:
        """Make `stored` the account's login; what was known of the one before is over."""
        login = Login.of(stored, self._jitter(), granted_at=self._clock() if granted else None)
        self._logins[id_] = replace(login, **known)
        self.report(id_)

    def change(self, id_: AccountId, **changes: object) -> None:
        """Something happened to a login."""
        self._logins[id_] = replace(self._logins[id_], **changes)
        self.report(id_)

    def renewing(self, id_: AccountId, yes: bool) -> None:
        """A renewal begins or is over."""
        (self._renewing.add if yes else self._renewing.discard)(id_)
        self.report(id_)

    def drop(self, id_: AccountId) -> None:
        """Load it anew when it is wanted again."""
        self._logins.pop(id_, None)

    def forget(self, id_: AccountId) -> None:
        """The account goes."""
        self.drop(id_)
        self._reported.pop(id_, None)

    def report(self, id_: AccountId) -> None:
        """Tell how a login is doing, if that has changed: by what happened to it, or by the passing of time."""
        if (login := self._logins.get(id_)) is None:
            return
        health = login.health(self._clock(), renewing=id_ in self._renewing)
        if health != self._reported.get(id_):
            self._reported[id_] = health
            self._on_health(id_, health)
