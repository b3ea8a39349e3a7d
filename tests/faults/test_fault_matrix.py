"""Every cell of the fault matrix: played, held to what its scenario expects, and judged by the rules for all."""

from pathlib import Path

import anthropic
import pytest

from tests.faults.expect import missed
from tests.faults.judge import judge
from tests.faults.matrix import EMPTY, FAULTS, MOMENTS, filled
from tests.faults.play import Play, play
from tests.faults.scenarios import ALL
from tests.faults.script import Scenario

ANSWER_S = 30.0
QUICK_MOMENTS = "abcdegk"
ASKED_OF_SDK = tuple(scenario for scenario in ALL if scenario.sdk)


def _quick() -> frozenset[str]:
    """What `make test` plays: one scenario that takes no seconds of each fault, at the moments of a plain request."""
    quick = [scenario for scenario in ALL if not (scenario.slow or scenario.hurried)]
    return frozenset(found[0].name for (_, moment), found in filled(quick).items() if moment in QUICK_MOMENTS)


def _marked(scenarios: tuple[Scenario, ...], quick: frozenset[str]) -> list[object]:
    marks = {True: (), False: (pytest.mark.faults,)}
    return [pytest.param(one, id=one.name, marks=marks[one.name in quick]) for one in scenarios]


def test_every_cell_has_a_scenario_or_a_reason() -> None:
    cells = {(fault, moment) for fault in FAULTS for moment in MOMENTS}
    found = filled(ALL)

    assert set(found) | set(EMPTY) == cells
    assert not set(found) & set(EMPTY)


def test_no_two_scenarios_have_the_same_name() -> None:
    assert len({scenario.name for scenario in ALL}) == len(ALL)


@pytest.mark.parametrize("scenario", _marked(ALL, _quick()))
def test_what_is_seen_from_both_sides_is_as_the_scenario_says(scenario: Scenario, tmp_path: Path) -> None:
    record = play(scenario, tmp_path)

    assert [*missed(scenario, record), *judge(record)] == []


@pytest.mark.faults
@pytest.mark.parametrize("scenario", ASKED_OF_SDK, ids=[scenario.name for scenario in ASKED_OF_SDK])
def test_the_official_client_notices_what_it_must(scenario: Scenario, tmp_path: Path) -> None:
    """A cut stream is an error to it, and a refusal the right one; it retries nothing here."""
    came: list[str] = []

    async def ask(tidegate: Play) -> None:
        client = anthropic.AsyncAnthropic(
            base_url=tidegate.url,
            api_key=tidegate.key,
            max_retries=0,
            timeout=ANSWER_S,
            default_headers={"x-claude-code-session-id": "one"},
        )
        async with client:
            try:
                async with client.messages.stream(
                    model="claude-sonnet-5",
                    max_tokens=64,
                    messages=[{"role": "user", "content": "question 1"}],
                    extra_query={"request": "1"},
                ) as stream:
                    message = await stream.get_final_message()
            except anthropic.APIError as exc:
                came.append(type(exc).__name__)
            else:
                assert message.stop_reason == "end_turn"
                came.append("ok")

    play(scenario, tmp_path, ask)

    assert came == [scenario.sdk]
