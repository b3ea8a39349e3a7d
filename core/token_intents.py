"""What is written down before a refresh token is sent, so that a crash in flight is a known doubt.

Such a record saves no token. It tells the next start that this one may be spent, before anything else uses it.
"""

import contextlib
import hashlib
from pathlib import Path

import anyio.to_thread
import msgspec

from core.files import Paths, write_atomic
from core.model import AccountId, OAuthTokens

FINGERPRINT_CHARACTERS = 8


class _Intent(msgspec.Struct, frozen=True):
    generation: int
    fingerprint: str
    at: float


class Intents:
    """One small file for each account, beside its lock. Write and remove them under that lock only."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    async def write(self, id_: AccountId, generation: int, tokens: OAuthTokens, at: float) -> None:
        """The refresh token of `tokens` is about to be sent. Raises OSError."""
        content = msgspec.json.encode(_Intent(generation, _fingerprint(tokens), at))
        await anyio.to_thread.run_sync(write_atomic, self._path(id_), content)

    async def holds(self, id_: AccountId, generation: int, tokens: OAuthTokens) -> bool:
        """This very refresh token was about to be sent, and what became of it was not written down."""
        intent = await anyio.to_thread.run_sync(_read, self._path(id_))
        return intent is not None and (intent.generation, intent.fingerprint) == (generation, _fingerprint(tokens))

    async def remove(self, id_: AccountId) -> None:
        """What became of it is known and stored."""
        with contextlib.suppress(OSError):  # what stays behind names an old generation, or a token sent once more
            await anyio.to_thread.run_sync(lambda: self._path(id_).unlink(missing_ok=True))

    def _path(self, id_: AccountId) -> Path:
        return self._paths.account_lock(id_).with_suffix(".intent")


def _read(path: Path) -> _Intent | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Intent)
    except (OSError, ValueError):
        return None


def _fingerprint(tokens: OAuthTokens) -> str:
    return hashlib.sha256(tokens.refresh.encode()).hexdigest()[:FINGERPRINT_CHARACTERS]
