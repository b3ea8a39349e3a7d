"""Credentials at rest: in the keychain of the operating system, or in one sealed file.

Nothing here blocks the event loop or waits for ever, a torn write loses nothing (`vault_slots`), nothing is deleted
on doubt, and every failure is a VaultError that says which kind: locked, absent, timed out.
"""

import sys
from collections.abc import Mapping
from functools import partial
from typing import Literal

from core.errors import VaultAbsent
from core.files import Paths
from core.hardening import keep_memory_private
from core.model import Credential
from core.vault_slots import Backend, Slots, Stored
from core.vault_worker import Worker

__all__ = ["Backend", "Stored", "Vault", "open_vault"]

READ_WITHIN_S = 3.0
WRITE_WITHIN_S = 10.0
"""A write on a desktop that is just logging in was seen to take seconds; a read answers in milliseconds or hangs."""


class Vault:
    """The credentials of one installation, by name. Belongs to the event loop that uses it."""

    def __init__(
        self, backend: Backend, *, read_within_s: float = READ_WITHIN_S, write_within_s: float = WRITE_WITHIN_S
    ) -> None:
        self._slots = Slots(backend)
        self._worker = Worker("tidegate-vault")
        self._read_within_s = read_within_s
        self._write_within_s = write_within_s

    async def load(self, name: str) -> Stored | None:
        """The newest credential of `name`, None when there is none. Raises VaultError and its kinds."""
        return await self._worker.run(partial(self._slots.newest, name), self._read_within_s)

    async def save(self, name: str, credential: Credential, generation: int) -> None:
        """Store a newer generation; when this returns, it is there and was read back.

        Raises VaultError and its kinds; after VaultTimeout it may or may not be stored. A caller that is cancelled
        does not stop the writing.
        """
        stored = Stored(generation, credential)
        await self._worker.run(partial(self._slots.write, name, stored), self._write_within_s)

    async def delete(self, name: str) -> None:
        """Remove the credential of `name`, all generations. Raises VaultError and its kinds."""
        await self._worker.run(partial(self._slots.delete, name), self._write_within_s)

    async def close(self) -> None:
        """Let the vault's thread end."""
        self._worker.close()


def open_vault(kind: Literal["keyring", "file"], paths: Paths, install_id: str, environ: Mapping[str, str]) -> Vault:
    """The vault the person chose. `install_id` keeps the items of two installations apart.

    A file vault is read at once, so that a wrong passphrase is told here; a keychain is first asked when it is used.
    From here on the process holds credentials, so its memory is closed to others. Raises VaultError.
    """
    keep_memory_private()
    if kind == "file":
        from core.vault_file import FileBackend, passphrase_from  # noqa: PLC0415 - loads cryptography

        paths.create()
        return Vault(FileBackend(paths.vault, passphrase_from(environ)))
    return Vault(_keychain(install_id))


def _keychain(install_id: str) -> Backend:
    """This platform's keychain, from a fixed list: no environment variable and no keyringrc has a say.

    KWallet is reached through the Secret Service, which it serves too.
    """
    if sys.platform == "linux":
        from core.vault_secret_service import SecretService  # noqa: PLC0415 - exists on Linux only

        return SecretService(install_id)
    if sys.platform in ("darwin", "win32"):
        from core.vault_keyring import KeyringItems, native_keyring  # noqa: PLC0415 - keyring is slow to load

        return KeyringItems(native_keyring(), install_id)
    raise VaultAbsent(f"Tidegate knows no keychain on {sys.platform}", "Use `--vault file`.")
