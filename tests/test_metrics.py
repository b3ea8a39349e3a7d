import math
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.history import EventRow, RequestRow
from core.metrics import Metrics
from core.model import (
    AccountId,
    AccountKind,
    AccountView,
    FailedOver,
    Level,
    ModelFamily,
    Move,
    ProviderName,
    Snapshot,
    Standing,
    Usage,
    WindowView,
)

WORK, HOME = AccountId("a1"), AccountId("a2")
ODD = 'He said "hi" \\ bye\nnow'


def view(id_: AccountId, label: str, standing: Standing = Standing.READY, **more: Any) -> AccountView:
    return AccountView(id_, label, AccountKind.CLAUDE, ProviderName.ANTHROPIC, standing, Level.OK, **more)


SNAPSHOT = Snapshot(
    at=0.0,
    version="1.0",
    accounts=(
        view(
            WORK,
            "Work",
            in_flight=2,
            windows=(
                WindowView("5h", 0.25, 1_763_000_000.5, Level.OK),
                WindowView("7d", 0.5, None, Level.OK, family=ModelFamily("opus")),
                WindowView("7d", None, None, Level.UNKNOWN),
            ),
        ),
        view(HOME, ODD, Standing.COOLING),
    ),
)


def request(account: AccountId | None = WORK, outcome: str = "Served", attempts: int = 1, **usage: int) -> RequestRow:
    return RequestRow(0.0, ProviderName.ANTHROPIC, 200, outcome, attempts, 1.0, account=account, usage=Usage(**usage))


def samples(metrics: Metrics, snapshot: Snapshot = SNAPSHOT, pending: int = 0) -> dict[tuple[str, ...], float]:
    """What Prometheus' own parser reads, by name and labels' values."""
    families = text_string_to_metric_families(metrics.text(snapshot, pending, tasks=7))
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def test_requests_attempts_and_tokens_are_counted() -> None:
    metrics = Metrics()
    for row in (
        request(input=10, output=5, cache_read=100, cache_write=7),
        request(attempts=2, input=1),
        request(HOME, "QuotaSpent", 3),
        request(None, "NotDelivered", 0),
    ):
        metrics.count(row)

    read = samples(metrics)

    assert read["tidegate_requests_total", "Work", "anthropic", "Served"] == 2
    assert read["tidegate_requests_total", ODD, "anthropic", "QuotaSpent"] == 1
    assert read["tidegate_requests_total", "", "anthropic", "NotDelivered"] == 1
    assert read["tidegate_attempts_total",] == 6
    kinds = ("input", "output", "cache_read", "cache_write")
    assert [read["tidegate_tokens_total", "Work", kind] for kind in kinds] == [11, 5, 100, 7]


def test_failover_counts_once_though_history_hears_of_it_twice() -> None:
    metrics = Metrics()
    metrics.count(EventRow(0.0, FailedOver(WORK, HOME, "5 h window full", None)))
    metrics.count(EventRow(0.0, Move(0.0, "Work", "Home", "5 h window full")))
    assert samples(metrics)["tidegate_failovers_total", "Work", "Home"] == 1


def test_picture_is_told_as_it_is_now() -> None:
    read = samples(Metrics(), pending=3)
    assert read["tidegate_window_utilization_ratio", "Work", "anthropic", "5h", ""] == 0.25
    assert read["tidegate_window_utilization_ratio", "Work", "anthropic", "7d", "opus"] == 0.5
    assert ("tidegate_window_utilization_ratio", "Work", "anthropic", "7d", "") not in read
    assert read["tidegate_window_resets_at_seconds", "Work", "anthropic", "5h", ""] == 1_763_000_000.5
    assert read["tidegate_accounts_ready",] == 1
    assert read["tidegate_account_ready", ODD, "anthropic"] == 0
    assert read["tidegate_requests_in_flight", "Work", "anthropic"] == 2
    assert read["tidegate_history_pending_rows",] == 3
    assert read["tidegate_build_info", "1.0"] == 1


def test_process_is_measured() -> None:
    read = samples(Metrics())
    assert read["tidegate_tasks",] == 7
    assert read["process_resident_memory_bytes",] > 10_000_000
    assert read["process_open_fds",] >= 3


def test_account_that_is_gone_goes_by_its_id_and_one_that_came_back_is_one_series() -> None:
    metrics = Metrics()
    metrics.count(request(AccountId("gone")))
    assert samples(metrics)["tidegate_requests_total", "gone", "anthropic", "Served"] == 1


@pytest.mark.parametrize("snapshot", [SNAPSHOT, Snapshot(at=0.0)])
def test_each_family_has_help_and_type_before_its_samples(snapshot: Snapshot) -> None:
    metrics = Metrics()
    metrics.count(request())
    for family in text_string_to_metric_families(metrics.text(snapshot, 0, 0)):
        assert family.documentation.endswith("."), family.name
        assert family.type in {"counter", "gauge"}
        assert not any(math.isnan(one.value) for one in family.samples)
