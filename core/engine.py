"""The owner of the Pool: asks the pure ring, replaces the immutable Pool, publishes what happened.

Lives on the core's loop and never awaits, so nobody sees or changes a Pool between reading and replacing it.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from msgspec.structs import replace

from core import __version__
from core.bus import Bus
from core.errors import LoginNeeded, RefreshFailed, TidegateError, UsageError, VaultError
from core.model import (
    Account,
    AccountId,
    AccountState,
    Changed,
    Choice,
    CredentialRejected,
    Event,
    Exhausted,
    FailedOver,
    IconStyle,
    LoginHealth,
    LoginRenewed,
    LoginRequired,
    LoginState,
    Move,
    Outcome,
    Pause,
    Pin,
    Pool,
    ProviderName,
    QuietHours,
    RenewalFailed,
    Request,
    ResourceId,
    Settings,
    SignIn,
    Snapshot,
    Strategy,
    Traffic,
    Usage,
)
from core.policy import alerts, outage, picture, polling, quota, sharing, watch
from core.policy import pool as policy
from core.policy.readiness import obstacle
from core.policy.rests import with_state
from core.wording import clock_time

log = logging.getLogger(__name__)

MOVES_KEPT = 20


class Engine:
    """Holds the one Pool.

    `saved` gets every Pool worth keeping, `moved` every failover, `read` the accounts whose quota was read anew when
    that was news. All must be cheap.
    """

    def __init__(
        self,
        bus: Bus,
        clock: Callable[[], float],
        saved: Callable[[Pool], None],
        moved: Callable[[Move], None],
        moves: Iterable[Move] = (),
        *,
        read: Callable[[Sequence[AccountState]], None] = lambda _: None,
        demo: bool = False,
    ) -> None:
        self.pool = Pool()
        self.address = ""
        self.notifications = True
        self.quiet_hours: QuietHours | None = None
        self.icon = IconStyle()
        self.programs: tuple[str, ...] = ()
        self.wanted_at = 0.0
        """When a request last found nobody to serve it."""
        self._bus = bus
        self._clock = clock
        self._saved = saved
        self._moved = moved
        self._read = read
        self._moves: deque[Move] = deque(moves, maxlen=MOVES_KEPT)
        self._healths: dict[AccountId, LoginHealth] = {}
        self._demo = demo
        self._trouble: dict[AccountId, str] = {}
        """Why logins were last not renewed, so that it is said once."""

    # --- questions ---

    def snapshot(self) -> Snapshot:
        """The picture that is shown."""
        return replace(
            picture.snapshot(self.pool, self._clock()),
            version=__version__,
            address=self.address,
            moves=tuple(self._moves),
            notifications=self.notifications,
            quiet_hours=self.quiet_hours,
            icon=self.icon,
            programs=self.programs,
            demo=self._demo,
        )

    def choose(self, request: Request, tried: Sequence[AccountId] = ()) -> Choice | Exhausted:
        """Who should serve `request`, without those that it has left behind."""
        now = self._clock()
        choice = policy.choose(self.pool, request, now, frozenset(tried))
        if isinstance(choice, Exhausted) and not choice.paused:
            self.wanted_at = now
        return choice

    def serves(self, id_: AccountId, request: Request) -> bool:
        """Whether this account can serve `request` now."""
        state = self.pool.state(id_)
        return state is not None and not obstacle(state, request, self._clock())

    def outage_s(self, provider: ProviderName) -> float:
        """How long a request should wait because the provider cannot be reached; 0.0 when it may be sent."""
        return outage.wait_s(self.pool, provider, self._clock())

    # --- serving ---

    def ramp(self, request: Request, choice: Choice, tried: Sequence[AccountId] = ()) -> float:
        """How long a request that comes over from another account waits before it is sent. Takes its place in line."""
        self.pool, wait_s = policy.ramp(self.pool, request, choice, self._clock(), tried)
        return wait_s

    @contextmanager
    def lease(
        self, request: Request, choice: Choice, tried: Sequence[AccountId] = (), *, retried: bool = False
    ) -> Iterator[None]:
        """Hold the chosen account for one attempt, to the last byte of its answer."""
        before = self.pool.active.get(request.provider)
        self._fold(policy.lease(self.pool, request, choice, self._clock(), tried, retried=retried))
        if before is None or before.account != choice.account:
            self._bus.publish(Traffic(f"{self.label(choice.account)} serves: {choice.reason}"))
        try:
            yield
        finally:
            self.pool = policy.release(self.pool, choice.account, retried=retried)
            self._saved(self.pool)

    def observe(self, id_: AccountId, outcome: Outcome) -> None:
        """Fold what became of an attempt into the Pool."""
        before = self.pool.state(id_)
        self._fold(policy.observe(self.pool, id_, outcome, self._clock()))
        self._watch(before)

    def ended_well(self, id_: AccountId) -> None:
        """A stream of this account came to its end."""
        state = self.pool.state(id_)
        if state and state.upstream_failures:
            self._put(replace(state, upstream_failures=0))

    def used(self, request: Request, id_: AccountId, usage: Usage) -> None:
        """An answer of this account cost so much."""
        self.pool = policy.used(self.pool, request, id_, usage)

    def made(self, id_: AccountId, resources: Sequence[ResourceId]) -> None:
        """An answer of this account named what only it can use from now on."""
        self.pool = policy.made(self.pool, id_, resources)
        self._saved(self.pool)

    def sign_in(self, id_: AccountId, state: SignIn, text: str = "") -> None:
        """Say whether an account's credential can be sent."""
        before = self.pool.state(id_)
        if before is None:
            return
        # A new login may have the scope that the last one lacked.
        asking = replace(before.polling, unreadable=before.polling.unreadable and state is not SignIn.OK)
        after = replace(before, sign_in=state, sign_in_text=text, polling=asking)
        if after != before:
            self._put(after)
            self._changed(f"{before.account.label}: {text or 'signed in'}")

    def without_secret(self, id_: AccountId, exc: TidegateError) -> None:
        """An account cannot prove itself now: show it, unless it passes by itself."""
        log.warning("%s: %s", self.label(id_), exc.title)
        if isinstance(exc, LoginNeeded):
            self.observe(id_, CredentialRejected(exc.title, renewable=False))
        elif isinstance(exc, VaultError):
            self.sign_in(id_, SignIn.LOCKED, exc.title)
        elif isinstance(exc, RefreshFailed) and self._trouble.get(id_) != exc.title:
            self._trouble[id_] = exc.title
            self._bus.publish(RenewalFailed(id_, exc.title))

    def login_health(self, id_: AccountId, health: LoginHealth) -> None:
        """How an account's login is doing now. It may speak before its account is here."""
        self._healths[id_] = health
        before = self.pool.state(id_)
        if before is None:
            return
        self._put(replace(before, login=health))
        if health.state is before.login.state:
            return
        self._bus.publish(Changed(f"{before.account.label}: login {health.state}"))
        now = self._clock()
        if health.state is LoginState.ENDING and health.ends_at is not None and health.ends_at > now:
            self._bus.publish(LoginRequired(id_, _ending(before.account, health.ends_at, now)))

    def renewed(self, id_: AccountId) -> None:
        """An account has a new login."""
        self._trouble.pop(id_, None)
        self._bus.publish(LoginRenewed(id_))

    # --- quota from the usage endpoints ---

    def asks(self, id_: AccountId, jitter: float) -> None:
        """A usage endpoint is being asked about this account. Remembered first, so that no restart asks at once."""
        state = self.pool.state(id_)
        if state:
            self._put(polling.asked(state, self._clock(), jitter))
            self._saved(self.pool)

    def learn(self, id_: AccountId, reading: polling.Reading) -> None:
        """Fold what the endpoint said into the Pool."""
        before = self.pool.state(id_)
        if before is None:
            return
        self.pool = polling.learned(self.pool, id_, reading, self._clock())
        after = self._state(id_)
        self._saved(self.pool)
        label = before.account.label
        if len(after.cooldowns) < len(before.cooldowns):
            log.info("%s has quota again, before its reset", label)
            self._bus.publish(Changed(f"{label} has quota again"))
            self._news(after)
        else:
            self._watch(before)

    def heed_clock(self) -> None:
        """Readings of the future are of now: the clock has been set back."""
        self.pool = polling.not_in_future(self.pool, self._clock())

    def heed_windows(self) -> None:
        """Tell what time alone has changed: windows that have begun anew."""
        for state in self.pool.accounts:
            self._tell(state)

    def _watch(self, before: AccountState | None) -> None:
        """Tell what a reading changed."""
        after = self.pool.state(before.account.id) if before else None
        if before and after and quota.news(before, after):
            self._bus.publish(Traffic(f"{before.account.label}: new quota reading"))
            self._news(after)

    def _news(self, state: AccountState) -> None:
        self._read(sharing.group(self.pool, state.account.id))
        self._tell(state)

    def _tell(self, state: AccountState) -> None:
        after, events = watch.look(state, self._clock())
        if after is not state:
            self._put(after)
            self._saved(self.pool)
        for event in events:
            self._bus.publish(event)

    # --- the person's orders ---

    def restore(self, accounts: Iterable[Account], last: Pool | None, strategy: Strategy) -> None:
        """Begin with these accounts in this order, with the state that `last` remembers of them."""
        last = last or Pool()
        states = []
        for account in accounts:
            known = last.state(account.id)
            # What was in flight ended with the process that had it, and so did what it knew of the login.
            state = known or AccountState(account)
            login = self._healths.get(account.id, LoginHealth())
            states.append(replace(state, account=account, in_flight=0, login=login))
        ids = {state.account.id for state in states}
        self.pool = Pool.of(
            states,
            strategy=strategy,
            pause=last.pause,
            pins={p: pin for p, pin in last.pins.items() if pin.account in ids},
            sessions={s: affinity for s, affinity in last.sessions.items() if affinity.account in ids},
            active={p: choice for p, choice in last.active.items() if choice.account in ids},
            turns={p: id_ for p, id_ in last.turns.items() if id_ in ids},
            resources={r: id_ for r, id_ in last.resources.items() if id_ in ids},
        )

    def add(self, account: Account) -> None:
        """A new account, last in order."""
        state = AccountState(account, login=self._healths.get(account.id, LoginHealth()))
        self._put(state)
        self._changed(f"{account.label} added")

    def replace(self, account: Account) -> None:
        """The person changed an account: new label, switched on or off, signed in again.

        Switching on and signing in lift what kept it from serving, except a quota that is spent.
        """
        state = self._state(account.id)
        if account.enabled and (not state.account.enabled or state.account.identity != account.identity):
            state = replace(state, sign_in=SignIn.OK, sign_in_text="", refuses=frozenset())
        self._put(replace(state, account=account))
        self._changed(f"{account.label} changed")

    def remove(self, id_: AccountId) -> None:
        """Forget an account and everything that points to it."""
        state = self._state(id_)
        self._healths.pop(id_, None)
        pool = self.pool
        self.pool = replace(
            pool,
            states={other: state for other, state in pool.states.items() if other != id_},
            pins={p: pin for p, pin in pool.pins.items() if pin.account != id_},
            sessions={s: affinity for s, affinity in pool.sessions.items() if affinity.account != id_},
            active={p: choice for p, choice in pool.active.items() if choice.account != id_},
            turns={p: other for p, other in pool.turns.items() if other != id_},
            resources={r: other for r, other in pool.resources.items() if other != id_},
        )
        self._changed(f"{state.account.label} removed")

    def reorder(self, ids: Sequence[AccountId]) -> None:
        """Put the accounts into this order. `ids` names each of them once."""
        self.pool = replace(self.pool, states={id_: self._state(id_) for id_ in ids})
        self._changed("order changed")

    def reset(self, id_: AccountId) -> None:
        """Forget what is held against an account, as the person says that it is fine."""
        state = self._state(id_)
        self._put(policy.forgiven(state))
        self._changed(f"{state.account.label} reset")

    def pin(self, id_: AccountId, until_at: float | None = None) -> None:
        """Let one account serve its provider, until `until_at` or until unpinned."""
        state = self._state(id_)
        self.pool = replace(self.pool, pins={**self.pool.pins, state.account.kind.provider: Pin(id_, until_at)})
        self._changed(f"{state.account.label} pinned")

    def unpin(self, provider: ProviderName | None = None) -> None:
        """Choose again; None lifts the pins of all providers."""
        kept = {p: pin for p, pin in self.pool.pins.items() if provider not in {None, p}}
        self.pool = replace(self.pool, pins=kept)
        self._changed("unpinned")

    def pause(self, until_at: float | None = None) -> None:
        """Let nothing through, until `until_at` or until resumed."""
        self.pool = replace(self.pool, pause=Pause(until_at))
        self._changed("paused")

    def resume(self) -> None:
        """Let requests through again."""
        self.pool = replace(self.pool, pause=None)
        self._changed("resumed")

    def use(self, programs: tuple[str, ...]) -> None:
        """These programs are connected from now on."""
        if programs != self.programs:
            self.programs = programs
            self._changed("programs changed")

    def configure(self, settings: Settings) -> None:
        """Choose, tell and draw as the person wants it from now on."""
        told = (self.notifications, self.quiet_hours, self.icon)
        self.notifications, self.quiet_hours, self.icon = settings.notifications, settings.quiet_hours, settings.icon
        pool = replace(
            self.pool,
            strategy=settings.strategy,
            failover=settings.failover,
            health_score=settings.health_score,
            token_bucket=settings.token_bucket,
        )
        if pool != self.pool or told != (self.notifications, self.quiet_hours, self.icon):
            self.pool = pool
            self._changed("settings changed")

    # --- inside ---

    def label(self, id_: AccountId) -> str:
        """The account's label."""
        return alerts.label(self.pool, id_)

    def _state(self, id_: AccountId) -> AccountState:
        state = self.pool.state(id_)
        if state is None:
            raise UsageError(f"There is no account {id_}", "`tidegate list` shows the accounts.")
        return state

    def _put(self, state: AccountState) -> None:
        self.pool = with_state(self.pool, state)

    def _changed(self, text: str) -> None:
        self._saved(self.pool)
        self._bus.publish(Changed(text))

    def _fold(self, step: tuple[Pool, tuple[Event, ...]]) -> None:
        self.pool, events = step
        for event in events:
            if isinstance(event, FailedOver):
                source, target = self.label(event.source), self.label(event.target)
                move = Move(self._clock(), source, target, event.text, event.until_at)
                self._moves.appendleft(move)
                self._moved(move)
                log.info("%s → %s: %s", source, target, event.text)
            self._bus.publish(event)
        if events:
            self._saved(self.pool)


def _ending(account: Account, ends_at: float, now: float) -> str:
    """What the person is told of a login that serves and cannot be renewed."""
    until = clock_time(ends_at, now)
    if account.borrowed_from:
        lender = account.borrowed_from
        return f"{lender} owns this login, and it ends at {until}. Open it there, or sign in to make it Tidegate's own."
    return f"Sign in again by {until}: this login serves until then and cannot be renewed."
