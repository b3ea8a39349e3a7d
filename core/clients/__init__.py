"""Programs that use Tidegate: what each needs in its settings. One file and one row of `CLIENTS` each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.clients import claude_code, opencode


@dataclass(frozen=True, slots=True)
class Client:
    """One program: its name for people, the file that holds its settings, and what to put there."""

    name: str
    file: str
    settings: Callable[[str, str], str]
    """(address of Tidegate, local key) to JSON text, to merge into `file`."""


CLIENTS: Mapping[str, Client] = {
    "claude-code": Client("Claude Code", "~/.claude/settings.json", claude_code.settings),
    "opencode": Client("OpenCode", "~/.config/opencode/opencode.json", opencode.settings),
}
