"""T19: mixed traffic under faults for as long as one likes. `SOAK_MINUTES` says how long; half an hour by default."""

import os
import random
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.crash.figures import Tell, line, table
from tests.soak.clients import KINDS
from tests.soak.gauges import GROWTH, too_much, warm
from tests.soak.soaking import minutes, soak

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform != "linux", reason="limits and counts of Linux")]

SHORT_S = 15.0
MINUTES = float(os.environ.get("SOAK_MINUTES") or 30)
HEAD = ("minute", "requests", "RSS MiB", "fds", "threads", "tasks", "pending", "history KiB", "log KiB")


async def soaked(folder: Path, seconds: float, seed: int, tell: Tell, *, is_long: bool) -> None:
    async with soak(folder, random.Random(seed)) as run:
        before = await run.look()
        run.ledger.began_at = began_at = time.monotonic()
        await run.endure(seconds)
        seconds = time.monotonic() - began_at
        await run.calm(before)
        await run.every_account_serves()
        await run.end()
    ledger = run.ledger
    growth = {bound.name: f"{bound.growth(warm(run.samples))} {bound.unit}" for bound in GROWTH}
    grown = too_much(run.samples) if is_long else []
    if is_long:
        tell(table(HEAD, minutes(run.samples)))
    tell(table(("request", "served", "refused", "cut", "left by client"), ledger.table()))
    tell(f"weather: {dict(ledger.weather.most_common())}\norders: {dict(ledger.orders)}")
    tell(
        line(
            "T19",
            n=ledger.requests,
            violations=len(ledger.faults) + len(grown),
            seconds=seconds,
            seed=seed,
            renewals=len(run.sim.requests_for("/v1/oauth/token")),
            quota_readings=len(run.sim.requests_for("/api/oauth/usage")),
            growth=growth,
        )
    )
    assert ledger.faults == [], "\n".join(ledger.faults)
    assert grown == []
    served = Counter({kind: count for (kind, end), count in ledger.ends.items() if end == "served"})
    assert served.total() > ledger.requests / 2, "that was no service"
    if is_long:
        assert {end for _, end in ledger.ends} == {"served", "refused", "cut", "left"}, "that was no bad weather"
        assert set(served) >= set(KINDS), "a sort of request was never served"


@pytest.mark.timeout(300)
async def test_quarter_of_a_minute_of_everything_at_once_breaks_no_promise(
    tmp_path: Path, tell: Tell, seed: int
) -> None:
    """Growth shows in longer runs only; the promises to clients are the same."""
    await soaked(tmp_path, SHORT_S, seed, tell, is_long=False)


@pytest.mark.soak
@pytest.mark.timeout(60 * MINUTES + 600)
async def test_soak_breaks_no_promise_and_nothing_grows(tmp_path: Path, tell: Tell, seed: int) -> None:
    await soaked(tmp_path, 60 * MINUTES, seed, tell, is_long=True)
