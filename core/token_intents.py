"""What is written down before a refresh token is sent, so that a crash in flight is a known doubt.

Such a record saves no token. It tells the next start that this one may be spent, before anything else uses it.
"""

import contextlib
import hashlib
from pathlib import Path

import msgspec

from core.blocking import Blocking, blocking
from core.errors import UNREADABLE
from core.files import Paths, write_atomic
from core.model import AccountId, Credential, OAuthTokens

FINGERPRINT_CHARACTERS = 8


class _Intent(msgspec.Struct, frozen=True):
    generation: int
    fingerprint: str
    at: float


class Intents:
    """One small file for each account, beside its lock. Write and remove them under that lock only."""

    def __init__(self, paths: Paths, blocking: Blocking = blocking) -> None:
        self._paths = paths
        self._blocking = blocking

    async def write(self, id_: AccountId, generation: int, tokens: OAuthTokens, at: float) -> None:
        """The refresh token of `tokens` is about to be sent. Raises OSError."""
        content = msgspec.json.encode(_Intent(generation, fingerprint(tokens), at))
        await self._blocking(lambda: write_atomic(self._path(id_), content))

    async def holds(self, id_: AccountId, generation: int, credential: Credential) -> bool:
        """This very refresh token was about to be sent, and what became of it was not written down."""
        intent = await self._blocking(lambda: _read(self._path(id_)))
        if intent is None or not isinstance(credential, OAuthTokens):
            return False
        return (intent.generation, intent.fingerprint) == (generation, fingerprint(credential))

    async def remove(self, id_: AccountId) -> None:
        """What became of it is known and stored."""
        with contextlib.suppress(OSError):  # what stays behind names an old generation, or a token sent once more
            await self._blocking(lambda: self._path(id_).unlink(missing_ok=True))

    def _path(self, id_: AccountId) -> Path:
        return self._paths.account_lock(id_).with_suffix(".intent")


def _read(path: Path) -> _Intent | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Intent)
    except (OSError, *UNREADABLE):
        return None


def fingerprint(tokens: OAuthTokens) -> str:
    """What a refresh token is known by where it must not be written."""
    return hashlib.sha256(tokens.refresh.encode()).hexdigest()[:FINGERPRINT_CHARACTERS]
