"""The pages keep their word: what they link, name, quote and have typed is so, and what the code writes is current."""

import ast
import inspect
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from core.cli import main
from core.clients import CLIENTS, Offered, places
from core.mcp import Tools
from core.model import Strategy
from tests import pages, reference, said
from tests.instance import OFFLINE
from tests.pages import CHECKS, PAGES, ROOT, Page

READ = {str(path.relative_to(ROOT)): Page.read(path) for path in PAGES if path.exists()}
TYPED = sorted({tuple(words) for page in READ.values() for words in pages.typed(page)})
NOT_HERE = frozenset(
    {"add", "import", "refresh", "remove", "autostart", "dashboard", "demo", "doctor", "mcp", "run", "serve", "--vault"}
)
"""Commands that want a network, a desktop, another program or an answer, or do not end by themselves."""
GOES_ON = frozenset({"-f", "--follow", "--watch"})


# --- every page ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", READ)
def test_page_keeps_its_word(name: str, check: str) -> None:
    assert list(CHECKS[check](READ[name])) == []


@pytest.mark.parametrize("path", [path for path in PAGES if path.parent.name == "docs"], ids=lambda path: path.name)
def test_page_can_be_found_from_the_index(path: Path) -> None:
    index = READ["docs/README.md"].text
    assert path.name == "README.md" or f"]({path.name})" in index


@pytest.mark.parametrize("path", reference.pages(), ids=lambda path: path.name)
def test_what_the_code_writes_is_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == reference.pages()[path], "run `make docs`"


def test_every_variable_of_tidegate_is_in_the_reference() -> None:
    files = [*(ROOT / "core").rglob("*.py"), *(ROOT / "tray").rglob("*.py")]
    sources = "\n".join(path.read_text(encoding="utf-8") for path in files)
    used = set(re.findall(r'"((?:TIDEGATE|OPENCODE_ANTHROPIC)_[A-Z_]+)"', sources))
    assert used
    assert used <= set(re.findall(r"`([A-Z_]+)`", READ["docs/configuration.md"].text))


SECTIONS = {
    "claude-code": "Claude Code",
    "opencode": "OpenCode",
    "vscode": "VS Code",
    "anthropic-sdk": "Anthropic's SDKs",
    "shell": "A shell",
}


