import io
import sys
from collections.abc import Callable

import pytest
from msgspec.structs import asdict, replace
from rich.cells import cell_len

from core import terminal
from core.answers import AccountError, AccountInfo, Explanation, Happened, Line, Recounted
from core.model import (
    AccountId,
    AccountKind,
    AccountView,
    ExtraUsage,
    Level,
    LoginHealth,
    LoginState,
    ModelFamily,
    Move,
    ProviderName,
    Snapshot,
    Standing,
    Strategy,
    WindowView,
)
from core.policy.explain import Turn
from core.wording import clock_time

NOW = 1_790_000_000.0
HOUR_S = 3_600.0
WORK = AccountView(
    AccountId("a1"),
    "Work",
    AccountKind.CLAUDE,
    ProviderName.ANTHROPIC,
    Standing.READY,
    Level.WARN,
    windows=(
        WindowView("5h", 0.72, NOW + HOUR_S, Level.WARN, seen_at=NOW - 180),
        WindowView("7d", 1.3, None, Level.SPENT, ModelFamily("opus"), seen_at=NOW - 3 * HOUR_S),
        WindowView("odd", None, None, Level.UNKNOWN),
    ),
    active=True,
    reason="week resets first",
    pinned=True,
    email="ada@example.org",
    plan="max",
)
HOME = AccountView(
    AccountId("b2"),
    "Home",
    AccountKind.GO,
    ProviderName.OPENCODE_GO,
    Standing.COOLING,
    Level.SPENT,
    detail="5 h window full",
    until_at=NOW + 500,
)
SNAPSHOT = Snapshot(
    at=NOW,
    version="9.9",
    address="http://127.0.0.1:8433",
    accounts=(WORK, HOME),
    strategy=Strategy.STICKY,
    moves=(Move(NOW, "Home", "Work", "5 h window full", NOW + 500),),
)


def info_of(view: AccountView, **more: object) -> AccountInfo:
    return AccountInfo(**{**asdict(view), "at": NOW, **more})


Shown = Callable[..., str]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """What `status` and `info` write to a console with this encoding."""

    def shown(
        snapshot: Snapshot = SNAPSHOT, info: AccountInfo | None = None, encoding: str = "utf-8", columns: int = 140
    ) -> str:
        raw = io.BytesIO()
        stream = io.TextIOWrapper(raw, encoding=encoding, errors="replace", write_through=True)
        with monkeypatch.context() as patch:
            patch.setenv("COLUMNS", str(columns))
            patch.setattr(sys, "stdout", stream)
            terminal.show_status(snapshot)
            terminal.show_account(info or info_of(WORK))
        return raw.getvalue().decode(encoding)

    return shown


def words(text: str) -> str:
    """The text without what lines up its columns."""
    return " ".join(text.split())


def test_status_tells_where_who_why_and_how_full(shown: Shown) -> None:
    text = words(shown())

    for said in (
        "Tidegate 9.9: running at http://127.0.0.1:8433, strategy sticky",
        "Work serves anthropic: week resets first",
        "Claude subscription (max)",
        "5 h ███████▎░░ 72 % resets",
        "opus week ██████████ 100 % read 3 h 00 min ago",
        "odd ░░░░░░░░░░ –",
        f"5 h window full until {clock_time(NOW + 500, NOW)}",
        "ready (pinned)",
        "Home → Work: 5 h window full",
        "ada@example.org",
    ):
        assert said in text


def test_age_of_a_fresh_reading_is_said_only_where_everything_is(shown: Shown) -> None:
    listed, _, told = shown(info=info_of(WORK)).partition("ada@example.org")

    assert "read 3 min ago" not in listed
    assert "read 3 min ago" in told


def test_list_says_what_is_paid_extra_and_whose_limits_are_shared(shown: Shown) -> None:
    team = replace(
        WORK, shares_with=("Spare", "CI"), extra_usage=ExtraUsage(enabled=True, in_use=True, utilization=0.4)
    )

    text = shown(replace(SNAPSHOT, accounts=(team,)))

    assert "Shares limits with Spare, CI" in text
    assert "Extra usage in use, 40 % of its limit spent" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"login": LoginHealth(LoginState.RENEWING)}, "refreshing (pinned)"),
        ({"login": LoginHealth(LoginState.IN_DOUBT)}, "login in doubt, tried again by itself (pinned)"),
        (
            {"login": LoginHealth(LoginState.ENDING, NOW + HOUR_S)},
            f"sign in again by {clock_time(NOW + HOUR_S, NOW)} (pinned)",
        ),
        ({"login": LoginHealth(LoginState.UNSAVED)}, "login renewed, not saved yet (pinned)"),
        (
            {"borrowed_from": "Claude Code", "login": LoginHealth(ends_at=NOW + HOUR_S)},
            f"borrowed from Claude Code until {clock_time(NOW + HOUR_S, NOW)} (pinned)",
        ),
        (
            {"borrowed_from": "Claude Code", "standing": Standing.SIGN_IN, "pinned": False},
            "sign in again (borrowed from Claude Code)",
        ),
        ({"pinned_until_at": NOW + HOUR_S}, f"ready (pinned until {clock_time(NOW + HOUR_S, NOW)})"),
        ({"standing": Standing.LOCKED, "pinned": False}, "keychain locked"),
        ({"standing": Standing.DISABLED, "detail": "disabled", "pinned": False}, "disabled"),
    ],
)
def test_state_is_said_in_words(change: dict[str, object], words: str) -> None:
    assert terminal.state(replace(WORK, **change), NOW) == words


