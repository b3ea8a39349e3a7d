"""The doctor's findings for a bug report: who the person is, and what is theirs, is not in it. Pure.

Accounts are `Account 1…`, the person's folder is `~`, an address of their own is not named. What a provider or the
system said goes through the net of `redaction` as well.
"""

from dataclasses import replace
from urllib.parse import urlsplit

from msgspec import structs

from core.doctor.facts import Facts
from core.doctor.judge import judge
from core.model import Endpoints
from core.redaction import for_others

_KNOWN_HOSTS = {urlsplit(url).hostname for url in structs.astuple(Endpoints())}


def report(facts: Facts, home: str, user: str) -> str:
    """A text to be pasted where strangers read it."""
    called = {info.label: f"Account {number}" for number, info in enumerate(facts.accounts, 1)}
    accounts = tuple(structs.replace(info, label=called[info.label], email="") for info in facts.accounts)
    lines = [
        f"Tidegate {facts.version}, {facts.system}",
        f"Accounts: {', '.join(info.kind for info in accounts) or 'none'}",
        f"Settings changed: {', '.join(facts.changed_settings) or 'none'}",
        "",
    ]
    for row in judge(replace(facts, accounts=accounts)):
        lines.append(f"{row.verdict:<7} {row.check}: {row.text}")
        if row.fix:
            lines.append(f"        fix: {row.fix}")
    own = {reached.where: "an address of their own" for reached in facts.upstreams if _is_own(reached.where)}
    return for_others("\n".join(lines), {**called, **own, home: "~", user: "user"}) + "\n"


def _is_own(where: str) -> bool:
    return where.rpartition(":")[0] not in _KNOWN_HOSTS
