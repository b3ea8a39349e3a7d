"""One workload played with one strategy: the real policy in virtual time, as the proxy and the poller use it.

Nothing here decides who serves. `next_step` says what follows an attempt, `schedule` when a usage endpoint is asked;
clients ask, wait when they are told to, and give up.
"""

import heapq
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Protocol

from msgspec import structs

from core.model import AccountId, AccountState, Choice, Exhausted, Pool, Request, SessionId, Settings, Strategy, Usage
from core.policy import polling
from core.policy import pool as policy
from core.policy.readiness import obstacle
from core.policy.rests import with_state
from core.policy.retry import MAX_WAIT_S, Again, ComeBack, Deliver, Elsewhere, Spent, Step, next_step
from tests.bench.policy.demand import MINUTE_S, Conversation, Turn
from tests.bench.policy.workloads import Workload
from tests.bench.policy.world import Answer, open_world

HOLD_S = Settings().hold_s
COME_BACK_S = 1.0
MOST_COME_BACKS = 10
"""How often a client follows "ask again" by itself before it shows the refusal (Claude Code)."""
LOOK_EVERY_S = 5 * MINUTE_S
"""The poller looks when a reading is due, and at least this often while somebody works (the real one: every minute)."""


class Choose(Protocol):
    """The question that is put to the policy."""

    def __call__(
        self, pool: Pool, request: Request, now: float, tried: AbstractSet[AccountId] = frozenset()
    ) -> Choice | Exhausted: ...


@dataclass(slots=True)
class Tally:
    """What became of everything that was asked.

    `asked` counts every turn of the workload once, and each asking again after a refusal: it is always
    `served + refused + abandoned`. `moves`: a session was served by another account than before. `missed`: tokens
    written to a cache that had been in one. `lost`: what long windows had left at their resets.
    """

    asked: int = 0
    served: int = 0
    refused: int = 0
    abandoned: int = 0
    work: float = 0.0
    moves: int = 0
    missed: int = 0
    lost: float = 0.0
    waits_s: list[float] = field(default_factory=list)
    by_account: dict[AccountId, float] = field(default_factory=dict)


@dataclass(slots=True)
class _Ask:
    """A client's turn on its way to an answer."""

    talk: Conversation
    index: int
    first_at: float
    spent: Spent = field(default_factory=lambda: Spent(attempts=0))
    tried: list[AccountId] = field(default_factory=list)
    again: AccountId | None = None
    came_back: int = 0
    refusals: int = 0

    @property
    def turn(self) -> Turn:
        return self.talk.turns[self.index]


def play(workload: Workload, strategy: Strategy, choose: Choose = policy.choose) -> Tally:
    """Play all of a workload. The same workload and strategy give the same tally, always."""
    return _Play(workload, strategy, choose).run()


