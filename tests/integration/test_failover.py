"""What becomes of a request when an account fails: invisible where that is right, the exact error where it is not."""

import time
from typing import Any

import anthropic
import httpx
import pytest

from core.model import Cause, SignIn, Standing, Strategy
from core.policy.rests import UPSTREAM_FAILURES
from core.simulator import SimulatedAccount, faults
from tests.stage import MODEL, PROMPT, Stage

pytestmark = pytest.mark.anyio
SESSION = {"x-claude-code-session-id": "one"}


async def two(stage: Stage, kind: str = "login") -> tuple[SimulatedAccount, SimulatedAccount]:
    """Two accounts; the first is chosen first."""
    add = {"login": stage.login, "api_key": stage.api_key}[kind]
    first, second = await add("First"), await add("Second")
    await stage.settle(strategy="sticky")
    return first, second


async def ask(stage: Stage, *, stream: bool, **options: Any) -> tuple[str, str]:
    """One prompt with the real SDK. Returns who served and the text, which is checked to be whole."""
    client = stage.sdk(**options)
    arguments: Any = {"model": MODEL, "max_tokens": 64, "messages": PROMPT, "extra_headers": SESSION}
    if stream:
        async with client.messages.stream(**arguments) as answer:
            message = await answer.get_final_message()
            served_by = answer.response.headers["x-tidegate-account"]
    else:
        raw = await client.messages.with_raw_response.create(**arguments)
        message, served_by = await raw.parse(), raw.headers["x-tidegate-account"]
    assert message.stop_reason == "end_turn"
    assert "hello there" in message.content[0].text
    return served_by, message.content[0].text


TO_THE_NEXT = {
    "5 h window full": faults.QuotaRejected("5h", 3600),
    "week full": faults.QuotaRejected("7d", 86_400),
    "model week full": faults.ModelQuotaRejected(),
    "long throttle": faults.ShortThrottle(45),
    "bare 429": faults.BareThrottle(),
    "403 organisation": faults.Forbidden("organization"),
    "400 organisation disabled": faults.OrganizationDisabled(400),
    "403 organisation disabled": faults.OrganizationDisabled(403),
    "third party refused": faults.ThirdPartyRefused(),
    "500": faults.ServerError(500),
    "502 html": faults.ServerError(502),
    "503": faults.ServerError(503),
    "504": faults.ServerError(504),
    "529": faults.Overloaded(),
}
TO_THE_NEXT_IN_STREAMS = {
    "overloaded as first event": faults.ErrorFirst("overloaded_error"),
    "rate limit as first event": faults.ErrorFirst("rate_limit_error"),
    "api error behind message_start": faults.ErrorFirst("api_error", after_start=True),
    "empty stream": faults.EmptyStream(),
}
ON_THE_SAME = {
    "short throttle": faults.ShortThrottle(1),
    "401": faults.Unauthorized(),
    "reset before the answer": faults.ResetBeforeAnswer(),
    "closed before the answer": faults.CloseBeforeAnswer(),
    "silence before the head": faults.Stall(faults.Phase.BEFORE_HEAD, 1),
    "silence after the head": faults.Stall(faults.Phase.AFTER_HEAD, 3),
    "silence in the stream": faults.Stall(faults.Phase.MID_STREAM, 1),
}


@pytest.mark.parametrize("fault", TO_THE_NEXT.values(), ids=TO_THE_NEXT)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_client_sees_one_whole_answer_from_the_next_account(stage: Stage, fault: Any, *, stream: bool) -> None:
    first, _ = await two(stage)
    first.script(fault)
    assert (await ask(stage, stream=stream))[0] == "Second"
    assert (stage.served("First"), stage.served("Second")) == (1, 1)


@pytest.mark.parametrize("fault", TO_THE_NEXT_IN_STREAMS.values(), ids=TO_THE_NEXT_IN_STREAMS)
async def test_error_before_the_content_of_a_stream_fails_over(stage: Stage, fault: Any) -> None:
    first, _ = await two(stage)
    first.script(fault)
    assert (await ask(stage, stream=True))[0] == "Second"


@pytest.mark.parametrize("fault", ON_THE_SAME.values(), ids=ON_THE_SAME)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_passing_trouble_stays_with_the_account(stage: Stage, fault: Any, *, stream: bool) -> None:
    first, _ = await two(stage)
    first.script(fault)
    assert (await ask(stage, stream=stream))[0] == "First"
    assert stage.served("Second") == 0


