"""A person's home with programs in it, and an installation of Tidegate beside it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from core import jsonc
from core.clients import Offered
from core.connecting import Deed, Where, carry_out, connect, plan
from core.files import Paths, write_atomic

ADDRESS = "http://127.0.0.1:8433"
OFFERED = Offered(ADDRESS, "tg-EXAMPLE-1")
AGAIN = Offered(ADDRESS, "tg-EXAMPLE-2")
FULL = Offered(ADDRESS, "", command=("/opt/tidegate", "--data-dir", "/data"))
THEIRS = '{\n  // mine\n  "env": {"EDITOR": "vim"}, /* last */\n  "hooks": []\n}\n'
TOGETHER = ("claude-code", "claude-code-mcp", "claude-code-statusline")
OWN_LINE = '{\n  "statusLine": {"type": "command", "command": "~/line.sh"}, // mine\n  "model": "opus"\n}\n'
STATE = '{"projects": {}, "mcpServers": {"other": {"command": "x"}}}'
MODE = 0o777


class Desk:
    """A person's home and an installation."""

    def __init__(self, folder: Path) -> None:
        self.paths = Paths(folder / "tidegate")
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        self.where = Where(self.home, {"SHELL": "/bin/bash", "PWD": str(self.home), "APPDATA": str(self.home / "r")})
        self.settings = self.home / ".claude" / "settings.json"
        self._known = folder / "known"

    def has(self, text: str, mode: int = 0o644) -> None:
        self.settings.parent.mkdir(exist_ok=True)
        self.settings.write_text(text)
        self.settings.chmod(mode)

    def connect(self, client: str = "claude-code", offered: Offered = OFFERED) -> Path:
        made = plan(self.paths, client, self.where, offered)
        carry_out(self.paths, made)
        return made.file

    def together(self, names: Sequence[str], offered: Offered = FULL) -> Deed:
        """The whole deed, with a key of its own."""
        return connect(self.paths, names, self.where, offered, know=self.know, models=lambda _: {})

    @property
    def known(self) -> str:
        """The digest of the key that is good. It is on the disk, as in an installation."""
        return self._known.read_text() if self._known.exists() else ""

    def know(self, sha256: str) -> str:
        before = self.known
        write_atomic(self._known, sha256.encode())
        return before

    def env(self) -> Mapping[str, str]:
        env: Mapping[str, str] = jsonc.read(self.settings.read_text()).get("env", {})
        return env


def mode(file: Path) -> int:
    return file.stat().st_mode & MODE
