"""Change a few keys of a JSON file that a person keeps: comments, order, and all other characters stay. Pure.

Reads JSON with comments and trailing commas, as VS Code, Claude Code and OpenCode read their settings. A key that
stands there twice counts where it stands last, as for them.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Path = Sequence[str]

DEEPEST = 200
"""Of values in one another; settings have a handful."""
_BLANK = re.compile(r"(?:[ \t\r\n\ufeff]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_SCALAR = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")
_ENDS_IN_LINE_COMMENT = re.compile(r"//[^\r\n]*\Z")
_INDENT = "  "


class Malformed(ValueError):
    """The text is no JSON, or has something else where an object is wanted. The message says where."""


@dataclass(frozen=True, slots=True)
class _Member:
    key: str
    start: int
    node: "_Node"
    comma_at: int | None
    """Of the comma that follows."""


@dataclass(frozen=True, slots=True)
class _Node:
    """A value and where it stands. Of an object, `members` are what is in it; else None."""

    start: int
    end: int
    value: Any
    members: tuple[_Member, ...] | None = None

    def member(self, key: str) -> _Member | None:
        return next((member for member in reversed(self.members or ()) if member.key == key), None)


# --- what is done ----------------------------------------------------------------------------------


def read(text: str) -> Any:
    """The value; an empty text, or one of comments only, is an empty object. Raises Malformed."""
    return _document(text).value


def get(text: str, path: Path) -> tuple[bool, Any]:
    """Whether there is a value at `path`, and the value. Raises Malformed."""
    node = _document(text)
    for key in path:
        member = node.member(key)
        if member is None:
            return False, None
        node = member.node
    return True, node.value


def put(text: str, path: Path, value: Any) -> str:
    """The text with `value` at `path`; objects on the way are made. Raises Malformed when something else is there."""
    node, below = _document(text), list(path)
    if node.start == node.end:  # nothing but blanks and comments
        head = text.rstrip()
        made = _written(_nested(below, value), "", "\n")
        return f"{head}\n{made}\n" if head else f"{made}\n"
    while below:
        if node.members is None:
            raise Malformed(f"{'.'.join(path[: len(path) - len(below)]) or 'the whole file'} is no object")
        member = node.member(below[0])
        if member is None:
            return _inserted(text, node, below[0], _nested(below[1:], value))
        node, below = member.node, below[1:]
    return text[: node.start] + _written(value, _indent_at(text, node.start), _newline(text)) + text[node.end :]


def drop(text: str, path: Path) -> str:
    """The text without the member at `path`; as it is when there is none. Raises Malformed."""
    node = _document(text)
    parent, member = node, None
    for key in path:
        parent, member = node, node.member(key)
        if member is None:
            return text
        node = member.node
    return text if member is None else _without(text, parent, member)


# --- how it is written -----------------------------------------------------------------------------


def _inserted(text: str, parent: _Node, key: str, value: Any) -> str:
    """The text with one more member at the end of an object."""
    newline, brace_at = _newline(text), parent.end - 1
    members = parent.members or ()
    inner_from = members[-1].node.end if members else parent.start + 1
    one_line = members and "\n" not in text[parent.start : parent.end]
    if one_line:
        indent = ""
    elif members:
        indent = _indent_at(text, members[-1].start)
    else:
        indent = _indent_at(text, parent.start) + _unit(text)
    member = f"{json.dumps(key)}: {_written(value, indent, newline)}"
    tail = text[inner_from:brace_at]
    kept = tail.rstrip()
    comma = ""
    if members and members[-1].comma_at is None:
        kept = f",{kept}"
    elif members:
        comma = ","
    if one_line and not _ENDS_IN_LINE_COMMENT.search(kept):
        return f"{text[:inner_from]}{kept} {member}{comma}{tail[len(tail.rstrip()) :]}{text[brace_at:]}"
    closing = _indent_at(text, parent.start)
    return f"{text[:inner_from]}{kept}{newline}{indent}{member}{comma}{newline}{closing}{text[brace_at:]}"


def _without(text: str, parent: _Node, member: _Member) -> str:
    members = parent.members or ()
    place = members.index(member)
    before = members[place - 1] if place else None
    start = _blank_from(text, parent.start + 1 if before is None else before.node.end, member.start)
    end = member.node.end if member.comma_at is None else member.comma_at + 1
    if len(members) == 1 and not (text[parent.start + 1 : start] + text[end : parent.end - 1]).strip():
        return f"{text[: parent.start + 1]}{text[parent.end - 1 :]}"
    head = text[:start]
    if member.comma_at is None and before is not None and before.comma_at is not None:
        head = text[: before.comma_at] + text[before.comma_at + 1 : start]
    return head + text[end:]


def _blank_from(text: str, least: int, start: int) -> int:
    """Where the white space before `start` begins, not before `least`."""
    return least + len(text[least:start].rstrip())


def _nested(path: Path, value: Any) -> Any:
    for key in reversed(path):
        value = {key: value}
    return value


def _written(value: Any, indent: str, newline: str) -> str:
    lines = json.dumps(value, indent=_INDENT, ensure_ascii=False).split("\n")
    return f"{newline}{indent}".join(lines)


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _indent_at(text: str, at: int) -> str:
    """The white space that the line of `at` begins with."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _unit(text: str) -> str:
    """What one step of indentation is in this text."""
    first = re.search(r"^([ \t]+)\S", text, re.MULTILINE)
    return first[1] if first and (first[1] == "\t" or len(first[1]) in {2, 4, 8}) else _INDENT