def test_info_tells_everything_with_its_age(shown: Shown) -> None:
    told = info_of(
        WORK,
        account_uuid="1111-2222",
        organization_uuid="6666-7777",
        added_at=NOW - 40 * 86_400,
        login=LoginHealth(ends_at=NOW + 5 * HOUR_S),
        own_login=True,
        generation=7,
        renewed_at=NOW - 3 * HOUR_S,
        renewal_due_at=NOW + 4 * HOUR_S,
        plan_limits_only=True,
        extra_usage=ExtraUsage(enabled=False, seen_at=NOW - 60),
        errors=(AccountError(NOW - 120, "The provider did not answer"),),
        served=12,
        last_used_at=NOW - 30,
    )

    text = words(shown(info=told).partition("Account uuid")[2])

    for said in (
        "1111-2222",
        "6666-7777",
        clock_time(NOW - 40 * 86_400, NOW),
        (
            f"renewed 3 h 00 min ago, ends at {clock_time(NOW + 5 * HOUR_S, NOW)}, "
            f"renewed again at {clock_time(NOW + 4 * HOUR_S, NOW)} (generation 7)"
        ),
        "5 h ███████▎░░ 72 %",
        "read 3 min ago",
        "off, read 60 s ago",
        "2 min ago: The provider did not answer",
        "30 s ago",
    ):
        assert said in text
    assert "yes: it rests when its plan is spent" in shown(info=told)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "cannot be read"),
        ({"generation": 1}, "generation 1"),
        (
            {"generation": 3, "login": LoginHealth(ends_at=NOW - 60), "renewal_due_at": NOW - 1_800},
            f"ended at {clock_time(NOW - 60, NOW)}, renewal due now (generation 3)",
        ),
    ],
)
def test_login_is_told_as_far_as_it_is_known(shown: Shown, change: dict[str, object], words: str) -> None:
    (line,) = [line for line in shown(info=info_of(WORK, **change)).splitlines() if line.startswith("Login")]

    assert line.removeprefix("Login").strip() == words


def test_digest_of_a_key_is_no_account_id(shown: Shown) -> None:
    assert "Account uuid" not in shown(info=info_of(HOME, account_uuid="key:0123456789abcdef"))


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_a_console_without_unicode_gets_bars_of_ascii(shown: Shown, encoding: str) -> None:
    text = words(shown(encoding=encoding))

    assert "5 h #######--- 72 %" in text
    assert "Home -> Work" in text


CROWD = replace(
    SNAPSHOT,
    accounts=(
        replace(WORK, served=1234, pinned_until_at=NOW + HOUR_S),
        replace(HOME, label="私のアカウント", windows=WORK.windows),
        replace(HOME, label="Spare key of the whole team", standing=Standing.SIGN_IN, detail="refused"),
    ),
)


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_list_reads_on_a_narrow_terminal(shown: Shown, columns: int, encoding: str) -> None:
    text = shown(CROWD, encoding=encoding, columns=columns)

    assert max(map(cell_len, text.splitlines())) <= columns
    assert "…" not in text, "nothing is cut off"
    gauges = [line for line in text.partition("Account  ")[0].splitlines() if " 72 %" in line or "100 %" in line]
    assert len(gauges) == 4
    assert len({cell_len(line.partition(" %")[0]) for line in gauges}) == 1, "the gauges are lined up"
    assert "Claude subscription (max), 1234 requests, serves now" in text


@pytest.mark.parametrize(
    ("utilization", "bar"),
    [(None, "░░"), (0.0, "░░"), (0.001, "░░"), (0.07, "▊░"), (0.1, "█░"), (0.19, "█▉"), (0.95, "██"), (7.0, "██")],
)
def test_a_gauge_goes_in_eighths_of_a_character(shown: Shown, utilization: float | None, bar: str) -> None:
    window = WindowView("5h", utilization, None, Level.OK)

    text = shown(replace(SNAPSHOT, accounts=(replace(WORK, windows=(window,)),)))

    (gauge,) = [
        line.split()[2]
        for line in text.partition("Account  ")[0].splitlines()
        if line.lstrip().startswith("5 h ") and line.split()[2][0] in "█▉▊░"
    ]
    assert (gauge[:2], len(gauge)) == (bar, 10)


def test_a_window_is_told_with_its_pace(shown: Shown) -> None:
    window = WindowView("5h", 0.5, NOW + HOUR_S, Level.OK, pace=1.62)
    text = shown(replace(SNAPSHOT, accounts=(replace(WORK, windows=(window,)),)))
    assert f"resets {clock_time(NOW + HOUR_S, NOW)}, pace 1.6" in text


