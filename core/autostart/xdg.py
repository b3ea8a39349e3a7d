"""Autostart on Linux desktops: a desktop entry in the person's autostart folder.

https://specifications.freedesktop.org/autostart-spec/latest/ and, for the quoting of `Exec`, the Desktop Entry
Specification, section "The Exec key".
"""

from collections.abc import Sequence
from pathlib import Path

from core.errors import TidegateError
from core.files import make_folder, write_atomic

NAME = "autostart/tidegate.desktop"
ENTRY = """[Desktop Entry]
Type=Application
Name=Tidegate
Comment=Several coding-agent accounts that behave as one
Exec={line}
TryExec={program}
Icon=tidegate
Terminal=false
StartupNotify=false
X-GNOME-Autostart-enabled=true
"""
HIDDEN = """[Desktop Entry]
Type=Application
Name=Tidegate
Hidden=true
"""
_IN_QUOTES = str.maketrans({character: f"\\{character}" for character in '"`$\\'})
_NOT_IN_A_PROGRAM = frozenset("%=")
"""The specification forbids `=`; GLib looks for the program before it makes one `%` of two (2.74, tried)."""
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+=:,@")


class DesktopEntry:
    """One file below `config` ($XDG_CONFIG_HOME), which goes before one of its name in the `shared` folders."""

    def __init__(self, config: Path, shared: Sequence[Path]) -> None:
        self._file = config / NAME
        self._shared = [folder / NAME for folder in shared]

    @property
    def place(self) -> str:
        """The file."""
        return str(self._file)

    def line(self, command: Sequence[str]) -> str:
        """The value of `Exec`. Raises TidegateError for what no entry can start."""
        if set(command[0]) & _NOT_IN_A_PROGRAM:
            raise TidegateError(
                f"{command[0]} cannot be started at login", "Put it into a folder without % and = in its name."
            )
        return " ".join(map(_quoted, command))

    def write(self, command: Sequence[str]) -> None:
        """Write the entry; one that hid a shared one, too."""
        make_folder(self._file.parent)
        # TryExec takes a path as it is: no quotes, no field codes.
        text = ENTRY.format(line=self.line(command), program=_escaped(command[0]))
        write_atomic(self._file, text.encode())

    def remove(self) -> None:
        """Delete the entry, or hide the one that the distribution or the administrator made."""
        if any(file.exists() for file in self._shared):
            make_folder(self._file.parent)
            write_atomic(self._file, HIDDEN.encode())
        else:
            self._file.unlink(missing_ok=True)

    def read(self) -> str | None:
        """What the session starts: desktops switch an entry off by hiding it or by a key of their own."""
        for file in (self._file, *self._shared):
            try:
                keys = _keys(file.read_text(encoding="utf-8", errors="replace"))
            except FileNotFoundError:
                continue
            off = keys.get("Hidden") == "true" or keys.get("X-GNOME-Autostart-enabled") == "false"
            return None if off else keys.get("Exec")
        return None


def _quoted(argument: str) -> str:
    """One argument of `Exec`: quoted if it must be, with `%` doubled, then escaped as every value of the file is."""
    if any(ord(character) < ord(" ") for character in argument):
        raise TidegateError(f"{argument!r} cannot be started at login", "Its name has a line break or the like in it.")
    if not argument or set(argument) - _PLAIN:
        argument = f'"{argument.translate(_IN_QUOTES)}"'
    return _escaped(argument.replace("%", "%%"))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\")


def _keys(text: str) -> dict[str, str]:
    """The first group of the file. A missing or broken file has none."""
    keys: dict[str, str] = {}
    group = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            group = line
        elif group == "[Desktop Entry]" and "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            keys[key.strip()] = value.strip()
    return keys
