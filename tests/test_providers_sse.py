"""The tap: right in every cutting of a stream, in every coding, and silent where it cannot read."""

import gzip
import itertools
import json
import sys
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.model import ProviderName, Usage
from core.providers.sse import EVENT_BYTES, Dialect, Tap, dialect_of
from tests.codings import CODINGS
from tests.recorded import STREAMS, content

if sys.version_info >= (3, 14):
    pass
else:
    pass

DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{}}\n\n'
START = b'event: content_block_start\ndata: {"type":"content_block_start","index":0}\n\n'
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
OVERLOADED = (
    b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_011EXAMPLE"}'
)

Known = tuple[bool, bool, bytes | None, Usage, bool, bool]


def known(tap: Tap) -> Known:
    return tap.started, tap.complete, tap.error, tap.usage, tap.at_boundary, tap.readable


def fed(dialect: Dialect, *chunks: bytes, coding: bytes | None = None) -> Tap:
    tap = Tap(dialect, coding)
    for chunk in chunks:
        tap.feed(chunk)
    return tap


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(edges)]


# --- what a stream says ----------------------------------------------------------------------------


def test_a_message_is_followed_from_its_start_to_its_end() -> None:
    lines = content("anthropic-stream-tool-use.sse").split(b"\n\n")
    tap = Tap(Dialect.MESSAGES, None)
    seen = []
    for event in lines[:-1]:
        tap.feed(event + b"\n\n")
        seen.append((tap.started, tap.complete, tap.usage.output))
    assert seen == [(False, False, 5)] + [(True, False, 5)] * 7 + [(True, False, 127), (True, True, 127)]
    assert tap.usage == Usage(input=572, output=127, cache_read=48_000, cache_write=1200)
    assert tap.error is None


def test_an_error_before_content_is_kept_and_nothing_has_started() -> None:
    tap = fed(Dialect.MESSAGES, content("anthropic-stream-overloaded.sse"))
    assert known(tap) == (False, False, OVERLOADED, Usage(572, 1), True, True)


def test_only_the_first_error_is_kept() -> None:
    tap = fed(Dialect.MESSAGES, b"event: error\ndata: one\n\n" + b"event: error\ndata: two\n\n")
    assert tap.error == b"one"


def test_a_ping_starts_nothing() -> None:
    tap = fed(Dialect.MESSAGES, b'event: ping\ndata: {"type": "ping"}\n\n', b": comment\n\n")
    assert known(tap) == (False, False, None, Usage(), True, True)


def test_message_delta_overwrites_and_never_adds() -> None:
    usage = b'{"input_tokens":10,"output_tokens":3,"cache_read_input_tokens":5}'
    start = b'event: message_start\ndata: {"message":{"usage":' + usage + b"}}\n\n"
    delta = b'event: message_delta\ndata: {"usage":{"output_tokens":%d,"cache_read_input_tokens":null}}\n\n'
    assert fed(Dialect.MESSAGES, start, delta % 50, delta % 60).usage == Usage(10, 60, 5)


def test_an_answer_without_content_starts_with_its_end() -> None:
    tap = fed(Dialect.MESSAGES, b'event: message_delta\ndata: {"delta":{"stop_reason":"refusal"}}\n\n')
    assert (tap.started, tap.complete) == (True, False)
    assert fed(Dialect.MESSAGES, STOP).started


def test_events_without_a_name_are_known_by_their_type() -> None:
    nameless = content("anthropic-stream-tool-use.sse").replace(b"event: ", b": ")
    assert known(fed(Dialect.MESSAGES, nameless)) == known(
        fed(Dialect.MESSAGES, content("anthropic-stream-tool-use.sse"))
    )
    assert fed(Dialect.MESSAGES, b"data: " + OVERLOADED + b"\n\n").error == OVERLOADED
    assert not fed(Dialect.MESSAGES, b'data: {"type": "ping"}\n\n', b"data: x\n\n").started


def test_an_event_that_was_not_finished_did_not_happen() -> None:
    assert not fed(Dialect.MESSAGES, STOP[:-1]).complete
    assert fed(Dialect.MESSAGES, STOP[:-1], b"\n").complete
    assert not fed(Dialect.MESSAGES, b"event: message_stop\n\n").complete


def test_chat_completions_are_followed_to_their_end() -> None:
    stream = content("openai-chat.sse")
    tap = Tap(Dialect.CHAT, None)
    seen = []
    for event in stream.split(b"\n\n")[:-1]:
        tap.feed(event + b"\n\n")
        seen.append((tap.started, tap.complete))
    assert seen == [(False, False), (True, False), (True, False), (True, True), (True, True), (True, True)]
    assert tap.usage == Usage(input=200, output=80, cache_read=1000)


