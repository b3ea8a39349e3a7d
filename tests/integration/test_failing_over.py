"""Failing over as a whole: herds, outages, rests that are asked about, and what only one account has."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anthropic
import httpx
import pytest
from msgspec.structs import replace

from core.model import Cause, Changed, Event, ProviderBack, ProviderLost, ProviderName, SignIn, Strategy
from core.policy.pool import RAMP_STEP_S
from core.policy.rests import ASK_EVERY_S, UPSTREAM_FAILURES
from core.simulator import Received, SimulatedAccount, SimulatedProvider, faults
from tests.hurry import Hurried, hurried_clock
from tests.raw import Peer, played, until
from tests.stage import MODEL, PROMPT, Memory, Stage, in_front_of, on_stage

pytestmark = pytest.mark.anyio

HERD = 12
INFERENCE_ONLY = ("user:inference",)
"""A login that cannot ask for its quota, so that only requests tell of it."""


def body(**more: Any) -> dict[str, Any]:
    return {"model": MODEL, "max_tokens": 64, "messages": PROMPT, **more}


@asynccontextmanager
async def client_of(stage: Stage) -> AsyncIterator[httpx.AsyncClient]:
    """A client that retries nothing."""
    headers = {"x-api-key": stage.key, "anthropic-version": "2023-06-01"}
    async with httpx.AsyncClient(base_url=stage.url, headers=headers, trust_env=False, timeout=60) as client:
        yield client


async def ask(client: httpx.AsyncClient, session: str = "", **more: Any) -> httpx.Response:
    headers = {"x-claude-code-session-id": session} if session else {}
    return await client.post("/v1/messages", json=body(**more), headers=headers)


def by(answer: httpx.Response) -> str:
    """Who served, if anybody did."""
    return f"{answer.headers['x-tidegate-account']}" if answer.status_code == 200 else answer.text


def sent_to(stage: Stage, account: SimulatedAccount) -> list[Received]:
    return [r for r in stage.sim.received if r.account == account.label and r.path.startswith("/v1/")]


async def two(stage: Stage, **options: Any) -> tuple[SimulatedAccount, SimulatedAccount]:
    """Two logins; the first is chosen first while it is ready."""
    first, second = await stage.login("First", **options), await stage.login("Second", **options)
    await stage.settle(strategy="priority")
    return first, second


# --- a herd ----------------------------------------------------------------------------------------


async def test_a_herd_comes_over_to_the_next_account_one_by_one_and_nobody_is_refused(stage: Stage) -> None:
    first, second = await two(stage)
    first.always(faults.QuotaRejected("5h", 7200))
    async with client_of(stage) as client:
        answers = await asyncio.gather(*(ask(client, f"agent-{n}") for n in range(HERD)))

    assert [by(answer) for answer in answers] == ["Second"] * HERD
    assert len(sent_to(stage, first)) == HERD
    arrived = [r.at for r in sent_to(stage, second)]
    waits = [at - arrived[0] for at in arrived]
    assert all(wait >= 0.9 * RAMP_STEP_S * number for number, wait in enumerate(waits)), waits
    assert arrived[0] - sent_to(stage, first)[0].at < waits[-1] / 2


# --- an outage -------------------------------------------------------------------------------------


@dataclass
class Told:
    """What was told of the provider."""

    events: list[Event] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        if isinstance(event, ProviderLost | ProviderBack):
            self.events.append(event)


async def hang_up(_: Peer) -> None:
    """A server that closes every connection before TLS stands: nothing is ever delivered."""


def blamed(stage: Stage) -> list[object]:
    """What is held against accounts."""
    return [s for s in stage.core.engine.pool.accounts if s.cooldowns or s.failures or s.sign_in is not SignIn.OK]


async def test_in_an_outage_one_asks_for_all_and_all_are_served_when_it_is_over(stage: Stage) -> None:
    await two(stage)
    told = Told()
    stage.core.bus.subscribe(told)
    good = stage.sim.endpoints()
    engine = stage.core.engine
    async with played(hang_up) as gone, client_of(stage) as client:
        await stage.settle(endpoints=replace(good, anthropic_api_url=f"https://127.0.0.1:{gone.port}"))
        asking = [asyncio.create_task(ask(client, f"agent-{n}")) for n in range(HERD)]
        await until(lambda: engine.outage_s(ProviderName.ANTHROPIC) > 0 and not in_flight(stage))
        at_once = gone.accepted
        await until(lambda: gone.accepted > at_once)
        assert gone.accepted == at_once + 1
        assert not any(task.done() for task in asking)
        await stage.settle(endpoints=good)
        answers = await asyncio.gather(*asking)
        assert gone.accepted == at_once + 1

    assert at_once <= HERD
    assert [by(answer) for answer in answers] == ["First"] * HERD
    assert blamed(stage) == []
    assert [type(event) for event in told.events] == [ProviderLost, ProviderBack]


async def test_a_client_alone_waits_for_a_network_that_is_gone_for_seconds(stage: Stage) -> None:
    await two(stage)
    good = stage.sim.endpoints()
    async with client_of(stage) as client:
        await stage.settle(endpoints=replace(good, anthropic_api_url="http://127.0.0.1:9"))
        asking = asyncio.create_task(ask(client, "agent"))
        await until(lambda: stage.core.engine.outage_s(ProviderName.ANTHROPIC) > 0 and not in_flight(stage))
        await stage.settle(endpoints=good)
        answer = await asking

    assert by(answer) == "First"
    assert blamed(stage) == []


def in_flight(stage: Stage) -> int:
    return sum(state.in_flight for state in stage.core.engine.pool.accounts)


class TestLongOutage:
    @pytest.fixture
    def anyio_backend(self) -> tuple[str, dict[str, Any]]:
        return "asyncio", {"loop_factory": Hurried}

    async def test_an_outage_longer_than_half_a_minute_is_a_502_and_nobodys_fault(self, tmp_path: Path) -> None:
        clock = hurried_clock()
        async with on_stage(tmp_path / "data", clock=clock) as stage, client_of(stage) as client:
            await two(stage)
            await stage.settle(endpoints=replace(stage.sim.endpoints(), anthropic_api_url="http://127.0.0.1:9"))
            began_at = clock()
            answers = await asyncio.gather(*(ask(client, f"agent-{n}") for n in range(HERD)))
            lasted_s = clock() - began_at

            assert {answer.status_code for answer in answers} == {502}
            assert {answer.json()["error"]["type"] for answer in answers} == {"api_error"}
            assert "127.0.0.1 cannot be reached" in answers[0].json()["error"]["message"]
            assert "x-tidegate-outcome" not in answers[0].headers
            assert 15 < lasted_s < 60
            assert blamed(stage) == []


# --- asking whether a rest is over -----------------------------------------------------------------


@dataclass
class Clock:
    """A wall clock that a test moves."""

    ahead_s: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


@asynccontextmanager
async def all_spent(
    folder: Path, *, plan_limits_only: bool = False
) -> AsyncIterator[tuple[Stage, Clock, httpx.AsyncClient, list[SimulatedAccount]]]:
    """Two accounts whose 5 h windows are full for hours, and Tidegate knows it."""
    clock = Clock()
    async with on_stage(folder, clock=clock) as stage, client_of(stage) as client:
        accounts = [await stage.login(label, scopes=INFERENCE_ONLY) for label in ("First", "Second")]
        for state in stage.core.engine.pool.accounts:
            stage.core.engine.replace(replace(state.account, plan_limits_only=plan_limits_only))
        for account in accounts:
            account.quota["5h"].utilization = 1.0 if not plan_limits_only else 0.99
            account.quota["5h"].cost = 0.01
        if plan_limits_only:
            for account in accounts:
                assert (await ask(client)).status_code == 200, account.label
        assert (await ask(client)).status_code == 429
        yield stage, clock, client, accounts


async def test_after_ten_minutes_one_request_asks_and_a_good_answer_ends_the_rest(tmp_path: Path) -> None:
    async with all_spent(tmp_path / "data") as (stage, clock, client, accounts):
        before = stage.sim.received_in_all
        assert (await ask(client)).status_code == 429
        assert stage.sim.received_in_all == before
        clock.ahead_s += ASK_EVERY_S + 1
        for account in accounts:
            account.quota["5h"].utilization = 0.0
        asked = await ask(client)

        assert asked.status_code == 200
        assert stage.sim.received_in_all == before + 1
        asked_one = next(s for s in stage.core.engine.pool.accounts if s.account.label == by(asked))
        assert asked_one.cooldowns == ()
        assert (await ask(client)).status_code == 200


async def test_a_refusal_keeps_the_rest_and_nobody_asks_again_for_ten_minutes(tmp_path: Path) -> None:
    """The one request asks all accounts that rest, each once."""
    async with all_spent(tmp_path / "data") as (stage, clock, client, accounts):
        clock.ahead_s += ASK_EVERY_S + 1
        before = stage.sim.received_in_all
        answers = [await ask(client) for _ in range(5)]

        assert {answer.status_code for answer in answers} == {429}
        assert [r.account for r in stage.sim.received[before:]] == [account.label for account in accounts]
        assert all(state.cooldowns for state in stage.core.engine.pool.accounts)


async def test_an_account_that_is_kept_to_its_plan_is_never_asked_so(tmp_path: Path) -> None:
    """The answer might be good, and paid for."""
    async with all_spent(tmp_path / "data", plan_limits_only=True) as (stage, clock, client, _):
        clock.ahead_s += ASK_EVERY_S + 1
        before = stage.sim.received_in_all
        assert (await ask(client)).status_code == 429

        assert stage.sim.received_in_all == before


# --- what only one account has ---------------------------------------------------------------------

CODE = [{"type": "code_execution_20250825", "name": "code_execution"}]


async def upload(client: httpx.AsyncClient) -> tuple[str, str]:
    """A new file's id, and who has it."""
    answer = await client.post("/v1/files", files={"file": ("a.txt", b"the tide", "text/plain")})
    assert answer.status_code == 200, answer.text
    return answer.json()["id"], by(answer)