class _Play:
    """The event loop, the pool, and the world."""

    def __init__(self, workload: Workload, strategy: Strategy, choose: Choose) -> None:
        self._workload = workload
        self._choose = choose
        self._world = open_world(workload.holders, workload.starts_at)
        self._pool = Pool.of((AccountState(holder.account) for holder in workload.holders), strategy=strategy)
        self._jitter = Random(workload.name)
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._number = 0
        self._asked_at = workload.starts_at - polling.IN_USE_S
        self._wanted_at = 0.0
        self._looking = False
        self._homes: dict[SessionId, AccountId] = {}
        self._tally = Tally()

    def run(self) -> Tally:
        self._look(self._workload.starts_at)
        for talk in self._workload.talks:
            self._tally.asked += len(talk.turns)
            self._at(talk.starts_at, partial(self._ask, talk, 0))
        while self._events:
            at, _, step = heapq.heappop(self._events)
            step(at)
        for account in self._world.values():
            account.roll(self._workload.ends_at)
            self._tally.lost += account.lost
        return self._tally

    def _at(self, at: float, step: Callable[[float], None]) -> None:
        self._number += 1
        heapq.heappush(self._events, (at, self._number, step))

    # --- clients ---

    def _ask(self, talk: Conversation, index: int, now: float) -> None:
        """A client asks its next turn."""
        self._attempt(_Ask(talk, index, now), now)

    def _refuse(self, ask: _Ask, ready_at: float | None, now: float) -> None:
        """The client sees a refusal. It comes back when it was told to, if that is not too late for it."""
        self._tally.refused += 1
        ask.refusals += 1
        told_at = ready_at if ready_at is not None and ready_at > now else now + LOOK_EVERY_S
        late_s = Random(f"{ask.talk.id}/{ask.index}/{ask.refusals}").uniform(1, MINUTE_S)
        if told_at + late_s > ask.talk.ends_at:
            self._tally.abandoned += len(ask.talk.turns) - ask.index - 1
            return
        self._tally.asked += 1
        self._at(told_at + late_s, lambda now: self._attempt(self._anew(ask), now))

    def _has_left(self, ask: _Ask, now: float) -> bool:
        """Whether the client has given up: then this turn and all that would have followed are abandoned."""
        gone = now > ask.talk.ends_at
        self._tally.abandoned += (len(ask.talk.turns) - ask.index) if gone else 0
        return gone

    @staticmethod
    def _anew(ask: _Ask) -> _Ask:
        return _Ask(ask.talk, ask.index, ask.first_at, came_back=ask.came_back, refusals=ask.refusals)

    # --- the proxy's part ---

    def _attempt(self, ask: _Ask, now: float) -> None:
        """Choose and send, as the proxy does."""
        if self._has_left(ask, now):
            return
        self._asked_at = now
        if not self._looking:
            self._look(now)
        choice = self._choice(ask, now)
        if isinstance(choice, Exhausted):
            self._nobody(ask, choice, now)
            return
        self._pool, wait_s = policy.ramp(self._pool, ask.talk.request, choice, now, ask.tried)
        if wait_s:
            ask.spent = structs.replace(ask.spent, waited_s=ask.spent.waited_s + wait_s)
            self._at(now + wait_s, lambda at: self._send_after_line(ask, choice, at))
        else:
            self._send(ask, choice, now)

    def _send_after_line(self, ask: _Ask, choice: Choice, now: float) -> None:
        """Send, unless the account has become unable while the request waited in line."""
        if not self._serves(choice.account, ask.talk.request, now):
            self._attempt(ask, now)
        elif not self._has_left(ask, now):
            self._send(ask, choice, now)

    def _send(self, ask: _Ask, choice: Choice, now: float) -> None:
        ask.spent = structs.replace(ask.spent, attempts=ask.spent.attempts + 1)
        retried = ask.spent.attempts > 1
        self._pool, _ = policy.lease(self._pool, ask.talk.request, choice, now, ask.tried, retried=retried)
        answer = self._world[choice.account].answer(ask.talk, ask.turn, now)
        self._at(now + answer.after_s, lambda at: self._judge(ask, choice.account, answer, now, at))

    def _choice(self, ask: _Ask, now: float) -> Choice | Exhausted:
        again, ask.again = ask.again, None
        if again is not None and self._serves(again, ask.talk.request, now):
            return Choice(again, "the same account once more")
        choice = self._choose(self._pool, ask.talk.request, now, frozenset(ask.tried))
        if isinstance(choice, Exhausted):
            self._wanted_at = now
        return choice

    def _serves(self, id_: AccountId, request: Request, now: float) -> bool:
        state = self._pool.state(id_)
        return state is not None and not obstacle(state, request, now)

    def _judge(self, ask: _Ask, id_: AccountId, answer: Answer, sent_at: float, now: float) -> None:
        """The head of an answer is here."""
        self._pool, _ = policy.observe(self._pool, id_, answer.outcome, now)
        step = next_step(answer.outcome, ask.talk.request, ask.spent, self._pool)
        retried = ask.spent.attempts > 1
        if isinstance(step, Deliver):
            self._count(ask, id_, answer, sent_at)
            self._at(sent_at + ask.turn.lasts_s, lambda at: self._end(ask, id_, answer.usage, retried, at))
            return
        self._pool = policy.release(self._pool, id_, retried=retried)
        self._follow(step, ask, id_, now)

    def _end(self, ask: _Ask, id_: AccountId, usage: Usage, retried: bool, now: float) -> None:
        """The last byte is here; the client reads, and asks its next turn."""
        self._pool = policy.used(self._pool, ask.talk.request, id_, usage)
        self._pool = policy.release(self._pool, id_, retried=retried)
        if ask.index + 1 < len(ask.talk.turns):
            after_s = ask.talk.turns[ask.index + 1].think_s
            self._at(now + after_s, lambda at: self._ask(ask.talk, ask.index + 1, at))

    def _follow(self, step: Step, ask: _Ask, id_: AccountId, now: float) -> None:
        """Do what comes after an attempt that served nobody."""
        match step:
            case Elsewhere():
                ask.tried.append(id_)
                self._attempt(ask, now)
            case Again(wait_s=wait_s):
                ask.spent = structs.replace(ask.spent, throttled=True, waited_s=ask.spent.waited_s + wait_s)
                ask.again = id_
                self._at(now + wait_s, lambda at: self._attempt(ask, at))
            case ComeBack():
                ask.tried.append(id_)
                left = self._choice(ask, now)
                if isinstance(left, Exhausted):
                    self._nobody(ask, left, now)
                elif ask.came_back == MOST_COME_BACKS:
                    self._refuse(ask, None, now)
                else:
                    ask.came_back += 1
                    self._at(now + COME_BACK_S, lambda at: self._attempt(self._anew(ask), at))
            case _:
                raise AssertionError(step)  # providers of this world answer nothing that leads here

    def _nobody(self, ask: _Ask, exhausted: Exhausted, now: float) -> None:
        """Hold the request if somebody is ready soon, else refuse it."""
        if exhausted.ready_at is not None:
            wait_s = max(0.0, exhausted.ready_at - now) + 0.05
            if wait_s <= HOLD_S and ask.spent.waited_s + wait_s <= MAX_WAIT_S:
                ask.spent = structs.replace(ask.spent, waited_s=ask.spent.waited_s + wait_s)
                ask.tried.clear()
                self._at(now + wait_s, lambda at: self._attempt(ask, at))
                return
        self._refuse(ask, exhausted.ready_at, now)

    def _count(self, ask: _Ask, id_: AccountId, answer: Answer, sent_at: float) -> None:
        tally, session = self._tally, ask.talk.id
        tally.served += 1
        tally.work += answer.work
        tally.missed += answer.missed
        tally.waits_s.append(sent_at - ask.first_at)
        tally.by_account[id_] = tally.by_account.get(id_, 0.0) + answer.work
        tally.moves += self._homes.get(session, id_) != id_
        self._homes[session] = id_

    # --- the poller's part ---

    def _look(self, now: float) -> None:
        """Ask the usage endpoints about whom it is time to ask, while somebody works."""
        for at, id_ in self._schedule(now):
            state = self._pool.state(id_)
            if at <= now and state:
                self._pool = with_state(self._pool, polling.asked(state, now, self._jitter.random()))
                self._pool = polling.learned(self._pool, id_, polling.Read(self._world[id_].usage(now)), now)
        self._looking = now - self._asked_at < polling.IN_USE_S
        if self._looking:
            soonest = min((at for at, _ in self._schedule(now)), default=now + LOOK_EVERY_S)
            self._at(min(max(soonest, now + 1), now + LOOK_EVERY_S), self._look)

    def _schedule(self, now: float) -> list[tuple[float, AccountId]]:
        starts_at = self._workload.starts_at
        return polling.schedule(self._pool, now, started_at=starts_at, wanted_at=self._wanted_at)
