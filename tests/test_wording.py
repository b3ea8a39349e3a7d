from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model import (
    AccountId,
    AccountKind,
    AccountView,
    ExtraUsage,
    Level,
    LoginHealth,
    LoginState,
    ModelFamily,
    ProviderName,
    QuotaWindow,
    Snapshot,
    Standing,
    Strategy,
    WindowView,
)
from core.wording import (
    KIND_NAMES,
    STANDING_NAMES,
    STRATEGY_WORDS,
    age_text,
    clock_time,
    headroom_text,
    level,
    notes,
    outlook,
    outlooks,
    percent,
    span,
    state_text,
    tokens_text,
    window_name,
)

NOW = datetime.fromisoformat("2026-11-21T12:00").timestamp()  # in the zone of whoever runs the test
AT_14_32 = datetime.fromisoformat("2026-11-21T14:32").timestamp()
THURSDAY = datetime.fromisoformat("2026-11-26T09:00").timestamp()


@pytest.mark.parametrize(
    ("utilization", "shown"),
    [
        (None, Level.UNKNOWN),
        (0.0, Level.OK),
        (0.69, Level.OK),
        (0.70, Level.WARN),
        (0.89, Level.WARN),
        (0.90, Level.SPENT),
        (1.0, Level.SPENT),
        (1.5, Level.SPENT),
    ],
)
def test_a_window_turns_at_70_and_at_90_percent(utilization: float | None, shown: Level) -> None:
    assert level(utilization) is shown


@pytest.mark.parametrize(
    ("utilization", "text"),
    [(None, "–"), (0.0, "0 %"), (0.004, "0 %"), (0.62, "62 %"), (0.625, "62 %"), (0.999, "100 %"), (1.0, "100 %")],
)
def test_a_share_is_said_in_whole_percent(utilization: float | None, text: str) -> None:
    assert percent(utilization) == text


@given(st.floats(-10, 1e6))
def test_a_share_is_never_below_0_or_above_100_percent(utilization: float) -> None:
    number, sign = percent(utilization).split()

    assert 0 <= int(number) <= 100
    assert sign == "%"


