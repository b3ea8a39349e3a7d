"""The simulated answers satisfy the real SDK and OpenAI-style clients, whole and streamed."""

import json
from typing import Any

import anthropic
import httpx
import pytest

from tests.fakes import (
    ANSWER,
    ASK,
    OAUTH_BETA,
    SimulatedAccount,
    SimulatedProvider,
    ask,
    events,
    faults,
    pieces_for,
)

pytestmark = pytest.mark.anyio

WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "description": "The weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
GO_ASK: dict[str, Any] = {"model": "glm-5.3", "messages": [{"role": "user", "content": "Hello there"}]}


def sdk(sim: SimulatedProvider, account: SimulatedAccount) -> anthropic.AsyncAnthropic:
    if account.key:
        return anthropic.AsyncAnthropic(base_url=sim.url, api_key=account.key, max_retries=0)
    return anthropic.AsyncAnthropic(
        base_url=sim.url, auth_token=account.access, default_headers=OAUTH_BETA, max_retries=0
    )


def go_signed(account: SimulatedAccount) -> dict[str, str]:
    return {"authorization": f"Bearer {account.key}", "x-opencode-session": "ses_1"}


@pytest.mark.parametrize("kind", ["login", "key"])
async def test_the_sdk_gets_a_whole_message_with_either_credential(sim: SimulatedProvider, kind: str) -> None:
    account = sim.add_login("Work") if kind == "login" else sim.add_api_key("Team")
    async with sdk(sim, account) as client:
        message = await client.messages.create(**ASK)
    assert message.content[0].text == ANSWER
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens > 0
    assert sim.received[0].account == account.label
    assert sim.received[0].answered


async def test_the_sdk_streams_the_same_text_in_pieces(sim: SimulatedProvider, work: SimulatedAccount) -> None:
    sim.pieces = 20
    async with sdk(sim, work) as client, client.messages.stream(**ASK) as stream:
        pieces = [piece async for piece in stream.text_stream]
        message = await stream.get_final_message()
    assert tuple(pieces) == pieces_for("Hello there", 20)
    assert message.stop_reason == "end_turn"


async def test_the_beta_namespace_of_the_sdk_is_served(sim: SimulatedProvider, work: SimulatedAccount) -> None:
    async with sdk(sim, work) as client:
        message = await client.beta.messages.create(
            **ASK, betas=["oauth-2025-04-20", "interleaved-thinking-2025-05-14"]
        )
    assert message.content[0].text == ANSWER


async def test_the_sdk_thinks_when_it_asks_to(sim: SimulatedProvider, work: SimulatedAccount) -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    async with sdk(sim, work) as client, client.messages.stream(**{**ASK, "thinking": thinking}) as stream:
        message = await stream.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.content[0].signature


async def test_a_prompt_calls_a_tool_and_its_result_comes_back(sim: SimulatedProvider, work: SimulatedAccount) -> None:
    prompt = {"role": "user", "content": 'Please use the tool get_weather with {"city": "Oslo"}'}
    async with sdk(sim, work) as client:
        async with client.messages.stream(**{**ASK, "messages": [prompt], "tools": [WEATHER]}) as stream:
            first = await stream.get_final_message()
        call = first.content[-1]
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "4 degrees"}
        turns = [prompt, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
        second = await client.messages.create(**{**ASK, "messages": turns, "tools": [WEATHER]})
    assert (first.stop_reason, call.name, call.input) == ("tool_use", "get_weather", {"city": "Oslo"})
    assert second.stop_reason == "end_turn"
    assert '"4 degrees"' in second.content[0].text


async def test_a_script_calls_a_tool_whatever_the_prompt(sim: SimulatedProvider, work: SimulatedAccount) -> None:
    work.script(faults.UseTool("get_weather", {"city": "Rome"}))
    async with sdk(sim, work) as client:
        message = await client.messages.create(**ASK, tools=[WEATHER])
    assert message.content[-1].input == {"city": "Rome"}


async def test_tokens_are_counted_and_models_listed(sim: SimulatedProvider) -> None:
    async with sdk(sim, sim.add_api_key("Team")) as client:
        count = await client.messages.count_tokens(model="claude-sonnet-5", messages=ASK["messages"])
        ids = [model.id async for model in client.models.list(limit=2)]
        model = await client.models.retrieve("claude-sonnet-5")
        with pytest.raises(anthropic.NotFoundError, match="model: claude-none"):
            await client.models.retrieve("claude-none")
    assert count.input_tokens > 0
    assert len(ids) == len(set(ids)) == 5
    assert model.display_name == "Claude Sonnet 5"


async def test_a_stream_has_the_events_of_the_api_in_order(http: httpx.AsyncClient, work: SimulatedAccount) -> None:
    answer = await ask(http, work, stream=True)
    named = events(answer.text)
    names = [name for name, _ in named]
    assert names[:3] == ["message_start", "content_block_start", "ping"]
    assert set(names[3:-3]) == {"content_block_delta"}
    assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert all(name == data["type"] for name, data in named)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"


async def test_go_streams_chat_completions(sim: SimulatedProvider, http: httpx.AsyncClient) -> None:
    go = sim.add_go_key("Go")
    body = {**GO_ASK, "stream": True, "stream_options": {"include_usage": True}}
    answer = await http.post("/zen/go/v1/chat/completions", headers=go_signed(go), json=body)
    lines = [block.removeprefix("data: ") for block in answer.text.split("\n\n") if block]
    chunks = [json.loads(line) for line in lines[:-1]]
    text = "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])
    assert lines[-1] == "[DONE]"
    assert text == ANSWER
    assert chunks[-1]["usage"]["completion_tokens"] > 0
    assert set(answer.headers) == {"content-type", "cache-control", "transfer-encoding", "connection"}


async def test_go_answers_chat_completions_with_a_tool_call(sim: SimulatedProvider, http: httpx.AsyncClient) -> None:
    go = sim.add_go_key("Go")
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER["input_schema"]}}
    prompt = {"role": "user", "content": "use the tool get_weather"}
    body = {**GO_ASK, "messages": [prompt], "tools": [tool]}
    path = "/zen/go/v1/chat/completions"
    first = (await http.post(path, headers=go_signed(go), json=body)).json()
    message = first["choices"][0]["message"]
    result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "4 degrees"}
    second = await http.post(path, headers=go_signed(go), json={**body, "messages": [prompt, message, result]})
    assert first["choices"][0]["finish_reason"] == "tool_calls"
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"city": "hello"}
    assert '"4 degrees"' in second.json()["choices"][0]["message"]["content"]


async def test_go_streams_responses_with_and_without_a_tool(sim: SimulatedProvider, http: httpx.AsyncClient) -> None:
    go = sim.add_go_key("Go")
    tool = {"type": "function", "name": "get_weather", "parameters": WEATHER["input_schema"]}
    plain = {"model": "grok-4.7", "input": "Hello there", "stream": True}
    calling = {**plain, "input": [{"role": "user", "content": "use the tool get_weather"}], "tools": [tool]}
    path = "/zen/go/v1/responses"
    text = events((await http.post(path, headers=go_signed(go), json=plain)).text)
    call = events((await http.post(path, headers=go_signed(go), json=calling)).text)
    deltas = [data["delta"] for name, data in text if name == "response.output_text.delta"]
    assert "".join(deltas) == ANSWER
    assert text[-1][0] == "response.completed"
    assert [data["sequence_number"] for _, data in text] == list(range(len(text)))
    assert json.loads(call[-1][1]["response"]["output"][-1]["arguments"]) == {"city": "hello"}
