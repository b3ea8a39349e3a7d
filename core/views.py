"""The views of the status page beside the accounts: what each asks of Tidegate, and what it draws of the answers."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec

from core.answers import LogReport, QuotaReport, Recounted, RequestsReport, UsageReport
from core.errors import UsageError
from core.page import activity, charts, settings
from core.page import log as log_view

Ask = Callable[[str, Mapping[str, Any]], Awaitable[Any]]
"""An order by its name, and its answer as JSON has it."""
Asked = Mapping[str, str]
"""What the form of a view says."""
_SEARCHED = 1_000
"""Requests and happenings among which the activity finds those that are wanted, when not all are."""
_LOGGED = 500
T = TypeVar("T")


async def drawn(name: str, asked: Asked, ask: Ask) -> str:
    """A view as HTML. Raises UsageError when there is none of this name, or it cannot be asked for so."""
    if name not in _VIEWS:
        raise UsageError(f"There is no view {name!r}", f"Views: {', '.join(_VIEWS)}.")
    return await _VIEWS[name](asked, ask)


async def _charts(asked: Asked, ask: Ask) -> str:
    given = asked.get("days", "1")
    days = next((days for days in charts.RANGES if str(days) == given), None)
    if days is None:
        raise UsageError(f"Charts cannot go {given!r} days back", f"Days: {', '.join(map(str, charts.RANGES))}.")
    quota = await _answer(ask, "quota", {"days": days}, QuotaReport)
    return charts.view(quota, await _answer(ask, "usage", {"days": days}, UsageReport), days)


async def _activity(asked: Asked, ask: Ask) -> str:
    account, wrong = asked.get("account", ""), "wrong" in asked
    limit = {"limit": _SEARCHED if account or wrong else activity.MOST_SHOWN}
    requests = await _answer(ask, "requests", limit, RequestsReport)
    recounted = await _answer(ask, "history", limit, Recounted)
    accounts = [view["label"] for view in (await ask("snapshot", {}))["accounts"]]
    return activity.view(requests, recounted, accounts, account, wrong=wrong)


async def _log(asked: Asked, ask: Ask) -> str:
    level = asked.get("level", "")
    return log_view.view(await _answer(ask, "log", {"limit": _LOGGED, "level": level}, LogReport), level)


async def _settings(_: Asked, ask: Ask) -> str:
    return settings.view(await _answer(ask, "config_get", {}, dict[str, str]))


async def _answer(ask: Ask, name: str, given: Mapping[str, Any], kind: type[T]) -> T:
    return msgspec.convert(await ask(name, given), kind)


_VIEWS: Mapping[str, Callable[[Asked, Ask], Awaitable[str]]] = {
    "charts": _charts,
    "activity": _activity,
    "log": _log,
    "settings": _settings,
}
