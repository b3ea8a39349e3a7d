"""The account files of other programs in tests/wire/imports: read, made into databases, laid out in a home folder."""

import base64
import re
import sqlite3
from contextlib import closing
from pathlib import Path

from core.import_read import Where, below
from core.imports.found import Finding, KeychainItem

FOLDER = Path(__file__).parent / "wire" / "imports"
ENDS_AT = 1_767_225_600.0
"""When the logins in the files end."""
SIGN = "EXAMPLE"
"""Part of every secret in them."""
ADA = ("11111111-2222-4333-8444-555555555555", "66666666-7777-4888-9999-000000000000")
GRACE = ("22222222-2222-4333-8444-555555555555", "77777777-7777-4888-9999-000000000000")


def content(name: str, ends_at: float = ENDS_AT) -> bytes:
    """A file, with its logins ending at another time."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    if ends_at != ENDS_AT:
        text = re.sub(r"\b1767225600(?=\d{3}\b|\b)", str(int(ends_at)), text)
    return text.encode()


def put(path: Path, name: str, ends_at: float = ENDS_AT) -> Path:
    """Lay a file out at `path`; what is SQL becomes a database."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith(".sql"):
        with closing(sqlite3.connect(path)) as database:
            database.executescript(content(name, ends_at).decode())
    else:
        path.write_bytes(content(name, ends_at))
    return path


def put_claude_swap(folder: Path, ends_at: float = ENDS_AT) -> Path:
    """claude-swap's store: two logins, a key, and an account whose credential is gone."""
    sequence = put(folder / "sequence.json", "claude-swap-sequence.json")
    (folder / "credentials").mkdir()
    login = content("claude-code.json", ends_at)
    for name, credential in (
        ("1-ada@example.org", login),
        ("2-grace@example.org", login.replace(b"EXAMPLE-claude-code", b"EXAMPLE-swap-2")),
        ("3-key@example.org", b"sk-ant-api03-EXAMPLE-swap"),
    ):
        (folder / "credentials" / f".creds-{name}.enc").write_bytes(base64.b64encode(credential))
    return sequence


def nowhere(platform: str = "linux", keychain: dict[KeychainItem, str] | None = None, home: Path = FOLDER) -> Where:
    """A place without an environment; its keychain holds what the test says."""
    return Where(home, {"USER": "ada"}, platform, (keychain or {}).get)


def found_in(path: Path) -> list[Finding]:
    """What a file or folder holds."""
    return list(below(path, nowhere()))


def state_of(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """Every file below, with content, time of change and mode."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
