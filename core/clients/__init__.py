"""Programs that use Tidegate: what each needs in its settings. One row of `CLIENTS` each. Pure."""

from collections.abc import Mapping

from core.clients.agents import ADDITIONS
from core.clients.base import Client, Offered
from core.clients.claude_code import CLAUDE_CODE
from core.clients.opencode import OPENCODE
from core.clients.shells import SDK, SHELL
from core.clients.vscode import VSCODE
from core.homes import folders

__all__ = [
    "ADDITIONS",
    "CLIENTS",
    "VARIABLES",
    "Client",
    "Offered",
    "additions",
    "entry",
    "on_this_machine",
    "places",
    "printed",
]

CLIENTS: Mapping[str, Client] = {
    "claude-code": CLAUDE_CODE,
    "opencode": OPENCODE,
    "vscode": VSCODE,
    "anthropic-sdk": SDK,
    "shell": SHELL,
}
VARIABLES = (
    *("CLAUDE_CONFIG_DIR", "XDG_CONFIG_HOME", "APPDATA", "SHELL", "PWD", "OPENCODE_CONFIG", "OPENCODE_CONFIG_CONTENT"),
    *("ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"),
    *("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY"),
)
"""The environment that says where programs keep their settings, and what else they would use."""


def entry(name: str) -> Client:
    """What stands behind a name: a program, or what is added to one. Raises KeyError."""
    return CLIENTS[name] if name in CLIENTS else ADDITIONS[name]


def additions(name: str) -> Mapping[str, str]:
    """What can be added to a program: `mcp`, `statusline`, each with the name of its entry."""
    return {added.removeprefix(f"{name}-"): added for added in ADDITIONS if added.startswith(f"{name}-")}


def belonging(name: str) -> frozenset[str]:
    """The names of a program's entries: its own, and those of all that can be added to it."""
    return frozenset({name, *additions(name).values()})


def places(client: Client, home: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Where the settings may be; those whose folder is not known are left out."""
    known = folders(home, environ, VARIABLES)
    found = []
    for place in client.places(environ):
        try:
            found.append(place.format_map(known))
        except KeyError:
            continue
    return tuple(found)


def on_this_machine() -> Mapping[str, Client]:
    """Programs that have one place for a person's settings, and not one in each project."""
    return {name: client for name, client in CLIENTS.items() if places(client, "~", {})}


def printed(client: Client, offered: Offered) -> str:
    """The settings as a whole file would have them, for somebody who merges them by hand."""
    form, text = client.form(client.places({})[0]), ""
    for setting in client.settings(offered):
        text = form.put(text, setting.path, setting.value)
    return text
