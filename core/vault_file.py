"""The sealed file of `--vault file`: for machines without a keychain.

AES-GCM with a key that scrypt makes from the person's passphrase. The file is always whole (`write_atomic`), and
when the passphrase does not open it, it is left as it is. Plain text does not exist.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from filelock import FileLock, Timeout

from core.errors import VaultError, VaultTimeout
from core.files import OWNER_ONLY, write_atomic

KEY_VARIABLE = "TIDEGATE_VAULT_KEY"
KEY_FILE_VARIABLE = "TIDEGATE_VAULT_KEY_FILE"

# The magic stands for everything the file does not say: cipher, sizes and scrypt's costs.
_MAGIC = b"tidegate-vault-1\n"
_SALT_BYTES = 16
_NONCE_BYTES = 12
_KEY_BYTES = 32
# 32 MiB and about 0.1 s, once for each opening. The standard library's: cryptography's maps 0.2 MiB more for good.
_SCRYPT = {"n": 2**15, "r": 8, "p": 1, "maxmem": 2**26}
_LOCK_WITHIN_S = 5.0


class FileBackend:
    """A vault back end in one file. Several processes may use it at the same time."""

    def __init__(self, path: Path, passphrase: str) -> None:
        """Raises VaultError when the passphrase does not open the file that is there."""
        self._path = path
        self._passphrase = passphrase
        self._salt = b""
        self._key = b""
        self._read()

    def get(self, key: str) -> tuple[str, ...]:
        """The entry, if it is there."""
        secret = self._read().get(key)
        return () if secret is None else (secret,)

    def set(self, key: str, secret: str) -> None:
        """Write the file anew with this entry."""
        with self._lock():
            self._write({**self._read(), key: secret})

    def delete(self, key: str) -> None:
        """Write the file anew without this entry."""
        with self._lock():
            self._write({k: secret for k, secret in self._read().items() if k != key})

    def _lock(self) -> FileLock:
        """Between reading and writing nobody else may write: that would be a lost credential."""
        lock = FileLock(self._path.with_name(f"{self._path.name}.lock"), mode=OWNER_ONLY, timeout=_LOCK_WITHIN_S)
        try:
            lock.acquire()
        except Timeout as exc:
            raise VaultTimeout(f"Another program keeps {self._path} locked") from exc
        except OSError as exc:
            raise _failed("locked", self._path, exc) from exc
        return lock

    def _read(self) -> dict[str, str]:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as exc:
            raise _failed("read", self._path, exc) from exc
        header = len(_MAGIC) + _SALT_BYTES
        if not content.startswith(_MAGIC) or len(content) < header + _NONCE_BYTES:
            raise VaultError(f"{self._path} is not a vault of this Tidegate", "It was left as it is.")
        self._unlock_with(content[len(_MAGIC) : header])
        nonce, sealed = content[header : header + _NONCE_BYTES], content[header + _NONCE_BYTES :]
        try:
            return msgspec.json.decode(AESGCM(self._key).decrypt(nonce, sealed, content[:header]), type=dict[str, str])
        except InvalidTag as exc:
            raise VaultError(
                f"The passphrase does not open {self._path}",
                f"Check {KEY_VARIABLE} or {KEY_FILE_VARIABLE}; the file was left as it is.",
            ) from exc

    def _write(self, items: Mapping[str, str]) -> None:
        if not self._key:
            self._unlock_with(os.urandom(_SALT_BYTES))
        header, nonce = _MAGIC + self._salt, os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self._key).encrypt(nonce, json.dumps(items).encode(), header)
        try:
            write_atomic(self._path, header + nonce + sealed)
        except OSError as exc:
            raise _failed("written", self._path, exc) from exc

    def _unlock_with(self, salt: bytes) -> None:
        """Derive the key, unless this salt's key is at hand: another process may have made the file meanwhile."""
        if salt != self._salt:
            key = hashlib.scrypt(self._passphrase.encode(), salt=salt, dklen=_KEY_BYTES, **_SCRYPT)
            self._salt, self._key = salt, key


def passphrase_from(environ: Mapping[str, str]) -> str:
    """The passphrase the person gave, without a final line break. Raises VaultError when there is none."""
    passphrase = environ.get(KEY_VARIABLE, "")
    if not passphrase and (name := environ.get(KEY_FILE_VARIABLE)):
        try:
            passphrase = Path(name).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as exc:
            raise VaultError(
                f"The passphrase file {name} cannot be read", f"Check {KEY_FILE_VARIABLE} and the file's permissions."
            ) from exc
    if not passphrase:
        raise VaultError(
            "The file vault needs a passphrase",
            f"Set {KEY_VARIABLE}, or {KEY_FILE_VARIABLE} to a file that holds it.",
        )
    return passphrase


def _failed(deed: str, path: Path, exc: OSError) -> VaultError:
    return VaultError(f"{path} cannot be {deed}: {exc.strerror or exc}", "Check the disk and the folder's permissions.")
