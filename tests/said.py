"""What the product says: whether a message that a page quotes is one of those in the code."""

import ast
import functools
import re
from collections.abc import Iterator

from tests.pages import ROOT, Page

LEAST = 12
"""Fixed characters of a text: with fewer it says too little to be told from others."""
_HOLE = "\0"


def quoted(page: Page) -> list[str]:
    """The messages of the product that a page quotes: paragraphs that begin with `> `."""
    found = re.findall(r"(?:^> .*\n?)+", page.prose, re.MULTILINE)
    return [" ".join(re.sub(r"^> ", "", quote, flags=re.MULTILINE).split()) for quote in found]


def is_said(message: str) -> bool:
    """Whether the code has this message. What the code fills in may be anything, `…` included."""
    readings = {message, f"{message}."} if message.endswith("…") else {message}
    return any(pattern.fullmatch(reading) for pattern in _sentences() for reading in readings)


@functools.cache
def _sentences() -> tuple[re.Pattern[str], ...]:
    """Every text of the product that says enough to be told from others, with its holes open."""
    found: set[str] = set()
    for path in [*(ROOT / "core").rglob("*.py"), *(ROOT / "tray").rglob("*.py")]:
        found.update(_texts(ast.parse(path.read_text(encoding="utf-8"))))
    parts = (text.split(_HOLE) for text in found)
    return tuple(re.compile(r"[^\n]+?".join(map(re.escape, fixed))) for fixed in parts if sum(map(len, fixed)) >= LEAST)


def _texts(tree: ast.AST) -> Iterator[str]:
    """The texts of a module, a hole for each value that is filled in; no docstring, and no piece of a text."""
    inner: set[ast.AST] = set()
    for node in ast.walk(tree):  # what stands outside comes first
        match node:
            case ast.Expr(value=ast.Constant() as docstring):
                inner.add(docstring)
            case ast.JoinedStr(values=values):
                inner.update(values)
                yield _in_one_line("".join(str(v.value) if isinstance(v, ast.Constant) else _HOLE for v in values))
            case ast.Constant(value=str(text)) if node not in inner:
                yield _in_one_line(re.sub(r"\{[^{}]*\}", _HOLE, text))


def _in_one_line(text: str) -> str:
    return " ".join(text.split())
