"""What providers do: accounts whose quota really counts, prompt caches, and the answers that tell of them.

A request is let in while every window that counts it has room, and then it is served whole, as the providers do: a
window may read 101 %. What such a last request takes beyond the window is nobody's achievement, so `Answer.work` is
cut by the same share; what is worked within a window never comes to more than the window.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.model import (
    Account,
    AccountId,
    AccountKind,
    Cause,
    Identity,
    ModelFamily,
    Outcome,
    QuotaSpent,
    QuotaWindow,
    Served,
    SessionId,
    Throttled,
    Usage,
    WindowStatus,
)
from core.wording import window_name
from tests.bench.policy.demand import DAY_S, HEAD_S, HOUR_S, MINUTE_S, Conversation, Turn

FIVE_HOURS_S = 5 * HOUR_S
WEEK_S = 7 * DAY_S
MONTH_S = 30 * DAY_S
REFUSED_S = 0.3
"""A refusal comes sooner than the head of an answer."""
WARNING_FROM = 0.75
FABLE = ModelFamily("fable")


@dataclass(frozen=True, slots=True)
class Allowance:
    """One quota window as the provider sells it. `resets_at`: its first fixed reset; None: it begins at first use.

    `used` is spent already when the play begins. `family`: it counts this model family only.
    """

    name: str
    size: float
    length_s: float
    resets_at: float | None = None
    used: float = 0.0
    family: ModelFamily | None = None

    @property
    def short(self) -> bool:
        """It begins at first use."""
        return self.resets_at is None


@dataclass(frozen=True, slots=True)
class Holder:
    """An account as it was bought. `tokens_per_min`: an API key's two buckets, fresh input and output."""

    account: Account
    allowances: tuple[Allowance, ...]
    tokens_per_min: tuple[int, int] | None = None


# --- plans -----------------------------------------------------------------------------------------

PRO_5H = 1_500_000.0
"""About eighty warm turns; an assumption (the provider publishes no figures), and only ratios matter here."""
_PLANS = {"pro": (1, 7), "max 5x": (5, 7), "max 20x": (20, 5)}
"""How many times Pro's 5 h window, and how many full windows make a week.

Users measured a week of 7 full windows on Pro, 5x and 20x alike (claude-code#72872, 2026-07) and one of 5 on 20x
(claude-code#90816, 2026-08).
"""
_FABLE_SHARE = 0.4
"""Of the week, where a plan has a week for the large model."""
_DOLLAR = 1e6 / 3
"""The tokens that one buys, of a model of 3 $ a million."""


def claude(label: str, plan: str, resets_at: float, used: float = 0.0, *, model_week: bool = False) -> Holder:
    """A subscription whose week ends at `resets_at` and is spent by the share `used`."""
    size, windows = _PLANS[plan]
    week = PRO_5H * size * windows
    allowances = [
        Allowance("5h", PRO_5H * size, FIVE_HOURS_S),
        Allowance("7d", week, WEEK_S, resets_at, used * week),
    ]
    if model_week:
        of_model = _FABLE_SHARE * week
        allowances.append(Allowance("7d_oi", of_model, WEEK_S, resets_at, used * of_model, FABLE))
    return Holder(_account(label, AccountKind.CLAUDE, plan), tuple(allowances))


def api_key(label: str, spend_limit: float, resets_at: float) -> Holder:
    """A small key: the buckets of a first tier, and a person's limit on what it may cost until `resets_at`."""
    limit = Allowance("spend", spend_limit, MONTH_S, resets_at)
    return Holder(_account(label, AccountKind.API_KEY), (limit,), (80_000, 16_000))


def go(label: str, monday_at: float, month_at: float, used: float = 0.0) -> Holder:
    """An OpenCode Go key: $12, $30 and $60, the week from Monday and the month from its anniversary."""
    allowances = (
        Allowance("rolling", 12 * _DOLLAR, FIVE_HOURS_S),
        Allowance("weekly", 30 * _DOLLAR, WEEK_S, monday_at),
        Allowance("monthly", 60 * _DOLLAR, MONTH_S, month_at, used * 60 * _DOLLAR),
    )
    return Holder(_account(label, AccountKind.GO), allowances)


def _account(label: str, kind: AccountKind, plan: str = "") -> Account:
    return Account(AccountId(label.lower().replace(" ", "-")), label, kind, Identity(plan=plan))


# --- what counts -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Meter:
    """One quota window while it is being spent."""

    allowance: Allowance
    used: float
    resets_at: float | None

    def begin_anew(self) -> None:
        """The reset has come."""
        self.used = 0.0
        if self.resets_at is not None:
            self.resets_at = None if self.allowance.short else self.resets_at + self.allowance.length_s

    def spend(self, cost: float, now: float) -> float:
        """Count a request that is let in. The share of it that the window had room for."""
        room = self.allowance.size - self.used
        self.used += cost
        if self.resets_at is None:
            self.resets_at = now + self.allowance.length_s
        return min(1.0, room / cost)

    @property
    def full(self) -> bool:
        """Nothing more is let in."""
        return self.used >= self.allowance.size

    def reading(self, now: float) -> QuotaWindow:
        """What the provider tells: whole percents."""
        utilization = round(self.used / self.allowance.size, 2)
        status = WindowStatus.WARNING if utilization >= WARNING_FROM else WindowStatus.ALLOWED
        status = WindowStatus.REJECTED if self.full else status
        name, family = self.allowance.name, self.allowance.family
        return QuotaWindow(name, utilization, self.resets_at, status, family, now)