@pytest.mark.parametrize("kind", ["login", "api_key"])
async def test_spent_credit_and_refused_credentials_move_on_and_are_shown(stage: Stage, kind: str) -> None:
    first, _ = await two(stage, kind)
    first.script(faults.CreditTooLow())
    assert (await ask(stage, stream=True))[0] == "Second"
    state = stage.core.engine.pool.accounts[0]
    assert [rest.cause for rest in state.cooldowns] == [Cause.CREDIT]


async def test_key_that_is_refused_asks_for_the_person_and_serves_no_more(stage: Stage) -> None:
    first, _ = await two(stage, "api_key")
    first.script(faults.Unauthorized("invalid x-api-key"))
    assert (await ask(stage, stream=False))[0] == "Second"
    assert (await ask(stage, stream=False))[0] == "Second"
    assert stage.core.engine.pool.accounts[0].sign_in is SignIn.NEEDED
    assert stage.served("First") == 1


async def test_login_that_is_refused_after_its_renewal_asks_for_the_person(stage: Stage) -> None:
    """Else every request would repeat refusal, renewal and refusal."""
    first, _ = await two(stage)
    first.always(faults.Unauthorized("Invalid authentication credentials"))
    assert (await ask(stage, stream=True))[0] == "Second"
    assert stage.served("First") == 2
    assert (await ask(stage, stream=True))[0] == "Second"
    assert stage.served("First") == 2
    assert stage.core.engine.pool.accounts[0].sign_in is SignIn.NEEDED


async def test_revoked_token_is_renewed_once_and_serves_again(stage: Stage) -> None:
    first, _ = await two(stage)
    before = first.refresh
    first.script(faults.Forbidden("revoked"))
    assert (await ask(stage, stream=True))[0] == "First"
    assert first.refresh != before


async def test_expired_token_is_renewed_before_the_client_notices(stage: Stage) -> None:
    first, _ = await two(stage)
    first.expire_access()
    assert (await ask(stage, stream=True))[0] == "First"


async def test_full_window_rests_until_its_reset_and_the_next_request_goes_straight_on(stage: Stage) -> None:
    first, _ = await two(stage)
    await ask(stage, stream=True)
    first.always(faults.QuotaRejected("5h", 3600))
    assert (await ask(stage, stream=True))[0] == "Second"
    assert (await ask(stage, stream=True))[0] == "Second"
    assert stage.served("First") == 2
    view = stage.core.engine.snapshot().accounts[0]
    assert view.standing is Standing.COOLING
    assert view.until_at == pytest.approx(time.time() + 3600, abs=30)


async def test_model_window_rests_that_family_only(stage: Stage) -> None:
    first, _ = await two(stage)
    first.script(faults.ModelQuotaRejected())
    await ask(stage, stream=False)
    served = await stage.sdk().messages.with_raw_response.create(
        model="claude-haiku-5", max_tokens=64, messages=PROMPT, extra_headers={"x-claude-code-session-id": "two"}
    )
    assert stage.core.engine.snapshot().accounts[0].standing is Standing.READY
    assert served.status_code == 200


async def test_all_spent_is_one_429_with_each_reason_and_is_not_retried(stage: Stage) -> None:
    first, second = await two(stage)
    first.always(faults.QuotaRejected("5h", 3600))
    second.always(faults.QuotaRejected("7d", 7200))
    with pytest.raises(anthropic.RateLimitError) as caught:
        await ask(stage, stream=True, max_retries=3)
    error = caught.value
    assert "First: 5 h window full until" in error.message
    assert "Second: week" in error.message
    assert error.body["error"]["type"] == "rate_limit_error"
    assert 3500 < int(error.response.headers["retry-after"]) <= 3600
    assert error.response.headers["x-should-retry"] == "false"
    assert len(stage.asked) == 2


async def test_request_waits_for_an_account_that_is_ready_soon(stage: Stage) -> None:
    first = await stage.login("First")
    first.script(faults.QuotaRejected("5h", 2))
    assert (await ask(stage, stream=True))[0] == "First"
    assert stage.served("First") == 2


async def test_bad_request_comes_back_once_and_unchanged(stage: Stage) -> None:
    first, _ = await two(stage)
    first.script(faults.BadRequest("messages.0: permission quota billing"))
    with pytest.raises(anthropic.BadRequestError, match="permission quota billing"):
        await ask(stage, stream=True)
    assert len(stage.asked) == 1
    assert stage.core.engine.pool.accounts[0].cooldowns == ()


