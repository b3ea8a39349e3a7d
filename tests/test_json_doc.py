"""docs/json.md and what the commands print are in step."""

import dataclasses
import enum
import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from core.answers import AccountInfo, Explanation, Imported, QuotaReport, Recounted, RequestsReport, UsageReport
from core.autostart import Status
from core.cli import main
from core.connection_care import Program
from core.doctor.judge import Row
from core.logs import Entry
from core.model import AccountView, Snapshot

DOC = (Path(__file__).parents[1] / "docs" / "json.md").read_text(encoding="utf-8")
ANSWERS = (
    AccountView,
    Snapshot,
    AccountInfo,
    Explanation,
    Recounted,
    UsageReport,
    QuotaReport,
    RequestsReport,
    Program,
    Imported,
    Status,
    Row,
    Entry,
)
SCALARS = {str: "text", float: "number", int: "integer", bool: "true or false", type(None): "null"}


def is_shape(kind: Any) -> bool:
    is_struct = isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind is not msgspec.Struct
    return is_struct or dataclasses.is_dataclass(kind)


def said(kind: Any) -> str:
    """A type as the doc says it."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(said, inner))
    if origin is tuple and inner[-1] is ...:
        return f"list of {said(inner[0])}"
    if origin is tuple:
        return f"pair: {' and '.join(map(said, inner))}"
    if origin is typing.Literal:
        return " · ".join(f"`{value}`" for value in inner)
    if origin is not None:
        return f"object: {said(inner[1])} by {said(inner[0])}"
    if isinstance(kind, typing.NewType):
        return said(kind.__supertype__)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return " · ".join(f"`{member.value}`" for member in kind)
    return f"[{kind.__name__}](#{kind.__name__.lower()})" if is_shape(kind) else SCALARS[kind]


def shapes() -> Iterator[Any]:
    """Every shape that an answer has, once."""
    todo, known = list[Any](ANSWERS), set[Any]()
    while todo:
        kind = todo.pop()
        if typing.get_args(kind):
            todo.extend(typing.get_args(kind))
        elif is_shape(kind) and kind not in known:
            known.add(kind)
            yield kind
            todo.extend(typing.get_type_hints(kind).values())
            todo.append(kind.__mro__[1])


def documented(name: str) -> dict[str, str]:
    """The fields of one section, with their types."""
    section = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", DOC, re.MULTILINE | re.DOTALL)
    assert section, f"docs/json.md has no section {name}"
    return dict(re.findall(r"^\| `(\w+)` \| (.*?) \| .+ \|$", section[1], re.MULTILINE))


@pytest.mark.parametrize("kind", sorted(shapes(), key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__)
def test_every_field_is_documented_with_its_type_and_meaning(kind: Any) -> None:
    base = kind.__mro__[1]
    theirs = typing.get_type_hints(base) if is_shape(base) else {}
    own = {name: said(hint) for name, hint in typing.get_type_hints(kind).items() if name not in theirs}
    assert documented(kind.__name__) == own


def commands(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found
            yield from commands(found, (*words, name))
    elif any("--json" in option.opts for option in command.params):
        yield words


def test_every_command_with_json_is_in_the_table_and_no_other() -> None:
    rows = re.findall(r"^\| `tidegate ((?:[a-z-]+ ?)+?)(?: A)? --json` \|", DOC, re.MULTILINE)
    assert sorted(rows) == sorted(" ".join(words) for words in commands(main))


def test_links_lead_to_sections_and_every_section_is_linked() -> None:
    links = set(re.findall(r"\]\(#(\w+)\)", DOC))
    assert links == {name.lower() for name in re.findall(r"^## (\w+)$", DOC, re.MULTILINE)}
