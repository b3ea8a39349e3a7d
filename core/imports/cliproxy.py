"""CLIProxyAPI: a folder with one file for each login. Those of other services lie beside Claude's and stay there."""

from collections.abc import Iterable, Iterator, Mapping

from core.imports.entry import each, identity, login, mapping, text
from core.imports.found import Document, Found, Problem

PROGRAM = "CLIProxyAPI"


def fits(content: object) -> bool:
    """One login that tells its service."""
    login_ = mapping(content)
    return bool(text(login_.get("type"))) and "access_token" in login_


def read(document: Document) -> Iterator[Found | Problem]:
    """One login, or none when it is another service's."""
    yield from each(document.path, [document.content], _accounts)


def _accounts(entry: Mapping[str, object]) -> Iterable[Found]:
    if entry.get("type") != "claude":
        return
    yield login(
        PROGRAM,
        access=entry.get("access_token"),
        refresh=entry.get("refresh_token"),
        expires=entry.get("expired"),
        who=identity(
            account=entry.get("account_uuid"),
            organization=entry.get("organization_uuid"),
            email=entry.get("email"),
        ),
        enabled=entry.get("disabled") is not True,
    )
