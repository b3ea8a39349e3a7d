"""The manual page, from what the command line says of itself: nothing is written twice."""

import inspect
import re
from collections.abc import Iterator
from datetime import datetime

import click

EXIT_CODES = {"0": "done", "1": "an error", "2": "wrong usage", "3": "nothing to do, or no account is ready"}
FILES = {
    "~/.local/share/tidegate": "settings, history and the log; --data-dir chooses another place. "
    "Credentials are in the keychain, never in these files.",
}


def page(command: click.Group, version: str, made_on: datetime, summary: str) -> str:
    """The page of a command with all its subcommands, in man(7)."""
    name = command.name or ""
    title = "tidegate" if name == "main" else name
    lines = [
        f'.TH {title.upper()} 1 "{made_on:%Y-%m-%d}" "{title} {version}" "User Commands"',
        ".SH NAME",
        f"{title} \\- {_text(summary)}",
        ".SH SYNOPSIS",
        f".B {title}",
        "[\\fIOPTIONS\\fR] [\\fICOMMAND\\fR [\\fIARGUMENTS\\fR]...]",
        ".SH DESCRIPTION",
        *_paragraphs(command.help),
        ".SH OPTIONS",
        *_options(command),
        ".SH COMMANDS",
        *_commands(command, ()),
        ".SH EXIT STATUS",
        *_pairs(EXIT_CODES),
        ".SH FILES",
        *_pairs(FILES),
    ]
    return "\n".join(lines) + "\n"


def _commands(group: click.Group, path: tuple[str, ...]) -> Iterator[str]:
    """Every command below `group`, by name; of a group, its members instead."""
    context = click.Context(group)
    for name in sorted(group.list_commands(context)):
        command = group.get_command(context, name)  # asked for, not looked up: some are loaded when they are meant
        if command is None or command.hidden:
            continue
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))
            continue
        yield ".SS " + _text(" ".join((*path, name, *_arguments(command))))
        yield from _paragraphs(command.help)
        yield from _options(command)


def _arguments(command: click.Command) -> Iterator[str]:
    context = click.Context(command)
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            yield parameter.make_metavar(context)


def _options(command: click.Command) -> Iterator[str]:
    context = click.Context(command)
    for parameter in command.params:
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record is not None:
            yield from (".TP", f"\\fB{_text(record[0])}\\fR", _text(record[1]) or "\\&")


def _pairs(pairs: dict[str, str]) -> Iterator[str]:
    for term, text in pairs.items():
        yield from (".TP", f"\\fB{_text(term)}\\fR", _text(text))


def _paragraphs(text: str | None) -> Iterator[str]:
    for paragraph in inspect.cleandoc(text or "").split("\n\n"):
        if words := " ".join(paragraph.split()):
            yield from (".PP", _text(words))


def _text(words: str) -> str:
    """Plain words as roff: a backslash, a hyphen and a leading dot mean something there."""
    escaped = words.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return re.sub(r"^([.'])", r"\\&\1", escaped)