def with_file(id_: str) -> list[dict[str, Any]]:
    document = {"type": "document", "source": {"type": "file", "file_id": id_}}
    return [{"role": "user", "content": [document, {"type": "text", "text": "what is in it?"}]}]


async def other(stage: Stage, label: str) -> str:
    """Pin an account that is not this one."""
    chosen = "Second" if label == "First" else "First"
    await stage.core.commands.run("pin", {"account": chosen})
    return chosen


@pytest.mark.parametrize("strategy", Strategy)
async def test_a_file_is_used_where_it_is_whatever_the_strategy_and_the_pin(stage: Stage, strategy: Strategy) -> None:
    await two(stage)
    await stage.settle(strategy=strategy)
    async with client_of(stage) as client:
        id_, owner = await upload(client)
        await other(stage, owner)
        found = [await client.get(f"/v1/files/{id_}"), await ask(client, "one", messages=with_file(id_))]
        listed = await client.get(f"/v1/files/{id_}/content")

    assert [by(answer) for answer in found] == [owner, owner]
    assert listed.headers["x-tidegate-account"] == owner
    assert listed.status_code == 400  # not downloadable, which only its owner says: elsewhere it is a 404


async def test_a_batch_and_its_results_are_asked_for_where_it_was_made(stage: Stage) -> None:
    await two(stage)
    await stage.settle(strategy="round-robin")
    requests = [{"custom_id": "one", "params": body()}]
    async with client_of(stage) as client:
        made = await client.post("/v1/messages/batches", json={"requests": requests})
        id_ = made.json()["id"]
        for _ in range(3):
            assert by(await client.get(f"/v1/messages/batches/{id_}")) == by(made)
        results = await client.get(f"/v1/messages/batches/{id_}/results")

    assert by(results) == by(made)
    assert results.json()["result"]["type"] == "succeeded"


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("encode", [None, "gzip"], ids=["plain", "gzip"])
async def test_a_container_that_an_answer_names_is_used_where_it_is(
    stage: Stage, *, stream: bool, encode: str | None
) -> None:
    await two(stage)
    await stage.settle(strategy="round-robin")
    if not (stream and encode):  # the ids in a coded stream are not read
        stage.sim.encode = encode
    async with client_of(stage) as client:
        first = await ask(client, tools=CODE, stream=stream)
        (container,) = stage.core.engine.pool.resources
        again = [await ask(client, tools=CODE, container=container) for _ in range(3)]

    assert container.startswith("container_")
    assert container in first.text
    assert [by(answer) for answer in again] == [by(first)] * 3


