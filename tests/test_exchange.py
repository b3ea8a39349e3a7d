"""An answer's bytes on the wire, in each framing; its behaviour on a connection is in test_listener.py."""

from collections.abc import Callable

import pytest

from core.exchange import Answer, Incoming, Simple
from core.providers.headers import Headers
from tests.raw import Wire

PLAIN = ((b"content-type", b"text/plain"),)


def begun(length: int | None, *, http_1_0: bool = False, head_only: bool = False) -> tuple[Wire, Answer]:
    wire = Wire(http_1_0=http_1_0)
    answer = Answer(wire, head_only=head_only)
    answer.start(200, PLAIN, length)
    return wire, answer


def test_a_body_of_known_length_is_framed_by_its_length() -> None:
    wire, answer = begun(5)
    answer.write(b"he")
    answer.write(b"llo")
    answer.finish()

    assert wire.written == b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello"
    assert (wire.keep_alive, wire.resets, answer.finished) == (True, False, True)


def test_a_body_of_unknown_length_is_framed_in_chunks() -> None:
    wire, answer = begun(None)
    answer.write(b"hello")
    answer.write(b"")
    answer.write(b"x" * 17)
    answer.finish()

    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n"
    assert wire.written == head + b"5\r\nhello\r\n11\r\n" + b"x" * 17 + b"\r\n0\r\n\r\n"


def test_http_1_0_knows_no_chunks_so_the_end_of_the_connection_ends_the_body() -> None:
    wire, answer = begun(None, http_1_0=True)
    answer.write(b"hello")
    answer.finish()

    assert wire.written == b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\nhello"
    assert not wire.keep_alive


@pytest.mark.parametrize("length", [None, 5])
def test_an_answer_to_head_says_what_get_would_have_said_and_has_no_body(length: int | None) -> None:
    wire, answer = begun(length, head_only=True)
    answer.write(b"hello")
    answer.finish()

    assert wire.written.endswith(b"\r\n\r\n")
    assert (b"content-length: 5" in wire.written, b"chunked" in wire.written) == (length == 5, length is None)
    assert wire.keep_alive


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_body_has_neither_body_nor_framing(status: int) -> None:
    wire = Wire()
    answer = Answer(wire, head_only=False)
    answer.start(status, (), None)
    answer.write(b"hello")
    answer.finish()

    assert wire.written.startswith(b"HTTP/1.1 %d " % status)
    assert wire.written.count(b"\r\n") == 2


@pytest.mark.parametrize(("status", "phrase"), [(200, b"OK"), (529, b"Overloaded"), (599, b"Unknown")])
def test_every_status_has_a_phrase(status: int, phrase: bytes) -> None:
    wire = Wire()
    Answer(wire, head_only=False).send(Simple(status, b"", ()))
    assert wire.written.startswith(b"HTTP/1.1 %d %s\r\n" % (status, phrase))


@pytest.mark.parametrize(
    ("length", "http_1_0", "resets"), [(None, False, False), (10, False, False), (None, True, True), (10, True, False)]
)
def test_an_aborted_answer_is_sent_as_far_as_it_came_without_an_end(
    length: int | None, http_1_0: bool, resets: bool
) -> None:
    wire, answer = begun(length, http_1_0=http_1_0)
    answer.write(b"hello")
    answer.abort()

    assert b"hello" in wire.written
    assert not wire.written.endswith(b"0\r\n\r\n")
    assert (wire.keep_alive, wire.resets, answer.finished) == (False, resets, True)


def test_an_answer_that_is_aborted_before_it_began_resets() -> None:
    wire = Wire()
    Answer(wire, head_only=False).abort()
    assert (wire.writes, wire.keep_alive, wire.resets) == ([], False, True)


def test_fewer_bytes_than_promised_are_an_abort() -> None:
    wire, answer = begun(6)
    answer.write(b"hello")
    answer.finish()
    assert not wire.keep_alive


def test_the_last_answer_of_a_connection_says_so() -> None:
    wire = Wire()
    wire.keep_alive = False
    Answer(wire, head_only=False).send(Simple(200, b"hello", PLAIN))
    assert b"\r\nconnection: close\r\n" in wire.written


def test_a_whole_answer_is_one_write() -> None:
    wire = Wire()
    Answer(wire, head_only=False).send(Simple(200, b"hello", PLAIN))
    assert len(wire.writes) == 1


def test_the_head_is_written_once_whether_flushed_or_not() -> None:
    wire, answer = begun(5)
    assert not wire.writes
    answer.flush()
    answer.flush()
    assert len(wire.writes) == 1
    answer.write(b"hello")
    answer.flush()
    answer.finish()
    assert wire.written.count(b"HTTP/1.1") == 1
    assert wire.writes[1:] == [b"hello"]


@pytest.mark.parametrize("end", [Answer.finish, Answer.abort])
def test_an_answer_that_ended_no_longer_hears_of_room(end: Callable[[Answer], None]) -> None:
    _, answer = begun(None)
    answer.on_room = lambda _room: None
    end(answer)
    assert answer.on_room is None


def test_room_is_the_connections() -> None:
    wire, answer = begun(None)
    assert answer.room
    wire.room = False
    assert not answer.room


def test_the_path_is_the_target_without_its_query() -> None:
    assert Incoming(b"GET", b"/v1/messages?beta=true", Headers(())).path == b"/v1/messages"
    assert Incoming(b"GET", b"/v1/messages", Headers(())).path == b"/v1/messages"
