"""Claude Code in VS Code: the extension's own list of variables (documented setting, 2026-08)."""

from collections.abc import Mapping, Sequence

from core.clients.base import Client, IsSet, Offered, Setting, by_name, environment, without_names


def _places(_: Mapping[str, str]) -> Sequence[str]:
    user = "Code/User/settings.json"
    return (f"{{config}}/{user}", f"{{home}}/Library/Application Support/{user}", f"{{APPDATA}}/{user}")


def _settings(offered: Offered) -> Sequence[Setting]:
    entries = [{"name": name, "value": value} for name, value in environment(offered).items()]
    return [Setting(("claudeCode.environmentVariables",), entries, secret=True, merged=by_name, parted=without_names)]


def _notes(_: IsSet, __: Mapping[str, str]) -> Sequence[str]:
    return ("Reload the window of VS Code for it to count.",)


VSCODE = Client("Claude Code in VS Code", _places, _settings, _notes)
