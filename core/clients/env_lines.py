"""Settings as lines of a shell's start file, or of a `.env` file: one variable a line. Pure."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_VALUE = r"(?P<value>'[^']*'|\"[^\"\n]*\"|[^\s#;]*)"


@dataclass(frozen=True, slots=True)
class EnvLines:
    """Lines of one kind: `before` and `between` stand around a variable's name."""

    before: str
    between: str

    def get(self, text: str, path: Sequence[str]) -> tuple[bool, Any]:
        """The value that counts: the last line that sets it."""
        found = list(self._line(path[0]).finditer(text))
        if not found:
            return False, None
        try:
            return True, "".join(shlex.split(found[-1]["value"]))
        except ValueError as exc:
            raise ValueError(f"the line of {path[0]} does not read: {exc}") from exc

    def put(self, text: str, path: Sequence[str], value: Any) -> str:
        """The value in place of the last line's, else as a line at the end."""
        line = f"{self.before}{path[0]}{self.between}{shlex.quote(str(value))}"
        if found := list(self._line(path[0]).finditer(text)):
            return f"{text[: found[-1].start()]}{line}{text[found[-1].end() :]}"
        return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{line}\n"

    def drop(self, text: str, path: Sequence[str]) -> str:
        """The text without the last line that sets it."""
        found = list(self._line(path[0]).finditer(text))
        if not found:
            return text
        end = found[-1].end()
        return text[: found[-1].start()] + text[end + 1 if text[end : end + 1] == "\n" else end :]

    def _line(self, name: str) -> re.Pattern[str]:
        start = re.escape(self.before.strip()).replace(r"\ ", r"\s+")
        # Possessive: a line of a thousand spaces is read once.
        lead = rf"[ \t]*+(?:{start}[ \t]++)?" if self.between == "=" else rf"[ \t]*+{start}[ \t]++"
        between = re.escape(self.between.strip()) or r"[ \t]+"
        return re.compile(rf"^{lead}{re.escape(name)}{between}{_VALUE}[ \t]*$", re.MULTILINE)


EXPORT = EnvLines("export ", "=")
FISH = EnvLines("set -gx ", " ")
DOTENV = EnvLines("", "=")


def form_of(name: str) -> EnvLines:
    """The kind of lines in a file of this name."""
    if name.endswith(".fish"):
        return FISH
    return DOTENV if name.rpartition("/")[2] == ".env" else EXPORT
