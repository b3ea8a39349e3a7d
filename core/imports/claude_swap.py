"""claude-swap: its store (`sequence.json` with a credential file for each account) and the file it exports.

The credential files end in `.enc` and are base64. On macOS they are in the keychain.
"""

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping

from core.imports.claude_code import login_of, owner
from core.imports.entry import API_KEY_PREFIX, NOBODY, Malformed, decoded, each, identity, key, mapping, members, text
from core.imports.found import Document, Found, KeychainItem, Problem
from core.model import AccountKind, Identity

PROGRAM = "claude-swap"
BESIDE = ("credentials/.creds-*.enc", "configs/.claude-config-*.json")


def fits(content: object) -> bool:
    """The store's table of contents."""
    return isinstance(mapping(content).get("sequence"), list) and isinstance(mapping(content).get("accounts"), dict)


def read(document: Document) -> Iterator[Found | Problem]:
    """The accounts in the order of the sequence, then what it forgot."""
    for number, entry in _numbered(document.content):
        try:
            yield _account(entry, _credentials(document, number), _owner(document, number))
        except Malformed as exc:
            yield Problem(document.path, f"account {number}: {exc}")


def keychain(content: object) -> Mapping[str, KeychainItem]:
    """The credentials of the accounts on macOS, by the name that `read` looks for."""
    return {
        f"keychain/{number}": KeychainItem(PROGRAM, f"account-{number}-{text(entry.get('email'))}")
        for number, entry in _numbered(content)
    }


def fits_export(content: object) -> bool:
    """What `cswap export` writes."""
    export = mapping(content)
    return "swapVersion" in export or any("credentials" in mapping(entry) for entry in members(export.get("accounts")))


def read_export(document: Document) -> Iterator[Found | Problem]:
    """The accounts in their order. One that is encrypted is for claude-swap alone."""
    export = mapping(document.content)
    if export.get("encrypted"):
        yield Problem(document.path, "it is encrypted; export it without a passphrase")
        return

    def account(entry: Mapping[str, object]) -> Iterable[Found]:
        yield _account(entry, entry.get("credentials"), owner(entry.get("config")))

    yield from each(document.path, members(export.get("accounts")), account)


def _numbered(content: object) -> list[tuple[str, Mapping[str, object]]]:
    accounts = {number: mapping(entry) for number, entry in mapping(mapping(content).get("accounts")).items()}
    sequence = [str(number) for number in members(mapping(content).get("sequence"))]
    return [(number, accounts[number]) for number in dict.fromkeys([*sequence, *accounts]) if number in accounts]


def _account(entry: Mapping[str, object], credentials: object, config_owner: Identity) -> Found:
    who = identity(account=entry.get("uuid"), organization=entry.get("organizationUuid"), email=entry.get("email"))
    if not who.account_uuid and who.email in {"", config_owner.email}:
        who = config_owner
    label, enabled = entry.get("alias"), entry.get("disabled") is not True
    if isinstance(credentials, str):
        return key(PROGRAM, AccountKind.API_KEY, credentials, label=label, who=who, enabled=enabled)
    return login_of(PROGRAM, mapping(credentials), who, label=label, enabled=enabled)


def _credentials(document: Document, number: str) -> object:
    """The contents of a credential file: Claude Code's JSON, or a bare API key. Raises Malformed."""
    raw = next((document.beside[name] for name in _names(document, f"credentials/.creds-{number}-", ".enc")), b"")
    raw = raw.strip() or document.beside.get(f"keychain/{number}", b"").strip()
    if not raw:
        raise Malformed("its credential is missing")
    if not raw.startswith((b"{", API_KEY_PREFIX.encode())):
        try:
            raw = base64.b64decode(raw, validate=True).strip()
        except binascii.Error as exc:
            raise Malformed("its credential is not base64") from exc
    return raw.decode() if raw.startswith(API_KEY_PREFIX.encode()) and raw.isascii() else decoded(raw)


def _owner(document: Document, number: str) -> Identity:
    """By the copy of Claude Code's config that was made when the account was added."""
    for name in _names(document, f"configs/.claude-config-{number}-", ".json"):
        try:
            return owner(decoded(document.beside[name]))
        except Malformed:
            break
    return NOBODY


def _names(document: Document, begin: str, end: str) -> list[str]:
    return [name for name in sorted(document.beside) if name.startswith(begin) and name.endswith(end)]
