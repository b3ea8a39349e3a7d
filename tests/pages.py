"""What a page of documentation promises, as far as a program can hold it to that: links, commands, names, blocks.

Each check takes a page and answers with its complaints, one sentence each. `tests/test_docs.py` asks them of every
page, and shows with wrong pages that each can complain.
"""

import ast
import contextlib
import functools
import io
import itertools
import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from configparser import ConfigParser
from configparser import Error as IniError
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import click

from core import jsonc
from core.cli import main

ROOT = Path(__file__).parents[1]
PAGES = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "core/README.md", "packaging/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
)
PUBLIC_HOSTS = frozenset(
    {"127.0.0.1", "localhost", "[::1]"}
    | {"claude.ai", "platform.claude.com", "api.anthropic.com", "opencode.ai"}
    | {"github.com"}
)
"""This computer, the providers, and where the world keeps its source code. A page leads nowhere else."""
MADE = frozenset({"tidegate_VERSION_amd64.deb", "tidegate-VERSION-linux-x86_64.cdx.json"})
"""Files of a build, whose names have the machine's architecture in them."""
_FENCED = re.compile(r"(?sm)^(?P<fence>```+)(?P<language>[\w-]*)[^\n]*\n(?P<text>.*?)^(?P=fence) *$")
_INLINE = re.compile(r"(?<!`)(?P<ticks>`+)(?P<text>[^`\n]+(?:\n[^`\n]+)?)(?P=ticks)(?!`)")
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_ADDRESS = re.compile(r"https?://(?P<host>\[[^\]]*\]|[\w.-]+)")
_HEADING = re.compile(r"^#{1,6} +(?P<text>.+?) *#*$", re.MULTILINE)
_VARIABLE = re.compile(r"(?<![\w/$.-])\$?(?P<name>[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?![\w./-]|\()")
_PLACE = re.compile(r"[~$.\w@<>*%/-]+")
_SUFFIX = re.compile(
    r".*\.(?:bin|css|db|deb|env|fish|html|http|iss|jsonc?|js|log|md|mo|png|pot?|py|service|spec|sse|svg|toml|txt|yml)"
)
"""What tells a file's name from a word, where it has no folder."""
_HOLE = re.compile(r"<\w+>|(?<![A-Z])(?:VERSION|NAME|N)(?![A-Z])")
"""What stands for a part of a file's name."""
_INNER = re.compile(r"\$\(([^()]*)\)")
_SHELLS = frozenset({"", "sh", "bash"})
_EXAMPLE = re.compile(r"[A-Z]+|…|\.\.\.")
"""A word that stands for one of the reader's own."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block."""

    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page with its code taken apart from its prose. `path` is where its links start from."""

    path: Path
    text: str

    @classmethod
    def read(cls, path: Path) -> "Page":
        """The page in a file."""
        return cls(path, path.read_text(encoding="utf-8"))

    @property
    def blocks(self) -> list[Block]:
        """The fenced blocks."""
        return [Block(found["language"], found["text"]) for found in _FENCED.finditer(self.text)]

    @property
    def prose(self) -> str:
        """All but the fenced blocks."""
        return _FENCED.sub("", self.text)

    @property
    def inline(self) -> list[str]:
        """The code within sentences and tables."""
        return [" ".join(found["text"].split()).replace(r"\|", "|") for found in _INLINE.finditer(self.prose)]

    @property
    def anchors(self) -> set[str]:
        """What a link to a heading may say, as GitHub makes it."""
        headings = (found["text"].lower() for found in _HEADING.finditer(self.prose))
        return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


# --- links and addresses -------------------------------------------------------------------------------


def links(page: Page) -> Iterator[str]:
    """A link leads to a file that is there, and to a heading that it has."""
    for found in _LINK.finditer(_INLINE.sub("", page.prose)):
        target, _, anchor = found["target"].partition("#")
        if "://" in target:
            continue
        path = (page.path.parent / target).resolve() if target else page.path
        if target and not path.exists():
            yield f"{found['target']} leads to no file"
        elif anchor and anchor not in (page if not target else Page.read(path)).anchors:
            yield f"{found['target']} leads to no heading"


def addresses(page: Page) -> Iterator[str]:
    """An address, wherever it stands, is of a host that everybody knows."""
    for found in _ADDRESS.finditer(page.text):
        if found["host"] not in PUBLIC_HOSTS:
            yield f"{found['host']} is no host that a page should name"


# --- commands ------------------------------------------------------------------------------------------


def commands(page: Page) -> Iterator[str]:
    """Every `tidegate …` is understood by the command line, as far as it can tell without doing it."""
    for line, whole in _lines(page):
        for words in _of_program(line):
            if complaint := misunderstood(words, whole=whole):
                yield f"`{shlex.join(['tidegate', *words])}`: {complaint}"


def typed(page: Page) -> Iterator[list[str]]:
    """The words after `tidegate` of every command that a reader can type as it stands."""
    for line, _ in _lines(page):
        for words in _of_program(line):
            if words and not any(map(_EXAMPLE.fullmatch, words)) and not misunderstood(words, whole=True):
                yield words


def _lines(page: Page) -> Iterator[tuple[str, bool]]:
    """Lines that may hold commands, each with whether it is one to be typed as it stands."""
    for block in page.blocks:
        if block.language in _SHELLS:
            for line in block.text.replace("\\\n", " ").splitlines():
                yield line.removeprefix("$ "), block.language in {"sh", "bash"}
    for code in page.inline:
        yield code, False


def _of_program(line: str) -> Iterator[list[str]]:
    """The words after `tidegate` in each command of a line. `a|b` without blanks is one word or the other."""
    for inner in _INNER.findall(line):
        yield from _of_program(inner)
    try:
        lexer = shlex.shlex(_INNER.sub("WORD", line), posix=True, punctuation_chars=";&")
        lexer.whitespace_split = True
        lexer.commenters = "#"
        tokens = list(lexer)
    except ValueError:
        return
    for is_end, group in itertools.groupby(tokens, lambda token: token in {";", "&&", "|", "||", "&"}):
        words = [] if is_end else list(group)
        while words and (words[0] in {"sudo", "env"} or re.fullmatch(r"\w+=.*", words[0])):
            words.pop(0)
        if words and words[0] in {"tidegate", ".venv/bin/tidegate"}:
            yield from map(list, itertools.product(*(_either(word) for word in _until_redirected(words[1:]))))


def _either(word: str) -> list[str]:
    return word.split("|") if re.fullmatch(r"[\w-]+(?:\|[\w-]+)+", word) else [word]


def _until_redirected(words: Sequence[str]) -> list[str]:
    return list(itertools.takewhile(lambda word: not re.match(r"\d?[<>]", word), words))


def misunderstood(words: Sequence[str], *, whole: bool) -> str:
    """What the command line has against these words; empty when it takes them. Nothing is done.

    An upper-case word stands for one that would do, and what is no `whole` command may lack arguments.
    """
    command: click.Command = main
    context, rest = None, list(words)
    try:
        while True:
            context = _parsed(command, rest, context)
            rest = [*context._protected_args, *context.args]  # what click hands to the next command
            if not isinstance(command, click.Group) or not rest:
                return ""
            if _EXAMPLE.fullmatch(rest[0]):
                return ""
            _, found, rest = command.resolve_command(context, rest)
            assert found
            command = found
    except click.exceptions.Exit:  # --help, --version
        return ""
    except click.MissingParameter as exc:
        return exc.format_message() if whole else ""
    except click.exceptions.NoArgsIsHelpError:
        return "a command is missing" if whole else ""
    except click.ClickException as exc:
        return exc.format_message()


def _parsed(command: click.Command, words: list[str], parent: click.Context | None) -> click.Context:
    """The command with its words read; one of several is put where a placeholder stands."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # --help is said at once
            return command.make_context(command.name or "", list(words), parent=parent)
    except click.BadParameter as exc:
        kind = exc.param.type if exc.param else None
        wrong = next((word for word in words if _EXAMPLE.fullmatch(word) and f"'{word}'" in exc.message), None)
        if wrong is None or not isinstance(kind, click.Choice):
            raise
        return _parsed(command, [str(kind.choices[0]) if word == wrong else word for word in words], parent)


