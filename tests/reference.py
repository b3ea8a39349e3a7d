"""Pages that the code writes: `python -m tests.reference` (or `make docs`) brings them up to date.

`docs/configuration.md` comes from the settings' schema, `docs/commands.md` from the command line, and the table in
`docs/choosing.md` from the one in `docs/policy.md`. A test fails while a page is not what this writes.
"""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import click

from core.cli import main
from core.errors import NothingToDo, TidegateError, UsageError
from core.logs import FORM_VARIABLE, FORMS
from core.model import Settings, Strategy
from core.settings import _FOREIGN, DESCRIPTIONS, ENVIRONMENT, SETTINGS, setting_texts
from core.vault_file import KEY_FILE_VARIABLE, KEY_VARIABLE

DOCS = Path(__file__).parents[1] / "docs"
_GROUPS = {
    "": "General",
    "icon": "The icon",
    "endpoints": "Addresses of providers",
    "health_score": "The score of `hybrid`",
    "token_bucket": "The bucket of `hybrid`",
}
"""Settings by what stands before the dot of their name."""
OTHER_VARIABLES = {
    KEY_VARIABLE: "The passphrase of `--vault file`.",
    KEY_FILE_VARIABLE: "A file whose content is that passphrase; it counts when the other one is not set.",
    FORM_VARIABLE: f"How the log is written: {' or '.join(f'`{form}`' for form in FORMS)}.",
}
"""Variables that stand for no setting."""
_EXITS = (
    (0, "Done."),
    (TidegateError.exit_code, "It failed; the message says why, and what to do."),
    (UsageError.exit_code, "The words were not understood: an unknown command, account or value."),
    (NothingToDo.exit_code, "There was nothing to do, or no account is ready."),
)
_ABOUT_SETTINGS = """\
# Settings

Written by `make docs` from the settings' schema; do not edit.

`tidegate config get` prints all settings as they are saved, `tidegate config set strategy sticky` changes one. They
are kept in `config.json`, without those at their default. What a variable of the environment says goes before the
file, while it is set where Tidegate starts."""
_ABOUT_ALIASES = """\
These belong to the OpenCode plugin that `hybrid` comes from. They count where Tidegate's own variables say nothing;
values that are not listed are the plugin's alone."""
_ABOUT_COMMANDS = """\
# Commands

Written by `make docs` from the command line itself; do not edit.

`tidegate COMMAND --help` says the same. An order goes to the running Tidegate; when none runs, it is obeyed on the
spot. An `ACCOUNT` is a label, an e-mail address, an id, or the number that `tidegate list` shows. A duration is
written `90s`, `30m`, `1h30m` or `2d`. What `--json` prints is described in [json.md](json.md). Colours are left out
when `NO_COLOR` is set or the output is no terminal."""
_PLAYED = re.compile(r"^\*\*([\w-]+)\*\*: (.+?)\n\n((?:\|.*\n)+)", re.MULTILINE)
_SERVED = re.compile(r"^\| ([\w-]+) +\| +([\d.]+%) \|", re.MULTILINE)
_INSERTED = re.compile(r"(<!-- what `make docs` takes from policy\.md -->\n).*?(<!-- until here -->)", re.DOTALL)


def configuration() -> str:
    """The page of all settings."""
    defaults = setting_texts(Settings())
    lines = [_ABOUT_SETTINGS]
    for group, title in _GROUPS.items():
        names = [name for name in SETTINGS if name.rpartition(".")[0] == group]
        rows = [(f"`{name}`", f"`{defaults[name]}`", _allowed(name), DESCRIPTIONS[name]) for name in names]
        lines += ["", f"## {title}", "", *_table(("Setting", "Default", "May be", "What it is for"), rows)]
    known = {name for name in SETTINGS if name.rpartition(".")[0] in _GROUPS}
    assert known == set(SETTINGS), "a group of settings has no title here"
    lines += ["", "## Variables of the environment", ""]
    lines += _table(
        ("Variable", "Meaning"),
        [
            *((f"`{variable}`", f"The setting `{name}`.") for variable, name in ENVIRONMENT.items()),
            *((f"`{variable}`", meaning) for variable, meaning in OTHER_VARIABLES.items()),
        ],
    )
    lines += ["", _ABOUT_ALIASES, ""]
    foreign = ((f"`{variable}`", *meaning) for variable, known in _FOREIGN.items() for meaning in _meanings(*known))
    lines += _table(("Variable", "Value", "Meaning"), foreign)
    return "\n".join(lines) + "\n"


