"""`anthropic-accounts.json` of two plugins for OpenCode, which share its name and version and not its keys.

opencode-anthropic-auth writes `refreshToken`, opencode-anthropic-multi-auth `refresh`; who had both may have a mixture.
"""

from collections.abc import Iterable, Iterator, Mapping

from core.imports.entry import each, identity, login, mapping, members
from core.imports.found import Document, Found, Problem

PROGRAM = "opencode-anthropic-auth"
PROGRAM_OF_THE_OTHER = "opencode-anthropic-multi-auth"


def fits(content: object) -> bool:
    """A list of accounts of either kind, or an empty one that somebody signed out of."""
    accounts = mapping(content).get("accounts")
    if not isinstance(accounts, list):
        return False
    if not accounts:
        return "activeIndex" in mapping(content)
    return any(
        "refreshToken" in entry or ("refresh" in entry and "mode" not in entry) for entry in map(mapping, accounts)
    )


def read(document: Document) -> Iterator[Found | Problem]:
    """The accounts in their order."""
    yield from each(document.path, members(mapping(document.content).get("accounts")), _accounts)


def _accounts(entry: Mapping[str, object]) -> Iterable[Found]:
    ours = "refreshToken" in entry
    yield login(
        PROGRAM if ours else PROGRAM_OF_THE_OTHER,
        access=entry.get("access"),
        refresh=entry.get("refreshToken") if ours else entry.get("refresh"),
        expires=entry.get("expires"),
        label=entry.get("label"),
        who=identity(email=entry.get("email")),
        enabled=entry.get("enabled") is not False,
    )
