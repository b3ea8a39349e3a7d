"""The keys that clients send to Tidegate: one for every program, and one for each program that was connected. Pure.

They are known by their digests, so nothing at rest gives one away; each has 256 random bits (`config.new_local_key`).
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping

import msgspec

from core.providers.headers import Headers
from core.providers.incoming import client_key

EVERYBODY = ""
"""The name of the key that `tidegate token` prints."""
PREFIX = b"tg-"
"""What all of them begin with."""


def digest(key: str) -> str:
    """What a key is known by."""
    return hashlib.sha256(key.encode()).hexdigest()


class LocalKeys(msgspec.Struct, frozen=True):
    """Those that are good now. `known` names the program of each digest."""

    known: Callable[[], Mapping[str, str]]

    def owner(self, headers: Headers) -> str | None:
        """Whose key a request carries, None when it carries none of ours.

        A program that was given its own key may send another as well, from its environment: one that fits is enough.
        """
        known = self.known()
        for key in client_key(headers):
            sent = hashlib.sha256(key).hexdigest()
            for expected, name in known.items():
                if expected and hmac.compare_digest(sent, expected):
                    return name
        return None
