"""Who may speak to Tidegate: decided from the request's head alone, before a byte of the body is read.

Loopback is no protection by itself: every program of this machine and every web page a browser shows can reach it.
So the `Host` must be one of three exact names (a rebound DNS name shows nowhere else), no request may come from a
page (`Origin`, `Sec-Fetch-Site`), and each must carry the local key. Models: Tailscale's LocalAPI, Jupyter, Syncthing.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from core.providers.headers import Headers
from core.providers.incoming import client_key

CONTROL = b"/-/"
PAGE_COOKIE = "tidegate_page"


class Caller(StrEnum):
    """What a caller has proved."""

    CLIENT = "client"
    """It has the local key."""
    CONTROL = "control"
    """It has the control token of this run, which lies in a file that only this user can read."""
    PAGE = "page"
    """It is a browser that followed a one-time link: it may look, not order."""
    STRANGER = "stranger"
    """It brings a credential of its own, and no account is there that it could be mixed up with."""
    NOBODY = "nobody"
    """It asked for one of the two things that need no key: health, and following a one-time link."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer of ours in place of the upstream's."""

    status: int
    type: str
    message: str


@dataclass(frozen=True, slots=True)
class Guard:
    """The rules of one running instance."""

    port: int
    local_key_sha256: str
    control_token: str
    page_session: Callable[[str], bool]
    """Whether a cookie's value belongs to a page session that is still good."""
    passthrough: Callable[[], bool]
    """Whether a client with a credential of its own may go through now: setting on and no account at all."""

    def admit(self, method: bytes, target: bytes, headers: Headers) -> Caller | Refusal:
        """Who this is, or the refusal it gets."""
        refusal = self._wrong_door(target, headers)
        if refusal:
            return refusal
        path = target.partition(b"?")[0]
        reading = method in {b"GET", b"HEAD"}
        if reading and path in {b"/-/health", b"/-/open"}:
            return Caller.NOBODY
        keys = client_key(headers)
        if any(self._is_local_key(key) for key in keys):
            return Caller.CLIENT
        if path.startswith(CONTROL):
            if any(hmac.compare_digest(key, self.control_token.encode()) for key in keys):
                return Caller.CONTROL
            if reading and self.page_session(page_cookie(headers)):
                return Caller.PAGE
            return _NO_KEY
        if keys and self.passthrough():
            return Caller.STRANGER
        return _WRONG_KEY if keys else _NO_KEY

    def _wrong_door(self, target: bytes, headers: Headers) -> Refusal | None:
        port = b"%d" % self.port
        if headers.get(b"host") not in {b"127.0.0.1:" + port, b"localhost:" + port, b"[::1]:" + port}:
            return Refusal(421, "invalid_request_error", "Tidegate answers to its loopback address only.")
        if not target.startswith(b"/"):
            return Refusal(400, "invalid_request_error", "Tidegate is not a forward proxy.")
        if b"origin" in headers or headers.get(b"sec-fetch-site") not in {None, b"none", b"same-origin"}:
            return Refusal(403, "permission_error", "Tidegate does not answer web pages.")
        if b"upgrade" in headers:
            return Refusal(405, "invalid_request_error", "Tidegate does not speak WebSocket.")
        return None

    def _is_local_key(self, key: bytes) -> bool:
        """Compare by digest: constant time, and nothing at rest gives the key away."""
        return hmac.compare_digest(hashlib.sha256(key).hexdigest(), self.local_key_sha256)


_HOW = "Its key is what `tidegate token` prints; `tidegate connect` shows where each client wants it."
_NO_KEY = Refusal(401, "authentication_error", f"Tidegate needs its local key. {_HOW}")
_WRONG_KEY = Refusal(401, "authentication_error", f"This is not Tidegate's local key. {_HOW}")


def page_cookie(headers: Headers) -> str:
    """The page session's cookie, empty when there is none.

    Browsers send the cookies of every program on this host, whatever its port: one that is odd must not hide ours,
    as it would for `http.cookies`.
    """
    cookies = (part.strip().partition("=") for part in (headers.get(b"cookie") or b"").decode("latin-1").split(";"))
    return next((value for name, _, value in cookies if name == PAGE_COOKIE), "")