@dataclass(slots=True)
class Bucket:
    """An API key's tokens per minute: it fills up all the time."""

    name: str
    limit: float
    level: float
    at: float

    def fill(self, now: float) -> None:
        self.level = min(self.limit, self.level + (now - self.at) * self.limit / MINUTE_S)
        self.at = now

    def reading(self, now: float) -> QuotaWindow:
        spent = 1 - max(0.0, self.level) / self.limit
        return QuotaWindow(self.name, spent, now + (self.limit - self.level) / self.limit * MINUTE_S, seen_at=now)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider said to one request, `after_s` it was sent. `missed`: tokens that a warm cache would have had."""

    outcome: Outcome
    after_s: float
    work: float = 0.0
    missed: int = 0
    usage: Usage = field(default_factory=Usage)


@dataclass(slots=True)
class SimulatedAccount:
    """One account at its provider."""

    holder: Holder
    meters: list[Meter]
    buckets: list[Bucket]
    caches: dict[tuple[SessionId, int], tuple[int, float]] = field(default_factory=dict)
    """Of a session's chapter: how many tokens, and until when."""
    lost: float = 0.0
    """What resets have thrown away."""

    @classmethod
    def new(cls, holder: Holder, now: float) -> "SimulatedAccount":
        limits = zip(("input-tokens", "output-tokens"), holder.tokens_per_min or (), strict=False)
        return cls(
            holder,
            [Meter(a, a.used, a.resets_at) for a in holder.allowances],
            [Bucket(name, limit, limit, now) for name, limit in limits],
        )

    def roll(self, now: float) -> None:
        """Begin every window anew whose reset has passed, one reset after the other, and note what they throw away."""
        while (at := min((m.resets_at for m in self.meters if m.resets_at is not None), default=now + 1)) <= now:
            ended = [meter for meter in self.meters if meter.resets_at == at]
            if any(meter in self._long for meter in ended):
                self.lost += min(max(0.0, meter.allowance.size - meter.used) for meter in self._long)
            for meter in ended:
                meter.begin_anew()
        for bucket in self.buckets:
            bucket.fill(now)

    @property
    def _long(self) -> list[Meter]:
        """The windows with fixed resets that count everything: the account can give what the least of them has left."""
        return [m for m in self.meters if not m.allowance.short and m.allowance.family is None]

    def answer(self, talk: Conversation, turn: Turn, now: float) -> Answer:
        """Serve a turn or refuse it."""
        self.roll(now)
        counting = [m for m in self.meters if m.allowance.family in (None, talk.family)]
        full = [meter for meter in counting if meter.full]
        if full:
            return Answer(self._refusal(full, talk, now), REFUSED_S)
        empty = [bucket for bucket in self.buckets if bucket.level <= 0]
        if empty:
            wait_s = max(MINUTE_S * (0.1 - bucket.level / bucket.limit) for bucket in empty)
            return Answer(Throttled(wait_s, self._told(counting, now)), REFUSED_S)
        return self._serve(counting, talk, turn, now)

    def _serve(self, counting: list[Meter], talk: Conversation, turn: Turn, now: float) -> Answer:
        key = (talk.id, turn.chapter)
        length, until_at = self.caches.get(key, (0, 0.0))
        cached = min(length, turn.prefix) if until_at >= now else 0
        self.caches[key] = (turn.context, now + talk.cache_s)
        cost = talk.cost(turn, cached)
        share = min(meter.spend(cost, now) for meter in counting)
        for bucket, tokens in zip(self.buckets, (turn.context - cached, turn.output), strict=False):
            bucket.level -= tokens
        missed = max(0, talk.reusable(turn) - cached)
        usage = Usage(output=turn.output, cache_read=cached, cache_write=turn.context - cached)
        return Answer(Served(self._told(counting, now)), HEAD_S, share * talk.work(turn), missed, usage)

    def _told(self, counting: list[Meter], now: float) -> tuple[QuotaWindow, ...]:
        """The windows in an answer's headers: OpenCode Go has none, and nobody tells what a spend limit has left."""
        match self.holder.account.kind:
            case AccountKind.CLAUDE:
                return tuple(meter.reading(now) for meter in counting)
            case AccountKind.API_KEY:
                return tuple(bucket.reading(now) for bucket in self.buckets)
            case AccountKind.GO:
                return ()

    def _refusal(self, full: list[Meter], talk: Conversation, now: float) -> QuotaSpent:
        counting = [m for m in self.meters if m.allowance.family in (None, talk.family)]
        if self.holder.account.kind is AccountKind.API_KEY:
            until_at = full[0].resets_at
            return QuotaSpent("spend limit reached", until_at, windows=self._told(counting, now), cause=Cause.CREDIT)
        if self.holder.account.kind is AccountKind.GO:  # checked weekly, monthly, 5 h, and only the first is told
            full = sorted(full, key=lambda m: ("weekly", "monthly", "rolling").index(m.allowance.name))[:1]
            counting = full
        wide = [meter for meter in full if meter.allowance.family is None]
        last = max(wide or full, key=lambda meter: meter.resets_at or 0.0)
        text = f"{window_name(last.reading(now))} window full"
        windows = tuple(meter.reading(now) for meter in counting)
        return QuotaSpent(text, last.resets_at, last.allowance.family, windows)

    def usage(self, now: float) -> tuple[QuotaWindow, ...]:
        """What the usage endpoint tells: every window, also those that nothing was asked of."""
        self.roll(now)
        return tuple(meter.reading(now) for meter in self.meters)


def open_world(holders: tuple[Holder, ...], now: float) -> Mapping[AccountId, SimulatedAccount]:
    """The accounts at their providers, as they are at the beginning."""
    return {holder.account.id: SimulatedAccount.new(holder, now) for holder in holders}
