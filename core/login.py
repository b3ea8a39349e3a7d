"""One sign-in: the browser comes back to a listener of ours, or the person pastes the code; whichever is first.

Two addresses are offered at the same time, because a browser on another machine cannot reach this one: one comes back
to `http://localhost:PORT/callback`, the other shows a code. Each has its own PKCE pair and state. A sign-in ends with
its success, a refusal, `cancel`, or after five minutes.
"""

import asyncio
import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from core import oauth
from core.answers import Done, Offer
from core.errors import SignInFailed, TidegateError, UsageError
from core.exchange import Answer, Incoming, Simple
from core.listener import Limits, Listener
from core.model import Endpoints

log = logging.getLogger(__name__)

LIFE_S = 300.0
MAX_OPEN = 8
"""Sign-ins at a time; a person has one, a program that begins more than this is at fault."""
_CALLBACK = b"/callback"
_LIMITS = Limits(body_bytes=0, connections=16)


@dataclass(slots=True)
class _SignIn:
    """One that has begun. `loopback` is None when the person wants to paste."""

    admit: Callable[[oauth.Grant], Awaitable[Done]]
    pasted: oauth.Challenge
    outcome: "asyncio.Future[Done]"
    loopback: oauth.Challenge | None = None
    listener: Listener | None = None
    timer: asyncio.TimerHandle | None = None
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)


Exchange = Callable[[str, oauth.Challenge], Awaitable[oauth.Grant]]


class SignIns:
    """All sign-ins under way. `exchange` turns a code into tokens."""

    def __init__(self, exchange: Exchange, endpoints: Callable[[], Endpoints], life_s: float = LIFE_S) -> None:
        self._exchange = exchange
        self._endpoints = endpoints
        self._life_s = life_s
        self._open: dict[str, _SignIn] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def begin(
        self, purpose: oauth.Purpose, admit: Callable[[oauth.Grant], Awaitable[Done]], *, browser: bool
    ) -> Offer:
        """Begin one. `admit` gets what the provider grants and makes an account of it."""
        if sum(not sign_in.outcome.done() for sign_in in self._open.values()) >= MAX_OPEN:
            raise UsageError("Too many sign-ins are under way", "Finish one, or wait five minutes.")
        loop = asyncio.get_running_loop()
        sign_in = _SignIn(admit, oauth.new_challenge(), loop.create_future())
        sign_in.outcome.add_done_callback(_look_at)
        id_ = secrets.token_hex(8)
        endpoints = self._endpoints()
        paste_url = oauth.authorize_url(sign_in.pasted, purpose, endpoints)
        url = ""
        if browser:
            sign_in.listener = Listener(_Callback(self, id_), _LIMITS)
            await sign_in.listener.start(0)
            sign_in.loopback = oauth.new_challenge(oauth.loopback_redirect(sign_in.listener.port))
            url = oauth.authorize_url(sign_in.loopback, purpose, endpoints)
        self._open[id_] = sign_in
        late = SignInFailed("The sign-in took too long", "Start it again; it has five minutes.")
        sign_in.timer = loop.call_later(self._life_s, self._end, id_, late)
        return Offer(id_, url, paste_url)

    async def wait(self, id_: str, for_s: float) -> Done | None:
        """How it ended, None when it has not within `for_s`. Raises TidegateError when it failed."""
        sign_in = self._get(id_)
        await asyncio.wait({sign_in.outcome}, timeout=for_s)
        if not sign_in.outcome.done():
            return None
        self._open.pop(id_, None)
        return sign_in.outcome.result()

    async def paste(self, id_: str, text: str) -> None:
        """What the person pasted. A wrong paste raises SignInFailed and leaves the sign-in open for another one."""
        sign_in = self._get(id_)
        challenge = sign_in.pasted
        if sign_in.loopback and sign_in.loopback.state in "".join(text.split()):
            challenge = sign_in.loopback  # the address of the page that the browser could not open
        await self._finish(id_, oauth.code_from(text, challenge), challenge)

    async def came_back(self, id_: str, query: str) -> None:
        """What the browser brought to the callback. Raises SignInFailed; only a right state can end the sign-in."""
        sign_in = self._open.get(id_)
        state = parse_qs(query).get("state", [""])[0]
        if sign_in is None or sign_in.loopback is None or sign_in.outcome.done():
            raise SignInFailed("This sign-in is over", "Start it again from Tidegate.")
        if not hmac.compare_digest(state.encode(), sign_in.loopback.state.encode()):
            raise SignInFailed("This page does not belong to the sign-in", "Use the page that Tidegate opened.")
        try:
            code = oauth.code_from(f"?{query}", sign_in.loopback)
        except SignInFailed as exc:
            self._end(id_, exc)
            raise
        await self._finish(id_, code, sign_in.loopback)

    async def _finish(self, id_: str, code: str, challenge: oauth.Challenge) -> None:
        """Exchange the code and admit the account, once. A code is spent whatever comes of it."""
        sign_in = self._get(id_)
        async with sign_in.busy:
            if sign_in.outcome.done():
                raise SignInFailed("This sign-in is over", "Start it again from Tidegate.")
            try:
                done = await sign_in.admit(await self._exchange(code, challenge))
            except TidegateError as exc:
                self._end(id_, exc)
                raise
            self._end(id_, done)

    def cancel(self, id_: str) -> None:
        """The person changed their mind."""
        self._get(id_)
        self._end(id_, SignInFailed("The sign-in was cancelled"))

    async def close(self) -> None:
        """End all of them."""
        for id_ in tuple(self._open):
            self._end(id_, SignInFailed("Tidegate ends"))
        self._open.clear()
        await asyncio.gather(*self._ending)

    def _get(self, id_: str) -> _SignIn:
        sign_in = self._open.get(id_)
        if sign_in is None:
            raise UsageError("There is no such sign-in under way", "Start it again.")
        return sign_in

    def _end(self, id_: str, how: Done | TidegateError) -> None:
        """Settle it and stop listening; who waits for it still finds it for a while."""
        sign_in = self._open.get(id_)
        if sign_in is None or sign_in.outcome.done():
            return
        if isinstance(how, TidegateError):
            sign_in.outcome.set_exception(how)
        else:
            sign_in.outcome.set_result(how)
        loop = asyncio.get_running_loop()
        if sign_in.timer:
            sign_in.timer.cancel()
        sign_in.timer = loop.call_later(self._life_s, self._open.pop, id_, None)
        if sign_in.listener:
            task = loop.create_task(sign_in.listener.close(grace_s=2.0), name="end of a sign-in")
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)


