"""ccflare and better-ccflare: the table `accounts` of their database. Accounts of other providers stay there."""

from collections.abc import Iterable, Iterator, Mapping

from core.imports.entry import API_KEY_PREFIX, Malformed, each, key, login, text
from core.imports.found import Database, Document, Found, Problem, Row
from core.model import AccountKind

TABLE = "accounts"
COLUMNS = (
    "name",
    "provider",
    "api_key",
    "refresh_token",
    "access_token",
    "expires_at",
    "paused",
    "priority",
    "account_tier",
    "custom_endpoint",
)
_PROVIDERS = frozenset({"anthropic", "claude-console-api"})


def fits(content: object) -> bool:
    """It has the table, and the table has the columns."""
    if not isinstance(content, Database) or TABLE not in content.tables:
        return False
    rows = content.tables[TABLE]
    return not rows or {"provider", "refresh_token"} <= rows[0].keys()


def read(document: Document) -> Iterator[Found | Problem]:
    """The accounts, the lowest number of priority first, as better-ccflare tries them."""
    assert isinstance(document.content, Database)  # noqa: S101 - `fits` said so
    rows = sorted(document.content.tables[TABLE], key=_priority)
    yield from each(document.path, rows, _accounts)


def _priority(row: Row) -> float:
    priority = row.get("priority")
    return priority if isinstance(priority, int | float) else 0


def _accounts(row: Mapping[str, object]) -> Iterable[Found]:
    if text(row.get("provider")) not in _PROVIDERS:
        return
    if text(row.get("custom_endpoint")):
        raise Malformed("it belongs to an address of its own, not to Anthropic")
    program = "ccflare" if "account_tier" in row else "better-ccflare"
    label, enabled = row.get("name"), not row.get("paused")
    # Old versions had one column for either, and filled it with a key.
    given = next((v for c in ("api_key", "refresh_token") if (v := text(row.get(c))).startswith(API_KEY_PREFIX)), "")
    if given or text(row.get("provider")) == "claude-console-api":
        yield key(program, AccountKind.API_KEY, given or row.get("api_key"), label=label, enabled=enabled)
        return
    yield login(
        program,
        access=row.get("access_token"),
        refresh=row.get("refresh_token"),
        expires=row.get("expires_at"),
        label=label,
        enabled=enabled,
    )
