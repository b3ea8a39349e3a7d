"""OpenCode 2: the table `credential` of `opencode.db`, several credentials for each provider, one of them active."""

from collections.abc import Iterable, Iterator, Mapping

from core.imports import opencode
from core.imports.entry import decoded, each, mapping, text
from core.imports.found import Database, Document, Found, Problem

TABLE = "credential"
COLUMNS = ("integration_id", "connector_id", "label", "value", "active", "time_created")
_NO_LABELS = frozenset({"default", "imported"})


def fits(content: object) -> bool:
    """It has the table, with values in it."""
    return isinstance(content, Database) and TABLE in content.tables


def read(document: Document) -> Iterator[Found | Problem]:
    """The credentials of Anthropic and OpenCode Go, those in use first."""
    assert isinstance(document.content, Database)  # noqa: S101 - `fits` said so
    rows = sorted(document.content.tables[TABLE], key=lambda row: not row.get("active"))
    yield from each(document.path, rows, _accounts)


def _accounts(row: Mapping[str, object]) -> Iterable[Found]:
    # One version between the two called the column otherwise.
    provider = text(row.get("integration_id")) or text(row.get("connector_id"))
    if provider not in {"anthropic", "opencode-go"}:
        return
    label = text(row.get("label"))
    value = mapping(decoded(text(row.get("value")).encode()))
    yield from opencode.accounts(provider, value, "" if label.lower() in _NO_LABELS else label)
