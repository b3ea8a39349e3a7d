"""What the simulated model says follows from the prompt alone, in every format."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.simulator.faults import UseTool
from core.simulator.turns import Malformed, Turn, pieces_for, read_chat, read_messages, read_responses

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "unit": {"enum": ["C", "F"]}},
    "required": ["city", "days", "unit"],
}
TOOL = {"name": "get_weather", "input_schema": SCHEMA}


def read(prompt: object, **changes: object) -> Turn:
    messages = [{"role": "user", "content": prompt}]
    body = {"model": "claude-sonnet-5", "max_tokens": 99, "messages": messages, **changes}
    return read_messages(json.dumps(body).encode(), 4)


@given(st.text(), st.integers(2, 40))
def test_an_answer_has_as_many_pieces_as_asked_for_and_ends_with_a_last_word(prompt: str, count: int) -> None:
    pieces = pieces_for(prompt, count)
    assert len(pieces) == count
    assert pieces[-1] == " Done."
    assert all(pieces)


@pytest.mark.parametrize(
    "turn",
    [
        read("Hello"),
        read([{"type": "text", "text": "<reminder>"}, {"type": "text", "text": "Hello"}]),
        read_chat(b'{"model":"m","messages":[{"role":"system","content":"x"},{"role":"user","content":"Hello"}]}', 4),
        read_responses(b'{"model":"m","input":"Hello"}', 4),
        read_responses(b'{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"Hello"}]}]}', 4),
    ],
)
def test_every_format_hears_the_last_thing_the_user_said(turn: Turn) -> None:
    assert turn.pieces == pieces_for("Hello", 4)


@pytest.mark.parametrize(
    ("prompt", "tool"),
    [
        ('use the tool get_weather with {"city": "Oslo"}', UseTool("get_weather", {"city": "Oslo"})),
        ("Please USE THE TOOL get_weather.", UseTool("get_weather", {"city": "hello", "days": 1, "unit": "C"})),
        ("use the tool get_weather with {broken}", UseTool("get_weather", {"city": "hello", "days": 1, "unit": "C"})),
        ("use the tool another", None),
        ("which tool is it?", None),
    ],
)
def test_a_prompt_names_a_tool_that_the_request_offers(prompt: str, tool: UseTool | None) -> None:
    assert read(prompt, tools=[TOOL]).tool == tool


def test_structured_output_is_json_that_fits() -> None:
    turn = read("Hello", output_config={"format": {"type": "json_schema", "schema": SCHEMA}})
    assert json.loads(turn.text) == {"city": "hello", "days": 1, "unit": "C"}


def test_max_tokens_cuts_the_answer() -> None:
    turn = read("Hello", max_tokens=1)
    assert turn.cut_by_max_tokens
    assert turn.pieces == pieces_for("Hello", 4)[:1]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "not valid JSON"),
        (b'{"messages": [], "max_tokens": 1}', "model: Field required"),
        (b'{"model": 5}', "model: Input should be a valid str"),
        (b'{"model": "claude-opus-5-5", "messages": [{}]}', "max_tokens: Field required"),
        (b'{"model": "claude-opus-5-5", "messages": [], "max_tokens": 1}', "at least one message"),
    ],
)
def test_a_body_that_cannot_be_answered_says_why(body: bytes, text: str) -> None:
    with pytest.raises(Malformed, match=text):
        read_messages(body, 4)