@pytest.mark.parametrize("event", [b"data: %s\n\n", b"event: error\ndata: %s\n\n"])
def test_an_error_in_chat_completions_is_no_start(event: bytes) -> None:
    data = b'{"error":{"message":"Error from provider (Console Go): busy","code":"provider_rate_limit_exceeded"}}'
    assert known(fed(Dialect.CHAT, event % data)) == (False, False, data, Usage(), True, True)


def test_done_alone_completes_chat_completions() -> None:
    tap = fed(Dialect.CHAT, b"data: [DONE]\n\n")
    assert (tap.started, tap.complete) == (True, True)


def test_responses_are_followed_to_their_end() -> None:
    tap = fed(Dialect.RESPONSES, content("openai-responses.sse"))
    assert known(tap) == (True, True, None, Usage(300, 40, 600), True, True)


@pytest.mark.parametrize("end", ["completed", "incomplete", "failed"])
def test_a_response_ends_in_three_ways(end: str) -> None:
    data = json.dumps({"type": f"response.{end}", "response": {"usage": None}}).encode()
    assert fed(Dialect.RESPONSES, b"data: " + data + b"\n\n").complete


def test_an_error_in_responses_is_no_start() -> None:
    data = b'{"type":"error","code":"server_error","message":"m"}'
    tap = fed(Dialect.RESPONSES, b"event: error\ndata: " + data + b"\n\n")
    assert (tap.started, tap.error) == (False, data)


def test_a_stream_of_another_kind_is_complete_as_soon_as_it_says_anything() -> None:
    tap = fed(Dialect.OTHER, b"event: session\n")
    assert (tap.started, tap.complete) == (False, False)
    tap.feed(b"data: {}\n\n")
    assert (tap.started, tap.complete) == (True, True)


@pytest.mark.parametrize(
    ("provider", "path", "expected"),
    [
        (ProviderName.ANTHROPIC, b"/v1/messages?beta=true", Dialect.MESSAGES),
        (ProviderName.ANTHROPIC, b"/v1/messages/count_tokens", Dialect.OTHER),
        (ProviderName.ANTHROPIC, b"/v1/responses", Dialect.OTHER),
        (ProviderName.ANTHROPIC, b"/v1/sessions/s/events/stream", Dialect.OTHER),
        (ProviderName.OPENCODE_GO, b"/zen/go/v1/messages", Dialect.MESSAGES),
        (ProviderName.OPENCODE_GO, b"/zen/go/v1/chat/completions?x=/messages", Dialect.CHAT),
        (ProviderName.OPENCODE_GO, b"/zen/go/v1/responses", Dialect.RESPONSES),
        (ProviderName.OPENCODE_GO, b"/zen/go/v1/models", Dialect.OTHER),
    ],
)
def test_the_path_says_which_dialect_answers(provider: ProviderName, path: bytes, expected: Dialect) -> None:
    assert dialect_of(provider, path) is expected


# --- framing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_lines_may_end_in_three_ways(line_end: bytes) -> None:
    stream = content("anthropic-stream-tool-use.sse").replace(b"\n", line_end)
    tap = fed(Dialect.MESSAGES, stream)
    assert (tap.started, tap.complete, tap.usage.output) == (True, True, 127)


def test_several_data_lines_are_one_text() -> None:
    tap = fed(Dialect.MESSAGES, b"event: error\ndata: {\ndata\ndata:}\nid: 7\nretry: 5\n\n")
    assert tap.error == b"{\n\n}"


def test_fields_of_other_names_and_a_byte_order_mark_do_no_harm() -> None:
    stream = b"\xef\xbb\xbfevent: message_stop\nevents: error\ndatas: x\n:data: y\ndata: {}\n\n"
    assert known(fed(Dialect.MESSAGES, stream)) == (True, True, None, Usage(), True, True)


def test_text_that_looks_like_fields_is_text() -> None:
    text = "event: error data: x\u2028event: message_stop\u2029data: {}\x85\x0b\x0c\x1c"
    delta = "event: content_block_delta\ndata: " + json.dumps({"text": text}, ensure_ascii=False) + "\n\n"
    tap = fed(Dialect.MESSAGES, START, delta.encode())
    assert known(tap) == (True, False, None, Usage(), True, True)


def test_a_ping_fits_between_two_events_only() -> None:
    tap = Tap(Dialect.MESSAGES, None)
    assert tap.at_boundary
    expected = {b"event: ping": False, b"\n": False, b"data: {}": False, b"\n\n": True, b": c\n": True, b"\r": False}
    for chunk, boundary in expected.items():
        tap.feed(chunk)
        assert tap.at_boundary is boundary, chunk


def test_a_stream_that_is_compressed_has_no_place_for_a_ping() -> None:
    tap = Tap(Dialect.MESSAGES, b"gzip")
    assert not tap.at_boundary
    tap.feed(gzip.compress(START))
    assert tap.started
    assert not tap.at_boundary


