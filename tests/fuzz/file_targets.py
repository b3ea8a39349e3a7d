"""Files: our own after an accident, and those of other programs."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from core import config, connected, history, jsonc, log_reading, sealing, token_intents
from core.clients import ADDITIONS, CLIENTS
from core.clients.base import Form, Offered
from core.clients.env_lines import DOTENV, EXPORT, FISH
from core.errors import TidegateError, VaultError
from core.files import Paths
from core.import_read import PassphraseWanted, Where, below
from core.imports import IMPORTERS, TABLES, recognised
from core.imports.entry import Malformed, decoded
from core.imports.found import Database, Document, Found, Preferences, Problem
from core.logs import Entry, as_text, read
from core.model import Account, AccountId, AccountKind, ApiKey, Identity, Move, OAuthTokens, Pool, Settings
from core.vault_slots import Slots, Stored
from tests.fakes_vault import MemoryBackend
from tests.fuzz.targets import pieces, target
from tests.fuzz.wire_targets import finite

WIRE = Path(__file__).parents[1] / "wire" / "imports"


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


# --- our own ---------------------------------------------------------------------------------------

CONFIG = msgspec.json.encode(
    config.Config(
        "0123456789abcdef",
        local_key_sha256="a" * 64,
        client_keys={"opencode": "b" * 64},
        settings=replace(Settings(), port=9000),
        accounts=(Account(AccountId("a-1"), AccountKind.CLAUDE, "Work", Identity("u", "o", "e@example.org")),),
    )
)


@target(
    "config.json",
    [CONFIG, b'{"install_id":"x","version":99}', b'{"install_id":"x"}'],
    [b'"settings":', b'"accounts":', b'"version":', b'"port":', b'"id":'],
)
def a_config_reads_and_saves_or_is_put_aside(data: bytes) -> None:
    with folder() as there:
        path = there / "config.json"
        path.write_bytes(data)
        config.glance(path)
        try:
            config.peek(path)
        except TidegateError as exc:
            assert exc.title
        try:
            loaded = config.load(path)
        except TidegateError as exc:
            assert "newer" in exc.title
            return
        kept = [file.read_bytes() for file in there.iterdir()]
        assert data in kept  # in its place or aside
        if loaded.problem is not None:
            return
        changed = replace(loaded.config, local_key_sha256="c" * 64)
        config.save(path, changed)
        assert config.load(path).config == changed
        if any(there.glob("*.broken-*")):  # what was unknown in it did not read
            return
        old, new = json.loads(data), json.loads(path.read_bytes())
        assert set(old) - set(new) <= {"settings", "accounts"}  # what we do not know stays


@target(
    "a pool in the history",
    [msgspec.json.encode(Pool()), b'{"states":{"a":{}}}'],
    [b'"states":', b'"sessions":', b'"at":'],
)
def a_saved_row_reads_or_is_left_out(data: bytes) -> None:
    for kind in (Pool, Move):
        assert len(list(history._decoded([(data,)], kind))) <= 1  # type: ignore[type-var]


@target(
    "a slot of the vault",
    [b"1.0/1:{}", b'3.0/2:{"gen":3}'],
    [b".0/", b":", b'{"gen":', b'"sha":"', b"999999999999999999.0/99:"],
)
def a_slot_that_is_not_ours_is_overwritten_and_nothing_is_lost(data: bytes) -> None:
    backend = MemoryBackend()
    for place, text in zip(("a/0.0", "a/1.0", "a/0.1"), (*pieces(data), b""), strict=True):
        backend.items[place] = text.decode("latin-1")
    slots = Slots(backend)
    before = slots.newest("a")
    stored = Stored((before.generation if before else 0) + 1, OAuthTokens("a", "r", 2e9))
    try:
        slots.write("a", stored)
    except VaultError:
        assert slots.newest("a") == before
    else:
        assert slots.newest("a") == stored
    assert before is None or isinstance(before.credential, ApiKey | OAuthTokens)


@target("an intent", [b'{"generation":1,"fingerprint":"0badcafe","at":1.0}'], [b'"generation":', b'"at":'])
def an_intent_reads_or_is_none(data: bytes) -> None:
    with folder() as there:
        (there / "a.intent").write_bytes(data)
        token_intents._read(there / "a.intent")


RECORD = b'{"claude-code":{"file":"/home/a/.claude/settings.json","address":"http://127.0.0.1:8433","wrote_sha256":"a","keys":{"[\\"env\\",\\"A\\"]":["b"]}}}'


@target("connected.json", [RECORD], [b'"file":', b'"keys":', b'"mode":'])
def what_is_connected_reads_or_is_told(data: bytes) -> None:
    with folder() as there:
        paths = Paths(there)
        paths.connected.write_bytes(data)
        try:
            records = connected.records(paths)
        except TidegateError as exc:
            assert exc.hint
            return
        for name, record in records.items():
            connected.keep(paths, name, record)
        assert connected.records(paths) == records


@target(
    "the log",
    [b"2026-11-21 10:00:00,123 INFO [0badcafe] a: b\n  more\n", b'{"at":1.0,"level":"INFO","text":"a"}\n'],
    [
        b"2026-11-21 10:00:00,123 WARNING ",
        b"0001-01-01 00:00:00,000 ",
        b"9999-99-99 99:99:99,999 INFO x\n",
        b'{"at":',
        b'"level":"ERROR"',
        b"[0badcafe] ",
    ],
)
def the_log_reads_from_both_ends_alike(data: bytes) -> None:
    lines = data.decode(errors="replace").split("\n")[:-1]
    entries = list(read(lines))
    for entry in entries:
        assert as_text(entry)
    with folder() as there:
        paths = Paths(there)
        paths.log.parent.mkdir(parents=True, exist_ok=True)
        paths.log.write_bytes(data)
        last, seen = log_reading.tail(paths, 50)
        assert last == entries[-50:]
        assert log_reading.recent(paths, 50) == last
        assert seen.offset <= len(data)
        assert all(isinstance(entry, Entry) for entry in log_reading.recent(paths, 5, log_reading.TROUBLES))


@target(
    "a sealed part", [b'{"salt":"AAAA","check":"","nonce":"","content":""}', b'{"salt":5}'], [b'"salt":', b'"nonce":']
)
def a_seal_that_is_none_is_told(data: bytes) -> None:
    try:
        value = decoded(data)
    except Malformed:
        return
    try:
        sealing.unseal(value, "passphrase")
    except (sealing.Altered, sealing.WrongPassphrase):
        return
    raise AssertionError("it opened")


# --- settings of other programs --------------------------------------------------------------------

SETTINGS = [
    b'{\n  // mine\n  "env": {"A": "1",},\n  "model": "opus", /* x */\n}\n',
    b'{"provider":{"anthropic":{"options":{"baseURL":"https://a"}}},"plugin":["x"]}',
    b'{"claudeCode.environmentVariables":[{"name":"A","value":"b"}]}',
    b"",
    b"// nothing\n",
]
JSONC_WORDS = (
    b"/*",
    b"*/",
    b"//",
    b"\n",
    b",",
    b'"env"',
    b'"a":',
    b"{",
    b"}",
    b"[",
    b"]",
    b"\\",
    b'"\\u00e9"',
    b"1e5",
    b"-0",
    b"tru",
    b"\xef\xbb\xbf",
)
OURS: tuple[Any, ...] = ("http://127.0.0.1:8433", "tg-key 'with\" $(quotes)", ["a"], {"x": {"y": 1}}, 5, True, None)
PATHS = (("env", "ANTHROPIC_BASE_URL"), ("a",), ("provider", "anthropic", "options", "baseURL"))


@target("a settings file in JSON", SETTINGS, JSONC_WORDS)
def one_key_changes_and_the_rest_stays(data: bytes) -> None:
    text = data.decode(errors="replace")
    try:
        before = jsonc.read(text)
    except jsonc.Malformed:
        return
    for path in PATHS:
        for value in OURS:
            try:
                changed = jsonc.put(text, path, value)
            except jsonc.Malformed:
                continue
            assert jsonc.get(changed, path) == (True, value)
            assert jsonc.read(jsonc.put(changed, path, value)) == jsonc.read(changed)
            there, old = jsonc.get(text, path)
            undone = jsonc.put(changed, path, old) if there else jsonc.drop(changed, path)
            assert without_empty(jsonc.read(undone)) == without_empty(before)


def without_empty(value: Any) -> Any:
    """A document without the objects that were made on the way to a key."""
    if not isinstance(value, dict):
        return value
    cleaned = {key: without_empty(inner) for key, inner in value.items()}
    return {key: inner for key, inner in cleaned.items() if inner != {}}


@target(
    "a shell's start file",
    [
        b"export A=1\nexport ANTHROPIC_BASE_URL='x'  \nalias l=ls\n",
        b"set -gx ANTHROPIC_BASE_URL x\n",
        b"ANTHROPIC_BASE_URL=x\n",
    ],
    [b"export ", b"set -gx ", b"ANTHROPIC_BASE_URL", b"=", b"'", b'"', b"\\\n", b"#", b"; ", b"$(x)"],
)
def one_line_changes_and_the_rest_stays(data: bytes) -> None:
    text = data.decode(errors="replace")
    path = ("ANTHROPIC_BASE_URL",)
    form: Form
    for form in (EXPORT, FISH, DOTENV):
        try:
            form.get(text, path)
        except ValueError:
            continue
        for value in ("http://127.0.0.1:8433", "tg-a_B-1", "two words; $(none)"):
            changed = form.put(text, path, value)
            assert form.get(changed, path) == (True, value)
            if not form.get(text, path)[0]:
                assert form.drop(changed, path).rstrip("\n") == text.rstrip("\n")


@target("settings of every client", SETTINGS, JSONC_WORDS)
def every_client_finds_its_own_settings_again(data: bytes) -> None:
    text = data.decode(errors="replace")
    offered = Offered("http://127.0.0.1:8433", "tg-key", {"claude-opus-5": "Opus"}, ("/usr/bin/tidegate",))
    for client in (*CLIENTS.values(), *ADDITIONS.values()):
        for name in ("settings.json", ".env", ".zshrc", "config.fish"):
            form = client.form(name)
            changed = text
            try:
                for setting in client.settings(offered):
                    there, before = form.get(changed, setting.path)
                    changed = form.put(changed, setting.path, setting.merged(before if there else None, setting.value))
            except ValueError:
                continue
            assert all(form.get(changed, setting.path)[0] for setting in client.settings(offered))


# --- accounts of other programs --------------------------------------------------------------------

DOCUMENTS = [path.read_bytes() for path in sorted(WIRE.glob("*.json"))]
ROWS = [json.dumps({table: [dict.fromkeys(columns, "1800000000000")]}).encode() for table, columns in TABLES.items()]


def told(document: Document) -> None:
    importer = recognised(document.content)
    if importer is None:
        return
    for found in importer.read(document):
        assert isinstance(found, Found | Problem | Preferences)
        if isinstance(found, Found):
            finite(found.expires_at)
            assert found.secret.isascii()
            assert found.secret.isprintable()
            assert found.secret not in repr(found) or len(found.secret) < 4


@target(
    "another program's accounts",
    DOCUMENTS,
    [
        b'"accessToken":',
        b'"expiresAt":',
        b'"access":',
        b'"refresh":',
        b'"type":"oauth"',
        b'"accounts":',
        b'"claudeAiOauth":',
    ],
)
def accounts_are_found_or_told_to_be_unreadable(data: bytes) -> None:
    try:
        content = decoded(data)
    except Malformed:
        return
    beside = {name.replace("*", "x"): data for importer in IMPORTERS.values() for name in importer.beside}
    told(Document("file.json", content, beside))
    told(Document("file.json", content))


@target("another program's tables", ROWS, [b'"accounts":', b'"refresh_token":', b'"expires_at":'])
def rows_are_found_or_told_to_be_unreadable(data: bytes) -> None:
    try:
        content = decoded(data)
    except Malformed:
        return
    if not isinstance(content, dict):
        return
    tables = {
        name: tuple(row for row in rows if isinstance(row, dict))
        for name, rows in content.items()
        if isinstance(rows, list)
    }
    told(Document("file.db", Database(tables)))


@target("a file to import", [*DOCUMENTS, b"SQLite format 3\0" + bytes(100)], [b"SQLite format 3\0", b"\xef\xbb\xbf"])
def a_file_is_read_or_told_to_be_unreadable(data: bytes) -> None:
    with folder() as there:
        for name in ("x.json", "x.db"):
            (there / name).write_bytes(data)
            try:
                found = list(below(there / name, Where(there, {}, platform="linux")))
            except PassphraseWanted:
                continue
            assert all(isinstance(each, Found | Problem | Preferences) for each in found)
        assert {path.read_bytes() for path in there.iterdir()} == {data}
