"""One turn in the three wire formats: Anthropic messages, OpenAI chat completions, OpenAI responses. Pure.

Each format has a whole JSON answer and a stream of events, as bytes. The shapes are those of the providers' own
documentation and of captured streams (2025-09 to 2026-11).
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from core.simulator import turns
from core.simulator.turns import Turn

_THOUGHT = "The person wants an answer, so I give one."
_SIGNATURE = "EqQBCgIYAhIkSIMULATEDsignatureSIMULATEDsignatureSIMULATED=="
_STREAM_ERRORS = {
    "overloaded_error": "Overloaded",
    "api_error": "Internal server error",
    "rate_limit_error": "This request would exceed your account's rate limit. Please try again later.",
    "timeout_error": "Request timed out",
}


@dataclass(frozen=True, slots=True)
class Dialect:
    """One wire format: how a request is read, and how a turn is written whole, as events, and cut by an error."""

    read: Callable[[bytes, int], Turn]
    whole: Callable[[Turn, str, float], dict[str, object]]
    events: Callable[[Turn, str, float], Iterator[bytes]]
    error: Callable[[str, str], bytes]
    """(error type, request id) to the event that says it."""


def event(name: str, payload: Mapping[str, object]) -> bytes:
    """One named server-sent event."""
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(payload) + b"\n\n"


def stream_error_text(type_: str) -> str:
    """What the provider says beside an error type."""
    return _STREAM_ERRORS.get(type_, "Something went wrong")


# --- Anthropic messages ----------------------------------------------------------------------------


def messages_whole(turn: Turn, id_: str, now: float) -> dict[str, object]:
    """The JSON answer of `/v1/messages`."""
    del now  # the other formats carry the time
    return {
        "id": f"msg_01{id_}",
        "type": "message",
        "role": "assistant",
        "model": turn.model,
        "content": [block for block, _ in _blocks(turn, id_)],
        "stop_reason": _stop_reason(turn),
        "stop_sequence": None,
        "usage": {**_usage(turn), "output_tokens": turn.output_tokens, "service_tier": "standard"},
        **_container(turn),
    }


def messages_events(turn: Turn, id_: str, now: float) -> Iterator[bytes]:
    """The event stream of `/v1/messages`."""
    message = messages_whole(turn, id_, now) | {"content": [], "stop_reason": None}
    message.pop("container", None)  # it comes at the end
    message["usage"] = {**_usage(turn), "output_tokens": 1, "service_tier": "standard"}
    yield event("message_start", {"type": "message_start", "message": message})
    for index, (block, deltas) in enumerate(_blocks(turn, id_)):
        start = {"type": "content_block_start", "index": index, "content_block": _emptied(block)}
        yield event("content_block_start", start)
        if index == 0:
            yield b'event: ping\ndata: {"type": "ping"}\n\n'
        for delta in deltas:
            yield event("content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta})
        yield event("content_block_stop", {"type": "content_block_stop", "index": index})
    end = {"stop_reason": _stop_reason(turn), "stop_sequence": None, **_container(turn)}
    usage = {**_usage(turn), "output_tokens": turn.output_tokens}
    yield event("message_delta", {"type": "message_delta", "delta": end, "usage": usage})
    yield event("message_stop", {"type": "message_stop"})


def messages_error(type_: str, request_id: str) -> bytes:
    """An `error` event inside a stream that began with 200."""
    error = {"type": type_, "message": stream_error_text(type_)}
    return event("error", {"type": "error", "error": error, "request_id": request_id})


_Blocks = Iterator[tuple[dict[str, object], list[dict[str, object]]]]


def _blocks(turn: Turn, id_: str) -> _Blocks:
    """Each content block as it is in the end, with the deltas that build it."""
    if turn.thinks:
        yield (
            {"type": "thinking", "thinking": _THOUGHT, "signature": _SIGNATURE},
            [
                {"type": "thinking_delta", "thinking": _THOUGHT},
                {"type": "signature_delta", "signature": _SIGNATURE},
            ],
        )
    yield {"type": "text", "text": turn.text}, [{"type": "text_delta", "text": piece} for piece in turn.pieces]
    if turn.tool is not None:
        yield (
            {"type": "tool_use", "id": f"toolu_01{id_}", "name": turn.tool.name, "input": dict(turn.tool.input)},
            [{"type": "input_json_delta", "partial_json": part} for part in _argument_parts(turn)],
        )


def _emptied(block: dict[str, object]) -> dict[str, object]:
    return block | {
        name: {} if name == "input" else "" for name in ("text", "thinking", "signature", "input") if name in block
    }


def _argument_parts(turn: Turn) -> tuple[str, ...]:
    """A tool's input as JSON text, cut as the API cuts it: an empty piece first, then any number."""
    arguments = _arguments(turn)
    return ("", arguments[: len(arguments) // 2], arguments[len(arguments) // 2 :])


def _arguments(turn: Turn) -> str:
    return msgspec.json.encode(turn.tool.input).decode() if turn.tool else ""


def _stop_reason(turn: Turn) -> str:
    if turn.tool is not None:
        return "tool_use"
    return "max_tokens" if turn.cut_by_max_tokens else "end_turn"


def _container(turn: Turn) -> dict[str, object]:
    if turn.container is None:
        return {}
    id_, ends_at = turn.container
    return {"container": {"id": id_, "expires_at": datetime.fromtimestamp(ends_at, UTC).isoformat()}}


def _usage(turn: Turn) -> dict[str, object]:
    return {
        "input_tokens": turn.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
    }


# --- OpenAI chat completions -----------------------------------------------------------------------


def chat_whole(turn: Turn, id_: str, now: float) -> dict[str, object]:
    """The JSON answer of `/chat/completions`."""
    message: dict[str, object] = {"role": "assistant", "content": turn.text}
    if turn.tool is not None:
        message["tool_calls"] = [_chat_tool(turn, id_, _arguments(turn))]
    choice = {"index": 0, "message": message, "finish_reason": _finish_reason(turn)}
    return {
        "id": f"chatcmpl-{id_}",
        "object": "chat.completion",
        "created": int(now),
        "model": turn.model,
        "choices": [choice],
        "usage": _chat_usage(turn),
        "cost": "0",
    }


def chat_events(turn: Turn, id_: str, now: float) -> Iterator[bytes]:
    """The stream of `/chat/completions`: chunks without names, then `[DONE]`."""
    base = {"id": f"chatcmpl-{id_}", "object": "chat.completion.chunk", "created": int(now), "model": turn.model}

    def chunk(delta: dict[str, object], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return _unnamed({**base, "choices": [choice]})

    yield chunk({"role": "assistant", "content": ""})
    for piece in turn.pieces:
        yield chunk({"content": piece})
    if turn.tool is not None:
        yield chunk({"tool_calls": [{"index": 0, **_chat_tool(turn, id_, "")}]})
        for part in _argument_parts(turn):
            yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": part}}]})
    yield chunk({}, _finish_reason(turn))
    if turn.stream_usage:
        yield _unnamed({**base, "choices": [], "usage": _chat_usage(turn), "cost": "0"})
    yield b"data: [DONE]\n\n"


def chat_error(type_: str, request_id: str) -> bytes:
    """An error in the middle of a chat stream."""
    del request_id  # this format has none
    return _unnamed({"type": "error", "error": {"type": type_, "message": stream_error_text(type_)}})


def _unnamed(payload: Mapping[str, object]) -> bytes:
    return b"data: " + msgspec.json.encode(payload) + b"\n\n"


def _chat_tool(turn: Turn, id_: str, arguments: str) -> dict[str, object]:
    name = turn.tool.name if turn.tool else ""
    return {"id": f"call_{id_}", "type": "function", "function": {"name": name, "arguments": arguments}}


def _finish_reason(turn: Turn) -> str:
    if turn.tool is not None:
        return "tool_calls"
    return "length" if turn.cut_by_max_tokens else "stop"


def _chat_usage(turn: Turn) -> dict[str, object]:
    return {
        "prompt_tokens": turn.input_tokens,
        "completion_tokens": turn.output_tokens,
        "total_tokens": turn.input_tokens + turn.output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


# --- OpenAI responses ------------------------------------------------------------------------------


def responses_whole(turn: Turn, id_: str, now: float) -> dict[str, object]:
    """The JSON answer of `/responses`."""
    return {
        "id": f"resp_{id_}",
        "object": "response",
        "created_at": int(now),
        "status": "completed",
        "model": turn.model,
        "output": _items(turn, id_),
        "error": None,
        "incomplete_details": None,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": turn.input_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": turn.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": turn.input_tokens + turn.output_tokens,
        },
    }


def responses_events(turn: Turn, id_: str, now: float) -> Iterator[bytes]:
    """The event stream of `/responses`."""
    numbers = itertools.count()
    whole = responses_whole(turn, id_, now)
    begun = whole | {"status": "in_progress", "output": [], "usage": None}

    def say(name: str, **fields: object) -> bytes:
        return event(name, {"type": name, "sequence_number": next(numbers), **fields})

    yield say("response.created", response=begun)
    yield say("response.in_progress", response=begun)
    for index, item in enumerate(_items(turn, id_)):
        at = {"item_id": item["id"], "output_index": index}
        empty: dict[str, object] = {"content": []} if item["type"] == "message" else {"arguments": ""}
        yield say("response.output_item.added", output_index=index, item=item | empty | {"status": "in_progress"})
        if item["type"] == "message":
            part = {"type": "output_text", "text": "", "annotations": []}
            at["content_index"] = 0
            yield say("response.content_part.added", **at, part=part)
            for piece in turn.pieces:
                yield say("response.output_text.delta", **at, delta=piece)
            yield say("response.output_text.done", **at, text=turn.text)
            yield say("response.content_part.done", **at, part=part | {"text": turn.text})
        else:
            for piece in _argument_parts(turn):
                yield say("response.function_call_arguments.delta", **at, delta=piece)
            yield say("response.function_call_arguments.done", **at, arguments=_arguments(turn))
        yield say("response.output_item.done", output_index=index, item=item)
    yield say("response.completed", response=whole)


def responses_error(type_: str, request_id: str) -> bytes:
    """An error in the middle of a responses stream."""
    del request_id  # this format has none
    return event("error", {"type": "error", "code": type_, "message": stream_error_text(type_), "param": None})


def _items(turn: Turn, id_: str) -> list[dict[str, object]]:
    part = {"type": "output_text", "text": turn.text, "annotations": []}
    items: list[dict[str, object]] = [
        {"id": f"msg_{id_}", "type": "message", "status": "completed", "role": "assistant", "content": [part]}
    ]
    if turn.tool is not None:
        call = {"id": f"fc_{id_}", "type": "function_call", "status": "completed", "call_id": f"call_{id_}"}
        items.append({**call, "name": turn.tool.name, "arguments": _arguments(turn)})
    return items


MESSAGES = Dialect(turns.read_messages, messages_whole, messages_events, messages_error)
CHAT = Dialect(turns.read_chat, chat_whole, chat_events, chat_error)
RESPONSES = Dialect(turns.read_responses, responses_whole, responses_events, responses_error)