@pytest.mark.parametrize(
    ("name", "family", "text"),
    [
        ("5h", None, "5 h"),
        ("7d", None, "week"),
        ("7d", "opus", "opus week"),
        ("7d_opus", "opus", "opus week"),
        ("7d_oi", None, "model week"),
        ("7d_oi", "fable", "fable week"),
        ("rolling", None, "5 h"),
        ("weekly", None, "week"),
        ("monthly", None, "month"),
        ("input-tokens", None, "input tokens/min"),
        ("seven_day_of_something_new", None, "seven day of something new"),
    ],
)
def test_a_window_has_a_name_that_a_person_knows(name: str, family: str | None, text: str) -> None:
    scope = ModelFamily(family) if family else None

    assert window_name(QuotaWindow(name, family=scope)) == text
    assert window_name(WindowView(name, None, None, Level.UNKNOWN, scope)) == text


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        ("2026-11-21T14:32", "14:32"),
        ("2026-11-21T09:05", "09:05"),
        ("2026-11-22T11:59", "11:59"),
        ("2026-11-22T12:01", "Sun 12:01"),
        ("2026-11-26T14:32", "Thu 14:32"),
        ("2026-11-20T11:00", "Fri 11:00"),
        ("2026-11-27T12:01", "27 Nov 12:01"),
        ("2026-12-03T14:32", "3 Dec 14:32"),
    ],
)
def test_a_time_is_said_as_briefly_as_it_stays_clear(moment: str, text: str) -> None:
    assert clock_time(datetime.fromisoformat(moment).timestamp(), NOW) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (0.4, "0 s"),
        (45, "45 s"),
        (119, "119 s"),
        (119.6, "2 min"),
        (59 * 60, "59 min"),
        (3599, "59 min"),
        (3600, "1 h 00 min"),
        (3 * 3600 + 5 * 60, "3 h 05 min"),
        (86_399, "23 h 59 min"),
        (86_400, "1 d 0 h"),
        (timedelta(days=2, hours=4).total_seconds(), "2 d 4 h"),
    ],
)
def test_a_duration_is_said_in_two_units_at_most(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_every_kind_and_every_standing_has_a_name() -> None:
    assert set(KIND_NAMES) == set(AccountKind)
    assert set(STANDING_NAMES) == set(Standing)


@pytest.mark.parametrize(
    ("age_s", "text"),
    [(-60, ""), (0, ""), (899, ""), (900, "read 15 min ago"), (3 * 3600 + 300, "read 3 h 05 min ago")],
)
def test_the_age_of_a_reading_is_said_once_it_is_old(age_s: float, text: str) -> None:
    assert age_text(NOW - age_s, NOW) == text


def test_what_was_never_read_has_no_age() -> None:
    assert age_text(0.0, NOW) == ""


def view(standing: Standing = Standing.READY, kind: AccountKind = AccountKind.CLAUDE, **fields: object) -> AccountView:
    return AccountView(AccountId("a"), "Work", kind, kind.provider, standing, Level.OK, **fields)


def login(state: LoginState, ends_at: float | None = None) -> LoginHealth:
    return LoginHealth(state, ends_at)


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (view(), "ready"),
        (view(kind=AccountKind.API_KEY), "ready"),
        (view(login=login(LoginState.FINE, AT_14_32)), "ready"),
        (view(detail="serves Claude Code only"), "ready for Claude Code only"),
        (view(detail="the provider does not let it serve this program"), "ready for Claude Code only"),
        (view(extra_usage=ExtraUsage(enabled=True)), "ready"),
        (view(extra_usage=ExtraUsage(enabled=True, in_use=True)), "ready, extra usage in use"),
        (view(login=login(LoginState.RENEWING, AT_14_32)), "refreshing"),
        (view(login=login(LoginState.IN_DOUBT)), "login in doubt, tried again by itself"),
        (view(login=login(LoginState.ENDING, AT_14_32)), "sign in again by 14:32"),
        (view(login=login(LoginState.ENDING)), "sign in again soon"),
        (view(login=login(LoginState.UNSAVED, AT_14_32)), "login renewed, not saved yet"),
        (view(borrowed_from="Claude Code"), "borrowed from Claude Code"),
        (
            view(borrowed_from="Claude Code", login=login(LoginState.FINE, AT_14_32)),
            "borrowed from Claude Code until 14:32",
        ),
        (
            view(borrowed_from="Claude Code", login=login(LoginState.ENDING, AT_14_32)),
            "borrowed from Claude Code until 14:32",
        ),
        (view(Standing.COOLING, detail="5 h window full", until_at=AT_14_32), "5 h window full until 14:32"),
        (view(Standing.COOLING, detail="week window full", until_at=THURSDAY), "week window full until Thu 09:00"),
        (
            view(Standing.COOLING, detail="plan spent (you keep it to plan limits)", until_at=THURSDAY),
            "plan spent until Thu 09:00",
        ),
        (view(Standing.COOLING, detail="rate limit"), "rate limit"),
        (view(Standing.COOLING), "resting"),
        (
            view(
                Standing.COOLING,
                detail="5 h window full",
                until_at=THURSDAY,
                login=login(LoginState.ENDING, AT_14_32),
            ),
            "5 h window full until Thu 09:00; sign in again by 14:32",
        ),
        (view(Standing.SIGN_IN), "sign in again"),
        (view(Standing.SIGN_IN, detail="login rejected"), "sign in again: login rejected"),
        (view(Standing.SIGN_IN, AccountKind.API_KEY), "needs another key"),
        (view(Standing.SIGN_IN, AccountKind.GO, detail="key rejected"), "needs another key: key rejected"),
        (view(Standing.LOCKED, detail="The keychain is locked"), "keychain locked"),
        (view(Standing.DISABLED, detail="disabled"), "disabled"),
        (view(Standing.DISABLED, login=login(LoginState.ENDING, AT_14_32)), "disabled"),
    ],
)
def test_the_state_of_an_account_is_said_in_the_words_of_a_menu_row(shown: AccountView, text: str) -> None:
    assert state_text(shown, NOW) == text


@pytest.mark.parametrize("standing", Standing)
@pytest.mark.parametrize("state", LoginState)
@pytest.mark.parametrize("kind", AccountKind)
def test_every_state_has_words_for_a_row(standing: Standing, state: LoginState, kind: AccountKind) -> None:
    said = state_text(view(standing, kind, login=login(state, AT_14_32)), NOW)

    assert 0 < len(said) <= 40
    assert said.isascii()