async def test_redirect_is_not_followed_nor_handed_on(stage: Stage) -> None:
    first, _ = await two(stage)
    first.always(faults.Redirect(307, f"{stage.url}/v1/messages"))
    stage.sim.accounts[1].always(faults.Redirect(307, f"{stage.url}/v1/messages"))
    with pytest.raises(anthropic.InternalServerError) as caught:
        await ask(stage, stream=False)
    assert caught.value.status_code == 502


@pytest.mark.parametrize("fault", [faults.ServerError(500), faults.Overloaded()], ids=["500", "529"])
async def test_server_error_of_both_comes_as_it_is_after_one_retry(stage: Stage, fault: Any) -> None:
    first, second = await two(stage)
    first.always(fault)
    second.always(fault)
    with pytest.raises(anthropic.APIStatusError) as caught:
        await ask(stage, stream=True)
    assert caught.value.status_code == (529 if isinstance(fault, faults.Overloaded) else 500)
    assert len(stage.asked) == 2
    assert [s.cooldowns for s in stage.core.engine.pool.accounts] == [(), ()]


@pytest.mark.parametrize("fault", [faults.HalfHead(), faults.GarbageHead()], ids=["half a head", "no HTTP"])
async def test_half_an_answer_is_never_asked_for_again(stage: Stage, fault: Any) -> None:
    first, _ = await two(stage)
    first.script(fault)
    with pytest.raises(anthropic.InternalServerError) as caught:
        await ask(stage, stream=True)
    assert caught.value.status_code == 502
    assert caught.value.response.headers["x-tidegate-outcome"] == "unknown"
    assert len(stage.asked) == 1


async def test_no_answer_twice_is_unknown(stage: Stage) -> None:
    first, _ = await two(stage)
    first.always(faults.CloseBeforeAnswer())
    with pytest.raises(anthropic.InternalServerError) as caught:
        await ask(stage, stream=True)
    assert caught.value.response.headers["x-tidegate-outcome"] == "unknown"
    assert (stage.served("First"), stage.served("Second")) == (2, 0)


async def test_request_with_server_tools_is_never_sent_twice_in_doubt(stage: Stage) -> None:
    first, _ = await two(stage)
    first.script(faults.CloseBeforeAnswer())
    search: Any = {"type": "web_search_20250305", "name": "web_search"}
    with pytest.raises(anthropic.InternalServerError):
        await stage.sdk().messages.create(model=MODEL, max_tokens=64, messages=PROMPT, tools=[search])
    assert len(stage.asked) == 1


@pytest.mark.parametrize(
    "fault",
    [faults.CutClean(5), faults.CutHard(5), faults.CutHard(5, reset=False), faults.ErrorMidStream(5)],
    ids=["clean end", "reset", "closed", "error event"],
)
async def test_cut_stream_is_never_taken_for_a_whole_one(stage: Stage, fault: Any) -> None:
    first, _ = await two(stage)
    first.script(fault)
    with pytest.raises((anthropic.APIError, httpx.HTTPError, Exception)) as caught:
        await ask(stage, stream=True)
    assert not isinstance(caught.value, AssertionError), "the SDK took a cut stream for a whole one"
    assert len(stage.asked) == 1


async def test_errors_in_mid_stream_add_up_until_another_account_is_chosen(stage: Stage) -> None:
    first, _ = await two(stage)
    await stage.settle(strategy=Strategy.PRIORITY)
    first.always(faults.ErrorMidStream(5, "api_error"))
    for _ in range(UPSTREAM_FAILURES):
        with pytest.raises(anthropic.APIStatusError):
            await ask(stage, stream=True)
    await ask(stage, stream=True)
    assert [r.account for r in stage.asked] == ["First"] * UPSTREAM_FAILURES + ["Second"]


async def test_three_that_are_all_spent_are_told_as_such_at_once(stage: Stage) -> None:
    """Not as "ask again": nobody is left."""
    for label in ("First", "Second", "Third"):
        (await stage.login(label)).always(faults.QuotaRejected("5h", 3600))
    with pytest.raises(anthropic.RateLimitError, match="Third: 5 h window full") as caught:
        await ask(stage, stream=True)
    assert caught.value.response.headers["x-should-retry"] == "false"


async def test_after_three_refusals_the_client_is_asked_to_come_back(stage: Stage) -> None:
    for label in ("First", "Second", "Third"):
        (await stage.login(label)).always(faults.QuotaRejected("5h", 3600))
    await stage.login("Fourth")
    await stage.settle(strategy="sticky")
    with pytest.raises(anthropic.RateLimitError) as caught:
        await ask(stage, stream=True)
    assert caught.value.response.headers["retry-after"] == "1"
    assert (await ask(stage, stream=True))[0] == "Fourth"
