"""A key opens the door while it is known, and tells whose it is."""

import pytest

from core.local_keys import EVERYBODY, LocalKeys, digest
from core.providers.headers import HeaderLine, Headers

KEYS = LocalKeys(lambda: {digest("tg-all"): EVERYBODY, digest("tg-cc"): "claude-code", "": "unset"})


@pytest.mark.parametrize(
    ("lines", "owner"),
    [
        ([(b"x-api-key", b"tg-all")], EVERYBODY),
        ([(b"authorization", b"Bearer tg-cc")], "claude-code"),
        ([(b"authorization", b"Bearer sk-of-the-shell"), (b"x-api-key", b"tg-cc")], "claude-code"),
        ([(b"x-api-key", b"tg-other")], None),
        ([(b"x-api-key", b"")], None),
        ([], None),
    ],
)
def test_a_request_is_its_owners_by_whichever_key_fits(lines: list[HeaderLine], owner: str | None) -> None:
    assert KEYS.owner(Headers(lines)) == owner


def test_a_key_that_was_taken_back_opens_nothing() -> None:
    known = {digest("tg-cc"): "claude-code"}
    keys, asked = LocalKeys(lambda: known), Headers([(b"x-api-key", b"tg-cc")])
    assert keys.owner(asked) == "claude-code"

    known.clear()

    assert keys.owner(asked) is None
