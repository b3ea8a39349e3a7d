"""How a credential rests in a store of short strings, so that no torn write can lose it.

Each credential has two slots. A new generation goes to the slot that does not hold the newest one, is read back and
compared, and only then counts; what counts when loading is the highest generation whose checksum holds. So a crash
between two writes, half a write or a foreign item under our name costs at most the older generation.
"""

import hashlib
import json
import logging
import re
from collections.abc import Sequence
from itertools import takewhile
from typing import Protocol

import msgspec

from core.errors import UNREADABLE, VaultError
from core.model import ApiKey, Credential, OAuthTokens

log = logging.getLogger(__name__)

ITEM_CHARACTERS = 1_200
"""Windows takes 1,280 UTF-16 units in one item (2,560 bytes); our text is ASCII."""
MAX_PARTS = 16
_HEADER = re.compile(r"(?P<generation>\d{1,18})\.0/(?P<parts>\d{1,2}):")
_HEADER_CHARACTERS = 30


class Backend(Protocol):
    """Where the strings rest. Blocking, for one thread at a time; raises VaultError and its kinds only."""

    def get(self, key: str) -> Sequence[str]:
        """Everything stored under `key`: usually one or none, more where the store lets duplicates in."""

    def set(self, key: str, secret: str) -> None:
        """Store `secret` under `key`, in place of what was there."""

    def delete(self, key: str) -> None:
        """Remove everything under `key`; nothing there is fine."""


class Stored(msgspec.Struct, frozen=True):
    """A credential with its generation: each renewal is one more."""

    generation: int
    credential: Credential


class Slots:
    """The credentials in a back end, by name. Blocking."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def newest(self, name: str) -> Stored | None:
        """The credential of `name`; None when none is there that can be read."""
        _, stored = self._newest(name)
        return stored

    def write(self, name: str, stored: Stored) -> None:
        """Store and read back. Raises VaultError, also when the same or a newer generation is already there."""
        slot, current = self._newest(name)
        if current == stored:
            return
        if current is not None and current.generation >= stored.generation:
            raise VaultError("The vault already holds a newer credential", "Nothing was overwritten.")
        # The other slot than the newest one's, which is `generation % 2` as long as no generation was left out.
        slot = stored.generation % 2 if current is None else 1 - slot
        for index, part in enumerate(_parts(stored)):
            self._backend.set(_key(name, slot, index), part)
        if stored not in self._read(name, slot):
            raise VaultError(
                "The vault did not keep what was written to it",
                "What it held before is untouched. Try again, or use the other kind of vault (`--vault`).",
            )

    def delete(self, name: str) -> None:
        """Remove both slots with all their parts."""
        for slot in (0, 1):
            present = list(takewhile(self._backend.get, (_key(name, slot, index) for index in range(MAX_PARTS))))
            for key in reversed(present):  # the last part first, so that a second try finds what is left
                self._backend.delete(key)

    def _newest(self, name: str) -> tuple[int, Stored | None]:
        found = [(slot, stored) for slot in (0, 1) for stored in self._read(name, slot)]
        readable = [(slot, stored) for slot, stored in found if stored is not None]
        if len(readable) < len(found):
            log.warning("%s: %d of %d stored copies are damaged", name, len(found) - len(readable), len(found))
        return max(readable, key=lambda pair: pair[1].generation, default=(0, None))

    def _read(self, name: str, slot: int) -> list[Stored | None]:
        """What is in a slot; None for each copy that is torn or not ours."""
        return [self._assemble(name, slot, first) for first in self._backend.get(_key(name, slot, 0))]

    def _assemble(self, name: str, slot: int, first: str) -> Stored | None:
        head = _HEADER.match(first)
        if head is None:
            return None
        text = first[head.end() :]
        for index in range(1, min(int(head["parts"]), MAX_PARTS)):
            header = _header(int(head["generation"]), index, int(head["parts"]))
            found = (part for part in self._backend.get(_key(name, slot, index)) if part.startswith(header))
            text += next(found, "").removeprefix(header)  # a missing part breaks the checksum
        return _decode(text)


def _key(name: str, slot: int, index: int) -> str:
    return f"{name}/{slot}.{index}"


def _header(generation: int, index: int, parts: int) -> str:
    return f"{generation}.{index}/{parts}:"


class _Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """A credential as JSON, with a checksum over the rest."""

    gen: int
    sha: str = ""
    api_key: ApiKey | None = None
    oauth: OAuthTokens | None = None


def _parts(stored: Stored) -> list[str]:
    text = _encode(stored)
    size = ITEM_CHARACTERS - _HEADER_CHARACTERS
    slices = [text[start : start + size] for start in range(0, len(text), size)]
    if len(slices) > MAX_PARTS:
        raise VaultError(f"This credential is too long to store ({len(text)} characters)", "Is it really a key?")
    return [_header(stored.generation, i, len(slices)) + part for i, part in enumerate(slices)]


def _encode(stored: Stored) -> str:
    match stored.credential:
        case ApiKey() as key:
            record = _Record(stored.generation, api_key=key)
        case OAuthTokens() as tokens:
            record = _Record(stored.generation, oauth=tokens)
    return _text(msgspec.structs.replace(record, sha=_checksum(record)))


def _decode(text: str) -> Stored | None:
    """The credential in `text`; None when the text is damaged or not ours."""
    try:
        record = msgspec.json.decode(text, type=_Record)
    except UNREADABLE:
        return None
    credential = record.api_key or record.oauth
    if credential is None or record.sha != _checksum(record):
        return None
    return Stored(record.gen, credential)


def _checksum(record: _Record) -> str:
    return hashlib.sha256(_text(msgspec.structs.replace(record, sha="")).encode()).hexdigest()


def _text(record: _Record) -> str:
    """ASCII whatever the secret, so that a character is a UTF-16 unit."""
    return json.dumps(msgspec.to_builtins(record), separators=(",", ":"))
