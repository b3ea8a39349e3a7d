"""What the simulated model says: a request body of any of the three formats in, one turn out. Pure.

The words follow from the prompt, so that a test can tell whether an answer is whole: `pieces_for` gives the same
pieces to everybody who asks. A prompt that says `use the tool NAME` (optionally `with {json}`) gets a call of that
tool when the request offers it; a request that ends in a tool's result gets a closing sentence that quotes it.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from core.simulator.faults import UseTool

T = TypeVar("T")

MIN_PIECES = 2
_QUOTED_CHARS = 200
_CHARS_PER_TOKEN = 4
_FILLER = ("The", "tide", "comes", "and", "goes,", "and", "the", "gate", "lets", "every", "boat", "through.")
_TOOL_PROMPT = re.compile(r"use the tool ([\w.:-]+)(?:\s+with\s+(\{.*\}))?", re.IGNORECASE | re.DOTALL)
_SAMPLES: Mapping[str, object] = {"string": "hello", "integer": 1, "number": 1, "boolean": True, "array": []}


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer of the model, free of any wire format."""

    model: str
    pieces: tuple[str, ...]
    tool: UseTool | None = None
    thinks: bool = False
    cut_by_max_tokens: bool = False
    input_tokens: int = 1
    stream: bool = False
    stream_usage: bool = True
    """OpenAI-style streams report usage only when asked to."""
    container: tuple[str, float] | None = None
    """Where code was executed: its id, and when it ends."""

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.pieces)

    @property
    def output_tokens(self) -> int:
        """About a token for four characters, and one for each piece at least."""
        return max(len(self.pieces), len(self.text) // _CHARS_PER_TOKEN) + (20 if self.tool else 0)


class Malformed(Exception):
    """The body cannot be answered; the text is what the provider says about it."""


def pieces_for(prompt: str, count: int) -> tuple[str, ...]:
    """The answer to `prompt` in `count` pieces (at least two): what was said, filler, and a last word."""
    return _pieces(f'You said: "{_quoted(prompt)}".', count)


def read_messages(body: bytes, count: int) -> Turn:
    """The turn that answers a body of `/v1/messages`. Raises Malformed."""
    request = _object(body)
    model = _required(request, "model", str)
    messages = _required(request, "messages", list)
    max_tokens = _required(request, "max_tokens", int)
    if not messages:
        raise Malformed("messages: at least one message is required")
    said = _last([message for message in messages if isinstance(message, dict)], "user")
    blocks = list(_blocks(said))
    result = next((_text_of(b.get("content")) for b in reversed(blocks) if b.get("type") == "tool_result"), None)
    prompt = next((str(b.get("text", "")) for b in reversed(blocks) if b.get("type") == "text"), "")
    tools = {str(t.get("name")): t.get("input_schema") for t in _list(request.get("tools")) if isinstance(t, dict)}
    return _turn(
        model=model,
        prompt=prompt,
        result=result,
        tools=tools,
        schema=_at(request, "output_config", "format", "schema"),
        count=count,
        max_tokens=max_tokens,
        thinks=_at(request, "thinking", "type") == "enabled",
        input_tokens=tokens(body),
        stream=request.get("stream") is True,
    )


def read_chat(body: bytes, count: int) -> Turn:
    """The turn that answers a body of `/chat/completions`. Raises Malformed."""
    request = _object(body)
    model = _required(request, "model", str)
    messages = [m for m in _required(request, "messages", list) if isinstance(m, dict)]
    if not messages:
        raise Malformed("messages: at least one message is required")
    functions = [t.get("function", {}) for t in _list(request.get("tools")) if isinstance(t, dict)]
    return _turn(
        model=model,
        prompt=_text_of(_last(messages, "user").get("content")),
        result=_text_of(messages[-1].get("content")) if messages[-1].get("role") == "tool" else None,
        tools={str(f.get("name")): f.get("parameters") for f in functions},
        schema=_at(request, "response_format", "json_schema", "schema"),
        count=count,
        max_tokens=request.get("max_tokens"),
        input_tokens=tokens(body),
        stream=request.get("stream") is True,
        stream_usage=_at(request, "stream_options", "include_usage") is True,
    )


def read_responses(body: bytes, count: int) -> Turn:
    """The turn that answers a body of `/responses`. Raises Malformed."""
    request = _object(body)
    model = _required(request, "model", str)
    said = request.get("input")
    listed = [{"role": "user", "content": said}] if isinstance(said, str) else _list(said)
    items = [item for item in listed if isinstance(item, dict)]
    if not items:
        raise Malformed("input: at least one item is required")
    last = items[-1]
    tools = [t for t in _list(request.get("tools")) if isinstance(t, dict)]
    return _turn(
        model=model,
        prompt=_text_of(_last(items, "user").get("content")),
        result=_text_of(last.get("output")) if last.get("type") == "function_call_output" else None,
        tools={str(t.get("name")): t.get("parameters") for t in tools},
        schema=_at(request, "text", "format", "schema"),
        count=count,
        max_tokens=request.get("max_output_tokens"),
        input_tokens=tokens(body),
        stream=request.get("stream") is True,
    )


def tokens(body: bytes) -> int:
    """A request's tokens, counted by the thumb."""
    return max(1, len(body) // _CHARS_PER_TOKEN)


def _turn(
    *,
    model: str,
    prompt: str,
    result: str | None,
    tools: Mapping[str, object],
    schema: object,
    count: int,
    max_tokens: object,
    input_tokens: int,
    stream: bool,
    thinks: bool = False,
    stream_usage: bool = True,
) -> Turn:
    tool = _wanted_tool(prompt, tools) if result is None else None
    if tool is not None:
        pieces: tuple[str, ...] = (f"I will use {tool.name}.",)
    elif isinstance(schema, dict):
        pieces = (msgspec.json.encode(_sample(schema)).decode(),)
    elif result is not None:
        pieces = _pieces(f'The tool answered: "{_quoted(result)}".', count)
    else:
        pieces = pieces_for(prompt, count)
    limit = max_tokens if isinstance(max_tokens, int) and max_tokens > 0 else len(pieces)
    return Turn(
        model=model,
        pieces=pieces[:limit],
        tool=tool,
        thinks=thinks,
        cut_by_max_tokens=limit < len(pieces),
        input_tokens=input_tokens,
        stream=stream,
        stream_usage=stream_usage,
    )


def _pieces(opening: str, count: int) -> tuple[str, ...]:
    filler = itertools.islice(itertools.cycle(_FILLER), max(0, count - MIN_PIECES))
    return (opening, *(f" {word}" for word in filler), " Done.")


def _quoted(text: str) -> str:
    return " ".join(text.split())[:_QUOTED_CHARS]


def _wanted_tool(prompt: str, tools: Mapping[str, object]) -> UseTool | None:
    found = _TOOL_PROMPT.search(prompt)
    if found is None or found[1].rstrip(".:") not in tools:
        return None
    name = found[1].rstrip(".:")
    return UseTool(name, _given_input(found[2]) or _sample_object(tools[name]))


def _given_input(text: str | None) -> dict[str, object] | None:
    try:
        return _object((text or "").encode())
    except Malformed:
        return None


def _sample(schema: object) -> object:
    """A value that fits a JSON schema, as far as tools and structured outputs need it."""
    if not isinstance(schema, dict):
        return "hello"
    if enum := _list(schema.get("enum")):
        return enum[0]
    if schema.get("type") == "object":
        return _sample_object(schema)
    return _SAMPLES.get(str(schema.get("type")), "hello")


def _sample_object(schema: object) -> dict[str, object]:
    if not isinstance(schema, dict) or not isinstance(properties := schema.get("properties"), dict):
        return {}
    return {str(name): _sample(properties.get(name)) for name in _list(schema.get("required"))}


def _object(body: bytes) -> dict[str, object]:
    try:
        return msgspec.json.decode(body, type=dict[str, object])
    except msgspec.DecodeError as exc:
        raise Malformed("The request body is not valid JSON") from exc


def _required(request: Mapping[str, object], name: str, kind: type[T]) -> T:
    value = request.get(name)
    if value is None:
        raise Malformed(f"{name}: Field required")
    if not isinstance(value, kind):
        raise Malformed(f"{name}: Input should be a valid {kind.__name__}")
    return value


def _last(messages: list[dict[str, object]], role: str) -> dict[str, object]:
    return next((message for message in reversed(messages) if message.get("role") == role), {})


def _blocks(message: Mapping[str, object]) -> Iterator[dict[str, object]]:
    content = message.get("content")
    if isinstance(content, str):
        yield {"type": "text", "text": content}
    yield from (block for block in _list(content) if isinstance(block, dict))


def _text_of(content: object) -> str:
    """The text in a string, or in a list of blocks that carry `text`."""
    if isinstance(content, str):
        return content
    return " ".join(str(b.get("text", "")) for b in _list(content) if isinstance(b, dict))


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _at(value: object, *path: str) -> object:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
