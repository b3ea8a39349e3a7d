"""What lies on disk of a Tidegate that is gone, read without changing a byte.

Vault and config are opened by Tidegate's own readers. What only Tidegate writes for itself (intents, recovery file,
saved pool) is read by code of its own here, so that a mistake in writing is not read back as the truth.
"""

import hashlib
import json
import shutil
import sqlite3
import tempfile
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.config import Config
from core.model import AccountId, ApiKey, OAuthTokens, Pool, SignIn
from core.vault import Vault, open_vault
from tests.crash.program import Program

RECOVERY_MAGIC = b"tidegate-recovery-1\n"
NONCE_BYTES = 12


@dataclass(frozen=True)
class Lying:
    """The newest login of an account, and what the files say of it."""

    refresh: str
    generation: int
    in_doubt: bool
    sign_in: bool


@dataclass(frozen=True)
class OnDisk:
    """All of it."""

    accounts: Mapping[str, Lying]
    setting: float
    broken: tuple[str, ...]


class Disk:
    """The files of one installation. Keeps its vault open, as deriving the key takes a while."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._paths = program.paths
        self._vault: Vault | None = None

    async def found(self) -> OnDisk:
        """What is there now."""
        broken = [path.name for path in self._paths.root.iterdir() if ".broken-" in path.name]
        config = msgspec.json.decode(self._paths.config.read_bytes(), type=Config)
        self._vault = self._vault or open_vault(
            self._program.vault, self._paths, config.install_id, self._program.environment
        )
        pool, damage = last_pool(self._paths.history)
        sealed, more_damage = _sealed(self._paths.root / "recovery.bin", await self._vault.load("recovery-key"))
        accounts = {a.label: await self._lying(self._vault, a.id, pool, sealed.get(a.id)) for a in config.accounts}
        return OnDisk(accounts, config.settings.hold_s, (*broken, *damage, *more_damage))

    async def close(self) -> None:
        """Let go of the vault."""
        if self._vault:
            await self._vault.close()

    async def _lying(self, vault: Vault, id_: AccountId, pool: Pool, sealed: "tuple[int, str] | None") -> Lying:
        stored = await vault.load(id_)
        generation, refresh = 0, ""
        if stored and isinstance(stored.credential, OAuthTokens):
            generation, refresh = stored.generation, stored.credential.refresh
        if sealed and sealed[0] > generation:
            generation, refresh = sealed
        intent = self._paths.account_lock(id_).with_suffix(".intent")
        state = pool.state(id_)
        marked = state is not None and state.sign_in is SignIn.NEEDED
        return Lying(refresh, generation, _names(intent, generation, refresh), marked)


def _names(intent: Path, generation: int, refresh: str) -> bool:
    """The intent says that this very token was about to be sent."""
    try:
        said = json.loads(intent.read_bytes())
    except FileNotFoundError:
        return False
    fingerprint = hashlib.sha256(refresh.encode()).hexdigest()[:8]
    return (said["generation"], said["fingerprint"]) == (generation, fingerprint)


def _sealed(recovery: Path, key: Any) -> tuple[dict[str, tuple[int, str]], list[str]]:
    """Generation and refresh token of each account in the recovery file, and what is wrong with it."""
    try:
        content = recovery.read_bytes()
    except FileNotFoundError:
        return {}, []
    if key is None or not isinstance(key.credential, ApiKey) or not content.startswith(RECOVERY_MAGIC):
        return {}, [f"{recovery.name}: no key opens it"]
    body = content[len(RECOVERY_MAGIC) :]
    try:
        cipher = AESGCM(b64decode(key.credential.key))
        entries = json.loads(cipher.decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], RECOVERY_MAGIC))
    except (InvalidTag, ValueError) as exc:
        return {}, [f"{recovery.name}: {exc!r}"]
    return {id_: (entry["generation"], entry["tokens"]["refresh"]) for id_, entry in entries.items()}, []


def last_pool(history: Path) -> tuple[Pool, list[str]]:
    """The saved pool, read from a copy: who opens a database repairs it, and that is for Tidegate to do."""
    with _copied(history) as copy, closing(sqlite3.connect(copy)) as database:
        try:
            (health,) = database.execute("PRAGMA quick_check(1)").fetchone()
            row = database.execute("SELECT json FROM pool").fetchone()
        except sqlite3.OperationalError as exc:  # killed before the tables were made
            return Pool(), [] if "no such table" in str(exc) else [f"{history.name}: {exc}"]
        except sqlite3.DatabaseError as exc:
            return Pool(), [f"{history.name}: {exc}"]
    pool = msgspec.json.decode(row[0], type=Pool) if row else Pool()
    return pool, [] if health == "ok" else [f"{history.name}: {health}"]


@contextmanager
def _copied(history: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        for path in history.parent.glob("history.db*"):
            if ".broken-" not in path.name:
                shutil.copy(path, folder)
        yield Path(folder) / history.name
