"""The real Anthropic SDK through Tidegate, with three accounts behind it."""

import anthropic
import anyio.to_thread
import pytest

from tests.stage import MODEL, PROMPT, Stage

pytestmark = pytest.mark.anyio
WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}


@pytest.fixture
async def three(stage: Stage) -> Stage:
    await stage.login("Work")
    await stage.login("Home")
    await stage.api_key("Team")
    return stage


async def test_whole_answer_arrives(three: Stage) -> None:
    message = await three.sdk().messages.create(model=MODEL, max_tokens=64, messages=PROMPT)
    assert "hello there" in message.content[0].text
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens > 0


async def test_streamed_answer_arrives_whole(three: Stage) -> None:
    async with three.sdk().messages.stream(model=MODEL, max_tokens=64, messages=PROMPT) as stream:
        text = "".join([piece async for piece in stream.text_stream])
        final = await stream.get_final_message()
    assert text == final.content[0].text
    assert "hello there" in text
    assert final.stop_reason == "end_turn"


async def test_synchronous_client_works_the_same(three: Stage) -> None:
    def ask() -> tuple[str, str]:
        with anthropic.Anthropic(base_url=three.url, api_key=three.key, max_retries=0) as client:
            whole = client.messages.create(model=MODEL, max_tokens=64, messages=PROMPT).content[0].text
            with client.messages.stream(model=MODEL, max_tokens=64, messages=PROMPT) as stream:
                return whole, "".join(stream.text_stream)

    whole, streamed = await anyio.to_thread.run_sync(ask)
    assert whole == streamed


async def test_tool_call_and_its_result_make_a_round_trip(three: Stage) -> None:
    client = three.sdk()
    ask = [{"role": "user", "content": "Please use the tool get_weather."}]
    first = await client.messages.create(model=MODEL, max_tokens=64, messages=ask, tools=[WEATHER])
    assert first.stop_reason == "tool_use"
    call = next(block for block in first.content if block.type == "tool_use")
    assert call.name == "get_weather"
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "18 degrees"}
    messages = [*ask, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = await client.messages.create(model=MODEL, max_tokens=64, messages=messages, tools=[WEATHER])
    assert second.stop_reason == "end_turn"
    assert "18 degrees" in second.content[0].text


async def test_streamed_tool_call_carries_its_whole_input(three: Stage) -> None:
    ask = [{"role": "user", "content": "Please use the tool get_weather."}]
    async with three.sdk().messages.stream(model=MODEL, max_tokens=64, messages=ask, tools=[WEATHER]) as stream:
        final = await stream.get_final_message()
    assert [block.type for block in final.content if block.type == "tool_use"] == ["tool_use"]


async def test_tokens_are_counted_and_models_listed(three: Stage) -> None:
    client = three.sdk()
    count = await client.messages.count_tokens(model=MODEL, messages=PROMPT)
    assert count.input_tokens > 0
    models = [model.id async for model in client.models.list()]
    assert MODEL in models
    assert (await client.models.retrieve(MODEL)).id == MODEL


@pytest.mark.parametrize("header", ["api_key", "auth_token"])
async def test_local_key_is_taken_in_either_header(three: Stage, header: str) -> None:
    client = three.sdk(**{"api_key": None, header: three.key})
    assert (await client.messages.create(model=MODEL, max_tokens=64, messages=PROMPT)).stop_reason == "end_turn"


async def test_wrong_key_is_refused_at_once_and_reaches_nobody(three: Stage) -> None:
    client = three.sdk(api_key="tg-wrong", max_retries=2)
    with pytest.raises(anthropic.AuthenticationError, match="tidegate token"):
        await client.messages.create(model=MODEL, max_tokens=64, messages=PROMPT)
    assert not three.asked


async def test_answer_names_the_account_and_hides_its_rate_limits(three: Stage) -> None:
    answer = await three.sdk().messages.with_raw_response.create(model=MODEL, max_tokens=64, messages=PROMPT)
    assert answer.headers["x-tidegate-account"] in {"Work", "Home", "Team"}
    assert not [name for name in answer.headers if name.startswith("anthropic-ratelimit-")]
    assert answer.headers["request-id"].startswith("req_")


async def test_login_gets_the_oauth_beta_beside_the_clients_own(stage: Stage) -> None:
    await stage.login("Work")
    await stage.sdk().beta.messages.create(
        model=MODEL, max_tokens=64, messages=PROMPT, betas=["context-1m-2025-08-07"], extra_query={"beta": "true"}
    )
    received = stage.sim.received[-1]
    assert received.target == "/v1/messages?beta=true"
    assert received.header("anthropic-beta").split(",") == ["context-1m-2025-08-07", "oauth-2025-04-20"]
    assert received.header("x-api-key") == ""
    assert received.header("user-agent").startswith("AsyncAnthropic/Python")


async def test_sessions_stay_on_their_account(three: Stage) -> None:
    client = three.sdk()
    by_session: dict[str, set[str]] = {}
    for turn in range(12):
        session = f"session-{turn % 4}"
        answer = await client.messages.with_raw_response.create(
            model=MODEL, max_tokens=64, messages=PROMPT, extra_headers={"x-claude-code-session-id": session}
        )
        by_session.setdefault(session, set()).add(answer.headers["x-tidegate-account"])
    assert {len(accounts) for accounts in by_session.values()} == {1}
    assert len(set.union(*by_session.values())) > 1


async def test_round_robin_gives_every_request_the_next_account(three: Stage) -> None:
    await three.settle(strategy="round-robin")
    client = three.sdk()
    served = [
        (await client.messages.with_raw_response.create(model=MODEL, max_tokens=64, messages=PROMPT)).headers[
            "x-tidegate-account"
        ]
        for _ in range(6)
    ]
    assert served == ["Work", "Home", "Team"] * 2
