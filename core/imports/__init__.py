"""Accounts that other programs have: one module for each format, one row of `IMPORTERS` for each. Pure.

A document is known by its shape; names and versions are no help, since two plugins share both. Formats and places were
seen in the programs' sources, 2026-08 (OpenCode 2: 2026-09).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from core.imports import (
    anthropic_accounts,
    ccflare,
    claude_code,
    claude_swap,
    cliproxy,
    go_accounts,
    multi_auth,
    oauth_pool,
    opencode,
    opencode_db,
    tidegate,
)
from core.imports.found import Document, Finding, KeychainItem

VARIABLES = (
    "CLAUDE_CONFIG_DIR",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "APPDATA",
    "LOCALAPPDATA",
    "USER",
    "ccflare_DB_PATH",
    "BETTER_CCFLARE_DB_PATH",
)
"""The environment that says where programs keep their files."""
TABLES: Mapping[str, tuple[str, ...]] = {ccflare.TABLE: ccflare.COLUMNS, opencode_db.TABLE: opencode_db.COLUMNS}
"""What is wanted of a database."""


def _no_items(_: Mapping[str, str]) -> tuple[KeychainItem, ...]:
    return ()


def _no_secrets(_: object) -> Mapping[str, KeychainItem]:
    return {}


@dataclass(frozen=True, slots=True)
class Importer:
    """One format.

    `places` are paths below `folders`, skipped where a folder or variable is not known; the last part may be a pattern.
    On macOS `items` are documents of their own, and `secrets` belong to a document as if they lay beside it.
    """

    program: str
    places: tuple[str, ...]
    fits: Callable[[object], bool]
    read: Callable[[Document], Iterable[Finding]]
    beside: tuple[str, ...] = ()
    items: Callable[[Mapping[str, str]], tuple[KeychainItem, ...]] = _no_items
    secrets: Callable[[object], Mapping[str, KeychainItem]] = _no_secrets


IMPORTERS: Mapping[str, Importer] = {
    "claude-code": Importer(
        claude_code.PROGRAM,
        ("{claude}/.credentials.json", "{claude}/.claude.json", "{home}/.claude.json"),
        claude_code.fits,
        claude_code.read,
        beside=claude_code.BESIDE,
        items=claude_code.keychain,
    ),
    "opencode": Importer(opencode.PROGRAM, ("{data}/opencode/auth.json",), opencode.fits, opencode.read),
    "opencode-2": Importer(opencode.PROGRAM, ("{data}/opencode/opencode.db",), opencode_db.fits, opencode_db.read),
    "anthropic-accounts": Importer(
        anthropic_accounts.PROGRAM,
        (
            "{config}/opencode/anthropic-accounts.json",
            "{home}/.config/opencode/anthropic-accounts.json",
            "{APPDATA}/opencode/anthropic-accounts.json",
        ),
        anthropic_accounts.fits,
        anthropic_accounts.read,
    ),
    "multi-auth": Importer(
        multi_auth.PROGRAM, ("{home}/.config/opencode/multi-auth.json",), multi_auth.fits, multi_auth.read
    ),
    "oauth-pool": Importer(oauth_pool.PROGRAM, ("{home}/.aidevops/oauth-pool.json",), oauth_pool.fits, oauth_pool.read),
    "opencode-go": Importer(
        go_accounts.PROGRAM,
        ("{home}/.config/opencode/opencode-go-accounts.json",),
        go_accounts.fits,
        go_accounts.read,
        beside=(go_accounts.ROTATION,),
    ),
    "ccflare": Importer(
        "ccflare",
        (
            "{ccflare_DB_PATH}",
            "{BETTER_CCFLARE_DB_PATH}",
            "{home}/.config/ccflare/ccflare.db",
            "{LOCALAPPDATA}/ccflare/ccflare.db",
            "{home}/.config/better-ccflare/better-ccflare.db",
        ),
        ccflare.fits,
        ccflare.read,
    ),
    "cliproxy": Importer(cliproxy.PROGRAM, ("{home}/.cli-proxy-api/*.json",), cliproxy.fits, cliproxy.read),
    "claude-swap": Importer(
        claude_swap.PROGRAM,
        (
            "{data}/claude-swap/sequence.json",
            "{home}/.local/share/claude-swap/sequence.json",
            "{home}/.claude-swap-backup/sequence.json",
        ),
        claude_swap.fits,
        claude_swap.read,
        beside=claude_swap.BESIDE,
        secrets=claude_swap.keychain,
    ),
    "claude-swap-export": Importer(claude_swap.PROGRAM, (), claude_swap.fits_export, claude_swap.read_export),
    "tidegate": Importer(tidegate.PROGRAM, (), tidegate.fits, tidegate.read),
}


def recognised(content: object) -> Importer | None:
    """The importer for a document of this shape."""
    return next((importer for importer in IMPORTERS.values() if importer.fits(content)), None)
