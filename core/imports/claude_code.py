"""Claude Code: `.credentials.json`, the same in the keychain of macOS, and an API key in `.claude.json`.

Who is signed in stands in another file than the tokens: `oauthAccount` in `.claude.json`.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping

from core.imports.entry import API_KEY_PREFIX, NOBODY, Malformed, decoded, each, identity, key, login, mapping, text
from core.imports.found import Document, Found, KeychainItem, Problem
from core.model import AccountKind, Identity
from core.policy.plan import name_of

PROGRAM = "Claude Code"
BESIDE = (".config.json", ".claude.json", "../.claude.json")
_DEFAULT_FOLDER = ".claude"
_KEYS = frozenset({"claudeAiOauth", "mcpOAuth", "primaryApiKey", "oauthAccount", "numStartups", "projects"})


def fits(content: object) -> bool:
    """A credentials file (perhaps of MCP servers only), the global config, or the keychain's bare API key."""
    if isinstance(content, str):
        return content.startswith(API_KEY_PREFIX)
    return not _KEYS.isdisjoint(mapping(content))


def read(document: Document) -> Iterator[Found | Problem]:
    """At most a login and a key."""
    if isinstance(document.content, str):
        yield from each(document.path, [{"primaryApiKey": document.content}], _accounts)
        return
    who = _signed_in(document)
    yield from each(document.path, [document.content], lambda entry: _accounts(entry, who))


def _accounts(entry: Mapping[str, object], who: Identity = NOBODY) -> Iterable[Found]:
    if mapping(entry.get("claudeAiOauth")):
        yield login_of(PROGRAM, entry, who)
    if text(entry.get("primaryApiKey")):
        yield key(PROGRAM, AccountKind.API_KEY, entry["primaryApiKey"])


def login_of(
    program: str, credentials: Mapping[str, object], who: Identity, *, label: object = "", enabled: bool = True
) -> Found:
    """The login in the contents of `.credentials.json`, which other programs keep copies of. Raises Malformed."""
    tokens = mapping(credentials.get("claudeAiOauth"))
    plan = name_of(text(tokens.get("subscriptionType")), text(tokens.get("rateLimitTier")))
    return login(
        program,
        access=tokens.get("accessToken"),
        refresh=tokens.get("refreshToken"),
        expires=tokens.get("expiresAt"),
        label=label,
        who=Identity(who.account_uuid, who.organization_uuid, who.email, plan),
        enabled=enabled,
        scopes=tokens.get("scopes"),
    )


def owner(config: object) -> Identity:
    """Who is signed in, by a global config."""
    account = mapping(mapping(config).get("oauthAccount"))
    return identity(
        account=account.get("accountUuid"),
        organization=account.get("organizationUuid"),
        email=account.get("emailAddress"),
    )


def _signed_in(document: Document) -> Identity:
    """By the config that belongs to this folder: beside it, and for `~/.claude` in the home folder above it."""
    folder = document.path.replace("\\", "/").split("/")[-2:-1]
    for name in BESIDE:
        if name in document.beside and (not name.startswith("../") or folder == [_DEFAULT_FOLDER]):
            try:
                return owner(decoded(document.beside[name]))
            except Malformed:  # the login is good without it, and the provider is asked who it is
                continue
    return NOBODY


def keychain(environ: Mapping[str, str]) -> tuple[KeychainItem, ...]:
    """Where macOS has the credentials, and the key of those who pay with one."""
    suffix = ""
    if folder := environ.get("CLAUDE_CONFIG_DIR"):
        normal = unicodedata.normalize("NFC", folder)
        suffix = f"-{hashlib.sha256(normal.encode()).hexdigest()[:8]}"
    user = environ.get("USER", "")
    return KeychainItem(f"Claude Code-credentials{suffix}", user), KeychainItem(f"Claude Code{suffix}", user)