async def test_when_the_owner_is_spent_the_client_reads_of_it_alone(stage: Stage) -> None:
    await two(stage)
    async with client_of(stage) as client:
        id_, owner = await upload(client)
        account = next(a for a in stage.sim.accounts if a.label == owner)
        account.always(faults.QuotaRejected("5h", 7200))
        refused = await ask(client, messages=with_file(id_))
        others = await ask(client)

    assert refused.status_code == 429
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert f"{owner}: 5 h window full until" in refused.json()["error"]["message"]
    assert "Second" not in refused.text
    assert refused.headers["x-should-retry"] == "false"
    assert by(others) == "Second"


async def test_what_an_account_has_is_known_after_a_restart(sim: SimulatedProvider, tmp_path: Path) -> None:
    memory = Memory()
    async with in_front_of(sim, tmp_path / "data", memory) as stage:
        await two(stage)
        async with client_of(stage) as client:
            id_, owner = await upload(client)
    async with in_front_of(sim, tmp_path / "data", memory) as stage:
        await other(stage, owner)
        async with client_of(stage) as client:
            assert by(await client.get(f"/v1/files/{id_}")) == owner


# --- the provider fails on one account -------------------------------------------------------------


async def test_an_account_that_the_provider_keeps_failing_on_is_left_alone_while_another_serves(stage: Stage) -> None:
    first, _ = await two(stage)
    first.always(faults.ServerError(500))
    async with client_of(stage) as client:
        served = [by(await ask(client)) for _ in range(UPSTREAM_FAILURES + 3)]

    assert served == ["Second"] * (UPSTREAM_FAILURES + 3)
    assert len(sent_to(stage, first)) == UPSTREAM_FAILURES
    assert [rest.cause for rest in stage.core.engine.pool.accounts[0].cooldowns] == [Cause.UPSTREAM]