@pytest.mark.parametrize("name", CLIENTS)
def test_every_program_is_told_with_its_file_and_its_settings(name: str) -> None:
    text = READ["docs/clients.md"].text
    section = re.search(rf"^## {SECTIONS[name]}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section
    client = CLIENTS[name]
    file = places(client, "~", {"PWD": "."})[0].rpartition("/")[2]
    changed = {part for setting in client.settings(Offered("", "")) for part in setting.path[:2]}
    names = {part for part in changed if part.isupper() or "." in part}
    assert all(word in section[1] for word in (f"tidegate connect {name}", f"tidegate undo {name}", file, *names))


def test_every_tool_for_agents_is_told() -> None:
    tools = [name for name, tool in vars(Tools).items() if inspect.isfunction(tool) and not name.startswith("_")]
    table = READ["docs/clients.md"].text.partition("## Tools for agents")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == tools


def test_every_strategy_is_told_alike_on_both_pages() -> None:
    row = re.compile(r"^\| `([a-z-]+)`(?: \(default\))? \| ([^|]+?)(?: \([^|]*\))? \|", re.MULTILINE)
    front = dict(row.findall(READ["README.md"].text.partition("| Strategy |")[2]))
    page = dict(row.findall(READ["docs/choosing.md"].text.partition("| Strategy |")[2].partition("<!--")[0]))
    assert front == page
    assert list(front) == list(Strategy)


# --- commands are done -----------------------------------------------------------------------------------


class Typist:
    """Types commands on an installation of its own: with two accounts, without a network, with nobody's home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        home = str(folder / "home")
        self._environ = {"HOME": home, "USERPROFILE": home, "CLAUDE_CONFIG_DIR": "", "SHELL": "/bin/bash"}
        self._environ |= {"XDG_DATA_HOME": "", "XDG_CONFIG_HOME": "", "XDG_STATE_HOME": "", "NO_COLOR": "1"}
        self._environ |= {"TIDEGATE_VAULT_KEY": "a passphrase of the tests", **OFFLINE}

    def __call__(self, words: Sequence[str], typed: str = "") -> Result:
        options = ["--data-dir", str(self.folder / "tidegate"), "--vault", "file"]
        return CliRunner(env=self._environ).invoke(main, [*options, *words], input=typed)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    type_ = Typist(folder)
    assert type_(["add", "api-key", "--label", "Work"], "sk-ant-oat01-EXAMPLE-0001").exit_code == 0
    assert type_(["add", "api-key", "--label", "Home"], "sk-ant-api03-EXAMPLE-0002").exit_code == 0
    return folder


def is_harmless(words: Sequence[str]) -> bool:
    if words[0] in NOT_HERE or GOES_ON & set(words):
        return False
    return words[0] != "connect" or len(words) == 1 or bool({"--dry-run", "--print"} & set(words))


@pytest.mark.parametrize("words", [words for words in TYPED if is_harmless(words)], ids=" ".join)
def test_command_that_a_reader_types_does_what_it_should(
    words: Sequence[str], installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(installed, folder)
    monkeypatch.chdir(tmp_path)

    result = Typist(folder)(words)

    assert result.exit_code in {0, 3}, result.output  # 3: nothing to do, or nobody is ready
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_most_commands_that_readers_type_are_done_here() -> None:
    assert len({words[0] for words in TYPED if is_harmless(words)}) > 20


@pytest.mark.parametrize(
    ("words", "code"),
    [(["list"], 0), (["status", "--watch"], 1), (["lits"], 2), (["pin", "Nobody"], 2), (["unpin"], 3)],
)
def test_exit_code_is_the_one_of_the_reference(words: list[str], code: int, installed: Path, tmp_path: Path) -> None:
    shutil.copytree(installed, tmp_path / "copy")
    assert Typist(tmp_path / "copy")(words).exit_code == code
    assert f"| {code} |" in READ["docs/commands.md"].text


def every_command(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield words
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from every_command(command, (*words, name))
        else:
            yield (*words, name)


def test_every_command_explains_itself() -> None:
    for words in every_command(main):
        assert CliRunner().invoke(main, [*words, "--help"]).exit_code == 0, words


# --- troubleshooting -------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", said.quoted(READ["docs/troubleshooting.md"]), ids=lambda message: message[:40])
def test_message_that_is_quoted_is_one_of_the_products(message: str) -> None:
    assert said.is_said(message)


def test_all_that_doctor_looks_at_is_explained() -> None:
    tree = ast.parse((ROOT / "core/doctor/judge.py").read_text(encoding="utf-8"))
    rows = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Row"]
    checks = {row.args[0].value for row in rows if isinstance(row.args[0], ast.Constant)} | {"keychain", "file vault"}
    table = READ["docs/troubleshooting.md"].text.partition("## What doctor looks at")[2]
    told = {name for cell in re.findall(r"^\| (`.+?) \|", table, re.MULTILINE) for name in re.findall(r"`(.+?)`", cell)}
    assert told == checks


# --- the checks can fail ---------------------------------------------------------------------------------


def wrong(text: str, check: str) -> list[str]:
    """What a check has against a page of this text, in docs/."""
    return list(CHECKS[check](Page(ROOT / "docs" / "made-up.md", text)))


@pytest.mark.parametrize(
    ("check", "text", "complaint"),
    [
        ("links", "[a](gone.md)", "gone.md leads to no file"),
        ("links", "[a](json.md#gone)", "json.md#gone leads to no heading"),
        ("links", "# Here\n\n[a](#there)", "#there leads to no heading"),
        ("addresses", "see https://mirror.internal/x", "mirror.internal is no host that a page should name"),
        ("addresses", "```sh\ncurl http://10.0.0.7:8433/\n```", "10.0.0.7 is no host that a page should name"),
        ("commands", "`tidegate statsu`", "No such command 'statsu'"),
        ("commands", "`tidegate status --wacth`", "No such option '--wacth'"),
        ("commands", "`tidegate config delete port`", "No such command 'delete'"),
        ("commands", "`tidegate connect emacs`", "'emacs' is not one of"),
        ("commands", "`tidegate autostart on|of`", "No such command 'of'"),
        ("commands", "```sh\nmake run && sudo tidegate pins Work  # why\n```", "No such command 'pins'"),
        ("commands", '```sh\ncurl -H "x: $(tidegate tokn)" http://127.0.0.1\n```', "No such command 'tokn'"),
        ("commands", "```sh\ntidegate pin\n```", "Missing argument 'ACCOUNT'"),
        ("commands", "```sh\ntidegate config\n```", "a command is missing"),
        ("commands", "```sh\ntidegate pin Work --for soon\n```", "'soon' is no duration"),
        ("commands", "| `tidegate mute Work on\\|of` |", "'of' is not one of"),
        ("make targets", "`make tea`", "`make tea` is no target"),
        ("make targets", "```sh\ncd x && make tea\n```", "`make tea` is no target"),
        ("variables", "`TIDEGATE_STRATGY`", "TIDEGATE_STRATGY is not in the code"),
        ("variables", "```sh\nexport TIDEGATE_POTR=1\n```", "TIDEGATE_POTR is not in the code"),
        ("files", "`core/gone.py`", "`core/gone.py` is neither a file nor named in the code"),
        ("files", "`~/.claude/setings.json`", "`~/.claude/setings.json` is neither a file nor named in the code"),
        ("files", "`configs.json`", "`configs.json` is neither a file nor named in the code"),
        ("blocks", "```json\n{'a': 1}\n```", "a block of `json` does not read"),
        ("blocks", "```jsonc\n{a: 1}\n```", "a block of `jsonc` does not read"),
        ("blocks", "```python\ndef\n```", "a block of `python` does not read"),
        ("blocks", "```sh\nif true; then\n```", "a block of `sh` does not read"),
        ("blocks", "```js\nconst = 1;\n```", "a block of `js` does not read"),
        ("blocks", "```ini\nno section\n```", "a block of `ini` does not read"),
        ("blocks", "```toml\na =\n```", "a block of `toml` does not read"),
        ("blocks", "```cobol\n```", "no reader for a block of `cobol`"),
    ],
)
def test_a_wrong_page_is_found_out(check: str, text: str, complaint: str) -> None:
    (found,) = wrong(text, check)
    assert complaint in found


@pytest.mark.parametrize(
    ("check", "text"),
    [
        ("links", "[a](json.md#snapshot), [b](../README.md) and `[no](link)`"),
        ("addresses", "http://127.0.0.1:8433 and https://api.anthropic.com/v1"),
        ("commands", "`tidegate connect NAME --print`, `tidegate pin`, `tidegate autostart on|off`, `tidegate --help`"),
        ("commands", "```sh\nLANG=C tidegate status --json | jq . > x  # tidegate nonsense\n```"),
        ("commands", "```sh\ntidegate run -- claude --anything\n```"),
        ("commands", "```text\ntidegate is a word here\n```"),
        ("make targets", "`make lint`, and to make sure is no target"),
        ("variables", "`TIDEGATE_PORT`, `$ANTHROPIC_BASE_URL`, and ANTHROPIC_NONSENSE outside of code"),
        ("files", "`core/policy/pool.py::choose`, `test_<module>.py`, `~/.claude/settings.json`, `config.json`"),
        ("blocks", '```jsonc\n{"a": 1, // why\n}\n```'),
    ],
)
def test_a_right_page_is_let_be(check: str, text: str) -> None:
    assert wrong(text, check) == []


@pytest.mark.parametrize(
    ("message", "is_ours"),
    [
        ("The keychain is locked", True),
        ("Port 8433 is taken by python3 (pid 7)", True),
        ("Tidegate: no account can serve this. …", True),
        ("The keychain is on fire", False),
        ("Port 8433 is free of charge", False),
        ("Somebody else listens on the port.", False),  # a docstring
        ("Tidegate: no account can server this. …", False),
    ],
)
def test_a_message_is_known_by_its_fixed_words(message: str, is_ours: bool) -> None:
    assert said.is_said(message) is is_ours


def test_a_quote_is_a_paragraph_with_a_bar() -> None:
    page = Page(ROOT / "made-up.md", "> One\n> message\n\ntext > no\n\n> Another\n")
    assert said.quoted(page) == ["One message", "Another"]


def test_figures_are_taken_from_the_tables_of_the_simulation() -> None:
    marked = "# Page\n\n<!-- what `make docs` takes from policy.md -->\nold\n<!-- until here -->\n\nrest\n"
    policy = (ROOT / "docs/policy.md").read_text(encoding="utf-8")
    written = reference.with_figures(marked, policy)
    assert "old" not in written
    assert written.startswith("# Page\n")
    assert written.endswith("<!-- until here -->\n\nrest\n")
    assert reference.with_figures(written, policy) == written
    (share,) = re.findall(r"\*\*developer\*\*.*?\| balanced +\| +([\d.]+)%", policy, re.DOTALL)
    assert re.search(rf"^\| `balanced` \| {re.escape(share)} % \|", written, re.MULTILINE)