def test_no_color_means_no_escapes_at_all(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as if it were a terminal
    terminal.show_status(CROWD)
    assert "\x1b[1m" in capsys.readouterr().out

    monkeypatch.setenv("NO_COLOR", "1")
    terminal.show_status(CROWD)
    assert "\x1b" not in capsys.readouterr().out


def test_nothing_is_coloured_when_nobody_looks(shown: Shown) -> None:
    assert "\x1b" not in shown()


def test_labels_are_shown_as_they_are(shown: Shown) -> None:
    odd = replace(WORK, label="[red]x[/red] :smile:", reason="[b]why[/b]")
    moves = (Move(0.0, "[i]a", "b", "[/i]c"),)
    text = shown(Snapshot(at=0.0, accounts=(odd,), moves=moves, strategy=Strategy.STICKY))

    assert "[red]x[/red] :smile:" in text
    assert "[b]why[/b]" in text
    assert "[i]a" in text
    assert "not running" in text


def test_a_providers_words_do_not_steer_the_terminal(shown: Shown) -> None:
    evil = "\x1b]0;title\x07\x1b[2J\r\x9b31m"
    odd = replace(WORK, label=evil, reason=evil, detail=evil, email=evil, plan=evil, windows=(), shares_with=(evil,))
    told = info_of(odd, account_uuid=evil, organization_uuid=evil, errors=(AccountError(NOW, evil),))
    text = shown(Snapshot(at=0.0, accounts=(odd,), moves=(Move(0.0, evil, evil, evil),)), told)

    assert not {c for c in text if not c.isprintable()} - {"\n"}


def test_status_tells_what_the_pace_leads_to(capsys: pytest.CaptureFixture[str]) -> None:
    windows = (
        WindowView("5h", 0.7, NOW + 9_000, Level.WARN, dry_at=NOW + 3_600),
        WindowView("7d", 0.2, NOW + 3 * 86_400, Level.OK, lost=0.12),
    )
    accounts = tuple(replace(WORK, id=AccountId(id_), windows=windows) for id_ in "ab")
    lasting = {ProviderName.ANTHROPIC: 3 * HOUR_S}

    terminal.show_status(replace(SNAPSHOT, accounts=accounts, headroom_s=lasting))

    shown = " ".join(capsys.readouterr().out.split())
    assert "Anthropic: At this rate all accounts last 3 h 00 min more" in shown
    assert f"runs dry at {clock_time(NOW + 3_600, NOW)}" in shown
    assert "12 % of the week will be lost" in shown


def test_info_tells_that_an_account_is_muted(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_account(info_of(replace(WORK, muted=True)))
    assert "none about it" in capsys.readouterr().out

    terminal.show_account(info_of(WORK))
    assert "Notifications" not in capsys.readouterr().out


def test_an_explanation_is_a_line_of_accounts(capsys: pytest.CaptureFixture[str]) -> None:
    turns = (
        Turn(AccountId("a"), "Work", serves=True, reason="most room: 5 h at 20 %"),
        Turn(AccountId("b"), "Home\x1b", serves=True, reason="not used yet"),
        Turn(AccountId("c"), "Team", serves=False, reason="5 h window full", until_at=NOW + 3_600),
    )
    nobody = (Turn(AccountId("d"), "Go", serves=False, reason="disabled"),)
    lines = (Line(ProviderName.ANTHROPIC, turns), Line(ProviderName.OPENCODE_GO, nobody, NOW - 60))

    terminal.show_explanation(Explanation(NOW, Strategy.BALANCED, lines))

    assert capsys.readouterr().out.splitlines() == [
        "Anthropic, strategy balanced",
        "Next: Work - most room: 5 h at 20 %",
        "Then: Home\N{REPLACEMENT CHARACTER} - not used yet",
        f"Not:  Team - 5 h window full until {clock_time(NOW + 3_600, NOW)}",
        "",
        "OpenCode Go, strategy balanced",
        "Not:  Go - disabled",
        f"Not reached since {clock_time(NOW - 60, NOW)}: one request at a time asks, the others wait.",
    ]


def test_history_is_told_with_what_it_cost(capsys: pytest.CaptureFixture[str]) -> None:
    entries = (Happened(NOW - 60, "Move", "Work to Home: 5 h window full\x1b"),)

    terminal.show_history(Recounted(NOW, entries, 86_400.0, 12, 1_400_000))
    terminal.show_history(Recounted(NOW, (), 86_400.0, 0, 0))

    told = f"{clock_time(NOW - 60, NOW):>12}  Work to Home: 5 h window full\N{REPLACEMENT CHARACTER}"
    assert capsys.readouterr().out.splitlines() == [
        told,
        "",
        "12 moves in the last 24 h cost about 1.4 M tokens of prompt cache.",
        "Nothing has happened yet.",
    ]


def test_every_strategy_is_listed_with_the_present_one_marked(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_strategies(Strategy.STICKY)

    names = set(map(str, Strategy))
    first_words = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert [words[0] for words in first_words if words[0] in names] == [
        str(name) for name in Strategy if name is not Strategy.STICKY
    ]
    assert [words[1] for words in first_words if words[0] == "*"] == ["sticky"]
