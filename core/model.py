"""The values of Tidegate: accounts, quota, what an attempt came to, and the picture that is shown.

Everything here is immutable, and a `msgspec.Struct`: replacing a field of one takes 0.15 µs and of a dataclass 4 µs,
and a start makes such a class in 12 µs and a dataclass in 500 (2026-11).

Times (`_at`) are Unix seconds, durations (`_s`) seconds, utilization is a
fraction (0.0 to 1.0, above 1.0 when the provider says so).
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, NewType

import msgspec

AccountId = NewType("AccountId", str)
SessionId = NewType("SessionId", str)
ResourceId = NewType("ResourceId", str)
"""What a provider made for one account and knows under that account only: a batch, a file, a container."""
ModelFamily = NewType("ModelFamily", str)
"""The part of a model's name that quota windows are scoped to: `opus`, `sonnet`, `fable`."""


class ProviderName(StrEnum):
    """Whose service and wire format; a path prefix of the proxy leads to exactly one."""

    ANTHROPIC = "anthropic"
    OPENCODE_GO = "opencode-go"


class AccountKind(StrEnum):
    """How an account pays and proves itself. One row of `PROVIDERS` each."""

    CLAUDE = "claude"
    API_KEY = "api-key"
    GO = "go"

    @property
    def provider(self) -> ProviderName:
        """The provider whose requests this kind of account can serve."""
        return ProviderName.OPENCODE_GO if self is AccountKind.GO else ProviderName.ANTHROPIC


class ClientKind(StrEnum):
    """The program that calls, as far as a provider's rules care."""

    CLAUDE_CODE = "claude-code"
    OTHER = "other"


class Serves(StrEnum):
    """Which clients the person lets an account serve."""

    ANY = "any"
    CLAUDE_CODE = "claude-code"


# --- credentials -----------------------------------------------------------------------------------


class ApiKey(msgspec.Struct, frozen=True):
    """A key that stays valid until somebody revokes it."""

    key: str

    def __repr__(self) -> str:
        return "ApiKey()"


class OAuthTokens(msgspec.Struct, frozen=True):
    """A login: a short-lived access token and the refresh token that renews both."""

    access: str
    refresh: str
    expires_at: float
    scopes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"OAuthTokens(expires_at={self.expires_at!r}, scopes={self.scopes!r})"


Credential = ApiKey | OAuthTokens


# --- accounts --------------------------------------------------------------------------------------


class Identity(msgspec.Struct, frozen=True):
    """Who the provider says this is. Account and organisation together are the key; e-mail is for display."""

    account_uuid: str = ""
    organization_uuid: str = ""
    email: str = ""
    plan: str = ""


class Account(msgspec.Struct, frozen=True):
    """One subscription or API key, as the person set it up. Holds no secret."""

    id: AccountId
    label: str
    kind: AccountKind
    identity: Identity = Identity()
    enabled: bool = True
    serves: Serves = Serves.ANY
    added_at: float = 0.0
    borrowed_from: str = ""
    """The program that owns the login and renews it: Tidegate uses it until it ends. Empty for Tidegate's own."""
    plan_limits_only: bool = False
    """It rests when its plan is spent, instead of going on into paid extra usage."""
    muted: bool = False
    """No notification about it, except what the person must do."""


class LoginState(StrEnum):
    """How a login is doing, apart from whether its account can serve."""

    FINE = "fine"
    RENEWING = "refreshing"
    IN_DOUBT = "in-doubt"
    """A renewal was cut off: its refresh token may be spent. It is tried once more by itself."""
    ENDING = "ending"
    """It serves until `ends_at` and cannot be renewed: the person signs in again before that."""
    UNSAVED = "unsaved"
    """Renewed, and in memory only: the vault did not take it yet."""


class LoginHealth(msgspec.Struct, frozen=True):
    """What is known of an account's login. `ends_at` is when the token that serves now ends; None for keys."""

    state: LoginState = LoginState.FINE
    ends_at: float | None = None


class ExtraUsage(msgspec.Struct, frozen=True):
    """Paid usage beyond a plan, as the provider tells it. None where it did not say.

    `enabled`: it would pay for what the plan does not cover. `in_use`: the latest answer was paid with it.
    `utilization` is the spent share of the monthly limit.
    """

    enabled: bool | None = None
    in_use: bool | None = None
    utilization: float | None = None
    seen_at: float = 0.0