# --- how it is read --------------------------------------------------------------------------------


def _document(text: str) -> _Node:
    at = _skip(text, 0)
    if at == len(text):
        return _Node(at, at, {}, ())
    node = _value(text, at, 0)
    end = _skip(text, node.end)
    if end < len(text):
        raise _wrong(text, end, "something follows the end")
    return node


def _value(text: str, at: int, depth: int) -> _Node:
    if depth > DEEPEST:
        raise _wrong(text, at, "too many values in one another")
    match text[at : at + 1]:
        case "{":
            return _object(text, at, depth)
        case "[":
            return _array(text, at, depth)
        case '"':
            return _string(text, at)
    scalar = _SCALAR.match(text, at)
    if not scalar:
        raise _wrong(text, at, "a value is missing")
    try:
        return _Node(at, scalar.end(), json.loads(scalar[0]))
    except ValueError as exc:  # more digits than Python reads
        raise _wrong(text, at, "a number is too long") from exc


def _object(text: str, start: int, depth: int) -> _Node:
    members: list[_Member] = []
    at = _skip(text, start + 1)
    while text[at : at + 1] != "}":
        if members and members[-1].comma_at is None:
            raise _wrong(text, at, "a comma or a brace is missing")
        if text[at : at + 1] != '"':
            raise _wrong(text, at, "a key is missing")
        key = _string(text, at)
        colon_at = _skip(text, key.end)
        if text[colon_at : colon_at + 1] != ":":
            raise _wrong(text, colon_at, "a colon is missing")
        node = _value(text, _skip(text, colon_at + 1), depth + 1)
        comma_at, next_at = _comma(text, node.end)
        members.append(_Member(key.value, at, node, comma_at))
        at = next_at
    return _Node(start, at + 1, {member.key: member.node.value for member in members}, tuple(members))


def _array(text: str, start: int, depth: int) -> _Node:
    values: list[Any] = []
    at, open_ = _skip(text, start + 1), True
    while text[at : at + 1] != "]":
        if not open_:
            raise _wrong(text, at, "a comma or a bracket is missing")
        node = _value(text, at, depth + 1)
        comma_at, at = _comma(text, node.end)
        open_ = comma_at is not None
        values.append(node.value)
    return _Node(start, at + 1, values)


def _string(text: str, at: int) -> _Node:
    match = _STRING.match(text, at)
    try:
        if match:
            return _Node(at, match.end(), json.loads(match[0]))
    except ValueError:
        pass
    raise _wrong(text, at, "a string does not end, or does not read")


def _comma(text: str, at: int) -> tuple[int | None, int]:
    """Where a comma stands after `at`, None without one, and where the text goes on."""
    at = _skip(text, at)
    return (at, _skip(text, at + 1)) if text[at : at + 1] == "," else (None, at)


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _wrong(text: str, at: int, what: str) -> Malformed:
    line = text.count("\n", 0, at) + 1
    return Malformed(f"line {line}, column {at - text.rfind(chr(10), 0, at)}: {what}")