@pytest.mark.parametrize("fault", [faults.ServerError(500), faults.Overloaded()], ids=["500", "529"])
async def test_the_last_account_never_rests_for_the_providers_sake(stage: Stage, fault: Any) -> None:
    only = await stage.login("Only")
    only.always(fault)
    async with client_of(stage) as client:
        for _ in range(UPSTREAM_FAILURES + 3):
            await ask(client)

    assert len(sent_to(stage, only)) == UPSTREAM_FAILURES + 3
    assert stage.core.engine.pool.accounts[0].cooldowns == ()


async def test_an_overload_rests_nobody(stage: Stage) -> None:
    first, _ = await two(stage)
    first.always(faults.Overloaded())
    async with client_of(stage) as client:
        for _ in range(UPSTREAM_FAILURES + 3):
            assert by(await ask(client)) == "Second"

    assert stage.core.engine.pool.accounts[0].cooldowns == ()


# --- an error in the middle of a stream ------------------------------------------------------------


@pytest.mark.parametrize(("type_", "cause"), [("billing_error", Cause.CREDIT), ("rate_limit_error", Cause.THROTTLED)])
async def test_an_error_in_the_middle_of_a_stream_counts_for_the_next_choice(
    stage: Stage, type_: str, cause: Cause
) -> None:
    first, _ = await two(stage)
    first.script(faults.ErrorMidStream(5, type_))
    async with client_of(stage) as client:
        streamed = await ask(client, stream=True)
        after = await ask(client)

    assert streamed.text.count("event: error") == 1
    assert [rest.cause for rest in stage.core.engine.pool.accounts[0].cooldowns] == [cause]
    assert by(after) == "Second"
    assert len(sent_to(stage, first)) == 1


# --- what a conversation keeps, and what nobody has asked for --------------------------------------


async def test_a_conversation_keeps_its_account_whatever_model_it_asks_for_and_whoever_comes_back(stage: Stage) -> None:
    first, _ = await two(stage)
    first.script(faults.QuotaRejected("5h", 1))
    await stage.settle(hold_s=0)
    async with client_of(stage) as client:
        served = [by(await ask(client, "one"))]
        await until(lambda: not stage.core.engine.snapshot().accounts[0].until_at)
        served += [
            by(await ask(client, "one", model=model)) for model in (MODEL, "claude-opus-5-5", "claude-haiku-4-5")
        ]
        anew = by(await ask(client, "two"))

    assert served == ["Second"] * 4
    assert anew == "First"


