"""One client request: choose an account, send, judge what came, then deliver it or move on.

Nothing of an answer goes to the client before it is sure that this account's answer is the one. After the first byte
the answer belongs to the client.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import lru_cache
from typing import assert_never
from urllib.parse import quote

import msgspec
from msgspec import structs

from core.attempt import Attempt
from core.delivery import Delivery
from core.engine import Engine
from core.errors import TidegateError
from core.exchange import Answer, Incoming, Simple
from core.history import History, RequestRow
from core.link import Failure
from core.model import (
    AccountId,
    AccountKind,
    Choice,
    ClientLeft,
    CredentialRejected,
    Exhausted,
    NotDelivered,
    Outcome,
    ProviderName,
    Request,
    Served,
    Settings,
    Throttled,
    Unknown,
    Usage,
)
from core.policy.retry import MAX_WAIT_S, Again, ComeBack, Deliver, Elsewhere, GiveUp, Renew, Spent, Step, next_step
from core.problems import NO_RETRY, bad_gateway, come_back, nobody_ready, problem
from core.providers import PROVIDERS
from core.providers.headers import HeaderLine, for_upstream
from core.providers.incoming import describe
from core.providers.resources import asked_for, makes
from core.providers.sse import dialect_of
from core.tokens import Tokens
from core.upstream import Upstream, origin_of

log = logging.getLogger(__name__)

_PREFIXES = ((b"/v1/", ProviderName.ANTHROPIC), (b"/zen/go/v1/", ProviderName.OPENCODE_GO))
_WITHOUT_V1 = frozenset({b"messages", b"models"})
"""What OpenCode asks for when its base URL lacks the /v1."""
_CLIENT_LEFT = 499
_KIND_OF = {ProviderName.ANTHROPIC: AccountKind.API_KEY, ProviderName.OPENCODE_GO: AccountKind.GO}
"""A kind that is spoken to where all of its provider are."""
_THIS_COMPUTER = frozenset({"127.0.0.1", "localhost", "::1"})


def route(target: bytes) -> tuple[ProviderName, bytes] | None:
    """The provider that a target leads to, and the target as that provider has it; None for a path of nobody."""
    path = target.partition(b"?")[0]
    for prefix, provider in _PREFIXES:
        if path.startswith(prefix):
            return provider, target
    if path[1:].partition(b"/")[0] in _WITHOUT_V1:
        return ProviderName.ANTHROPIC, b"/v1" + target
    return None


@lru_cache(maxsize=1024)
def account_header(label: str) -> HeaderLine:
    """Who served, for the client's log; a label outside ASCII is percent-encoded."""
    return b"x-tidegate-account", quote(label, safe=" !#$&'()*+,/:;=?@[]-._~").encode()


class Proxy(msgspec.Struct, frozen=True):
    """What all requests share."""

    engine: Engine
    tokens: Tokens
    upstream: Upstream
    history: History
    settings: Callable[[], Settings]
    clock: Callable[[], float]

    async def serve(self, incoming: Incoming, answer: Answer) -> None:
        """Serve a client that has the local key."""
        provider = _routed(incoming, answer)
        if provider and not self._goes_round(provider, answer):
            request = describe(provider, incoming.headers, incoming.body)
            known = self.engine.pool.resources
            if known and (resources := asked_for(incoming.target, incoming.body)):
                request = structs.replace(request, resources=resources)
            await _Exchange(self, incoming, answer, request).run()

    async def pass_through(self, incoming: Incoming, answer: Answer) -> None:
        """Serve a client with a credential of its own, untouched, while there is no account at all."""
        provider = _routed(incoming, answer)
        if provider is None or self._goes_round(provider, answer):
            return
        speaks = PROVIDERS[_KIND_OF[provider]]
        origin = origin_of(speaks.base_url(self.settings().endpoints))
        headers = for_upstream(incoming.headers)
        lines = zip(incoming.headers.names, incoming.headers.raw, strict=True)
        headers += [line for name, line in lines if name in {b"authorization", b"x-api-key"}]
        target = speaks.target(incoming.target, origin.base_path)
        try:
            response = await self.upstream.send(origin, incoming.method, target, headers, incoming.body)
        except Failure as failure:
            answer.send(bad_gateway(f"Tidegate: {failure.text}.", unknown=failure.delivered))
            return
        try:
            await Delivery(response, answer, None, dialect_of(provider, incoming.path)).run(())
        finally:
            response.close()

    def _goes_round(self, provider: ProviderName, answer: Answer) -> bool:
        """Whether a provider's address is Tidegate's own, so that a request would come back without end."""
        origin = origin_of(PROVIDERS[_KIND_OF[provider]].base_url(self.settings().endpoints))
        here = origin_of(self.engine.address)
        if origin.port != here.port or origin.host not in _THIS_COMPUTER:
            return False
        text = f"Tidegate: the address that is set for {provider.value} is Tidegate's own."
        answer.send(problem(502, "api_error", text, NO_RETRY))
        return True