def commands() -> str:
    """The page of all commands."""
    found = list(_commands(main, ()))
    lines = [
        _ABOUT_COMMANDS,
        "",
        *_table(("Exit code", "Meaning"), [(str(code), meaning) for code, meaning in _EXITS]),
        "",
        "## All of them",
        "",
        *_table(
            ("Command", "What it does"),
            [(f"[`{' '.join(words)}`](#tidegate-{'-'.join(words)})", _first_line(it)) for words, it in found],
        ),
        "",
        "## tidegate",
        "",
        *_section((), main),
    ]
    for words, command in found:
        lines += ["", f"## tidegate {' '.join(words)}", "", *_section(words, command)]
    return "\n".join(lines) + "\n"


def with_figures(page: str, policy: str) -> str:
    """The page with the share of work that each strategy served in each workload of docs/policy.md."""
    played = {name: (what, dict(_SERVED.findall(table))) for name, what, table in _PLAYED.findall(policy)}
    rows = [
        (f"`{strategy}`", *(served[strategy].replace("%", " %") for _, served in played.values()))
        for strategy in Strategy
    ]
    meanings = [f"- *{name}*: {what.partition('. Asked')[0]}" for name, (what, _) in played.items()]
    text = "\n".join([*_table(("Strategy", *played), rows), "", *meanings])
    done, places = _INSERTED.subn(lambda found: f"{found[1]}{text}\n{found[2]}", page)
    assert places == 1, "the page has no place for the figures"
    return done


def pages(docs: Path = DOCS) -> Mapping[Path, str]:
    """Every page that is written, whole or in part, with what it should be."""
    choosing, policy = docs / "choosing.md", docs / "policy.md"
    return {
        docs / "configuration.md": configuration(),
        docs / "commands.md": commands(),
        choosing: with_figures(choosing.read_text(encoding="utf-8"), policy.read_text(encoding="utf-8")),
    }


def _meanings(name: str, meanings: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What each value of another program's variable does to a setting; those that mean the same here in one."""
    same = [f"`{value}`" for value, meant in meanings.items() if value == meant]
    if same:
        yield ", ".join(same), f"The setting `{name}`."
    yield from ((f"`{value}`", f"`{name}` is `{meant}`.") for value, meant in meanings.items() if value != meant)


def _allowed(name: str) -> str:
    """What a setting may be, as its reader tells somebody who typed nonsense."""
    try:
        SETTINGS[name]("ftp://nobody.says.this")
    except ValueError as exc:
        return str(exc).removeprefix("one of ")
    raise AssertionError(f"{name} takes anything")


def _commands(group: click.Group, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below a group, in the order of its help; a group stands before its members."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command
        yield (*words, name), command
        if isinstance(command, click.Group):
            yield from _commands(command, (*words, name))


def _section(words: tuple[str, ...], command: click.Command) -> Iterator[str]:
    context = click.Context(command)
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        yield from (" ".join(paragraph.split()), "")
    usage = " ".join(["tidegate", *words, *command.collect_usage_pieces(context)])
    yield from ("```text", usage, "```")
    records = (parameter.get_help_record(context) for parameter in command.params)
    if rows := [(f"`{record[0]}`", " ".join(record[1].split())) for record in records if record]:
        yield from ("", *_table(("Option", "Meaning"), rows))


def _first_line(command: click.Command) -> str:
    return " ".join(inspect.cleandoc(command.help or "").split("\n\n")[0].split())


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join('---' for _ in head)}|"
    for row in rows:
        cells = [cell.replace("|", r"\|") for cell in row]
        yield f"| {' | '.join(cells)} |"


def renew(docs: Path = DOCS) -> None:
    """Write them all."""
    for path, text in pages(docs).items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    renew()