async def test_nothing_is_generated_that_no_client_has_asked_for(tmp_path: Path) -> None:
    """However long it runs, with windows that would begin anew and logins that end."""
    clock = Clock()
    async with on_stage(tmp_path / "data", clock=clock, steady=clock) as stage, client_of(stage) as client:
        await two(stage)
        assert (await ask(client)).status_code == 200
        for _ in range(3):
            clock.ahead_s += 9 * 3600
            stage.core.engine.wanted_at = clock()
            before = stage.sim.received_in_all
            stage.core.poller.heed(Changed("time has passed"))
            await stage.sim.wait_received(before + 1)

    paths = {r.path for r in stage.sim.received} - {"/v1/messages"}
    assert paths <= {"/api/oauth/usage", "/v1/oauth/token", "/api/oauth/profile"}
    assert len(stage.sim.requests_for("/v1/messages")) == 1


# --- should the client try again -------------------------------------------------------------------


@pytest.mark.parametrize(("resets_in_s", "says"), [(50, None), (7200, "false")])
async def test_a_client_is_told_not_to_try_again_when_the_soonest_is_more_than_a_minute_away(
    stage: Stage, resets_in_s: float, says: str | None
) -> None:
    first, second = await two(stage)
    first.always(faults.QuotaRejected("5h", resets_in_s))
    second.always(faults.QuotaRejected("5h", 7200))
    async with client_of(stage) as client:
        refused = await ask(client)

    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= resets_in_s
    assert refused.headers.get("x-should-retry") == says


@pytest.mark.parametrize("accounts", [1, 3])
async def test_the_providers_word_on_trying_again_stays_while_somebody_has_not_been_asked(
    stage: Stage, accounts: int
) -> None:
    for number in range(accounts):
        (await stage.login(f"Account {number}")).always(faults.Overloaded())
    async with client_of(stage) as client:
        refused = await ask(client)

    assert refused.status_code == 529
    assert refused.headers.get("x-should-retry") != "false"


async def test_a_spent_pool_costs_the_official_client_one_request(stage: Stage) -> None:
    first, second = await two(stage)
    for account in (first, second):
        account.always(faults.QuotaRejected("5h", 7200))
    with pytest.raises(anthropic.RateLimitError):
        await stage.sdk(max_retries=3).messages.create(**body())
    assert len(stage.sim.requests_for("/v1/messages")) == 2


# --- held back by the person -------------------------------------------------------------------------


async def test_with_failover_off_the_refusal_names_the_account_and_why_nobody_else_serves(stage: Stage) -> None:
    first, second = await two(stage)
    await stage.settle(failover=False)
    async with client_of(stage) as client:
        assert by(await ask(client, "one")) == "First"
        first.always(faults.QuotaRejected("5h", 7200))
        refused = await ask(client, "one")
        another = await ask(client, "two")
        await stage.core.commands.run("pin", {"account": "Second"})
        chosen = await ask(client, "three")

    for answer in (refused, another):
        assert answer.status_code == 429
        assert "First: 5 h window full until" in answer.text
        assert "Second: failover is off" in answer.text
    assert by(chosen) == "Second"
    assert len(sent_to(stage, second)) == 1


async def test_a_pause_stops_what_comes_and_not_what_is_under_way(stage: Stage) -> None:
    first, _ = await two(stage)
    first.script(faults.Stall(seconds=0.5))
    async with client_of(stage) as client:
        under_way = asyncio.create_task(ask(client, "one"))
        await until(lambda: bool(sent_to(stage, first)))
        await stage.core.commands.run("pause", {})
        refused = await ask(client, "two")
        await stage.core.commands.run("resume", {})
        after = await ask(client, "three")
        assert by(await under_way) == "First"

    assert (refused.status_code, refused.headers["x-should-retry"]) == (403, "false")
    assert "Tidegate is paused." in refused.text
    assert by(after) == "First"
    assert len(sent_to(stage, first)) == 2
