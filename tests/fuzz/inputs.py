"""Bytes from outside as a fuzzer makes them: good ones, damaged; words of the format in any order; noise."""

import json
import random
from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

MAX_BYTES = 8_192
ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**63,
    -(2**63) - 1,
    10**30,
    1e308,
    -1e308,
    5e-324,
    float("nan"),
    float("inf"),
    1.5,
    "",
    " ",
    "x",
    "x" * 3_000,
    "0",
    "-1",
    "1e999",
    "NaN",
    "2026-11-21T10:00:00Z",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59",
    "\u0000",
    "\ud800",
    "\udfff\ud800",
    "\u2028",
    "\U0001f30a",
    "١٢٣",
    "%s%n{0}",
    "../../etc",
    "a\r\nb",
    [],
    {},
    [[]],
    [None],
    {"": {}},
    {"a": {"a": {"a": 1}}},
)
"""Values that are nobody's, and edges of those that are somebody's."""
NESTED = b"[" * 3_000
TOKENS = (
    b"\x00",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xfe\xff",
    b"\r\n",
    b"\n",
    b"\r",
    b"\t",
    b" ",
    b'"',
    b"'",
    b"\\",
    b"\\u",
    b"\\ud800",
    b",",
    b":",
    b"::",
    b";",
    b"=",
    b"{",
    b"}",
    b"[",
    b"]",
    b"//",
    b"/*",
    b"*/",
    b"#",
    b"%",
    b"$(",
    b"`",
    b"\x1b[31m",
    "\u2028".encode(),
    "\u0130".encode(),
    b"\xed\xa0\x80",
    b"-",
    b"+",
    b"0",
    b"1e999",
    b"99999999999999999999",
    b"-1",
    b"NaN",
    b"null",
    b"true",
    b"[[",
    b"\x7f",
)


def json_bytes(value: Any) -> bytes:
    return json.dumps(value).encode()


def _places(value: Any) -> Iterable[tuple[Any, Any]]:
    """Every (container, key) in a JSON document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)


def _odd_json(document: bytes, chance: random.Random) -> bytes:
    """A JSON document in which some values are others, keys are gone or twice, or things lie deep."""
    value = json.loads(document)
    for _ in range(chance.randint(1, 4)):
        places = list(_places(value))
        if not places:
            break
        holder, key = chance.choice(places)
        match chance.randrange(6):
            case 0:
                del holder[key]
            case 1:
                holder[key] = [holder[key]]
            case 2 if isinstance(holder, dict):
                other = chance.choice(places)
                holder[str(other[1])] = deepcopy(chance.choice(ODD))  # the next edit may be inside it
            case _:
                holder[key] = deepcopy(chance.choice(ODD))
    text = json_bytes(value)
    if chance.random() < 0.1 and text.startswith(b"{"):
        text = b'{"deep": ' + NESTED + (b"]" * 3_000 if chance.random() < 0.5 else b"") + b"," + text[1:]
    return text


def _damaged(text: bytes, words: Sequence[bytes], chance: random.Random) -> bytes:
    """Some edits: bits, cuts, words of the format put in or doubled."""
    changed = bytearray(text)
    for _ in range(chance.randint(1, 6)):
        at = chance.randint(0, len(changed))
        match chance.randrange(7):
            case 0 if changed:
                changed[at % len(changed)] ^= 1 << chance.randrange(8)
            case 1:
                del changed[at : at + chance.randint(1, 32)]
            case 2:
                changed[at:at] = changed[at : at + chance.randint(1, 256)]
            case 3:
                del changed[at:]
            case 4:
                changed[at:at] = chance.randbytes(chance.randint(1, 8))
            case _:
                changed[at : at + chance.choice((0, 0, 1, 4))] = chance.choice(words)
    return bytes(changed[:MAX_BYTES])


def _is_json(text: bytes) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except ValueError:
        return False


def like(seeds: Sequence[bytes], words: Sequence[bytes] = ()) -> st.SearchStrategy[bytes]:
    """Inputs that resemble `seeds`, written with `words` and what is odd everywhere."""
    known = (*TOKENS, *words)
    documents = [seed for seed in seeds if _is_json(seed)]

    def damaged(seed: bytes, number: int) -> bytes:
        return _damaged(seed, known, random.Random(number))

    def odd(seed: bytes, number: int) -> bytes:
        return _odd_json(seed, random.Random(number))

    numbers = st.integers(0, 2**32)
    kinds = [
        st.builds(damaged, st.sampled_from([*seeds, b""]), numbers),
        st.lists(st.sampled_from(known), max_size=40).map(b"".join),
        st.binary(max_size=200),
    ]
    if documents:
        kinds += [st.builds(odd, st.sampled_from(documents), numbers)] * 2
        kinds.append(
            st.builds(lambda seed, one, two: damaged(odd(seed, one), two), st.sampled_from(documents), numbers, numbers)
        )
    return st.one_of(kinds)
