"""Browsers that may use the status page: a one-time code in a link becomes a cookie and a key.

The browser sends the cookie by itself; the key is what the page shows that it is our page (see `guard`).
"""

import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256

import msgspec

CODE_LIFE_S = 60.0
SESSION_LIFE_S = 12 * 3600.0
MAX_SESSIONS = 16
"""Of each: codes that nobody used, pages that are open. The oldest goes."""


class Session(msgspec.Struct, frozen=True):
    """The two secrets of one page."""

    cookie: str
    key: str

    def __repr__(self) -> str:
        return "Session()"


class _Kept(msgspec.Struct, frozen=True):
    """What is remembered of a code or a cookie. `key` is the digest of its session's key."""

    ends_at: float
    key: bytes = b""


class Sessions:
    """The codes and sessions of one run. Keeps digests only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._codes: OrderedDict[bytes, _Kept] = OrderedDict()
        self._cookies: OrderedDict[bytes, _Kept] = OrderedDict()

    def issue(self) -> str:
        """A code for one link, good once and for a minute."""
        return self._new(self._codes, _Kept(self._clock() + CODE_LIFE_S))

    def redeem(self, code: str) -> Session | None:
        """The session for a code, None when the code is unknown, used or too old."""
        digest = self._find(self._codes, code)
        if digest is None:
            return None
        del self._codes[digest]
        key = secrets.token_urlsafe(32)
        return Session(self._new(self._cookies, _Kept(self._clock() + SESSION_LIFE_S, _digest(key))), key)

    def holds(self, cookie: str, key: str | None = None) -> bool:
        """Whether a cookie belongs to a session that is still good; with `key`, whether that is its key."""
        digest = self._find(self._cookies, cookie)
        if digest is None:
            return False
        return key is None or hmac.compare_digest(self._cookies[digest].key, _digest(key))

    def _new(self, kept: OrderedDict[bytes, _Kept], what: _Kept) -> str:
        secret = secrets.token_urlsafe(32)
        kept[_digest(secret)] = what
        while len(kept) > MAX_SESSIONS:
            kept.popitem(last=False)
        return secret

    def _find(self, kept: OrderedDict[bytes, _Kept], secret: str) -> bytes | None:
        digest, now = _digest(secret), self._clock()
        good = (known for known, what in kept.items() if now < what.ends_at)
        return next((known for known in good if hmac.compare_digest(known, digest)), None)


def _digest(secret: str) -> bytes:
    return sha256(secret.encode("utf-8", "surrogateescape")).digest()
