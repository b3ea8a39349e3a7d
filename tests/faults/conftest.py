"""Counts what each scenario came to, and writes it into the documentation when that is wanted."""

import os
from collections import Counter

import pytest

from tests.faults import document
from tests.faults.script import Scenario

WRITES = "FAULT_TABLE"
_PLAYED = pytest.StashKey[dict[str, Counter[str]]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: "pytest.CallInfo[None]") -> object:
    report: pytest.TestReport = yield
    scenario = item.callspec.params.get("scenario") if hasattr(item, "callspec") else None
    if isinstance(scenario, Scenario) and call.when == "call":
        item.config.stash.setdefault(_PLAYED, {}).setdefault(scenario.name, Counter())[report.outcome] += 1
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    if os.environ.get(WRITES) == "write":
        document.write(session.config.stash.get(_PLAYED, {}))