class WindowStatus(StrEnum):
    """What the provider says of a quota window."""

    ALLOWED = "allowed"
    WARNING = "allowed_warning"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class QuotaWindow(msgspec.Struct, frozen=True):
    """A provider's rolling allowance with a reset: `5h`, `7d`, `weekly`, `requests`.

    `utilization` and `resets_at` are None when the provider did not say. `family` is set when the window counts
    one model family only. `rate` is the share spent per second of late, None while it is not known.
    """

    name: str
    utilization: float | None = None
    resets_at: float | None = None
    status: WindowStatus = WindowStatus.UNKNOWN
    family: ModelFamily | None = None
    seen_at: float = 0.0
    rate: float | None = None


class SignIn(StrEnum):
    """Whether the account's credential can be sent."""

    OK = "ok"
    NEEDED = "needed"
    LOCKED = "locked"


class Cause(StrEnum):
    """Why an account rests. Decides the words and whether the rest can be shortened."""

    QUOTA = "quota"
    PLAN = "plan"
    """The plan is spent, and the person keeps the account to it. Holds as long as the person does."""
    THROTTLED = "throttled"
    UPSTREAM = "upstream"
    CREDIT = "credit"


class Cooldown(msgspec.Struct, frozen=True):
    """The rest after a refusal. `text` says the cause in plain words, without a time: "5 h window full".

    `family` limits the rest to one model family. `moved_to` is the account that took over, once one has; it makes
    sure that a failover is announced once.
    """

    until_at: float
    cause: Cause
    text: str
    family: ModelFamily | None = None
    moved_to: AccountId | None = None
    ask_at: float | None = None
    """When one request may find out whether it is over already, should nobody else be ready. None: never."""
    asked: bool = False
    """One such request is on its way, or was; a good answer then ends the rest."""


class Polling(msgspec.Struct, frozen=True):
    """What is remembered of asking a usage endpoint about one account. Saved with the Pool: its budget outlives us."""

    asked_at: float = 0.0
    rest_s: float = 0.0
    """How long it is left alone after `asked_at`, beyond the usual; 0.0 when it answers well."""
    spread: float = 1.0
    """A factor by chance for the waits since `asked_at`, so that accounts are not asked in step."""
    throttled: int = 0
    """429s; each good answer takes one back."""
    failures: int = 0
    """Other failures in a row."""
    unreadable: bool = False
    """This login may not ask, ever."""


class Alert(StrEnum):
    """What the person is told of a quota window, once until its reset."""

    WARN = "warn"
    SPENT = "spent"
    DRY = "dry"
    PAID = "paid"
    """Extra usage pays: of the account, and not of one window."""


class Told(msgspec.Struct, frozen=True):
    """An alert that was given, so that it is not given again before the window's reset."""

    window: str
    family: ModelFamily | None
    alert: Alert
    resets_at: float | None


class Fitness(msgspec.Struct, frozen=True):
    """What the `hybrid` strategy remembers of an account: a health score and a bucket of tokens, each with its time."""

    health: float
    health_at: float
    tokens: float
    tokens_at: float


class AccountState(msgspec.Struct, frozen=True):
    """An account with everything that changes while it serves."""

    account: Account
    sign_in: SignIn = SignIn.OK
    sign_in_text: str = ""
    windows: tuple[QuotaWindow, ...] = ()
    cooldowns: tuple[Cooldown, ...] = ()
    failures: int = 0
    in_flight: int = 0
    served: int = 0
    last_used_at: float = 0.0
    refuses: frozenset[ClientKind] = frozenset()
    polling: Polling = Polling()
    login: LoginHealth = LoginHealth()
    extra_usage: ExtraUsage | None = None
    fitness: Fitness | None = None
    """None until the account has been chosen or judged under `hybrid`."""
    told: tuple[Told, ...] = ()
    ramp_at: float = 0.0
    """When the next request that comes over from another account may be sent."""
    upstream_failures: int = 0
    """Answers in a row in which the provider failed, on this account."""
    upstream_failed_at: float = 0.0


