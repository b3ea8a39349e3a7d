"""What people, their shells and other programs of theirs say: commands, settings, orders, the status line's input."""

import json
from pathlib import Path

import click
import msgspec

from core import control, statusline
from core.cli import main
from core.cli.base import Session
from core.commands import COMMANDS
from core.errors import UsageError
from core.model import Account, AccountId, AccountKind, Pool, Settings
from core.naming import free_label, resolve, valid_label
from core.redaction import for_others, without_secrets
from core.sessions import Sessions
from core.settings import SETTINGS, effective, setting_texts, with_setting
from tests.fuzz.targets import pieces, target

TURN = (
    b'{"session_id":"abc","model":{"id":"claude-opus-5","display_name":"Opus"},'
    b'"context_window":{"used_percentage":8.2},"cwd":"/a"}'
)
EXPLAINED = (
    b'{"explanation":{"pause":null,"lines":[{"turns":[{"label":"Work","serves":true,"account":"a","until_at":1790000000.0}]}]},'
    b'"snapshot":{"at":1790000000.0,"accounts":[{"id":"a","windows":[{"name":"5h","family":null,"level":"ok","utilization":0.5,"resets_at":1790003600.0,"dry_at":1790003000.0}]}]}}'
)


@target(
    "the status line's input",
    [TURN + b"\0" + EXPLAINED],
    [b'"model":', b'"utilization":', b'"resets_at":', b'"turns":', b'"windows":', b'"serves":'],
)
def one_line_whatever_is_told(data: bytes) -> None:
    told, known = pieces(data)
    given = statusline.read(told)
    try:
        answer = json.loads(known)
    except (ValueError, RecursionError):
        answer = None
    parts = answer if isinstance(answer, dict) else {}
    for what in (
        None,
        statusline.Known(parts.get("explanation"), parts.get("snapshot")),
        statusline.Known(answer, answer),
    ):
        said = statusline.line(given, what, colours=False)
        assert said.isprintable()
        assert len(said) < 2_000
        said.encode()


