"""The owner of the Pool: asks the pure ring, replaces the immutable Pool, publishes what happened.

Lives on the core's loop and never awaits, so nobody sees or changes a Pool between reading and replacing it.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from core import __version__
from core.bus import Bus
from core.errors import LoginNeeded, TidegateError, UsageError, VaultError
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
    Move,
    Outcome,
    Pin,
    Pool,
    ProviderName,
    Request,
    SignIn,
    Snapshot,
    Strategy,
)
from core.policy import alerts, picture, polling, quota
from core.policy import pool as policy

log = logging.getLogger(__name__)

MOVES_KEPT = 20


class Engine:
    """Holds the one Pool. `saved` gets every Pool worth keeping, `moved` every failover; both must be cheap."""

    def __init__(
        self,
        bus: Bus,
        clock: Callable[[], float],
        saved: Callable[[Pool], None],
        moved: Callable[[Move], None],
        moves: Iterable[Move] = (),
        *,
        demo: bool = False,
    ) -> None:
        self.pool = Pool()
        self.address = ""
        self.notifications = True
        self.wanted_at = 0.0
        """When a request last found nobody to serve it."""
        self._bus = bus
        self._clock = clock
        self._saved = saved
        self._moved = moved
        self._moves: deque[Move] = deque(moves, maxlen=MOVES_KEPT)
        self._demo = demo

    # --- questions ---

    def snapshot(self) -> Snapshot:
        """The picture that is shown."""
        return replace(
            picture.snapshot(self.pool, self._clock()),
            version=__version__,
            address=self.address,
            moves=tuple(self._moves),
            notifications=self.notifications,
            demo=self._demo,
        )

    def choose(self, request: Request, tried: Sequence[AccountId] = ()) -> Choice | Exhausted:
        """Who should serve `request`, without those that it has left behind."""
        now = self._clock()
        choice = policy.choose(self.pool, request, now, frozenset(tried))
        if isinstance(choice, Exhausted):
            self.wanted_at = now
        return choice

    def serves(self, id_: AccountId, request: Request) -> bool:
        """Whether this account can serve `request` now."""
        state = self.pool.state(id_)
        return state is not None and not policy.obstacle(state, request, self._clock())

    # --- serving ---

    @contextmanager
    def lease(
        self, request: Request, choice: Choice, tried: Sequence[AccountId] = (), *, retried: bool = False
    ) -> Iterator[None]:
        """Hold the chosen account for one attempt, to the last byte of its answer."""
        before = self.pool.active.get(request.provider)
        self._fold(policy.lease(self.pool, request, choice, self._clock(), tried, retried=retried))
        if before is None or before.account != choice.account:
            self._bus.publish(Changed(f"{self.label(choice.account)} serves: {choice.reason}"))
        try:
            yield
        finally:
            self.pool = policy.release(self.pool, choice.account, retried=retried)
            self._saved(self.pool)

    def observe(self, id_: AccountId, outcome: Outcome) -> None:
        """Fold what became of an attempt into the Pool."""
        before = self.pool.state(id_)
        self._fold(policy.observe(self.pool, id_, outcome, self._clock()))
        after = self.pool.state(id_)
        if before and after and quota.news(before.windows, after.windows):
            self._bus.publish(Changed(f"{before.account.label}: new quota reading"))

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
        after = polling.learned(before, reading, self._clock())
        self._put(after)
        self._saved(self.pool)
        label = before.account.label
        if len(after.cooldowns) < len(before.cooldowns):
            log.info("%s has quota again, before its reset", label)
            self._bus.publish(Changed(f"{label} has quota again"))
        elif quota.news(before.windows, after.windows):
            self._bus.publish(Changed(f"{label}: new quota reading"))

    def heed_clock(self) -> None:
        """Readings of the future are of now: the clock has been set back."""
        self.pool = polling.not_in_future(self.pool, self._clock())

    # --- the person's orders ---

    def restore(self, accounts: Iterable[Account], last: Pool | None, strategy: Strategy) -> None:
        """Begin with these accounts in this order, with the state that `last` remembers of them."""
        last = last or Pool()
        states = []
        for account in accounts:
            known = last.state(account.id)
            # What was in flight ended with the process that had it.
            states.append(replace(known, account=account, in_flight=0) if known else AccountState(account))
        ids = {state.account.id for state in states}
        self.pool = Pool(
            accounts=tuple(states),
            strategy=strategy,
            pins={p: pin for p, pin in last.pins.items() if pin.account in ids},
            sessions={s: affinity for s, affinity in last.sessions.items() if affinity.account in ids},
            active={p: choice for p, choice in last.active.items() if choice.account in ids},
        )

    def add(self, account: Account) -> None:
        """A new account, last in order."""
        self.pool = replace(self.pool, accounts=(*self.pool.accounts, AccountState(account)))
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
        pool = self.pool
        self.pool = replace(
            pool,
            accounts=tuple(s for s in pool.accounts if s.account.id != id_),
            pins={p: pin for p, pin in pool.pins.items() if pin.account != id_},
            sessions={s: affinity for s, affinity in pool.sessions.items() if affinity.account != id_},
            active={p: choice for p, choice in pool.active.items() if choice.account != id_},
        )
        self._changed(f"{state.account.label} removed")

    def reorder(self, ids: Sequence[AccountId]) -> None:
        """Put the accounts into this order. `ids` names each of them once."""
        self.pool = replace(self.pool, accounts=tuple(self._state(id_) for id_ in ids))
        self._changed("order changed")

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

    def set_strategy(self, strategy: Strategy) -> None:
        """Order ready accounts in another way from now on."""
        self.pool = replace(self.pool, strategy=strategy)
        self._changed(f"strategy {strategy}")

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
        accounts = tuple(state if s.account.id == state.account.id else s for s in self.pool.accounts)
        self.pool = replace(self.pool, accounts=accounts)

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
