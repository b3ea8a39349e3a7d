"""What a connected program can have besides its accounts: Tidegate's tools (MCP) and its status line.

They hold no key: what they start reads from the running instance, as the person's own `tidegate` does.
"""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from core.clients.base import Client, Get, Offered, Setting
from core.clients.claude_code import CLAUDE_CODE
from core.clients.opencode import OPENCODE


def _state_file(environ: Mapping[str, str]) -> Sequence[str]:
    # Servers of one person stand in Claude Code's state, not in its settings (measured 2026-08).
    return ("{claude}/.claude.json" if environ.get("CLAUDE_CONFIG_DIR") else "{home}/.claude.json",)


def _claude_tools(offered: Offered) -> Sequence[Setting]:
    command, *words = *offered.command, "mcp"
    value = {"type": "stdio", "command": command, "args": words, "env": {}}
    return [Setting(("mcpServers", "tidegate"), value, ours=_any)]


def _opencode_tools(offered: Offered) -> Sequence[Setting]:
    value = {"type": "local", "command": [*offered.command, "mcp"], "enabled": True}
    return [Setting(("mcp", "tidegate"), value, ours=_any)]


def _status_line(offered: Offered) -> Sequence[Setting]:
    value = {"type": "command", "command": shlex.join([*offered.command, "statusline"])}
    return [Setting(("statusLine",), value, ours=_is_our_line)]


def _any(_: Any) -> bool:
    """The setting bears our name: whatever its value, it was never the person's own."""
    return True


def _is_our_line(value: Any) -> bool:
    command = value.get("command") if isinstance(value, dict) else None
    return isinstance(command, str) and "--data-dir" in command and command.endswith(" statusline")


def _anew(_: Get, __: Mapping[str, str]) -> Sequence[str]:
    return ("Its tools are there when the program is started anew.",)


def _instead(get: Get, _: Mapping[str, str]) -> Sequence[str]:
    return ("A status line of your own rests meanwhile.",) if get("statusLine") else ()


ADDITIONS: Mapping[str, Client] = {
    "claude-code-mcp": Client("Claude Code (tools)", _state_file, _claude_tools, _anew),
    "claude-code-statusline": Client("Claude Code (status line)", CLAUDE_CODE.places, _status_line, _instead),
    "opencode-mcp": Client("OpenCode (tools)", OPENCODE.places, _opencode_tools, _anew),
}
"""By the program's name and what is added."""
