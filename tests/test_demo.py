"""The demo's traffic finds every answer that is not whole, and its scenario runs one account into its limit."""

from collections.abc import AsyncIterator

import httpx
import pytest

from core.demo import PIECES, Plan, Progress, Scenario, Summary, traffic
from tests.fakes import SimulatedProvider, faults

pytestmark = pytest.mark.anyio

ASK = {"model": "claude-sonnet-5", "max_tokens": 99, "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
async def sim() -> AsyncIterator[SimulatedProvider]:
    async with SimulatedProvider.running() as running:
        running.pieces = PIECES
        yield running


async def last(updates: AsyncIterator[Progress]) -> Progress:
    return [progress async for progress in updates][-1]


async def test_every_whole_answer_is_counted(sim: SimulatedProvider) -> None:
    team = sim.add_api_key("Team")
    progress = await last(traffic(sim.url, team.key, Plan(sessions=3, rounds=2, pause_s=0)))
    assert (progress.planned, progress.asked, progress.whole) == (6, 6, 6)
    assert progress.problems == ()
    assert [session.pieces for session in progress.sessions] == [PIECES] * 3
    assert len({received.header("x-claude-code-session-id") for received in sim.received}) == 3


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (faults.CutClean(8), "the stream ended before its end"),
        (faults.CutHard(8), "the connection broke: ReadError"),
        (faults.ErrorMidStream(8), "the stream failed: Overloaded"),
        (faults.Overloaded(), "529: Overloaded"),
        (faults.ServerError(502), "502: <html>"),
        (faults.UseTool("other", {}), "the text is not what was sent"),
    ],
)
async def test_an_answer_that_is_not_whole_is_a_problem(
    sim: SimulatedProvider, fault: faults.Step, problem: str
) -> None:
    team = sim.add_api_key("Team")
    team.script(fault)
    progress = await last(traffic(sim.url, team.key, Plan(sessions=1, rounds=2, pause_s=0)))
    assert (progress.asked, progress.whole, progress.broken) == (2, 1, 1)
    assert progress.problems[0].startswith(problem)
    assert not Summary.of(progress).ok


async def test_leaving_the_loop_early_hangs_up(sim: SimulatedProvider) -> None:
    team = sim.add_api_key("Team")
    team.always(faults.Stall(faults.Phase.MID_STREAM, 60))
    updates = traffic(sim.url, team.key, Plan(sessions=2, rounds=None))
    async for progress in updates:
        if all(session.pieces for session in progress.sessions):
            break
    await updates.aclose()
    await sim.wait_until(lambda: all(received.left_at is not None for received in sim.received))
    assert len(sim.received) == 2


async def test_the_scenario_runs_work_into_its_limit_and_leaves_the_others_room(sim: SimulatedProvider) -> None:
    scenario = Scenario.on(sim)
    sim.gap_s = 0
    headers = {
        "authorization": f"Bearer {scenario.work.access}",
        "anthropic-beta": "oauth-2025-04-20",
        "anthropic-version": "2023-06-01",
    }
    async with httpx.AsyncClient(base_url=sim.url, trust_env=False) as http:
        statuses = [(await http.post("/v1/messages", headers=headers, json=ASK)).status_code for _ in range(8)]
    assert statuses == [200] * 6 + [429] * 2
    assert scenario.work.quota["5h"].utilization > 1
    assert all(window.utilization < 0.7 for window in scenario.home.quota.values())
    assert [account.label for account in sim.accounts] == ["Work", "Home", "Team"]


@pytest.mark.parametrize(
    ("progress", "ok"),
    [
        (Progress(4, 4, 4, moves=1, served={"Work": 1, "Home": 3}), True),
        (Progress(None, 4, 4, moves=1, served={"Work": 1, "Home": 3}), True),
        (Progress(4, 4, 4, served={"Work": 4}), False),
        (Progress(4, 4, 3, moves=1), False),
        (Progress(4, 3, 3, moves=1), False),
        (Progress(None), False),
    ],
)
def test_a_summary_is_ok_when_all_is_whole_in_spite_of_a_failover(progress: Progress, ok: bool) -> None:
    assert Summary.of(progress).ok is ok


def test_a_summary_is_one_sentence() -> None:
    summary = Summary.of(Progress(4, 4, 4, moves=1, served={"Work": 1, "Home": 3}))
    assert summary.text == "4 requests, 4 whole answers, 1 failover; served by Work 1, Home 3"