@pytest.mark.parametrize(
    ("shown", "lines"),
    [
        (view(), ()),
        (view(Standing.COOLING, detail="5 h window full"), ()),
        (view(Standing.COOLING, detail="plan spent (kept to its limits)"), ("Plan spent (kept to its limits)",)),
        (view(detail="the provider does not let it"), ("The provider does not let it",)),
        (view(shares_with=("Key 1", "Key 2")), ("Shares limits with Key 1, Key 2",)),
        (view(extra_usage=ExtraUsage(enabled=False)), ()),
        (view(extra_usage=ExtraUsage(enabled=True)), ("Extra usage is on",)),
        (view(extra_usage=ExtraUsage(in_use=True, utilization=0.4)), ("Extra usage in use, 40 % of its limit spent",)),
    ],
)
def test_what_a_row_has_no_room_for_is_said_in_lines_of_its_own(shown: AccountView, lines: tuple[str, ...]) -> None:
    assert notes(shown, NOW) == lines


# --- what the present pace leads to ----------------------------------------------------------------


def window(name: str, resets_at: float | None = THURSDAY, **fields: object) -> WindowView:
    return WindowView(name, 0.5, resets_at, Level.OK, **fields)


@pytest.mark.parametrize(
    ("shown", "text", "line"),
    [
        (window("5h", AT_14_32 + 1, dry_at=AT_14_32), "runs dry at 14:32", "5 h runs dry at 14:32"),
        (
            window("7d", dry_at=THURSDAY - 60, family=ModelFamily("opus")),
            "runs dry on Thu 08:59",
            "opus week runs dry on Thu 08:59",
        ),
        (window("7d", lost=0.12), *["12 % of the week will be lost on Thu 09:00"] * 2),
        (window("7d", AT_14_32, lost=0.12), *["12 % of the week will be lost at 14:32"] * 2),
        (window("monthly", lost=0.4), *["40 % of the month will be lost on Thu 09:00"] * 2),
        (window("5h", AT_14_32, lost=0.4), "", None),
        (window("rolling", AT_14_32, lost=0.4), "", None),
        (window("7d"), "", None),
        (window("7d", None, lost=0.4), "", None),
        (window("7d", NOW - 1, lost=0.4), "", None),
        (window("5h", AT_14_32, dry_at=NOW - 1), "", None),
    ],
)
def test_what_the_pace_of_a_window_leads_to_is_said(shown: WindowView, text: str, line: str | None) -> None:
    assert outlook(shown, NOW) == text
    assert list(outlooks(view(windows=(shown,)), NOW)) == ([] if line is None else [line])


@pytest.mark.parametrize(
    ("lasting_s", "accounts", "text"),
    [
        (3 * 3600 + 300, (view(), view()), "At this rate all accounts last 3 h 05 min more"),
        (86_399, (view(), view()), "At this rate all accounts last 23 h 59 min more"),
        (86_400, (view(), view()), ""),
        (None, (view(), view()), ""),
        (3_600, (view(),), ""),
        (3_600, (view(), view(enabled=False)), ""),
        (3_600, (view(), view(kind=AccountKind.GO)), ""),
    ],
)
def test_for_how_long_all_accounts_last_is_said_when_that_is_soon(
    lasting_s: float | None, accounts: tuple[AccountView, ...], text: str
) -> None:
    headroom = {} if lasting_s is None else {ProviderName.ANTHROPIC: lasting_s}

    assert headroom_text(Snapshot(NOW, accounts=accounts, headroom_s=headroom), ProviderName.ANTHROPIC) == text


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1_000, "1 k"),
        (12_400, "12 k"),
        (999_499, "999 k"),
        (999_500, "1.0 M"),
        (1_400_000, "1.4 M"),
    ],
)
def test_tokens_are_said_in_a_few_figures(tokens: int, text: str) -> None:
    assert tokens_text(tokens) == text


def test_every_strategy_has_one_line_that_a_menu_can_show() -> None:
    assert set(STRATEGY_WORDS) == set(Strategy)
    assert all(0 < len(f"{name}: {words}") <= 110 for name, words in STRATEGY_WORDS.items())
