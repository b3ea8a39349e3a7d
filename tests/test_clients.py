"""What every client's settings must be; a new client is one more row of `CLIENTS`."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import anthropic
import pytest

from core import jsonc
from core.clients import ADDITIONS, CLIENTS, Client, Offered, additions, places, printed
from core.clients.env_lines import DOTENV, EXPORT, FISH, EnvLines, form_of

ADDRESS = "http://127.0.0.1:8433"
OFFERED = Offered(ADDRESS, "tg-EXAMPLE")
ENVIRON = {"SHELL": "/bin/zsh", "PWD": "/home/ada/project", "APPDATA": "/home/ada/roaming"}
every_client = pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)


@every_client
def test_the_settings_hold_address_and_key_and_only_the_key_is_secret(client: Client) -> None:
    settings = client.settings(OFFERED)

    assert {setting.secret for setting in settings} >= {True}
    assert any(ADDRESS in json.dumps(setting.value) for setting in settings)
    assert all(setting.secret == ("tg-EXAMPLE" in json.dumps(setting.value)) for setting in settings)
    assert "tg-EXAMPLE" not in repr(OFFERED)


@every_client
def test_the_settings_are_somewhere_in_the_persons_home(client: Client) -> None:
    assert all(place.startswith("/home/ada/") for place in places(client, "/home/ada", ENVIRON))
    assert places(client, "/home/ada", {"PWD": "/home/ada"})


@every_client
def test_what_is_printed_reads_as_its_settings(client: Client) -> None:
    text, form = printed(client, OFFERED), client.form(client.places({})[0])

    assert all(form.get(text, s.path) == (True, s.merged(None, s.value)) for s in client.settings(OFFERED))


@every_client
def test_what_was_merged_can_be_parted_again(client: Client) -> None:
    theirs = [{"name": "EDITOR", "value": "vim"}]
    for setting in client.settings(OFFERED):
        if setting.parted:
            assert setting.parted(setting.merged(theirs, setting.value), setting.value) == theirs
            assert setting.parted(setting.merged(None, setting.value), setting.value) is None


def test_claude_code_gets_the_base_url_without_v1() -> None:
    assert jsonc.read(printed(CLIENTS["claude-code"], OFFERED)) == {
        "env": {"ANTHROPIC_BASE_URL": ADDRESS, "ANTHROPIC_AUTH_TOKEN": "tg-EXAMPLE"}
    }


CLOUD = "CLAUDE_CODE_USE_BEDROCK is set and goes before Tidegate: Amazon Bedrock would be asked. Take it out."


@pytest.mark.parametrize(
    ("client", "text", "environ", "said"),
    [
        (
            "claude-code",
            '{"env": {"ANTHROPIC_API_KEY": "x"}}',
            {},
            ["It also has ANTHROPIC_API_KEY. Tidegate's key goes"],
        ),
        ("claude-code", "{}", {"ANTHROPIC_API_KEY": "x"}, ["It also has ANTHROPIC_API_KEY. Tidegate's key goes first"]),
        (
            "claude-code",
            "{}",
            {"CLAUDE_CODE_OAUTH_TOKEN": "x"},
            ["It also has CLAUDE_CODE_OAUTH_TOKEN. Tidegate's key"],
        ),
        ("claude-code", '{"apiKeyHelper": "x"}', {}, ["It also has apiKeyHelper. Tidegate's key goes first"]),
        ("claude-code", '{"env": {"CLAUDE_CODE_USE_BEDROCK": "1"}}', {}, [CLOUD]),
        ("claude-code", "{}", {"CLAUDE_CODE_USE_BEDROCK": "true"}, [CLOUD]),
        ("claude-code", '{"env": {"CLAUDE_CODE_USE_BEDROCK": "0"}}', {"CLAUDE_CODE_USE_BEDROCK": "1"}, []),
        ("claude-code", '{"env": {"EDITOR": "vim"}}', {"ANTHROPIC_API_KEY": ""}, []),
        (
            "vscode",
            '{"claudeCode.environmentVariables": [{"name": "ANTHROPIC_API_KEY", "value": "x"}, 7]}',
            {"CLAUDE_CODE_USE_BEDROCK": "1"},
            [CLOUD, "It also has ANTHROPIC_API_KEY. Tidegate's key goes first"],
        ),
        ("opencode", "{}", {"OPENCODE_CONFIG_CONTENT": "{}"}, ["OPENCODE_CONFIG_CONTENT is set here and goes before"]),
        ("shell", "export ANTHROPIC_API_KEY=x\n", {}, ["ANTHROPIC_API_KEY is set here as well: Anthropic's SDKs send"]),
        ("shell", "", {"ANTHROPIC_API_KEY": "x"}, ["ANTHROPIC_API_KEY is set here as well: Anthropic's SDKs send"]),
        ("anthropic-sdk", "ANTHROPIC_API_KEY=x\n", {}, ["Its own ANTHROPIC_API_KEY rests meanwhile."]),
        ("anthropic-sdk", "", {"ANTHROPIC_API_KEY": "x"}, ["ANTHROPIC_API_KEY is set here: programs take that before"]),
    ],
)
def test_two_credentials_at_once_are_explained(
    client: str, text: str, environ: dict[str, str], said: Sequence[str]
) -> None:
    form = CLIENTS[client].form(".env" if client == "anthropic-sdk" else "settings")

    def noted(text: str, environ: Mapping[str, str]) -> Sequence[str]:
        return [*CLIENTS[client].notes(lambda *path: form.get(text, path)[1], environ)]

    more = [note for note in noted(text, environ) if note not in noted("", {})]

    assert [note.startswith(beginning) for note, beginning in zip(more, said, strict=True)] == [True] * len(said)


def test_of_two_credentials_in_a_projects_file_the_sdk_sends_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    client, text = CLIENTS["anthropic-sdk"], "ANTHROPIC_API_KEY=theirs\nANTHROPIC_AUTH_TOKEN=theirs-too\n"
    for setting in client.settings(OFFERED):
        text = DOTENV.put(text, setting.path, setting.value)
    for line in text.splitlines():
        monkeypatch.setenv(*line.split("=", 1))

    sdk = anthropic.Anthropic()

    assert str(sdk.base_url).rstrip("/") == ADDRESS
    assert sdk.auth_headers == {"Authorization": "Bearer tg-EXAMPLE"}


def test_opencode_keeps_its_providers_ids_and_gets_the_base_urls_with_v1() -> None:
    providers = jsonc.read(printed(CLIENTS["opencode"], Offered(ADDRESS, "tg-EXAMPLE", {"m-1": "Model 1"})))["provider"]

    v1 = {"baseURL": f"{ADDRESS}/v1", "apiKey": "tg-EXAMPLE"}
    assert providers == {
        "anthropic": {"options": v1},
        "opencode-go": {"options": {"baseURL": f"{ADDRESS}/zen/go/v1", "apiKey": "tg-EXAMPLE"}},
        "tidegate": {
            "npm": "@ai-sdk/anthropic",
            "name": "Tidegate",
            "options": v1,
            "models": {"m-1": {"name": "Model 1 (Tidegate)"}},
        },
    }


def test_opencode_has_models_when_nobody_tells_any() -> None:
    assert jsonc.read(printed(CLIENTS["opencode"], OFFERED))["provider"]["tidegate"]["models"]


@pytest.mark.parametrize(
    ("shell", "file"),
    [
        ("/usr/bin/zsh", "/home/ada/.zshrc"),
        ("/usr/bin/fish", "/home/ada/.config/fish/conf.d/tidegate.fish"),
        ("/bin/bash", "/home/ada/.bashrc"),
        ("", "/home/ada/.bashrc"),
    ],
)
def test_a_shell_has_its_own_start_file(shell: str, file: str) -> None:
    assert places(CLIENTS["shell"], "/home/ada", {"SHELL": shell}) == (file,)


# --- lines of variables ----------------------------------------------------------------------------


@pytest.mark.parametrize("form", [EXPORT, FISH, DOTENV], ids=["export", "fish", "dotenv"])
@pytest.mark.parametrize("before", ["", "# mine\n", "alias x='y'\nOTHER=1", "\n\n"])
@pytest.mark.parametrize("value", ["http://127.0.0.1:8433", "it's", "a b", "", "$HOME"])
def test_a_variable_is_put_and_dropped_and_nothing_else_moves(form: EnvLines, before: str, value: str) -> None:
    text = form.put(before, ("NAME",), value)

    assert form.get(text, ("NAME",)) == (True, value)
    assert form.put(text, ("NAME",), value) == text
    again = form.put(text, ("NAME",), "other")
    assert form.get(again, ("NAME",)) == (True, "other")
    assert form.drop(text, ("NAME",)).rstrip("\n") == before.rstrip("\n")
    assert form.get(before, ("NAME",)) == (False, None)


@pytest.mark.parametrize(
    ("form", "text", "value"),
    [
        (EXPORT, "export NAME=a\nexport NAME='b'\n", "b"),
        (EXPORT, "  NAME=a\n", "a"),
        (EXPORT, "NAMESAKE=a\n", None),
        (EXPORT, "# export NAME=a\n", None),
        (FISH, "set -gx NAME a\n", "a"),
        (FISH, "set NAME a\n", None),
        (DOTENV, 'NAME="a b"\n', "a b"),
    ],
)
def test_the_line_that_counts_is_read(form: EnvLines, text: str, value: Any) -> None:
    assert form.get(text, ("NAME",)) == (value is not None, value)


def test_a_line_that_does_not_read_says_so() -> None:
    with pytest.raises(ValueError, match="the line of NAME does not read"):
        EXPORT.get("export NAME='a\n", ("NAME",))


@pytest.mark.parametrize(("name", "form"), [("a/x.fish", FISH), ("a/.env", DOTENV), ("a/.zshrc", EXPORT)])
def test_the_kind_of_lines_is_known_by_the_files_name(name: str, form: EnvLines) -> None:
    assert form_of(name) == form


# --- what is added to a program --------------------------------------------------------------------

COMMAND = ("/opt/tide gate/tidegate", "--data-dir", "/home/ada/.local/share/tidegate")


def test_every_addition_belongs_to_a_program_and_holds_no_key() -> None:
    added = {name: additions(name) for name in CLIENTS}

    assert added["claude-code"] == {"mcp": "claude-code-mcp", "statusline": "claude-code-statusline"}
    assert added["opencode"] == {"mcp": "opencode-mcp"}
    assert sorted(name for names in added.values() for name in names.values()) == sorted(ADDITIONS)
    for client in ADDITIONS.values():
        assert not any(setting.secret for setting in client.settings(OFFERED))
        assert "tg-EXAMPLE" not in printed(client, OFFERED)


def test_the_additions_start_this_installation() -> None:
    said = {name: jsonc.read(printed(client, Offered("", "", {}, COMMAND))) for name, client in ADDITIONS.items()}

    server = {"type": "stdio", "command": COMMAND[0], "args": [*COMMAND[1:], "mcp"], "env": {}}
    line = f"'{COMMAND[0]}' --data-dir {COMMAND[2]} statusline"
    assert said == {
        "claude-code-mcp": {"mcpServers": {"tidegate": server}},
        "claude-code-statusline": {"statusLine": {"type": "command", "command": line}},
        "opencode-mcp": {"mcp": {"tidegate": {"type": "local", "command": [*COMMAND, "mcp"], "enabled": True}}},
    }


@pytest.mark.parametrize(
    ("environ", "file"),
    [({}, "/home/ada/.claude.json"), ({"CLAUDE_CONFIG_DIR": "/home/ada/c"}, "/home/ada/c/.claude.json")],
)
def test_claude_codes_tools_stand_in_its_state_file(environ: dict[str, str], file: str) -> None:
    assert places(ADDITIONS["claude-code-mcp"], "/home/ada", environ) == (file,)


@pytest.mark.parametrize(
    ("value", "ours"),
    [
        ({"type": "command", "command": "/old/tidegate --data-dir /x statusline"}, True),
        ({"type": "command", "command": "~/.claude/statusline.sh"}, False),
        ("x", False),
    ],
)
def test_a_status_line_that_tidegate_has_left_is_known(value: Any, *, ours: bool) -> None:
    (setting,) = ADDITIONS["claude-code-statusline"].settings(OFFERED)
    assert setting.ours(value) is ours


def test_a_status_line_of_the_persons_own_is_mentioned() -> None:
    client = ADDITIONS["claude-code-statusline"]
    assert [*client.notes(lambda *_: True, {})] == ["A status line of your own rests meanwhile."]
    assert [*client.notes(lambda *_: False, {})] == []