class Affinity(msgspec.Struct, frozen=True):
    """A session's account, and when the session last used it (its prompt cache lives about an hour)."""

    account: AccountId
    used_at: float
    tokens: int = 0
    """What its prompt cache holds, as the last answer counted: the price of moving it."""


class Pin(msgspec.Struct, frozen=True):
    """The person's word that one account serves, until `until_at` (None: until unpinned)."""

    account: AccountId
    until_at: float | None = None


class Strategy(StrEnum):
    """The order in which ready accounts are tried."""

    BALANCED = "balanced"
    LEAST_UTILIZED = "least-utilized"
    DRAIN_SOONEST = "drain-soonest"
    STICKY = "sticky"
    ROUND_ROBIN = "round-robin"
    ROTATE = "rotate"
    HYBRID = "hybrid"
    PRIORITY = "priority"


class HealthScore(msgspec.Struct, frozen=True):
    """How `hybrid` keeps an account's score."""

    initial: float = 70.0
    success_reward: float = 1.0
    rate_limit_penalty: float = -10.0
    failure_penalty: float = -20.0
    recovery_rate_per_hour: float = 2.0
    min_usable: float = 50.0
    max_score: float = 100.0


class TokenBucket(msgspec.Struct, frozen=True):
    """How `hybrid` keeps an account from taking too many requests in a row; one token is one request."""

    max_tokens: float = 50.0
    regeneration_rate_per_minute: float = 6.0
    initial_tokens: float = 50.0


class Outage(msgspec.Struct, frozen=True):
    """A provider that cannot be reached: nobody's account is to blame. One request asks again at `ask_at`."""

    since_at: float
    ask_at: float
    failures: int = 1


class Pause(msgspec.Struct, frozen=True):
    """The person lets nothing through, until `until_at` or until resumed."""

    until_at: float | None = None


class Pool(msgspec.Struct, frozen=True):
    """All accounts with their state, in the person's order. The engine owns the one that counts."""

    states: Mapping[AccountId, AccountState] = msgspec.field(default_factory=dict)
    strategy: Strategy = Strategy.BALANCED
    pins: Mapping[ProviderName, Pin] = msgspec.field(default_factory=dict)
    sessions: dict[SessionId, Affinity] = msgspec.field(default_factory=dict)
    """The one that was used last stands last."""
    active: Mapping[ProviderName, "Choice"] = msgspec.field(default_factory=dict)
    """The last lease of each provider: who serves, and why."""
    turns: Mapping[ProviderName, AccountId] = msgspec.field(default_factory=dict)
    """Who was placed last by the strategy; the next in turn comes after."""
    resources: Mapping[ResourceId, AccountId] = msgspec.field(default_factory=dict)
    """Batches, files and containers, which only the account that made them can use."""
    outages: Mapping[ProviderName, Outage] = msgspec.field(default_factory=dict)
    pause: Pause | None = None
    failover: bool = True
    """Off: a request goes to its session's account, else to the active one, and to no other."""
    retrying: int = 0
    health_score: HealthScore = HealthScore()
    token_bucket: TokenBucket = TokenBucket()

    @property
    def accounts(self) -> tuple[AccountState, ...]:
        """The accounts in the person's order."""
        return tuple(self.states.values())

    def state(self, id_: AccountId) -> AccountState | None:
        """The state of one account, None when it is not (or no longer) in the pool."""
        return self.states.get(id_)

    @classmethod
    def of(cls, states: Iterable[AccountState], **fields: Any) -> "Pool":
        """A pool of these accounts, in this order."""
        return cls({state.account.id: state for state in states}, **fields)


# --- one request -----------------------------------------------------------------------------------


class Request(msgspec.Struct, frozen=True):
    """What choosing an account needs to know of a client's request."""

    provider: ProviderName
    session: SessionId | None = None
    client: ClientKind = ClientKind.OTHER
    model: str = ""
    family: ModelFamily | None = None
    server_tools: bool = False
    """It may act in the world (web search, code execution, MCP), so it must never run twice."""
    resources: tuple[ResourceId, ...] = ()
    """What it names that only one account has."""


class Choice(msgspec.Struct, frozen=True):
    """The account that should serve, and why in plain words."""

    account: AccountId
    reason: str
    placed: bool = False
    """The strategy chose, and not a pin, a session or a file."""


