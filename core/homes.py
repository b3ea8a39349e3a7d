"""Where other programs keep their files: what the names in their places stand for. Pure."""

from collections.abc import Iterable, Mapping


def folders(home: str, environ: Mapping[str, str], variables: Iterable[str]) -> Mapping[str, str]:
    """The variables that are set, of those that are asked for, and the folders that they move."""
    known = {name: value for name in variables if (value := environ.get(name))}
    return known | {
        "home": home,
        "claude": known.get("CLAUDE_CONFIG_DIR", f"{home}/.claude"),
        "config": known.get("XDG_CONFIG_HOME", f"{home}/.config"),
        "data": known.get("XDG_DATA_HOME", f"{home}/.local/share"),
    }
