"""Ids of batches, files and containers are found where they are meant, and nowhere else."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.providers.resources import KEPT_BYTES, asked_for, makes, told


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/v1/files/file_011CabcXYZ", ("file_011CabcXYZ",)),
        (b"/v1/files/file_1/content?beta=true", ("file_1",)),
        (b"/v1/messages/batches/msgbatch_01/results", ("msgbatch_01",)),
        (b"/v1/messages/batches", ()),
        (b"/v1/files?limit=20", ()),
        (b"/v1/messages?beta=true", ()),
    ],
)
def test_a_path_names_what_it_is_about(target: bytes, expected: tuple[str, ...]) -> None:
    assert asked_for(target, b"") == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"container": "container_1"}, ("container_1",)),
        ({"container": {"id": "container_2", "skills": []}}, ("container_2",)),
        (
            {"messages": [{"content": [{"type": "document", "source": {"type": "file", "file_id": "file_3"}}]}]},
            ("file_3",),
        ),
        ({"messages": [{"content": 'say {"file_id": "file_4"} and "file_id":"file_5"'}]}, ()),
        ({"id": "msg_1", "tool": {"id": "toolu_1"}}, ()),
        ({"name": "file_6"}, ()),
    ],
)
def test_a_body_names_it_under_its_own_keys_and_not_in_a_prompt(body: object, expected: tuple[str, ...]) -> None:
    assert asked_for(b"/v1/messages", msgspec.json.encode(body)) == expected
    assert told(msgspec.json.format(msgspec.json.encode(body))) == expected


def test_each_id_is_told_once_in_its_order() -> None:
    assert told(b'[{"id": "file_b"}, {"file_id":"file_a"}, {"id": "file_b"}]') == ("file_b", "file_a")


@given(st.integers(0, 60))
def test_an_id_is_found_however_a_stream_is_cut(cut: int) -> None:
    text = b'data: {"container":{"id":"container_011abcdef","expires_at":"x"}}\n\n'
    first, second = text[:cut], text[cut:]
    found = dict.fromkeys(told(first) + told(first[-KEPT_BYTES:] + second))
    assert tuple(found) == ("container_011abcdef",)


@pytest.mark.parametrize(
    ("target", "expected"),
    [(b"/v1/files?beta=true", True), (b"/v1/messages/batches", True), (b"/v1/messages", False), (b"/v1/models", False)],
)
def test_uploads_and_batches_make_something(target: bytes, expected: bool) -> None:
    assert makes(target) is expected
