"""`tidegate export`: accounts and settings of an installation in one file; credentials only under a passphrase.

It reads config and vault as they lie there, also while an instance runs: no order of the control API answers with a
credential, not even with a sealed one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from core import config
from core.errors import NothingToDo, TidegateError, UsageError
from core.files import Paths, write_atomic
from core.imports import tidegate
from core.model import Account, ApiKey, Credential, OAuthTokens
from core.naming import labels
from core.settings import changed_settings
from core.vault import open_vault
from core.wording import clock_time

VaultKind = Literal["keyring", "file"]
LEAST_PASSPHRASE = 8
"""Characters. Whoever finds the file may guess for as long as they like."""
_ONCE = "Sign in there once (`tidegate add claude`); here nothing changes"


@dataclass(frozen=True, slots=True)
class Exported:
    """The file's content, and what to tell the person."""

    content: bytes = field(repr=False)
    notes: tuple[str, ...]


async def export(
    paths: Paths,
    vault: Literal["keyring", "file"],
    environ: Mapping[str, str],
    now: float,
    passphrase: str | None = None,
) -> Exported:
    """Everything but credentials; with a passphrase these too, and then all of it sealed.

    Raises NothingToDo, VaultError or TidegateError; then nothing was exported.
    """
    if passphrase is not None and len(passphrase) < LEAST_PASSPHRASE:
        raise UsageError("This passphrase is too short", f"Take {LEAST_PASSPHRASE} characters or more.")
    saved = config.peek(paths.config)
    if saved is None or not saved.accounts:
        raise NothingToDo("There is no account to export yet", "See `tidegate add` and `tidegate import`.")
    held: Mapping[str, Credential] = {}
    if passphrase is not None:
        held = await _credentials(paths, vault, environ, saved)
        if not held:
            raise TidegateError("The vault holds none of these accounts' credentials", "Is it the other one (--vault)?")
    accounts = [(account, held.get(account.id)) for account in saved.accounts]
    content = _json(tidegate.document(accounts, changed_settings(saved.settings), now))
    if passphrase is None:
        return Exported(content, _notes_without(saved.accounts))
    return Exported(_sealed(content, passphrase), _notes_with(accounts, now))


def write(path: Path, content: bytes, *, force: bool) -> None:
    """Write the file for its owner only, whole or not at all. Raises UsageError when it is there already."""
    refuse_to_replace(path, force=force)
    try:
        write_atomic(path, content)
    except OSError as exc:
        raise TidegateError(f"{path} cannot be written: {exc.strerror or exc}", "Choose another place.") from exc


def refuse_to_replace(path: Path, *, force: bool) -> None:
    """Raises UsageError when something is there, unless forced."""
    if not force and path.exists():
        raise UsageError(f"{path} is there already", "Choose another name, or add --force to replace it.")


async def _credentials(
    paths: Paths, kind: VaultKind, environ: Mapping[str, str], saved: config.Config
) -> dict[str, Credential]:
    vault = open_vault(kind, paths, saved.install_id, environ)
    try:
        stored = {account.id: await vault.load(account.id) for account in saved.accounts}
    finally:
        await vault.close()
    return {id_: found.credential for id_, found in stored.items() if found is not None}


def _sealed(content: bytes, passphrase: str) -> bytes:
    from core.sealing import seal  # noqa: PLC0415 - loads cryptography

    return _json({tidegate.MARK: tidegate.VERSION, tidegate.SEALED: msgspec.to_builtins(seal(content, passphrase))})


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value)) + b"\n"


# --- what to tell ----------------------------------------------------------------------------------


def _notes_without(accounts: Sequence[Account]) -> tuple[str, ...]:
    return (
        f"Exported {labels(accounts)} without credentials",
        "Where you import this, sign in and add the keys again; --with-credentials takes them along",
    )


def _notes_with(accounts: Sequence[tuple[Account, Credential | None]], now: float) -> tuple[str, ...]:
    keys = [account for account, credential in accounts if isinstance(credential, ApiKey)]
    logins = [(account, held) for account, held in accounts if isinstance(held, OAuthTokens)]
    empty = [account for account, credential in accounts if credential is None]
    notes = []
    if keys:
        notes.append(f"Exported with their keys: {labels(keys)}")
    for account, held in logins:
        until = clock_time(held.expires_at, now)
        if held.expires_at <= now:
            notes.append(f"{account.label}: its login cannot be taken along now. {_ONCE}")
        elif held.refresh:
            # Two owners of one refresh token sign each other out, so it stays where it is.
            notes.append(f"{account.label}: its login serves there until {until} and is renewed here only. {_ONCE}")
        else:
            notes.append(f"{account.label}: its login serves there until {until}")
    if empty:
        notes.append(f"Exported without a credential, since the vault holds none: {labels(empty)}")
    return tuple(notes)