# --- names -----------------------------------------------------------------------------------------------


def targets(page: Page) -> Iterator[str]:
    """Every `make x` is in the Makefile."""
    known = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for line, _ in _lines(page):
        for name in re.findall(r"(?:^|[;&|] *|^[A-Z]+=\S+ )make ([\w-]+)", line.strip()):
            if name not in known:
                yield f"`make {name}` is no target"


def variables(page: Page) -> Iterator[str]:
    """Every variable that code names is one that our code knows."""
    code = "\n".join([*(block.text for block in page.blocks), *page.inline])
    for name in dict.fromkeys(found["name"] for found in _VARIABLE.finditer(code)):
        if not re.search(rf"\b{name}\b", sources()):
            yield f"{name} is not in the code"


def places(page: Page) -> Iterator[str]:
    """Every file that code names is in the repository; one that is made, or is the reader's, our code names too."""
    for code in page.inline:
        name = code.partition("::")[0]
        if not _is_place(name) or name in MADE or _is_there(name, page.path.parent):
            continue
        if not all(map(_is_named, filter(None, _HOLE.split(name.rstrip("/").rpartition("/")[2])))):
            yield f"`{name}` is neither a file nor named in the code"


def _is_place(code: str) -> bool:
    is_below_a_folder = "/" in code and not code.startswith("/")
    return bool(_PLACE.fullmatch(code) and (is_below_a_folder or _SUFFIX.fullmatch(code)))


