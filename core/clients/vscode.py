"""Claude Code in VS Code: the extension's own list of variables (documented setting, 2026-08)."""

from collections.abc import Iterator, Mapping, Sequence

from core.clients.base import Client, Get, Offered, Setting, by_name, environment, without_names
from core.clients.claude_code import other_credentials

_LIST = "claudeCode.environmentVariables"


def _places(_: Mapping[str, str]) -> Sequence[str]:
    user = "Code/User/settings.json"
    return (f"{{config}}/{user}", f"{{home}}/Library/Application Support/{user}", f"{{APPDATA}}/{user}")


def _settings(offered: Offered) -> Sequence[Setting]:
    entries = [{"name": name, "value": value} for name, value in environment(offered).items()]
    return [Setting((_LIST,), entries, secret=True, merged=by_name, parted=without_names)]


def _notes(get: Get, environ: Mapping[str, str]) -> Iterator[str]:
    listed = get(_LIST)
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    variables = {str(entry.get("name")): str(entry.get("value", "")) for entry in entries}
    yield from other_credentials({**environ, **variables})
    yield "Reload the window of VS Code for it to count."


VSCODE = Client("Claude Code in VS Code", _places, _settings, _notes)