class Exhausted(msgspec.Struct, frozen=True):
    """Nobody can serve. `ready_at` is the soonest that somebody can, None when no time is known."""

    ready_at: float | None
    reasons: tuple[tuple[str, str, float | None], ...]
    """(label, why not, until when) for each account of the provider; empty when there is none."""
    tried: bool = False
    """Somebody is ready, but this request has asked them already: the next one may be served."""
    paused: bool = False
    """The person lets nothing through."""


# --- what an attempt came to -----------------------------------------------------------------------


class Usage(msgspec.Struct, frozen=True):
    """Tokens counted in one answer."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0


class Served(msgspec.Struct, frozen=True):
    """The provider answered, or began to. `begun`: a stream, whose end is not known yet."""

    windows: tuple[QuotaWindow, ...] = ()
    extra_usage: ExtraUsage | None = None
    begun: bool = False


class QuotaSpent(msgspec.Struct, frozen=True):
    """A quota window is full. `until_at` is when the provider lets requests in again, None when it did not say.

    `own`: a cap of this key's workspace, which says nothing of the accounts that share its other limits.
    """

    text: str
    until_at: float | None = None
    family: ModelFamily | None = None
    windows: tuple[QuotaWindow, ...] = ()
    extra_usage: ExtraUsage | None = None
    cause: Cause = Cause.QUOTA
    own: bool = False


class Throttled(msgspec.Struct, frozen=True):
    """Too fast for a moment: the account is fine after `wait_s`."""

    wait_s: float
    windows: tuple[QuotaWindow, ...] = ()
    extra_usage: ExtraUsage | None = None


class RequestThrottled(msgspec.Struct, frozen=True):
    """A 429 that says nothing about the account (no rate-limit header): this request, this moment."""


class CredentialRejected(msgspec.Struct, frozen=True):
    """A 401 or a revoked token. `renewable`: a refresh may cure it."""

    text: str
    renewable: bool


class AccountRefused(msgspec.Struct, frozen=True):
    """The provider shuts this account out until a person acts (organisation disabled, no subscription)."""

    text: str


class ClientRefused(msgspec.Struct, frozen=True):
    """The provider does not let this account serve this client: subscription logins and other programs."""

    text: str
    client: ClientKind = ClientKind.OTHER


class UpstreamFailed(msgspec.Struct, frozen=True):
    """A complete 5xx answer: the provider's trouble, nobody's account."""

    status: int
    overloaded: bool = False


class RequestRefused(msgspec.Struct, frozen=True):
    """A 4xx that the request itself causes: goes to the client once, unchanged, no penalty."""

    status: int


class NotDelivered(msgspec.Struct, frozen=True):
    """No byte of the request left us (refused, unreachable, TLS): replay is free, no account is to blame.

    `hopeless`: trying again cannot help (a certificate that is not valid).
    """

    text: str
    hopeless: bool = False


class Unknown(msgspec.Struct, frozen=True):
    """Bytes left us and no answer came: the provider may have done the work."""

    text: str


class Cut(msgspec.Struct, frozen=True):
    """An answer began and ended in the middle."""

    text: str


class ClientLeft(msgspec.Struct, frozen=True):
    """The client hung up. Nobody's fault."""


Outcome = (
    Served
    | QuotaSpent
    | Throttled
    | RequestThrottled
    | CredentialRejected
    | AccountRefused
    | ClientRefused
    | UpstreamFailed
    | RequestRefused
    | NotDelivered
    | Unknown
    | Cut
    | ClientLeft
)


# --- what happened ---------------------------------------------------------------------------------


class CooldownStarted(msgspec.Struct, frozen=True):
    """An account rests."""

    account: AccountId
    until_at: float
    cause: Cause
    text: str
    family: ModelFamily | None = None


class FailedOver(msgspec.Struct, frozen=True):
    """Another account took over from one that cannot serve. Said once for each rest."""

    source: AccountId
    target: AccountId
    text: str
    until_at: float | None = None


class AllSpent(msgspec.Struct, frozen=True):
    """No account of this provider can serve now; with `family`, none can serve that model family."""

    provider: ProviderName
    ready_at: float | None
    family: ModelFamily | None = None
    account: AccountId | None = None
    """Failover is off, and this is the account that it stays with."""


