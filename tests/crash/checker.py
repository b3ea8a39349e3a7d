"""Judges the record of a storm when it is over. The provider's ledger is the truth; nothing is given the benefit of it.

A login may die only by a kill between the provider's rotation and our storing of it, and then the files must say so.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.crash.record import (
    AnyEvent,
    Ended,
    Failed,
    Found,
    Issued,
    Killed,
    Listed,
    Obeyed,
    Ordered,
    Presented,
    Rest,
    Shown,
    Started,
    Token,
    Unsettled,
)

NEWEST, IN_DOUBT, SIGN_IN, DEAD = "newest", "in doubt", "sign in again", "silently dead"


@dataclass
class Ledger:
    """What the provider would say of every token, at one moment of the record."""

    newest: dict[int, int] = field(default_factory=dict)
    """Sign-in to the number of its newest token."""
    owner: dict[int, str] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)
    """Sign-ins that ended because an old token was sent again."""
    rotated_in: dict[Token, int] = field(default_factory=dict)
    """An accepted token to the run that sent it."""

    def good(self, token: Token | None) -> bool:
        """Sending it would renew the login."""
        return token is not None and token.login not in self.ended and self.newest.get(token.login) == token.number


@dataclass
class Verdict:
    """What came of a storm."""

    violations: list[str] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    """Where the kills hit."""
    states: Counter[str] = field(default_factory=Counter)
    """How the accounts lay on disk after the kills."""
    lost: Counter[str] = field(default_factory=Counter)
    """Logins that a kill in flight cost, by where it hit."""
    start_s: list[float] = field(default_factory=list)

    @property
    def killed(self) -> int:
        """How many processes were killed."""
        return self.kills.total()


def check(events: Sequence[AnyEvent], accounts: Sequence[str]) -> Verdict:
    """Everything that is wrong with the record. `accounts` are there from the first start on."""
    return _Checker(frozenset(accounts)).all_of(events)


class _Checker:
    """Walks the record once, with the ledger as it was at each moment."""

    def __init__(self, accounts: frozenset[str]) -> None:
        self._accounts = accounts
        self._verdict = Verdict()
        self._ledger = Ledger()
        self._killed: dict[int, str] = {}
        self._over: set[int] = set()
        self._good_at_rest: dict[str, bool] = {}
        self._generations: defaultdict[str, int] = defaultdict(int)
        self._rested: dict[str, Token] = {}
        self._settings: set[float] = set()
        self._counted: set[Token] = set()

    def all_of(self, events: Sequence[AnyEvent]) -> Verdict:
        for number, event in enumerate(events):
            for text in self._judge(event):
                self._verdict.violations.append(f"event {number}, run {event.run}: {text}")
        last = next((event for event in reversed(events) if isinstance(event, Started | Killed | Ended)), None)
        if not isinstance(last, Ended):
            self._verdict.violations.append("the record does not end with an orderly end, so the last kill is unproven")
        return self._verdict

    def _judge(self, event: AnyEvent) -> Iterator[str]:
        match event:
            case Issued(account=account, token=token):
                yield from self._issued(account, token)
            case Presented():
                yield from self._presented(event)
            case Started(seconds=seconds):
                self._verdict.start_s.append(seconds)
            case Listed(accounts=listed):
                yield from self._all_there(listed, "listed")
            case Failed(text=text):
                yield f"it failed: {text}"
            case Shown(gone=gone, served=served):
                yield from self._all_there((*gone, *served), "shown")
                yield from (f"{a} is shown as signed out, its login is good" for a in gone if self._good_at_rest.get(a))
            case Unsettled(accounts=accounts):
                yield f"neither renewed nor shown as signed out: {', '.join(accounts)}"
            case Ordered(value=value):
                self._settings.add(value)
            case Obeyed(value=value):
                self._settings = {value}
            case Killed(run=run, where=where):
                self._killed[run] = where
                self._verdict.kills[where] += 1
            case Ended(code=code):
                if code != 0:
                    yield f"an orderly end had the exit code {code}"
            case Found():
                yield from self._found(event)

    def _issued(self, account: str, token: Token) -> Iterator[str]:
        if token.number != self._ledger.newest.get(token.login, -1) + 1:
            yield f"the record lacks tokens of {account} before {token}"
        self._ledger.newest[token.login] = token.number
        self._ledger.owner[token.login] = account

    def _presented(self, event: Presented) -> Iterator[str]:
        token, before = event.token, self._ledger.rotated_in.get(event.token)
        if before == event.run:
            yield f"{event.account}: one process sent {token} twice"
        if event.accepted != self._ledger.good(token):
            yield f"the record contradicts itself about {token}"
        if event.accepted:
            self._ledger.rotated_in[token] = event.run
            return
        self._ledger.ended.add(token.login)
        if before is None or before not in self._killed:
            yield f"{event.account}: {token} was sent again, and no kill explains it"

    def _all_there(self, listed: Sequence[str], how: str) -> Iterator[str]:
        if missing := self._accounts - set(listed):
            yield f"not {how}: {', '.join(sorted(missing))}"
        if len(listed) != len(set(listed)) or set(listed) - self._accounts:
            yield f"{how} too often: {', '.join(sorted(listed))}"

    def _found(self, event: Found) -> Iterator[str]:
        yield from self._all_there(tuple(event.accounts), "on disk")
        yield from (f"damaged: {name}" for name in event.broken)
        if self._settings and event.setting not in self._settings:
            yield f"a setting is {event.setting}, it was told to be {sorted(self._settings)}"
        self._settings = {event.setting}
        where = self._killed.get(event.run)
        for account, rest in event.accounts.items():
            state = self._state(rest)
            if where is not None:
                self._verdict.states[state] += 1
            self._good_at_rest[account] = state == NEWEST
            if state == DEAD:
                yield f"{account} is silently dead: {rest}"
            if rest.generation < self._generations[account]:
                yield f"{account} went back from generation {self._generations[account]} to {rest.generation}"
            self._generations[account] = rest.generation
            if rest.token and (newest := self._rested.get(account)) and _older(rest.token, newest):
                yield f"{account} went back from {newest} to {rest.token}"
            self._rested[account] = rest.token or Token(0, 0)
            yield from self._explained(account, rest, where)

    def _state(self, rest: Rest) -> str:
        if self._ledger.good(rest.token):
            return NEWEST
        if rest.token is None:
            return DEAD
        return IN_DOUBT if rest.in_doubt else SIGN_IN if rest.sign_in else DEAD

    def _explained(self, account: str, rest: Rest, where: str | None) -> Iterator[str]:
        """A login that is worth nothing died by one kill in flight, and by nothing else."""
        token = rest.token
        if token is None or self._ledger.good(token):
            return
        if self._ledger.owner.get(token.login) != account:
            yield f"{account} holds a token of {self._ledger.owner.get(token.login)}"
        if token.number != self._ledger.newest[token.login] - 1:
            yield f"{account} rests with {token}, the newest one is {self._ledger.newest[token.login]}"
        if self._ledger.rotated_in.get(token) not in self._killed:
            yield f"{account} lost {token} in a run that was not killed"
        elif token not in self._counted:
            self._counted.add(token)
            self._verdict.lost[where or "an earlier kill"] += 1


def _older(token: Token, other: Token) -> bool:
    return (token.login, token.number) < (other.login, other.number)
