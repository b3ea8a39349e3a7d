import json
from typing import Any

import msgspec
import pytest

from core.sealing import Altered, WrongPassphrase, seal, unseal

CONTENT, PASSPHRASE = b'{"key": "sk-ant-api03-SECRET"}', "correct horse battery"

FIRST = {
    "salt": "Rhv/0nEjcC8ZjDTf9Eqfqw==",
    "check": "2I3HlC/WHaihBM0dhHVXJzBz8HORCNlyJ+C7JoDfeYM=",
    "nonce": "gZUnGwdjwDjOXyd7",
    "content": "qp+OA+FGmyOdqaHT6nFkHjCjSOxKzDhM",
}
"""Sealed by `cryptography` alone, scrypt too (2026-11)."""


@pytest.fixture(scope="module")
def sealed() -> dict[str, Any]:
    """As JSON has it."""
    made: dict[str, Any] = json.loads(msgspec.json.encode(seal(CONTENT, PASSPHRASE)))
    return made


def test_passphrase_opens_what_it_sealed(sealed: dict[str, Any]) -> None:
    assert unseal(sealed, PASSPHRASE) == CONTENT
    assert "SECRET" not in json.dumps(sealed)


def test_what_was_sealed_long_ago_is_opened() -> None:
    assert unseal(FIRST, "of the first export") == b"accounts"


def test_the_same_content_is_sealed_differently_each_time(sealed: dict[str, Any]) -> None:
    again = json.loads(msgspec.json.encode(seal(CONTENT, PASSPHRASE)))

    assert not set(again.values()) & set(sealed.values())


def test_another_passphrase_is_told_as_such(sealed: dict[str, Any]) -> None:
    with pytest.raises(WrongPassphrase):
        unseal(sealed, f"{PASSPHRASE} ")


@pytest.mark.parametrize("part", ["nonce", "content"])
def test_every_change_is_noticed(sealed: dict[str, Any], part: str) -> None:
    first = sealed[part][0]

    with pytest.raises(Altered):
        unseal({**sealed, part: ("B" if first == "A" else "A") + sealed[part][1:]}, PASSPHRASE)


def test_cut_off_end_is_noticed(sealed: dict[str, Any]) -> None:
    with pytest.raises(Altered):
        unseal({**sealed, "content": sealed["content"][:-8]}, PASSPHRASE)


@pytest.mark.parametrize(
    "change",
    [
        {"salt": ""},
        {"salt": "QUJD"},
        {"nonce": "QUJD"},
        {"content": 17},
        {"content": "not base64!"},
        {"check": None},
        {"scrypt_n": 2**30},
    ],
)
def test_what_is_no_seal_is_refused_before_anything_is_worked_out(
    sealed: dict[str, Any], change: dict[str, object]
) -> None:
    with pytest.raises(Altered):
        unseal({**sealed, **change}, PASSPHRASE)


@pytest.mark.parametrize("value", [None, 17, "sealed", [], {}])
def test_other_values_are_no_seal(value: object) -> None:
    with pytest.raises(Altered):
        unseal(value, PASSPHRASE)
