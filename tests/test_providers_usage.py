"""Tokens as each dialect counts them."""

import gzip

import pytest

from core.model import Usage
from core.providers.sse import Dialect, usage_of


@pytest.mark.parametrize(
    ("dialect", "body", "expected"),
    [
        (
            Dialect.MESSAGES,
            b'{"usage":{"input_tokens":5,"output_tokens":7,"cache_read_input_tokens":9,"cache_creation_input_tokens":2}}',
            Usage(5, 7, 9, 2),
        ),
        (Dialect.MESSAGES, b'{"usage":{"input_tokens":5,"cache_read_input_tokens":null}}', Usage(5)),
        (
            Dialect.CHAT,
            b'{"usage":{"prompt_tokens":50,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":40}}}',
            Usage(10, 7, 40),
        ),
        (
            Dialect.CHAT,
            b'{"usage":{"prompt_tokens":50,"completion_tokens":7,"prompt_cache_hit_tokens":8}}',
            Usage(42, 7, 8),
        ),
        (Dialect.CHAT, b'{"usage":{"prompt_tokens":50,"completion_tokens":7,"cached_tokens":8}}', Usage(42, 7, 8)),
        (Dialect.CHAT, b'{"usage":{"prompt_tokens":5,"cached_tokens":8}}', Usage(0, 0, 8)),
        (
            Dialect.RESPONSES,
            b'{"usage":{"input_tokens":50,"output_tokens":7,"input_tokens_details":{"cached_tokens":40}}}',
            Usage(10, 7, 40),
        ),
        (Dialect.CHAT, b'{"usage":null}', Usage()),
        (Dialect.CHAT, b'{"usage":{"prompt_tokens":"many"}}', Usage()),
        (Dialect.OTHER, b'{"input_tokens":2095,"usage":{"input_tokens":1}}', Usage()),
        (Dialect.MESSAGES, b"<html>", Usage()),
        (Dialect.MESSAGES, b'"\xff"', Usage()),
    ],
)
def test_the_tokens_of_a_whole_answer_are_counted(dialect: Dialect, body: bytes, expected: Usage) -> None:
    assert usage_of(body, None, dialect) == expected
    assert usage_of(gzip.compress(body), b"gzip", dialect) == expected


def test_an_answer_in_an_unknown_coding_counts_nothing() -> None:
    assert usage_of(b'{"usage":{"input_tokens":5}}', b"lzma", Dialect.MESSAGES) == Usage()
