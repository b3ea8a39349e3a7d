"""Who may speak to Tidegate: decided from the request's head alone, before a byte of the body is read.

Loopback is no protection by itself: every program of this machine and every web page a browser shows can reach it.
So the `Host` must be one of three exact names (a rebound DNS name shows nowhere else), no request may come from a
foreign page (`Origin`, `Sec-Fetch-Site`), and each must carry the local key. Models: Tailscale's LocalAPI, Jupyter,
Syncthing.

Our own status page proves itself twice: with a cookie that its scripts cannot read, and with a key in a header that
only they have. Cookies know no ports, so every server on this host that the browser visits may learn the cookie; what
a page keeps for itself, no other port sees. Neither half is worth anything alone.
"""

import hmac
from collections.abc import Callable
from enum import StrEnum

import msgspec

from core.local_keys import EVERYBODY, PREFIX, LocalKeys
from core.providers.headers import Headers
from core.providers.incoming import client_key

CONTROL = b"/-/"
PAGE_COOKIE = "tidegate_page"
PAGE_KEY = b"x-tidegate-page"
_METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})
"""What APIs are spoken to with. TRACE would have a provider answer with the account's own credential."""


class Caller(StrEnum):
    """What a caller has proved."""

    CLIENT = "client"
    """It has the local key."""
    CONTROL = "control"
    """It has the control token of this run, which lies in a file that only this user can read."""
    PAGE = "page"
    """It is the status page in a browser that followed a one-time link: it has the session's cookie and key."""
    VISITOR = "visitor"
    """It has the cookie alone, as a browser does while it loads a page: it gets the empty page and its scripts."""
    STRANGER = "stranger"
    """It brings a credential of its own, and no account is there that it could be mixed up with."""
    NOBODY = "nobody"
    """It asked for one of the two things that need no key: health, and following a one-time link."""


class Admitted(msgspec.Struct, frozen=True):
    """Somebody who may speak."""

    caller: Caller
    program: str = EVERYBODY
    """Whose local key it was."""


class Refusal(msgspec.Struct, frozen=True):
    """An answer of ours in place of the upstream's."""

    status: int
    type: str
    message: str


class Guard(msgspec.Struct, frozen=True):
    """The rules of one running instance."""

    port: int
    local_keys: LocalKeys
    control_token: str
    page_session: Callable[[str, str | None], bool]
    """Whether a cookie's value belongs to a page session that is still good; with a key, whether that is its key."""
    passthrough: Callable[[], bool]
    """Whether a client with a credential of its own may go through now: setting on and no account at all."""

    def __repr__(self) -> str:
        return f"Guard(port={self.port})"

    def admit(self, method: bytes, target: bytes, headers: Headers) -> Admitted | Refusal:
        """Who this is, or the refusal it gets."""
        refusal = self._wrong_door(target, headers)
        if refusal:
            return refusal
        if method not in _METHODS:
            return _NO_METHOD
        path = target.partition(b"?")[0]
        reading = method in {b"GET", b"HEAD"}
        if b"origin" in headers:
            looker = self._looker(headers) if path.startswith(CONTROL) and _is_from_own_page(headers) else None
            return Admitted(looker) if looker is Caller.PAGE or (looker and reading) else _NO_PAGES
        if reading and path in {b"/-/health", b"/-/open"}:
            return Admitted(Caller.NOBODY)
        program = self.local_keys.owner(headers)
        if program is not None:
            return Admitted(Caller.CLIENT, program)
        keys = client_key(headers)
        if path.startswith(CONTROL):
            if any(hmac.compare_digest(key, self.control_token.encode()) for key in keys):
                return Admitted(Caller.CONTROL)
            looker = self._looker(headers) if reading else None
            return Admitted(looker) if looker else _NO_KEY
        # A key of ours that was taken back is no provider's: it goes nowhere.
        if keys and not any(key.startswith(PREFIX) for key in keys) and self.passthrough():
            return Admitted(Caller.STRANGER)
        return _WRONG_KEY if keys else _NO_KEY

    def _wrong_door(self, target: bytes, headers: Headers) -> Refusal | None:
        port = b"%d" % self.port
        if headers.get(b"host") not in {b"127.0.0.1:" + port, b"localhost:" + port, b"[::1]:" + port}:
            return Refusal(421, "invalid_request_error", "Tidegate answers to its loopback address only.")
        if not target.startswith(b"/"):
            return Refusal(400, "invalid_request_error", "Tidegate is not a forward proxy.")
        if headers.get(b"sec-fetch-site") not in {None, b"none", b"same-origin"}:
            return _NO_PAGES
        if b"upgrade" in headers:
            return Refusal(405, "invalid_request_error", "Tidegate does not speak WebSocket.")
        return None

    def _looker(self, headers: Headers) -> Caller | None:
        """What a browser's cookie and the page's key prove."""
        cookie, key = page_cookie(headers), headers.get(PAGE_KEY)
        if key is not None:
            return Caller.PAGE if self.page_session(cookie, key.decode("latin-1")) else None
        return Caller.VISITOR if self.page_session(cookie, None) else None


_NO_METHOD = Refusal(405, "invalid_request_error", "Tidegate does not know this method.")
_NO_PAGES = Refusal(403, "permission_error", "Tidegate does not answer web pages.")
_HOW = "Its key is what `tidegate token` prints; `tidegate connect` shows where each client wants it."
_NO_KEY = Refusal(401, "authentication_error", f"Tidegate needs its local key. {_HOW}")
_WRONG_KEY = Refusal(401, "authentication_error", f"This is not Tidegate's local key. {_HOW}")


def _is_from_own_page(headers: Headers) -> bool:
    """Whether a browser says, in both of its ways, that a page of ours asks. It does so for orders and for scripts."""
    own = b"http://" + (headers.get(b"host") or b"")
    return headers.get(b"origin") == own and headers.get(b"sec-fetch-site") == b"same-origin"


def page_cookie(headers: Headers) -> str:
    """The page session's cookie, empty when there is none.

    Browsers send the cookies of every program on this host, whatever its port: one that is odd must not hide ours,
    as it would for `http.cookies`.
    """
    cookies = (part.strip().partition("=") for part in (headers.get(b"cookie") or b"").decode("latin-1").split(";"))
    return next((value for name, _, value in cookies if name == PAGE_COOKIE), "")
