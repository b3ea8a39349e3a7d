"""A simulated account: who it is, its credential, its quota that really counts, and its script of faults."""

import math
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.model import AccountKind, ApiKey, Credential, Identity, OAuthTokens
from core.simulator.faults import Step

ACCESS_LIFETIME_S = 28_800
SUBSCRIPTION_SCOPES = ("user:inference", "user:profile", "user:sessions:claude_code")
_HOUR_S = 3600.0
_DAY_S = 86_400.0
_KEPT_ACCESS_TOKENS = 100  # of one lineage; an older one is as unknown as a made-up one
_MODEL_WINDOW_CLASS = "fable"  # 7d_oi counts this class of models


@dataclass(slots=True)
class Window:
    """One quota window that counts: every answered request takes `cost` of it; at its reset it is empty again."""

    utilization: float
    resets_at: float
    length_s: float
    cost: float = 0.0
    limit: int = 0
    """Of an API key's bucket, in requests or tokens."""

    @property
    def full(self) -> bool:
        """Nothing is left."""
        return self.utilization >= 1.0

    def roll(self, now: float) -> None:
        """Begin anew when the reset has passed."""
        if now >= self.resets_at:
            self.utilization = 0.0
            self.resets_at += self.length_s * math.ceil((now - self.resets_at + 1e-6) / self.length_s)


@dataclass(slots=True)
class ExtraUsage:
    """What pays when a window of the plan is full, switched on by the person: until the month's limit, in cents."""

    limit: int | None = 5000
    used: int = 0
    cost: int = 10

    @property
    def out(self) -> bool:
        """The month's limit is used up."""
        return self.limit is not None and self.used >= self.limit


@dataclass(slots=True)
class Lineage:
    """The tokens that come from one sign-in: one living refresh token, and the access tokens made with it."""

    scopes: tuple[str, ...]
    refresh: str = ""
    access: dict[str, float] = field(default_factory=dict)
    """Access token to when it expires."""
    revoked: bool = False

    def issue(self, access: str, refresh: str, expires_at: float) -> None:
        """Put a new pair in force. The old refresh token is dead from here on, old access tokens just run out."""
        self.refresh = refresh
        self.access[access] = expires_at
        while len(self.access) > _KEPT_ACCESS_TOKENS:
            del self.access[next(iter(self.access))]


@dataclass(slots=True)
class SimulatedAccount:
    """One account at the simulated provider. Attributes may be changed at any time; the next request sees it."""

    label: str
    kind: AccountKind
    account_uuid: str
    organization_uuid: str
    email: str = ""
    plan: str = ""
    key: str = field(default="", repr=False)
    lineage: Lineage | None = field(default=None, repr=False)
    """The newest sign-in."""
    quota: dict[str, Window] = field(default_factory=dict)
    extra_usage: ExtraUsage | None = None
    third_party_refused: bool = False
    access_lifetime_s: float = ACCESS_LIFETIME_S
    served: int = 0
    _script: deque[Step] = field(default_factory=deque, repr=False)
    _always: Step | None = field(default=None, repr=False)

    @classmethod
    def new(cls, label: str, kind: AccountKind, organization_uuid: str, now: float) -> "SimulatedAccount":
        """An account whose identity follows from its label, so that it is the same in every run."""
        return cls(
            label,
            kind,
            account_uuid=_uuid_for(f"account/{label}"),
            organization_uuid=organization_uuid or _uuid_for(f"organization/{label}"),
            email=f"{label.lower().replace(' ', '.')}@example.org",
            quota=_quota_of(kind, now),
        )

    @property
    def access(self) -> str:
        """The newest access token."""
        return next(reversed(self.lineage.access), "") if self.lineage else ""

    @property
    def refresh(self) -> str:
        """The one refresh token that works."""
        return self.lineage.refresh if self.lineage else ""

    @property
    def credential(self) -> Credential:
        """What a vault would hold for this account."""
        if self.lineage is None:
            return ApiKey(self.key)
        expires_at = self.lineage.access.get(self.access, 0.0)
        return OAuthTokens(self.access, self.refresh, expires_at, self.lineage.scopes)

    @property
    def identity(self) -> Identity:
        """What the profile says of this account."""
        return Identity(self.account_uuid, self.organization_uuid, self.email, self.plan)

    def script(self, *steps: Step) -> None:
        """Let each of the coming generation requests of this account meet one of `steps`, in order."""
        self._script.extend(steps)

    def always(self, step: Step | None) -> None:
        """Let every request meet `step` once the script is through; None is back to good answers."""
        self._always = step

    def next_step(self) -> Step | None:
        """The step for the request that is being answered now."""
        return self._script.popleft() if self._script else self._always

    def expire_access(self) -> None:
        """Make every access token of the newest sign-in expired; the refresh token still works."""
        if self.lineage:
            self.lineage.access = dict.fromkeys(self.lineage.access, 0.0)

    def revoke(self) -> None:
        """End the newest sign-in: neither its access tokens nor its refresh token work any more."""
        if self.lineage:
            self.lineage.revoked = True

    def roll(self, now: float) -> None:
        """Begin every window anew whose reset has passed."""
        for window in self.quota.values():
            window.roll(now)

    def full_windows(self, model: str, now: float) -> dict[str, Window]:
        """The windows that refuse a request for `model` now; empty when it may pass."""
        self.roll(now)
        return {name: window for name, window in self.quota.items() if window.full and _counts(name, model)}

    def spend(self, model: str, *, extra: bool = False) -> None:
        """Count one answered request, paid by the plan or with extra usage."""
        self.served += 1
        if extra and self.extra_usage:
            self.extra_usage.used += self.extra_usage.cost
            return
        for name, window in self.quota.items():
            if _counts(name, model):
                window.utilization = round(window.utilization + window.cost, 6)


def _counts(window: str, model: str) -> bool:
    return window != "7d_oi" or _MODEL_WINDOW_CLASS in model


def _quota_of(kind: AccountKind, now: float) -> dict[str, Window]:
    """The windows a new account of this kind has, hardly used and free of cost."""
    match kind:
        case AccountKind.CLAUDE:
            return {
                "5h": Window(0.1, now + 3 * _HOUR_S, 5 * _HOUR_S),
                "7d": Window(0.1, now + 4 * _DAY_S, 7 * _DAY_S),
            }
        case AccountKind.API_KEY:
            limits = {"requests": 1000, "input-tokens": 80_000, "output-tokens": 16_000, "tokens": 96_000}
            return {name: Window(0.0, now + 60, 60, cost=1 / limit, limit=limit) for name, limit in limits.items()}
        case AccountKind.GO:
            return {
                "rolling": Window(0.1, now + 3 * _HOUR_S, 5 * _HOUR_S),
                "weekly": Window(0.1, now + 4 * _DAY_S, 7 * _DAY_S),
                "monthly": Window(0.1, now + 20 * _DAY_S, 30 * _DAY_S),
            }


def _uuid_for(text: str) -> str:
    """A UUID that is the same in every run."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://simulated.example/{text}"))


RATE_LIMIT_TIERS: Mapping[str, str] = {"claude_max": "default_claude_max_5x", "claude_pro": "default_claude_ai"}
"""Plan to rate-limit tier."""
