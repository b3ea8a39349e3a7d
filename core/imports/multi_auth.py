"""`multi-auth.json`, of the multi-account patch for OpenCode's Anthropic plugin."""

from collections.abc import Iterable, Iterator, Mapping

from core.imports.entry import each, login, mapping, members
from core.imports.found import Document, Found, Problem

PROGRAM = "OpenCode multi-auth"


def fits(content: object) -> bool:
    """It says its type."""
    return mapping(content).get("type") == "multi-oauth"


def read(document: Document) -> Iterator[Found | Problem]:
    """The accounts in their order."""
    yield from each(document.path, members(mapping(document.content).get("accounts")), _accounts)


def _accounts(entry: Mapping[str, object]) -> Iterable[Found]:
    yield login(
        PROGRAM,
        access=entry.get("access"),
        refresh=entry.get("refresh"),
        expires=entry.get("expires"),
        label=entry.get("label"),
    )
