"""What is known of one account's credential, and the rules of its time: when it can be sent, is due, and rests."""

from dataclasses import dataclass, replace

from core.model import ApiKey
from core.vault import Stored

MARGIN_S = 60.0
"""A token that ends sooner is not sent: it could end on the way."""
EARLY_S = 1_800.0
"""How long before its end a login is due, so that a throttled token endpoint still leaves time."""
JITTER = 0.2
"""The share of EARLY_S that is left to chance, so that accounts added together do not renew together."""
FIRST_REST_S = 5.0
LONGEST_REST_S = 300.0
"""The rest after a failed renewal doubles from the first to the longest."""
THROTTLED_REST_S = 300.0
LONGEST_THROTTLED_REST_S = 3_600.0


@dataclass(frozen=True, slots=True)
class Login:
    """A stored credential with what has happened to it since it was taken into memory."""

    stored: Stored
    due_at: float = float("inf")
    saved: bool = True
    in_doubt: bool = False
    """A renewal was cut off by a crash: the refresh token may be spent."""
    rejected: bool = False
    """The provider refused the access token before its time."""
    spent: bool = False
    """The refresh token is worth nothing any more."""
    failures: int = 0
    rest_until_at: float = 0.0
    trouble: tuple[str, str] = ("", "")
    """Title and hint of the RefreshFailed that the rest comes from."""

    @classmethod
    def of(cls, stored: Stored, chance: float, *, granted_at: float | None = None, saved: bool = True) -> "Login":
        """A credential that is taken into memory. `chance` is from 0 to 1; `granted_at` is set when it is new."""
        login = cls(stored, saved=saved)
        if login.expires_at is None:
            return login
        early_s = EARLY_S * (1 - JITTER * chance)
        if granted_at is not None:  # one that lives less than an hour would be due as soon as it is there
            early_s = min(early_s, (login.expires_at - granted_at) / 2)
        return replace(login, due_at=login.expires_at - early_s)

    @property
    def secret(self) -> str:
        """What a request carries."""
        credential = self.stored.credential
        return credential.key if isinstance(credential, ApiKey) else credential.access

    @property
    def expires_at(self) -> float | None:
        """When the secret ends; None for an API key."""
        credential = self.stored.credential
        return None if isinstance(credential, ApiKey) else credential.expires_at

    @property
    def backoff_s(self) -> float:
        """The rest that the next failure brings."""
        return min(FIRST_REST_S * 2.0 ** min(self.failures, 10), LONGEST_REST_S)

    def lives(self, now: float, margin_s: float = 0.0) -> bool:
        """It can be sent, and for `margin_s` more."""
        return self.expires_at is None or (not self.rejected and self.expires_at > now + margin_s)

    def rests(self, now: float) -> bool:
        """No renewal is tried now. A rest longer than any we give means that the clock was set back."""
        return now < self.rest_until_at <= now + LONGEST_THROTTLED_REST_S

    def due(self, now: float) -> bool:
        """It should be renewed now, early."""
        return self.due_at <= now and not self.spent and not self.rests(now)