def _is_named(name: str) -> bool:
    """Whether the code has this name of a file; a screenshot's is there without its suffix, as a text of its own."""
    whole, stem = re.escape(name), re.escape(name.removesuffix(".png"))
    pattern = rf"([\"']){stem}\1" if name.endswith(".png") else rf"(?<![\w-]){whole}(?![\w-])"
    return re.search(pattern, sources()) is not None


def _is_there(name: str, folder: Path) -> bool:
    if name.startswith(("~", "/", "$")):
        return False
    pattern = _HOLE.sub("*", name).rstrip("/")
    if "/" not in pattern:
        return any(fnmatch(path.name, pattern) for path in _files())
    return any(next(start.glob(pattern), None) for start in (folder, ROOT, ROOT / "core", ROOT / "tests"))


@functools.cache
def sources() -> str:
    """All that a name could stand in: code and what builds and packs it, but no page and no test of pages."""
    mine = {Path(__file__), ROOT / "tests" / "test_docs.py"}
    readable = {".py", ".js", ".html", ".toml", ".yml", ".service", ".spec", ".iss", ""}
    found = (path for path in _files() if path not in mine and path.is_file() and path.suffix in readable)
    return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in found)


@functools.cache
def _files() -> tuple[Path, ...]:
    """All that the repository has, folders included."""
    kept = ("core", "docs", "icons", "packaging", "tests", "tray", ".github", ".ci")
    inner = (path for folder in kept for path in (ROOT / folder).rglob("*") if "node_modules" not in path.parts)
    return (*ROOT.iterdir(), *inner)


# --- blocks ----------------------------------------------------------------------------------------------


def blocks(page: Page) -> Iterator[str]:
    """Every block is written in the language that it says, as far as a parser can tell."""
    for block in page.blocks:
        reads = _READERS.get(block.language)
        if reads is None:
            yield f"no reader for a block of `{block.language}`"
        elif complaint := reads(block.text):
            yield f"a block of `{block.language}` does not read: {complaint}"


def _python(text: str) -> str:
    return _raises(SyntaxError, ast.parse, text)


def _shell(text: str) -> str:
    return _fails(["bash", "-n"], text)


def _javascript(text: str) -> str:
    return _fails(["node", "--input-type=module", "--check", "-"], text)


def _ini(text: str) -> str:
    return _raises(IniError, ConfigParser(strict=False, interpolation=None).read_string, text)


def _fails(command: list[str], text: str) -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=30)
    return done.stderr if done.returncode else ""


def _raises(kind: type[Exception], read: Callable[[str], object], text: str) -> str:
    try:
        read(text)
    except kind as exc:
        return str(exc)
    return ""


_READERS: Mapping[str, Callable[[str], str]] = {
    "": lambda _: "",
    "text": lambda _: "",
    "sh": _shell,
    "bash": _shell,
    "python": _python,
    "js": _javascript,
    "ini": _ini,
    "json": lambda text: _raises(ValueError, json.loads, text),
    "jsonc": lambda text: _raises(ValueError, jsonc.read, text),
    "toml": lambda text: _raises(tomllib.TOMLDecodeError, tomllib.loads, text),
}

CHECKS: Mapping[str, Callable[[Page], Iterator[str]]] = {
    "links": links,
    "addresses": addresses,
    "commands": commands,
    "make targets": targets,
    "variables": variables,
    "files": places,
    "blocks": blocks,
}