class LoginRequired(msgspec.Struct, frozen=True):
    """Only the person can bring this account back, by signing in or with another key."""

    account: AccountId
    text: str


class LoginRenewed(msgspec.Struct, frozen=True):
    """An account has a new login: renewed early, or signed in again."""

    account: AccountId


class RenewalFailed(msgspec.Struct, frozen=True):
    """A login was not renewed. It is tried again by itself; said once for each cause."""

    account: AccountId
    text: str


class ClientNotServed(msgspec.Struct, frozen=True):
    """The provider refused this kind of client on this account."""

    account: AccountId
    client: ClientKind
    text: str


class SessionMoved(msgspec.Struct, frozen=True):
    """A conversation went on with another account, which has to read `tokens` anew."""

    source: AccountId
    target: AccountId
    text: str
    tokens: int


class ProviderLost(msgspec.Struct, frozen=True):
    """A provider cannot be reached."""

    provider: ProviderName
    text: str


class ProviderBack(msgspec.Struct, frozen=True):
    """A provider that could not be reached answers again."""

    provider: ProviderName
    lost_s: float


class WindowFilled(msgspec.Struct, frozen=True):
    """A window has passed 70 or 90 %. `dry_at`: at the present pace it is full then, before its reset."""

    account: AccountId
    window: QuotaWindow
    alert: Alert
    dry_at: float | None = None


class ExtraUsageBegan(msgspec.Struct, frozen=True):
    """A plan is spent and what is asked now is paid beyond it. Once, until the plan covers it again."""

    account: AccountId


class WindowReset(msgspec.Struct, frozen=True):
    """A window that had been all but full has begun anew."""

    account: AccountId
    window: QuotaWindow


class Changed(msgspec.Struct, frozen=True):
    """Something in the picture changed: take a new snapshot. `text` says what, for the log."""

    text: str


class Traffic(Changed, frozen=True):
    """What requests change in the picture as they go: who is active, what is left. It comes often, only to be drawn."""


Event = (
    CooldownStarted
    | FailedOver
    | AllSpent
    | LoginRequired
    | LoginRenewed
    | RenewalFailed
    | ClientNotServed
    | WindowFilled
    | WindowReset
    | ExtraUsageBegan
    | SessionMoved
    | ProviderLost
    | ProviderBack
    | Changed
)


# --- settings --------------------------------------------------------------------------------------


class Endpoints(msgspec.Struct, frozen=True):
    """Where the providers are. Settings, because they move and because tests have their own."""

    anthropic_api_url: str = "https://api.anthropic.com"
    anthropic_authorize_url: str = "https://claude.ai/oauth/authorize"
    anthropic_console_authorize_url: str = "https://platform.claude.com/oauth/authorize"
    anthropic_token_url: str = "https://platform.claude.com/v1/oauth/token"  # noqa: S105 - an address, not a secret
    opencode_go_url: str = "https://opencode.ai/zen/go/v1"


class QuietHours(msgspec.Struct, frozen=True):
    """A part of the person's day, in minutes since its midnight; it may go over midnight."""

    from_min: int
    to_min: int


class IconStyle(msgspec.Struct, frozen=True):
    """How the tray icon is drawn."""

    colours: bool = True
    """Off: one colour, as desktops with plain icons have it; level and shapes tell all the same."""
    number: bool = True
    """The fullest window's percent, where the icon is large enough."""


class Settings(msgspec.Struct, frozen=True):
    """What a person chose, apart from the accounts."""

    port: int = 8433
    strategy: Strategy = Strategy.BALANCED
    passthrough: bool = True
    """With no account at all, a client that brings its own credential goes through untouched."""
    notifications: bool = True
    quiet_hours: QuietHours | None = None
    """No notification at these hours; what happened stays in menu and history."""
    hold_s: float = 20.0
    """How long a request may wait when every account is spent and one will be ready soon."""
    log: str = "info"
    failover: bool = True
    """When an account cannot serve, others do. Off: the person switches, by a click."""
    icon: IconStyle = IconStyle()
    endpoints: Endpoints = Endpoints()
    health_score: HealthScore = HealthScore()
    token_bucket: TokenBucket = TokenBucket()


# --- the picture -----------------------------------------------------------------------------------


