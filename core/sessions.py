"""Browsers that may look at the status page: a one-time code in a link becomes a cookie."""

import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256

CODE_LIFE_S = 60.0
SESSION_LIFE_S = 12 * 3600.0
MAX_SESSIONS = 16
"""Of each: codes that nobody used, pages that are open. The oldest goes."""


class Sessions:
    """The codes and cookies of one run. Keeps digests only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._codes: OrderedDict[bytes, float] = OrderedDict()
        self._cookies: OrderedDict[bytes, float] = OrderedDict()

    def issue(self) -> str:
        """A code for one link, good once and for a minute."""
        return self._new(self._codes, CODE_LIFE_S)

    def redeem(self, code: str) -> str | None:
        """The cookie for a code, None when the code is unknown, used or too old."""
        digest = self._find(self._codes, code)
        if digest is None:
            return None
        del self._codes[digest]
        return self._new(self._cookies, SESSION_LIFE_S)

    def holds(self, cookie: str) -> bool:
        """Whether a cookie belongs to a session that is still good."""
        return self._find(self._cookies, cookie) is not None

    def _new(self, kept: OrderedDict[bytes, float], life_s: float) -> str:
        secret = secrets.token_urlsafe(32)
        kept[_digest(secret)] = self._clock() + life_s
        while len(kept) > MAX_SESSIONS:
            kept.popitem(last=False)
        return secret

    def _find(self, kept: OrderedDict[bytes, float], secret: str) -> bytes | None:
        digest, now = _digest(secret), self._clock()
        return next((known for known, ends in kept.items() if hmac.compare_digest(known, digest) and now < ends), None)


def _digest(secret: str) -> bytes:
    return sha256(secret.encode("utf-8", "surrogateescape")).digest()
