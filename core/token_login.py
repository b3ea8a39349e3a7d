"""What is known of one account's credential, and the rules of its time: when it can be sent, is due, and rests."""

import msgspec

from core.model import ApiKey, LoginHealth, LoginState, OAuthTokens
from core.vault import Stored

MARGIN_S = 60.0
"""A token that ends sooner is not sent: it could end on the way."""
EARLY_S = 1_800.0
"""How long before its end a login is due, so that a throttled token endpoint still leaves time; and how long before
its end the person hears of one that cannot be renewed."""
SETUP_TOKEN_EARLY_S = 86_400.0
"""The person hears of the end of a token that lived a year."""
JITTER = 0.2
"""The share of EARLY_S that is left to chance, so that accounts added together do not renew together."""
FIRST_REST_S = 5.0
LONGEST_REST_S = 300.0
"""The rest after a failed renewal doubles from the first to the longest."""
THROTTLED_REST_S = 300.0
LONGEST_THROTTLED_REST_S = 3_600.0
_SETUP_TOKEN_SCOPES = ("user:inference",)


class Login(msgspec.Struct, frozen=True):
    """A stored credential with what has happened to it since it was taken into memory."""

    stored: Stored
    due_at: float = float("inf")
    saved: bool = True
    """The vault has it."""
    sealed: bool = False
    """The vault does not have it, the recovery file does."""
    granted_for: str = ""
    """The fingerprint of the refresh token that it was granted for."""
    in_doubt: bool = False
    """It was sent for renewal and no answer is known: the refresh token may be spent."""
    rejected: bool = False
    """The provider refused the access token before its time."""
    spent: bool = False
    """The refresh token is worth nothing any more, or there is none."""
    failures: int = 0
    rest_from_at: float = 0.0
    rest_until_at: float = 0.0
    trouble: tuple[str, str] = ("", "")
    """Title and hint of the RefreshFailed that the rest comes from."""

    @classmethod
    def of(cls, stored: Stored, chance: float, *, granted_at: float | None = None) -> "Login":
        """A credential that is taken into memory. `chance` is from 0 to 1; `granted_at` is set when it is new."""
        login = cls(stored)
        if login.expires_at is None:
            return login
        early_s = EARLY_S * (1 - JITTER * chance)
        if granted_at is not None:  # one that lives less than an hour would be due as soon as it is there
            early_s = min(early_s, (login.expires_at - granted_at) / 2)
        return msgspec.structs.replace(login, due_at=login.expires_at - early_s)

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
    def is_renewable(self) -> bool:
        """There is a refresh token: it is Tidegate's own login."""
        credential = self.stored.credential
        return isinstance(credential, OAuthTokens) and bool(credential.refresh)

    @property
    def held_back(self) -> bool:
        """It is not sent before the doubt was looked into, once: if there is a period of grace, it is short."""
        return self.in_doubt and not self.failures

    @property
    def backoff_s(self) -> float:
        """The rest that the next failure brings."""
        return min(FIRST_REST_S * 2.0 ** min(self.failures, 10), LONGEST_REST_S)

    def lives(self, now: float, margin_s: float = 0.0) -> bool:
        """It can be sent, and for `margin_s` more."""
        return self.expires_at is None or (not self.rejected and self.expires_at > now + margin_s)

    def rests(self, now: float) -> bool:
        """No renewal is tried now. Before its beginning a rest means that the clock was set back, and is over."""
        return self.rest_from_at <= now < self.rest_until_at

    def due(self, now: float) -> bool:
        """It should be renewed now: early, or because of a doubt. Not while the vault fails."""
        return (self.due_at <= now or self.in_doubt) and self.saved and not self.spent and not self.rests(now)

    def health(self, now: float, *, renewing: bool) -> LoginHealth:
        """How it is doing, for a person; of several things the one that asks most of them."""
        return LoginHealth(self._state(now, renewing=renewing), self.expires_at)

    def _state(self, now: float, *, renewing: bool) -> LoginState:
        if not self.saved:
            return LoginState.UNSAVED
        if not self.rejected and (self.spent or self._ends_soon(now)):
            return LoginState.ENDING
        if self.in_doubt:
            return LoginState.IN_DOUBT
        return LoginState.RENEWING if renewing else LoginState.FINE

    def _ends_soon(self, now: float) -> bool:
        """Nothing can renew it, and the person has to know by now."""
        tokens = self.stored.credential
        if self.is_renewable or not isinstance(tokens, OAuthTokens):
            return False
        early_s = SETUP_TOKEN_EARLY_S if tokens.scopes == _SETUP_TOKEN_SCOPES else EARLY_S
        return tokens.expires_at <= now + early_s


class Facts(msgspec.Struct, frozen=True):
    """What can be told of a credential without showing it. Times are None where there is nothing to say."""

    generation: int
    is_renewable: bool
    due_at: float | None
    """When it is renewed by itself."""
    ends_at: float | None

    @classmethod
    def of(cls, login: Login) -> "Facts":
        """What is known of a login."""
        due_at = login.due_at if login.is_renewable and not login.spent else None
        return cls(login.stored.generation, login.is_renewable, due_at, login.expires_at)
