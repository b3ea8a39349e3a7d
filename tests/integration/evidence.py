"""Secrets that a test knows, and the search for them where they must not be: files, outputs, answers, processes."""

import base64
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

PIECE = 20
"""Characters of a secret that give it away: what is cut short is found, and chance is ruled out (120 bits)."""
_PREFIXES = ("sk-ant-oat01-", "sk-ant-ort01-", "sk-ant-api03-", "sk-", "tg-", "ac_")


def encodings(piece: str) -> dict[str, set[bytes]]:
    """A piece of a secret as it could hide, by the name of the encoding."""
    raw = piece.encode()
    percent = "".join(f"%{byte:02X}" for byte in raw)
    return {
        "plain": {raw},
        "base64": set(_inside_base64(raw)),
        "base64url": {text.replace(b"+", b"-").replace(b"/", b"_") for text in _inside_base64(raw)},
        "hex": {raw.hex().encode(), raw.hex().upper().encode()},
        "URL": {percent.encode(), percent.lower().encode()} | ({quote(piece, safe="").encode()} - {raw}),
        "UTF-16": {piece.encode("utf-16-le"), piece.encode("utf-16-be")},
    }


def _inside_base64(raw: bytes) -> Iterator[bytes]:
    """The characters that only `raw` decides, for each of the three ways in which it can lie between other bytes."""
    for before in range(3):
        text = base64.b64encode(bytes(before) + raw)
        yield text[-(-8 * before // 6) : 8 * (before + len(raw)) // 6]


def pieces(secret: str) -> set[str]:
    """The beginning and the end of what is secret in it."""
    core = next((secret.removeprefix(prefix) for prefix in _PREFIXES if secret.startswith(prefix)), secret)
    assert len(core) >= PIECE, "too short to be told from chance"
    return {core[:PIECE], core[-PIECE:]}


def hits(places: Mapping[str, bytes], secrets: Mapping[str, str]) -> list[str]:
    """Where which secret is, in which encoding. `secrets` and `places` go by their names."""
    needles = [
        (f"{name} as {encoding}", form)
        for name, secret in secrets.items()
        for piece in pieces(secret)
        for encoding, forms in encodings(piece).items()
        for form in forms
    ]
    return sorted({f"{place}: {what}" for place, held in places.items() for what, form in needles if form in held})


def files_below(*folders: Path, but: Collection[Path] = ()) -> dict[str, bytes]:
    """Every file with its content, also under its name: a secret may be in that as well."""
    found = {}
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and path not in but:
                found[str(path)] = str(path).encode() + b"\n" + path.read_bytes()
    return found


def processes_below(pid: int) -> dict[str, bytes]:
    """Arguments and environment of a process and of all that it has started, as everybody or its user can see them."""
    parents = dict(_parents())
    found = {}
    for one in parents:
        line = one
        while line != pid and line in parents:
            line = parents[line]
        if line == pid:
            with suppress(OSError):  # it has ended
                for name in ("cmdline", "environ"):
                    found[f"{name} of {one}"] = Path(f"/proc/{one}/{name}").read_bytes()
    return found


def _parents() -> Iterator[tuple[int, int]]:
    """Every process with its parent."""
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            if folder.name.isdigit():
                yield int(folder.name), int((folder / "stat").read_text().rpartition(")")[2].split()[1])
