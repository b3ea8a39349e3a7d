"""Renewed logins that the vault has not taken yet, sealed in one file.

The key rests in the vault and, once loaded, in memory: so logins can be sealed while the vault is locked, and the file
opens nothing without the vault. Without the key there is no file; plain text does not exist. A file that cannot be
opened is moved aside, and nothing here stops a renewal or a start.
"""

import logging
import secrets
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

import msgspec

from core.blocking import Blocking
from core.errors import TidegateError
from core.files import Paths, move_aside, write_atomic
from core.model import AccountId, ApiKey, OAuthTokens
from core.token_locks import Locks
from core.vault import Stored, Vault

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

log = logging.getLogger(__name__)

KEY_NAME = "recovery-key"
_TURN = AccountId("recovery")
_MAGIC = b"tidegate-recovery-1\n"
_NONCE_BYTES = 12
_KEY_BYTES = 32


class Entry(msgspec.Struct, frozen=True):
    """A login that the vault lacks. `sent` is the fingerprint of the refresh token that it was granted for."""

    generation: int
    tokens: OAuthTokens
    sent: str

    @property
    def stored(self) -> Stored:
        """As the vault should have it."""
        return Stored(self.generation, self.tokens)


class Recovery:
    """The recovery file of one installation. Change the entry of an account under that account's lock only."""

    def __init__(self, vault: Vault, paths: Paths, locks: Locks, blocking: Blocking) -> None:
        self._vault = vault
        self._path = paths.recovery
        self._locks = locks
        self._blocking = blocking
        self._cipher: AESGCM | None = None
        self._keyless = ""
        """Why there was no key the last time, so that it is said once."""
        self.problem: str | None = None
        """What the person should know: a file that was moved aside."""

    async def open(self) -> None:
        """Load the key, and make it at the very first start. A vault that does not answer is asked again next time."""
        if self._cipher is not None:
            return
        try:
            await self._load_key(make=True)
        except TidegateError as exc:
            if exc.title != self._keyless:
                log.warning("Until the vault answers, no login can be sealed for recovery: %s", exc.title)
            self._keyless = exc.title
        else:
            await self._entries()

    async def entry(self, id_: AccountId) -> Entry | None:
        """What is sealed for an account. Raises VaultError when there is a file and the vault does not give its key."""
        if not await self._blocking(self._path.exists):
            return None
        if self._cipher is None:
            await self._load_key(make=False)
        return (await self._entries()).get(id_)

    async def seal(self, id_: AccountId, entry: Entry) -> bool:
        """Keep a renewed login until it is dropped. False when it could not be: that is in the log."""
        if self._cipher is None:
            log.warning("%s: the renewed login is not sealed, as the vault never gave the key for it", id_)
            return False
        return await self._change(id_, entry)

    async def drop(self, id_: AccountId) -> None:
        """The vault has it, or it is not wanted any more."""
        if await self._blocking(self._path.exists) and self._cipher is not None:
            await self._change(id_, None)

    async def _change(self, id_: AccountId, entry: Entry | None) -> bool:
        try:
            async with self._locks.alone(_TURN):
                before = await self._blocking(self._read)
                others = {known: kept for known, kept in before.items() if known != id_}
                after = others if entry is None else {**others, id_: entry}
                if after != before:
                    await self._blocking(lambda: self._write(after))
        except (OSError, TidegateError) as exc:
            log.warning("%s: the recovery file cannot be changed: %s", id_, exc)
            return False
        return True

    # --- the key -----------------------------------------------------------------------------------

    async def _load_key(self, *, make: bool) -> None:
        """Raises VaultError, or RefreshFailed when another process is at it for long."""
        key = _key(await self._vault.load(KEY_NAME))
        if key is None and make:
            key = await self._made_key()
        if key is not None:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - where it is used

            self._cipher = AESGCM(key)

    async def _made_key(self) -> bytes:
        """The key, made unless another process has made it meanwhile."""
        async with self._locks.alone(_TURN):
            stored = await self._vault.load(KEY_NAME)
            if key := _key(stored):
                return key
            key = secrets.token_bytes(_KEY_BYTES)
            generation = stored.generation + 1 if stored else 1
            await self._vault.save(KEY_NAME, ApiKey(b64encode(key).decode()), generation)
            return key

    # --- the file ----------------------------------------------------------------------------------

    async def _entries(self) -> dict[AccountId, Entry]:
        """All entries; a file that can neither be read nor moved aside has none."""
        try:
            return await self._blocking(self._read)
        except (OSError, TidegateError) as exc:
            self._complain(f"{self._path.name} cannot be read: {exc}")
            return {}

    def _read(self) -> dict[AccountId, Entry]:
        """Raises OSError, or TidegateError when the file is damaged and cannot be moved aside."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        entries = self._unsealed(content)
        if entries is None:
            aside = move_aside(self._path)
            self._complain(f"{self._path.name} was damaged or sealed with another key and was kept as {aside}")
        return entries or {}

    def _complain(self, problem: str) -> None:
        if problem != self.problem:
            log.warning("%s", problem)
        self.problem = problem

    def _unsealed(self, content: bytes) -> dict[AccountId, Entry] | None:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415

        nonce, sealed = content[len(_MAGIC) :][:_NONCE_BYTES], content[len(_MAGIC) + _NONCE_BYTES :]
        if self._cipher is None or not content.startswith(_MAGIC) or len(nonce) < _NONCE_BYTES:
            return None
        try:
            return msgspec.json.decode(self._cipher.decrypt(nonce, sealed, _MAGIC), type=dict[AccountId, Entry])
        except (InvalidTag, ValueError):
            return None

    def _write(self, entries: dict[AccountId, Entry]) -> None:
        if not entries:
            self._path.unlink(missing_ok=True)
        elif self._cipher is not None:
            nonce = secrets.token_bytes(_NONCE_BYTES)
            write_atomic(self._path, _MAGIC + nonce + self._cipher.encrypt(nonce, msgspec.json.encode(entries), _MAGIC))


def _key(stored: Stored | None) -> bytes | None:
    """The key in what the vault has; None when there is none that can be used."""
    if stored is None or not isinstance(stored.credential, ApiKey):
        return None
    try:
        key = b64decode(stored.credential.key, validate=True)
    except ValueError:
        return None
    return key if len(key) == _KEY_BYTES else None
