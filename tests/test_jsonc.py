"""A person's file after a change: what was not meant is as it was, and it reads as the program will read it."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.jsonc import Malformed, drop, get, put, read

OURS = "ANTHROPIC_BASE_URL"
SETTINGS = """{
  // who pays
  "env": {
    "EDITOR": "vim", // not emacs
    "ANTHROPIC_BASE_URL": "https://old.example"
  },
  "hooks": {},
  /* "off": 1, */
  "list": [1, 2, {"a": null}],
}
"""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", {}),
        (" // nothing yet\n", {}),
        ("\ufeff{}", {}),
        ('{"a": 1, "b": [true, "x//y"],}', {"a": 1, "b": [True, "x//y"]}),
        ('{"a": 1, "a": 2}', {"a": 2}),
        (
            SETTINGS,
            {
                "env": {"EDITOR": "vim", "ANTHROPIC_BASE_URL": "https://old.example"},
                "hooks": {},
                "list": [1, 2, {"a": None}],
            },
        ),
        ("[1, -2.5e3, null]", [1, -2500.0, None]),
        (r'{"\u00e9\n": "\""}', {"é\n": '"'}),
    ],
)
def test_a_text_reads_as_programs_read_it(text: str, value: Any) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("{", "line 1, column 2: a key is missing"),
        ('{"a" 1}', "line 1, column 6: a colon is missing"),
        ('{"a": }', "line 1, column 7: a value is missing"),
        ('{\n "a": 1\n "b": 2}', "line 3, column 2: a comma or a brace is missing"),
        ("[1 2]", "line 1, column 4: a comma or a bracket is missing"),
        ("{} {}", "line 1, column 4: something follows the end"),
        ('{"a": "', "line 1, column 7: a string does not end, or does not read"),
        ('{"a": "\\x"}', "line 1, column 7: a string does not end, or does not read"),
        ("/* never closed", "line 1, column 1: a value is missing"),
        ("[" * 1_000, "line 1, column 202: too many values in one another"),
    ],
)
def test_what_does_not_read_says_where(text: str, where: str) -> None:
    with pytest.raises(Malformed, match=re.escape(where)):
        read(text)


@pytest.mark.parametrize(
    ("text", "path", "after"),
    [
        ("", ["a"], '{\n  "a": 1\n}\n'),
        ("// mine\n", ["a", "b"], '// mine\n{\n  "a": {\n    "b": 1\n  }\n}\n'),
        ("{}", ["a"], '{\n  "a": 1\n}'),
        ('{"b": 2}', ["a"], '{"b": 2, "a": 1}'),
        ('{ "b": 2 }', ["a"], '{ "b": 2, "a": 1 }'),
        ('{\n\t"b": {\n\t}\n}', ["b", "a"], '{\n\t"b": {\n\t\t"a": 1\n\t}\n}'),
        ('{\r\n    "b": 2\r\n}\r\n', ["a"], '{\r\n    "b": 2,\r\n    "a": 1\r\n}\r\n'),
        ('{\n  "b": 2, // two\n}', ["a"], '{\n  "b": 2, // two\n  "a": 1,\n}'),
        ('{\n  "b": 2 // two\n}', ["a"], '{\n  "b": 2, // two\n  "a": 1\n}'),
        ('{"b": 2 // two\n}', ["a"], '{"b": 2, // two\n"a": 1\n}'),
        ("{ // none\n}", ["a"], '{ // none\n  "a": 1\n}'),
        ('{"a": [1, /* x */ 2], "b": 3}', ["a"], '{"a": 1, "b": 3}'),
        ('{"a": 7, "a": 8}', ["a"], '{"a": 7, "a": 1}'),
    ],
)
def test_a_value_is_put_where_a_person_would_put_it(text: str, path: list[str], after: str) -> None:
    assert put(text, path, 1) == after
    assert get(after, path) == (True, 1)


def test_only_what_is_meant_changes() -> None:
    text = put(SETTINGS, ["env", "ANTHROPIC_BASE_URL"], "http://127.0.0.1:8433")
    text = put(text, ["env", "ANTHROPIC_AUTH_TOKEN"], "key")

    assert text == SETTINGS.replace(
        'https://old.example"', 'http://127.0.0.1:8433",\n    "ANTHROPIC_AUTH_TOKEN": "key"'
    )


@pytest.mark.parametrize(
    ("text", "path", "after"),
    [
        ('{"a": 1}', ["a"], "{}"),
        ('{\n  "a": 1\n}\n', ["a"], "{}\n"),
        ('{"a": 1, "b": 2}', ["a"], '{ "b": 2}'),
        ('{"b": 2, "a": 1}', ["a"], '{"b": 2}'),
        ('{\n  "b": 2, // two\n  "a": 1,\n}', ["a"], '{\n  "b": 2, // two\n}'),
        ('{\n  "b": 2, // two\n  "a": 1\n}', ["a"], '{\n  "b": 2 // two\n}'),
        ('{\n  // about a\n  "a": 1\n}', ["a"], "{\n  // about a\n}"),
        ('{"b": 2}', ["a"], '{"b": 2}'),
        ('{"b": 2}', ["b", "a"], '{"b": 2}'),
        ('{"b": 2}', [], '{"b": 2}'),
    ],
)
def test_a_member_goes_and_the_rest_stays(text: str, path: list[str], after: str) -> None:
    assert drop(text, path) == after


@pytest.mark.parametrize(("text", "path"), [("[]", ["a"]), ('{"a": 1}', ["a", "b"]), ('{"a": null}', ["a", "b"])])
def test_nothing_is_put_into_what_is_no_object(text: str, path: list[str]) -> None:
    with pytest.raises(Malformed, match="is no object"):
        put(text, path, 1)


# --- any file --------------------------------------------------------------------------------------

blanks = st.sampled_from(["", " ", "\n", "\n  ", "\t", ' // why, "x": {\n', " /* a, } */ ", "\r\n"])
keys = st.sampled_from(["a", "b", "env", "x y", 'q"', "é", ""])
scalars = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=4))


@st.composite
def texts(draw: st.DrawFn, depth: int = 3) -> str:
    """A JSON object with blanks and comments wherever they may be."""

    def value(left: int) -> str:
        kind = draw(st.integers(0, 3)) if left else 0
        if kind == 1:
            return members(left - 1)
        if kind == 2:
            items = [blank() + value(left - 1) + blank() for _ in range(draw(st.integers(0, 2)))]
            return f"[{','.join(items)}{blank()}]"
        return json.dumps(draw(scalars), ensure_ascii=draw(st.booleans()))

    def members(left: int) -> str:
        names = draw(st.lists(keys, max_size=3, unique=True))
        parts = [f"{blank()}{json.dumps(name)}{blank()}:{blank()}{value(left)}{blank()}" for name in names]
        comma = "," if parts and draw(st.booleans()) else ""
        return f"{{{','.join(parts)}{comma}{blank()}}}"

    def blank() -> str:
        return str(draw(blanks))

    return blank() + members(depth) + blank()


def comments(text: str) -> list[str]:
    return re.findall(r"//[^\r\n]*|/\*.*?\*/", re.sub(r'"(?:[^"\\]|\\.)*"', '""', text), re.DOTALL)


def with_value(value: Any, path: list[str], leaf: Any) -> Any:
    return {**value, path[0]: leaf if len(path) == 1 else with_value(value.get(path[0], {}), path[1:], leaf)}


@given(texts(), st.lists(keys, min_size=1, max_size=3), scalars)
def test_whatever_the_file_it_reads_as_meant_and_keeps_its_comments(text: str, path: list[str], leaf: Any) -> None:
    before = read(text)
    try:
        after = put(text, path, leaf)
    except Malformed:
        assert any(get(text, path[:n])[0] and not isinstance(get(text, path[:n])[1], dict) for n in range(1, len(path)))
        return
    assert read(after) == with_value(before, path, leaf)
    there, was = get(text, path)
    if not (there and isinstance(was, (dict, list))):
        assert comments(after) == comments(text)


@given(texts(), st.lists(keys, min_size=1, max_size=3), scalars)
def test_what_was_put_and_dropped_again_leaves_the_rest_as_it_was(text: str, path: list[str], leaf: Any) -> None:
    parents = [get(text, path[:n]) for n in range(len(path))]
    if get(text, path)[0] or not all(there and isinstance(value, dict) for there, value in parents):
        return
    back = drop(put(text, path, leaf), path)

    assert read(back) == read(text)
    assert comments(back) == comments(text)
    assert re.sub(r"\s", "", back) == re.sub(r"\s", "", text)


@given(st.text(alphabet='{}[]",:/*\\ \n a1', max_size=30))
def test_any_text_reads_or_says_that_it_does_not(text: str) -> None:
    try:
        value = read(text)
    except Malformed:
        return
    assert read(json.dumps(value)) == value
