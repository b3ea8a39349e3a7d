"""OpenCode 1: `auth.json`, one entry for each provider. What Tidegate does not serve, such as Zen, stays there."""

from collections.abc import Iterable, Iterator, Mapping

from core.imports.entry import Malformed, key, login, mapping, text
from core.imports.found import Document, Found, Problem
from core.known import SETUP_TOKEN_PREFIX
from core.model import AccountKind

PROGRAM = "OpenCode"
_TYPES = frozenset({"oauth", "api", "wellknown"})


def fits(content: object) -> bool:
    """Every entry tells its type."""
    entries = mapping(content).values()
    return bool(entries) and all(text(mapping(entry).get("type")) in _TYPES for entry in entries)


def read(document: Document) -> Iterator[Found | Problem]:
    """The entries of Anthropic and OpenCode Go."""
    for provider, entry in mapping(document.content).items():
        try:
            yield from accounts(provider, mapping(entry))
        except Malformed as exc:
            yield Problem(document.path, f"{provider}: {exc}")


def accounts(provider: str, value: Mapping[str, object], label: str = "") -> Iterable[Found]:
    """One credential, as both versions write it: `api` in one is `key` in the other. Raises Malformed."""
    match provider, text(value.get("type")):
        case "anthropic", "oauth":
            yield login(
                PROGRAM,
                access=value.get("access"),
                refresh=value.get("refresh"),
                expires=value.get("expires"),
                label=label,
            )
        case "anthropic", "api" | "key" if text(value.get("key")).startswith(SETUP_TOKEN_PREFIX):
            yield login(PROGRAM, access=value.get("key"), refresh=None, expires=None, label=label)
        case "anthropic", "api" | "key":
            yield key(PROGRAM, AccountKind.API_KEY, value.get("key"), label=label)
        case "opencode-go", "api" | "key":
            yield key(PROGRAM, AccountKind.GO, value.get("key"), label=label)