class _Callback:
    """What the listener of one sign-in serves: the page that the browser lands on."""

    def __init__(self, sign_ins: SignIns, id_: str) -> None:
        self._sign_ins = sign_ins
        self._id = id_

    def admit(self, request: Incoming) -> Simple | None:
        """Only the browser's own visit to the callback."""
        host = (request.headers.get(b"host") or b"").rpartition(b":")[0]
        if request.method != b"GET" or request.path != _CALLBACK or b"origin" in request.headers:
            return _page(404, "There is nothing here", "")
        if host not in {b"localhost", b"127.0.0.1", b"[::1]"}:
            return _page(421, "There is nothing here", "")
        return None

    async def serve(self, request: Incoming, answer: Answer) -> None:
        """Take the code, and say how it went."""
        query = request.target.partition(b"?")[2].decode("latin-1")
        try:
            await self._sign_ins.came_back(self._id, query)
        except TidegateError as exc:
            answer.send(_page(400, exc.title, exc.hint))
        else:
            answer.send(_page(200, "Signed in", "You can close this page; Tidegate goes on by itself."))

    def malformed(self, status: int, message: str) -> Simple:
        """Not a request that a browser sends."""
        return _page(status, message, "")


def _page(status: int, title: str, hint: str) -> Simple:
    from core import page  # noqa: PLC0415 - few sign-ins bring a browser back, and the page is a megabyte

    headers = (
        (b"content-type", b"text/html; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"referrer-policy", b"no-referrer"),  # the address holds the code
        (b"content-security-policy", page.CONTENT_SECURITY_POLICY.encode()),
    )
    return Simple(status, page.message(title, hint).encode(), headers)


def _look_at(outcome: "asyncio.Future[Done]") -> None:
    """Mark a failure as seen: perhaps nobody waits for it."""
    if not outcome.cancelled():
        outcome.exception()