class Level(StrEnum):
    """How full a quota window is. Always shown with a number or a shape as well."""

    OK = "ok"
    WARN = "warn"
    SPENT = "spent"
    UNKNOWN = "unknown"


class Standing(StrEnum):
    """An account's state in one word."""

    READY = "ready"
    COOLING = "cooling"
    SIGN_IN = "sign-in"
    LOCKED = "locked"
    DISABLED = "disabled"


class WindowView(msgspec.Struct, frozen=True):
    """One quota window as it is shown."""

    name: str
    utilization: float | None
    resets_at: float | None
    level: Level
    family: ModelFamily | None = None
    seen_at: float = 0.0
    """When it was read: old numbers stay, with their age."""
    pace: float | None = None
    """Utilization against the elapsed share of the window; above 1.0 it is spent faster than time passes."""
    dry_at: float | None = None
    """When it is full at the present rate, if that is before its reset."""
    lost: float | None = None
    """The share that its reset will throw away at the present rate."""


class AccountView(msgspec.Struct, frozen=True):
    """One account as it is shown."""

    id: AccountId
    label: str
    kind: AccountKind
    provider: ProviderName
    standing: Standing
    level: Level
    detail: str = ""
    """Why it is not ready, or not for every client, in plain words and without a time: "5 h window full"."""
    until_at: float | None = None
    windows: tuple[WindowView, ...] = ()
    enabled: bool = True
    serves: Serves = Serves.ANY
    pinned: bool = False
    pinned_until_at: float | None = None
    active: bool = False
    """It serves its provider's next new session."""
    reason: str = ""
    """Why it is the active one; empty for the others."""
    email: str = ""
    plan: str = ""
    borrowed_from: str = ""
    login: LoginHealth = LoginHealth()
    plan_limits_only: bool = False
    muted: bool = False
    extra_usage: ExtraUsage | None = None
    shares_with: tuple[str, ...] = ()
    """Labels of other accounts that draw on the same limits: keys of one organisation."""
    in_flight: int = 0
    served: int = 0
    last_used_at: float = 0.0

    @property
    def tightest(self) -> WindowView | None:
        """The fullest window that is known and counts all models, None when nothing is known."""
        known = [w for w in self.windows if w.utilization is not None and w.family is None]
        return max(known, key=lambda w: w.utilization or 0.0, default=None)


class Move(msgspec.Struct, frozen=True):
    """A failover as it is shown: labels, cause, and until when the first account rests."""

    at: float
    source: str
    target: str
    text: str
    until_at: float | None = None


class Snapshot(msgspec.Struct, frozen=True):
    """The immutable picture that tray, command line and status page draw. Holds no secret."""

    at: float
    version: str = ""
    address: str = ""
    """`http://127.0.0.1:8433`; empty while nothing listens."""
    accounts: tuple[AccountView, ...] = ()
    strategy: Strategy = Strategy.BALANCED
    headroom_s: Mapping[ProviderName, float] = msgspec.field(default_factory=dict)
    """For how long a provider's accounts together last at the present rate, without any reset on the way."""
    moves: tuple[Move, ...] = ()
    """Newest first, bounded."""
    notifications: bool = True
    quiet_hours: QuietHours | None = None
    failover: bool = True
    pause: Pause | None = None
    """Nothing is let through."""
    unreachable: tuple[ProviderName, ...] = ()
    """Providers that cannot be reached now: the network, not an account."""
    icon: IconStyle = IconStyle()
    programs: tuple[str, ...] = ()
    """Those that are connected, by their names in `core.clients`."""
    demo: bool = False

    @property
    def active(self) -> AccountView | None:
        """The account the icon shows: the active one that was used last, else the first active one."""
        return max((a for a in self.accounts if a.active), key=lambda a: a.last_used_at, default=None)


class NotificationAction(msgspec.Struct, frozen=True):
    """A button of a message: the order that it gives. Without one it opens the status page."""

    label: str
    order: str = ""
    arguments: Mapping[str, object] = msgspec.field(default_factory=dict)


class Notification(msgspec.Struct, frozen=True):
    """One message for the person. `key` is the same for messages that replace each other."""

    title: str
    body: str
    key: str
    urgent: bool = False
    actions: tuple[NotificationAction, ...] = ()
    """At most two: daemons show no more."""
