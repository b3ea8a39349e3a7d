"""Quota from end to end: paid extra usage, limits that keys share, and what is shown of both."""

from typing import Any

import anthropic
import pytest
from msgspec.structs import replace

from core.demo_run import admit
from core.model import AccountView, Standing
from core.simulator import ExtraUsage, SimulatedAccount, faults
from core.wording import state_text
from tests.stage import MODEL, PROMPT, Stage

pytestmark = pytest.mark.anyio


async def ask(stage: Stage) -> str:
    """Who served one prompt."""
    request: Any = {"model": MODEL, "max_tokens": 64, "messages": PROMPT}
    raw = await stage.sdk().messages.with_raw_response.create(**request)
    return str(raw.headers["x-tidegate-account"])


async def paying(stage: Stage, *, plan_limits_only: bool) -> SimulatedAccount:
    """The first account's plan is spent, and extra usage would pay for it."""
    first = await stage.login("First")
    await stage.login("Second")
    await stage.settle(strategy="sticky")
    state = stage.core.engine.pool.accounts[0]
    stage.core.engine.replace(replace(state.account, plan_limits_only=plan_limits_only))
    first.quota["5h"].utilization = 1.0
    first.extra_usage = ExtraUsage()
    return first


def shown(stage: Stage, number: int = 0) -> AccountView:
    return stage.core.engine.snapshot().accounts[number]


async def test_an_account_that_is_kept_to_its_plan_pays_for_one_answer_at_most(stage: Stage) -> None:
    """One, since nothing was known of its plan before; by a poll or an earlier answer it would be none."""
    first = await paying(stage, plan_limits_only=True)

    served = [await ask(stage) for _ in range(3)]

    assert served == ["First", "Second", "Second"]
    assert first.extra_usage is not None
    assert first.extra_usage.used == first.extra_usage.cost
    assert shown(stage).standing is Standing.COOLING
    assert state_text(shown(stage), stage.core.engine.snapshot().at).startswith("plan spent until ")


async def test_without_that_wish_extra_usage_goes_on_paying_and_is_shown(stage: Stage) -> None:
    first = await paying(stage, plan_limits_only=False)

    served = [await ask(stage) for _ in range(3)]

    assert served == ["First"] * 3
    assert first.extra_usage is not None
    assert first.extra_usage.used == 3 * first.extra_usage.cost
    assert state_text(shown(stage), stage.core.engine.snapshot().at) == "ready, extra usage in use"


async def test_when_everybody_is_kept_to_a_spent_plan_the_client_learns_why_and_until_when(stage: Stage) -> None:
    await paying(stage, plan_limits_only=True)
    await ask(stage)
    await stage.core.commands.run("disable", {"account": "Second"})

    with pytest.raises(anthropic.RateLimitError) as refused:
        await ask(stage)

    assert "First: plan spent (you keep it to plan limits) until" in refused.value.message
    assert int(refused.value.response.headers["retry-after"]) > 60


async def test_a_spent_key_is_not_answered_by_another_key_of_its_organisation(stage: Stage) -> None:
    keys = [stage.sim.add_api_key(label, organization_uuid="org") for label in ("One", "Two")]
    for key in keys:
        await admit(stage.core, key)
    await stage.login("Home")
    await stage.settle(strategy="sticky")
    keys[0].script(faults.CreditTooLow())

    assert await ask(stage) == "Home"

    assert (stage.served("One"), stage.served("Two")) == (1, 0)
    assert [shown(stage, number).shares_with for number in range(3)] == [("Two",), ("One",), ()]
    assert {shown(stage, number).detail for number in range(2)} == {"no credit left"}


async def test_what_one_keys_answer_tells_is_shown_for_its_sibling_as_well(stage: Stage) -> None:
    for label in ("One", "Two"):
        await admit(stage.core, stage.sim.add_api_key(label, organization_uuid="org"))
    await stage.settle(strategy="sticky")

    assert await ask(stage) == "One"

    assert shown(stage, 0).windows == shown(stage, 1).windows != ()