def test_an_event_without_end_is_given_up_within_bounds() -> None:
    tap = fed(Dialect.MESSAGES, START)
    for _ in range(EVENT_BYTES // 65_536 + 2):
        tap.feed(b"x" * 65_536)
    assert known(tap) == (True, False, None, Usage(), False, False)
    tap.feed(b"\n\n" + STOP)
    assert not tap.complete


def test_a_line_beyond_the_bound_is_given_up_in_one_piece_or_many() -> None:
    line = b"event: error\ndata: " + b"x" * EVENT_BYTES + b"\n\n"
    assert known(fed(Dialect.MESSAGES, line)) == known(fed(Dialect.MESSAGES, line[:1000], line[1000:]))
    assert not fed(Dialect.MESSAGES, line).readable


def test_an_event_of_endless_lines_is_given_up_within_bounds() -> None:
    tap = fed(Dialect.MESSAGES, b"event: error\n")
    for _ in range(EVENT_BYTES // 65_536 + 2):
        tap.feed((b"data: " + b"x" * 250 + b"\n") * 256)
    assert not tap.readable


def test_what_follows_in_the_same_chunk_is_not_read_after_giving_up() -> None:
    bomb = gzip.compress(b"x" * 2 * EVENT_BYTES + b"\n\n" + STOP)
    assert known(fed(Dialect.MESSAGES, bomb, coding=b"gzip")) == (False, False, None, Usage(), False, False)


def test_deltas_are_not_held() -> None:
    tap = fed(Dialect.MESSAGES, START, b"event: content_block_delta\n")
    for _ in range(EVENT_BYTES // 65_536 + 2):
        tap.feed((b"data: " + b"x" * 250 + b"\n") * 256)
    assert tap.readable


@pytest.mark.parametrize("coding", [b"lzma", b"gzip, br"])
def test_an_unknown_coding_leaves_the_tap_silent(coding: bytes) -> None:
    assert known(fed(Dialect.MESSAGES, START, STOP, coding=coding)) == (False, False, None, Usage(), False, False)


def test_a_coding_that_breaks_leaves_what_was_known() -> None:
    deflate = zlib.compressobj(wbits=31)
    good = deflate.compress(START) + deflate.flush(zlib.Z_SYNC_FLUSH)
    tap = fed(Dialect.MESSAGES, good, b"\xff" * 100, STOP, coding=b"gzip")
    assert known(tap) == (True, False, None, Usage(), False, False)


# --- any cutting -----------------------------------------------------------------------------------


PIECES = st.sampled_from(
    [
        START,
        DELTA,
        STOP,
        b"event: error\n",
        b"event: message_delta\n",
        b'data: {"usage":{"output_tokens":4}}\n',
        b"data: [DONE]\n",
        b'data: {"choices":[{"finish_reason":"stop"}]}\r\n',
        b'data: {"error":{}}\r',
        b'data: {"type":"response.completed","response":{"usage":{"output_tokens":9}}}\n',
        b"data",
        b":",
        b"\n",
        b"\r",
        b"\r\n",
        b"\xef\xbb\xbf",
        "\u2028".encode(),
        b"event: content_block_delta\n",
    ]
)
CUTS = st.lists(st.integers(0, 5000), max_size=12)


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@settings(max_examples=40, deadline=None)  # the streams are many, the machine may be busy
@given(cuts=CUTS)
def test_any_cutting_of_a_recorded_stream_is_the_same(
    name: str, coding: bytes | None, line_end: bytes, cuts: list[int]
) -> None:
    stream = CODINGS[coding](content(name).replace(b"\n", line_end))
    whole = fed(STREAMS[name], stream, coding=coding)
    assert whole.started or whole.error
    assert known(fed(STREAMS[name], *cut(stream, cuts), coding=coding)) == known(whole)


@pytest.mark.parametrize("name", STREAMS)
def test_byte_by_byte_is_the_same(name: str) -> None:
    stream = content(name)
    assert known(fed(STREAMS[name], *(bytes([byte]) for byte in stream))) == known(fed(STREAMS[name], stream))


@pytest.mark.parametrize("dialect", Dialect)
@settings(deadline=None)
@given(pieces=st.lists(PIECES, max_size=12), cuts=CUTS)
def test_any_cutting_of_any_stream_is_the_same(dialect: Dialect, pieces: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(pieces)
    whole = known(fed(dialect, stream))
    assert known(fed(dialect, *cut(stream, cuts))) == whole
    assert known(fed(dialect, *pieces)) == whole


@pytest.mark.parametrize("coding", CODINGS)
@settings(deadline=None)
@given(chunks=st.lists(st.binary(max_size=80), max_size=6))
def test_no_bytes_raise(coding: bytes | None, chunks: list[bytes]) -> None:
    assert not fed(Dialect.MESSAGES, *chunks, coding=coding).complete
