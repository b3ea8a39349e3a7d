"""`opencode-go-accounts.json`, of opencode-go-multi-auth: OpenCode Go keys, and beside it who served last."""

from collections.abc import Iterable, Iterator, Mapping

from core.imports.entry import Malformed, decoded, each, key, mapping, members
from core.imports.found import Document, Found, Problem
from core.model import AccountKind

PROGRAM = "opencode-go-multi-auth"
ROTATION = "opencode-go-rotation.json"


def fits(content: object) -> bool:
    """A list of accounts with keys, or an empty one with its rotation."""
    accounts = mapping(content).get("accounts")
    if not isinstance(accounts, list):
        return False
    return any("apiKey" in mapping(entry) for entry in accounts) if accounts else "rotationIndex" in mapping(content)


def read(document: Document) -> Iterator[Found | Problem]:
    """The accounts, whose turn it would be next first."""
    entries = members(mapping(document.content).get("accounts"))
    start = _last_used(document) + 1
    turned = sorted(range(len(entries)), key=lambda index: (index - start) % len(entries))
    yield from each(document.path, [entries[index] for index in turned], _accounts)


def _last_used(document: Document) -> int:
    try:
        rotation = mapping(decoded(document.beside.get(ROTATION, b"{}")))
    except Malformed:
        rotation = {}
    index = rotation.get("lastUsedIndex", -1)
    return index if isinstance(index, int) else -1


def _accounts(entry: Mapping[str, object]) -> Iterable[Found]:
    yield key(
        PROGRAM,
        AccountKind.GO,
        entry.get("apiKey"),
        label=entry.get("label"),
        enabled=entry.get("enabled") is not False,
    )
