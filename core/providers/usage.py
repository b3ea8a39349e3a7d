"""The tokens an answer says it cost, as each dialect counts them.

`Usage.input` is what was neither read from a prompt cache nor written to one; OpenAI's counts include the cached part,
so it is taken off there.
"""

from typing import Any, TypeVar

import msgspec

from core.errors import UNREADABLE
from core.model import Usage

_T = TypeVar("_T")


class AnthropicUsage(msgspec.Struct):
    """`usage` of a message; every field may be missing or null."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None

    def onto(self, before: Usage) -> Usage:
        """What it names replaces what was counted before: the counts are cumulative."""
        return Usage(
            before.input if self.input_tokens is None else self.input_tokens,
            before.output if self.output_tokens is None else self.output_tokens,
            before.cache_read if self.cache_read_input_tokens is None else self.cache_read_input_tokens,
            before.cache_write if self.cache_creation_input_tokens is None else self.cache_creation_input_tokens,
        )


class _CachedTokens(msgspec.Struct):
    cached_tokens: int | None = None


class OpenAiUsage(msgspec.Struct):
    """`usage` of chat completions (prompt, completion) and of responses (input, output), with providers' variants."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    prompt_tokens_details: _CachedTokens | None = None
    input_tokens_details: _CachedTokens | None = None
    prompt_cache_hit_tokens: int | None = None
    cached_tokens: int | None = None

    def total(self) -> Usage:
        """The tokens of the answer; a stream says them once, at its end."""
        details = self.prompt_tokens_details or self.input_tokens_details or _CachedTokens()
        cached = _first(details.cached_tokens, self.prompt_cache_hit_tokens, self.cached_tokens)
        return Usage(
            input=max(0, _first(self.prompt_tokens, self.input_tokens) - cached),
            output=_first(self.completion_tokens, self.output_tokens),
            cache_read=cached,
        )


class _Message(msgspec.Struct):
    usage: AnthropicUsage


class _MessageStart(msgspec.Struct):
    message: _Message


class _Choice(msgspec.Struct):
    finish_reason: Any = None


class _Chat(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: OpenAiUsage | None = None
    error: Any = None


class _Answer(msgspec.Struct):
    usage: OpenAiUsage | None = None


class _Response(msgspec.Struct):
    response: _Answer


class _Typed(msgspec.Struct):
    type: str


MESSAGE = msgspec.json.Decoder(_Message)
"""A whole message, and the `message_delta` event: both have `usage` at the top."""
MESSAGE_START = msgspec.json.Decoder(_MessageStart)
CHAT = msgspec.json.Decoder(_Chat)
"""One chunk of chat completions, or the whole answer."""
RESPONSE = msgspec.json.Decoder(_Answer)
RESPONSE_EVENT = msgspec.json.Decoder(_Response)
TYPED = msgspec.json.Decoder(_Typed)


def read(decode: msgspec.json.Decoder[_T], content: bytes) -> _T | None:
    """The decoded content, None when it is not of that shape."""
    try:
        return decode.decode(content)
    except UNREADABLE:
        return None


def _first(*counts: int | None) -> int:
    """The first count that was given, 0 when none was."""
    return next((count for count in counts if count is not None), 0)
