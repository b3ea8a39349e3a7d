"""Files as crashes, full disks, sync programs and editors leave them: every kind of damage, by chance from a seed."""

import codecs
import json
import random
from collections.abc import Callable, Mapping
from typing import Any

Damage = Callable[[bytes, random.Random], bytes]


def _flipped(content: bytes, chance: random.Random) -> bytes:
    """Some bits are others."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 8)):
        place = chance.randrange(len(changed))
        changed[place] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _zeroed(content: bytes, chance: random.Random) -> bytes:
    """A page was never written: what a file system leaves after a power cut."""
    begin = chance.randrange(len(content))
    size = chance.randint(1, len(content) - begin)
    return content[:begin] + b"\0" * size + content[begin + size :]


def _repeated(content: bytes, chance: random.Random) -> bytes:
    """A piece of it stands there twice."""
    begin = chance.randrange(len(content))
    return content + content[begin : begin + chance.randint(1, 4_096)]


def _instead(other: bytes) -> Damage:
    """Something else stands there."""
    return lambda _content, _chance: other


BYTES: Mapping[str, Damage] = {
    "empty": _instead(b""),
    "cut short": lambda content, chance: content[: chance.randrange(len(content))],
    "begins late": lambda content, chance: content[chance.randint(1, len(content)) :],
    "bits flipped": _flipped,
    "a page of zeros": _zeroed,
    "all zeros": lambda content, _: bytes(len(content)),
    "noise": lambda content, chance: chance.randbytes(len(content)),
    "a piece twice": _repeated,
    "noise behind it": lambda content, chance: content + chance.randbytes(chance.randint(1, 64)),
    "UTF-16": lambda content, _: content.decode("latin-1").encode("utf-16"),
    "a byte order mark": lambda content, _: codecs.BOM_UTF8 + content,
    "another program's": _instead(b"<html><body>Sign in to the hotel's network</body></html>"),
    "deep nesting": _instead(b"[" * 100_000),
}
"""What can happen to any file."""

_ODD = (None, True, -1, 10**30, 1e308, "", "x" * 10_000, "\u0000", "\ud83d\ude00", "../../etc", [], {}, [[]], {"": {}})
"""Values that are nobody's."""


def _odd_value(content: bytes, chance: random.Random) -> bytes:
    """Somewhere in the JSON stands another value, or a key is gone."""
    document = json.loads(content)
    holder, key = chance.choice(list(_places(document)))
    if chance.random() < 0.2:
        del holder[key]
    else:
        holder[key] = chance.choice(_ODD)
    return json.dumps(document).encode()


def _places(value: Any) -> Any:
    """Every (container, key) in a JSON document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)


def _newer(content: bytes, chance: random.Random) -> bytes:
    """A later version was here."""
    return json.dumps(json.loads(content) | {"version": chance.choice((2, 99))}).encode()


JSON: Mapping[str, Damage] = {
    "an odd value": _odd_value,
    "another odd value": _odd_value,
    "of a newer version": _newer,
    "null": _instead(b"null"),
    "a list": _instead(b"[]"),
    "an empty object": _instead(b"{}"),
}
"""What can happen to a JSON file, besides."""