@target(
    "the status line's neighbour",
    [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"],
    [b"content-length: ", b"\r\n\r\n"],
)
def a_length_is_a_number_or_a_known_error(data: bytes) -> None:
    try:
        statusline._length(data)
    except (OSError, ValueError, TypeError, OverflowError):  # what `ask` takes for "not running"
        return


WORDS = [name.encode() for name in main.list_commands(click.Context(main))]
OPTIONS = [
    b"--json",
    b"--label",
    b"--for",
    b"1h",
    b"2d",
    b"--help",
    b"--version",
    b"--data-dir",
    b"/nowhere",
    b"--vault",
    b"file",
    b"--",
    b"-",
    b"all",
    b"--print",
    b"--days",
    b"7",
]


@target(
    "a command line",
    [b"pin\nWork\n--for\n1h", b"add\nclaude\n--paste", b"config\nset\nport\n8433", b"usage\n--plot\n--days\n7"],
    [word + b"\n" for word in (*WORDS, *OPTIONS)],
)
def words_are_a_command_or_a_usage_error(data: bytes) -> None:
    """Read, never run: a word may be `run`."""
    argv = [word for word in data.replace(b"\0", b"").decode(errors="surrogateescape").split("\n") if word][:12]
    try:
        with main.make_context("tidegate", argv, obj=Session(str(Path("/nowhere")), "file")) as ctx:
            command, rest = main, [*ctx._protected_args, *ctx.args]
            while isinstance(command, click.Group) and rest:
                name, found, rest = command.resolve_command(ctx, rest)
                if found is None:
                    return
                ctx = found.make_context(name, rest, parent=ctx)  # noqa: PLW2901 - down one level
                command, rest = found, [*getattr(ctx, "_protected_args", []), *ctx.args]
    except (click.ClickException, click.exceptions.Exit, click.Abort, UsageError):
        return


@target(
    "a setting",
    [f"{name}\0{text}".encode() for name, text in setting_texts(Settings()).items()],
    [b"on", b"off", b"8433", b"22:00-7:00", b"http://127.0.0.1:1", b"balanced", b"-", b":"],
)
def a_setting_is_taken_and_reads_back_or_is_refused_with_what_is_allowed(data: bytes) -> None:
    name, text = (part.decode(errors="replace") for part in pieces(data))
    for key in (name, *SETTINGS):
        try:
            changed = with_setting(Settings(), key, text)
        except UsageError as exc:
            assert exc.hint
            continue
        said = setting_texts(changed)[key]
        assert with_setting(Settings(), key, said) == changed
        decoded = msgspec.json.decode(msgspec.json.encode(changed), type=Settings)
        assert decoded == changed
    for variable in ("TIDEGATE_PORT", "TIDEGATE_LOG", "TIDEGATE_ANTHROPIC_API_URL", "OPENCODE_ANTHROPIC_STRATEGY"):
        try:
            effective(Settings(), {variable: text})
        except UsageError as exc:
            assert variable in f"{exc.title} {exc.hint}"


POOL = Pool()
ACCOUNTS = tuple(Account(AccountId(f"a-{label}"), AccountKind.API_KEY, label) for label in ("Work", "work 2", "Straße"))


@target(
    "a name for an account",
    [b"Work", b"anna@example.org", b"2", b"all", " ﬁ İ ".encode()],
    [b"Work", b" 2", "\u200b".encode(), "İ".encode(), "ß".encode()],
)
def a_free_label_is_free_and_a_good_one_stays(data: bytes) -> None:
    text = data.decode(errors="replace")
    label = free_label(ACCOUNTS, text)
    assert label.casefold() not in {account.label.casefold() for account in ACCOUNTS}
    assert valid_label(label) == label
    try:
        good = valid_label(text)
    except UsageError:
        good = ""
    assert not good or valid_label(good) == good
    try:
        resolve(POOL, text)
    except UsageError as exc:
        assert exc.hint


@target(
    "an order",
    [
        b"{}",
        b'{"account":"all"}',
        b'{"kind":"go","key":"sk","label":"L"}',
        b'{"limit":5,"days":7}',
        b'{"accounts":["a"]}',
    ],
    [b'"account":', b'"limit":', b'"key":', b'"for_s":', b'"days":'],
)
def an_order_reads_or_is_refused(data: bytes) -> None:
    try:
        given = control._arguments(data)
    except UsageError as exc:
        assert exc.title
        return
    for command in COMMANDS.values():
        try:
            msgspec.convert(dict(given), command.arguments)
        except msgspec.ValidationError:
            continue


SECRETS = (
    "sk-ant-api03-CANARYcanary0123456789",
    "sk-ant-oat01-CANARYcanary0123456789",
    "tg-CANARYcanary0123456789CANARYcanary012345678",
)


@target(
    "a text for a bug report",
    [b"Bearer x /home/anna anna@example.org", b'{"access_token":"x"}'],
    [b"sk-ant-", b"Bearer ", b"@", b"/home/anna", b"\n"],
)
def no_secret_and_no_name_is_left_in_it(data: bytes) -> None:
    text = data.decode(errors="replace")
    for secret in SECRETS:
        for said in (f"{text} {secret} {text}", f"{text}\n{secret}", f'"{secret}"{text}'):
            assert "CANARY" not in without_secrets(said)
            assert "CANARY" not in for_others(said, {"/home/anna": "~", "anna": "user"})
    assert "anna" not in for_others("/home/anna/x of anna", {"/home/anna": "~", "anna": "user"})
    assert without_secrets(without_secrets(text)) == without_secrets(text)


@target("a browser's cookie", [b"abc\0key"], [b"=", b";"])
def nobody_guesses_a_session(data: bytes) -> None:
    sessions = Sessions()
    session = sessions.redeem(sessions.issue())
    assert session
    one, two = (part.decode("latin-1") for part in pieces(data))
    assert not sessions.holds(one, two)
    assert not sessions.holds(session.cookie, one)
    assert sessions.redeem(one) is None
    assert sessions.holds(session.cookie, session.key)
