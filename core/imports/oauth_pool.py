"""`oauth-pool.json` of aidevops: lists of logins by provider, of which Anthropic's are read."""

from collections.abc import Iterable, Iterator, Mapping

from core.imports.entry import each, identity, login, mapping, members
from core.imports.found import Document, Found, Problem

PROGRAM = "aidevops"


def fits(content: object) -> bool:
    """Anthropic's logins are a list."""
    return isinstance(mapping(content).get("anthropic"), list)


def read(document: Document) -> Iterator[Found | Problem]:
    """The logins, the highest priority first. One that was not finished (`_pending_anthropic`) is nobody's yet."""
    entries = members(mapping(document.content).get("anthropic"))
    yield from each(document.path, sorted(entries, key=_priority), _accounts)


def _priority(entry: object) -> float:
    priority = mapping(entry).get("priority")
    return -priority if isinstance(priority, int | float) else 0


def _accounts(entry: Mapping[str, object]) -> Iterable[Found]:
    yield login(
        PROGRAM,
        access=entry.get("access"),
        refresh=entry.get("refresh"),
        expires=entry.get("expires"),
        who=identity(email=entry.get("email")),
    )