def _routed(incoming: Incoming, answer: Answer) -> ProviderName | None:
    """Whose request this is; with its target as that provider has it. None after a 404."""
    routed = route(incoming.target)
    if routed is None:
        answer.send(problem(404, "not_found_error", "Tidegate serves /v1/… and /zen/go/v1/…."))
        return None
    provider, incoming.target = routed
    return provider


def _told(row: RequestRow) -> str:
    """What became of a request, in a line: `claude-sonnet-5, status 200, Served, 1 attempt, 1.2 s`."""
    attempts = f"{row.attempts} attempt{'' if row.attempts == 1 else 's'}"
    return f"{row.model or 'no model'}, status {row.status}, {row.outcome}, {attempts}, {row.duration_s:.1f} s"


class _Exchange:
    """One request of a client on its way through accounts and attempts."""

    def __init__(self, proxy: Proxy, incoming: Incoming, answer: Answer, request: Request) -> None:
        self._proxy = proxy
        self._incoming = incoming
        self._answer = answer
        self._request = request
        self._spent = Spent(attempts=0)
        self._tried: list[AccountId] = []
        self._again: AccountId | None = None
        self._secret = ""
        self._refused: Simple | None = None
        """The last complete answer that was no success, for when nobody else can serve."""
        # What history will say of it.
        self._began_at = proxy.clock()
        self._first_byte_at: float | None = None
        self._account: AccountId | None = None
        self._status = _CLIENT_LEFT
        self._outcome: Outcome = ClientLeft()
        self._usage = Usage()

    async def run(self) -> None:
        """Answer the client, and remember what became of it."""
        try:
            while not await self._once():
                pass
        finally:
            row = self._row()
            self._proxy.history.record(row)
            if log.isEnabledFor(logging.DEBUG):
                log.debug("%s: %s", self._proxy.engine.label(row.account) if row.account else "nobody", _told(row))

    def _row(self) -> RequestRow:
        request, began_at, first_byte_at = self._request, self._began_at, self._first_byte_at
        return RequestRow(
            began_at,
            request.provider,
            self._status,
            type(self._outcome).__name__,
            self._spent.attempts,
            self._proxy.clock() - began_at,
            None if first_byte_at is None else first_byte_at - began_at,
            self._account,
            request.model,
            request.session,
            self._usage,
            self._incoming.program,
        )

    async def _once(self) -> bool:
        """Choose, send, and follow up. True when the client has its answer."""
        if not await self._reachable():
            return True
        choice = self._choice()
        if isinstance(choice, Exhausted):
            return await self._nobody(choice)
        if wait_s := self._proxy.engine.ramp(self._request, choice, self._tried):
            await self._wait(wait_s)
            if not self._proxy.engine.serves(choice.account, self._request):
                return False
        self._spent = structs.replace(self._spent, attempts=self._spent.attempts + 1)
        self._account = choice.account
        retried = self._spent.attempts > 1
        with self._proxy.engine.lease(self._request, choice, self._tried, retried=retried):
            step = await self._attempt(choice.account)
        return step is None or await self._follow(step, choice.account)

    async def _reachable(self) -> bool:
        """Wait while the provider cannot be reached. False when that takes too long, and the client was told."""
        while wait_s := self._proxy.engine.outage_s(self._request.provider):
            if self._spent.waited_s + wait_s > MAX_WAIT_S:
                known = self._outcome.text if isinstance(self._outcome, NotDelivered) else ""
                self._outcome = NotDelivered(known or "the provider cannot be reached")
                self._send(bad_gateway(f"Tidegate: {self._outcome.text}.", unknown=False))
                return False
            await self._wait(wait_s)
        return True

    def _choice(self) -> Choice | Exhausted:
        again, self._again = self._again, None
        if again is not None and self._proxy.engine.serves(again, self._request):
            return Choice(again, "the same account once more")
        return self._proxy.engine.choose(self._request, self._tried)

    async def _attempt(self, id_: AccountId) -> Step | None:
        """Send to one account. None when the client has its answer, else what comes next."""
        proxy, engine = self._proxy, self._proxy.engine
        state = engine.pool.state(id_)
        if state is None:  # removed this moment
            return Elsewhere()
        try:
            secret = self._secret = proxy.tokens.ready(id_) or await proxy.tokens.secret(id_)
        except TidegateError as exc:
            self._proxy.engine.without_secret(id_, exc)
            return Elsewhere()
        attempt = Attempt(PROVIDERS[state.account.kind], self._request, self._incoming, proxy.clock)
        self._outcome = ClientLeft()  # for history, should it leave before this attempt has come to anything
        try:
            outcome = await attempt.send(proxy.upstream, proxy.settings().endpoints, secret)
            if self._spent.renewed and isinstance(outcome, CredentialRejected):
                # Fresh and refused: only the person can help.
                outcome = CredentialRejected(outcome.text, renewable=False)
            engine.observe(id_, outcome)
            self._outcome = outcome
            step = next_step(outcome, self._request, self._spent, engine.pool)
            if isinstance(step, Deliver):
                await self._deliver(attempt, id_)
                return None
        finally:
            attempt.close()
        self._refused = attempt.whole or self._refused
        return step

    async def _deliver(self, attempt: Attempt, id_: AccountId) -> None:
        served_by = account_header(self._proxy.engine.label(id_))
        if attempt.whole or attempt.response is None:
            self._send(attempt.whole or bad_gateway("Tidegate: no answer."), served_by)
            return
        response = attempt.response
        self._status = response.status
        self._first_byte_at = self._proxy.clock()
        dialect = dialect_of(self._request.provider, self._incoming.path)
        seeks = self._request.server_tools or makes(self._incoming.target)
        delivery = Delivery(response, self._answer, attempt.tap, dialect, seeks=seeks)
        self._outcome = ClientLeft()
        try:
            self._outcome = await delivery.run(attempt.held, (served_by,))
            self._learn(attempt, self._outcome, id_)
        finally:
            self._usage = delivery.usage
            self._proxy.engine.used(self._request, id_, self._usage)
            if made := delivery.resources:
                self._proxy.engine.made(id_, made)

    def _learn(self, attempt: Attempt, outcome: Outcome, id_: AccountId) -> None:
        """An error in the middle of a stream is the client's to see, and counts for the next choice."""
        engine = self._proxy.engine
        failed = attempt.tap is not None and attempt.tap.error is not None
        if not isinstance(outcome, Served):
            engine.observe(id_, outcome)
        elif not failed:
            engine.ended_well(id_)
        state = engine.pool.state(id_)
        if state and attempt.tap and attempt.tap.error is not None and attempt.response:
            provider = PROVIDERS[state.account.kind]
            now = self._proxy.clock()
            headers = attempt.response.headers
            engine.observe(id_, provider.classify_error_event(attempt.tap.error, headers, self._request, now))

    # --- what comes next ---

    async def _follow(self, step: Step, id_: AccountId) -> bool:
        """Do what comes next. True when the client has its answer."""
        match step:
            case Again(wait_s=wait_s):
                await self._wait(wait_s)
                self._spent = structs.replace(
                    self._spent,
                    throttled=self._spent.throttled or isinstance(self._outcome, Throttled),
                    replayed=self._spent.replayed or isinstance(self._outcome, Unknown),
                )
                self._again = id_
                return False
            case Renew():
                self._spent = structs.replace(self._spent, renewed=True)
                await self._renew(id_)
                return False
            case Elsewhere(or_deliver=or_deliver):
                self._spent = structs.replace(self._spent, elsewhere=self._spent.elsewhere or or_deliver, renewed=False)
                self._tried.append(id_)
                if or_deliver and self._refused and isinstance(self._choice(), Exhausted):
                    self._send(self._refused, account_header(self._proxy.engine.label(id_)))
                    return True
                return False
            case GiveUp(text=text, unknown=unknown):
                self._send(bad_gateway(f"Tidegate: {text}.", unknown=unknown))
                return True
            case ComeBack():
                self._tried.append(id_)
                left = self._choice()
                if isinstance(left, Exhausted):  # the last one refused too: say why, not "ask again"
                    return await self._nobody(left)
                self._send(come_back())
                return True
            case Deliver():
                raise AssertionError  # `_attempt` did it
            case _:
                assert_never(step)

    async def _renew(self, id_: AccountId) -> None:
        """A fresh credential and the same account again; without one, the next account."""
        try:
            await self._proxy.tokens.renew(id_, self._secret)
        except TidegateError as exc:
            self._proxy.engine.without_secret(id_, exc)
            self._tried.append(id_)
        else:
            self._again = id_

    async def _nobody(self, exhausted: Exhausted) -> bool:
        """Wait for an account that is ready soon, else say why nobody is."""
        proxy = self._proxy
        now = proxy.clock()
        if exhausted.ready_at is not None:
            wait_s = max(0.0, exhausted.ready_at - now) + 0.05
            if wait_s <= proxy.settings().hold_s and self._spent.waited_s + wait_s <= MAX_WAIT_S:
                await self._wait(wait_s)
                self._tried.clear()
                return False
        self._send(nobody_ready(exhausted, self._request.provider, now))
        return True

    async def _wait(self, wait_s: float) -> None:
        self._spent = structs.replace(self._spent, waited_s=self._spent.waited_s + wait_s)
        await asyncio.sleep(wait_s)

    def _send(self, simple: Simple, *headers: HeaderLine) -> None:
        self._status = simple.status
        self._answer.send(structs.replace(simple, headers=(*simple.headers, *headers)))
