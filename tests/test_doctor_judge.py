from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from core.answers import AccountInfo
from core.doctor.facts import Desktop, Facts, Instance, OpenFile, Program, Reached, Trouble
from core.doctor.judge import Row, healthy, judge
from core.model import AccountId, AccountKind, Level, LoginHealth, LoginState, ProviderName, Standing

NOW = 1_763_000_000.0
WORK = AccountInfo(
    AccountId("a1"),
    "Work",
    AccountKind.CLAUDE,
    ProviderName.ANTHROPIC,
    Standing.READY,
    Level.OK,
    at=NOW,
    generation=7,
    renewed_at=NOW - 3_600,
    login=LoginHealth(ends_at=NOW + 3_600),
)
WELL = Facts(
    at=NOW,
    version="1.0",
    system="Linux",
    folder="/data",
    port=8433,
    desktop=Desktop(session=True, tray="status-notifier", notifications=True),
    free_bytes=10**11,
    instance=Instance(42, 8433, "1.0"),
    skew_s=0.4,
    programs=(Program("claude-code", "/home/ada/.claude/settings.json", "http://127.0.0.1:8433", ours=True),),
    accounts=(WORK,),
    upstreams=(Reached("api.anthropic.com:443", wanted=True, took_s=0.05),),
)


def row(check: str, **changed: Any) -> Row:
    """The one row about this, when the facts are well but for these."""
    (found,) = (row for row in judge(replace(WELL, **changed)) if row.check == check)
    return found


def test_nothing_is_to_be_done_when_all_is_well() -> None:
    rows = judge(WELL)
    assert {row.verdict for row in rows} == {"ok"}
    assert not any(row.fix for row in rows)
    assert healthy(rows)


def program(**changed: Any) -> dict[str, Any]:
    return {"programs": (replace(WELL.programs[0], **changed),)}


def account(**changed: Any) -> dict[str, Any]:
    return {"accounts": (structs.replace(WORK, **changed),)}


def login(state: LoginState) -> dict[str, Any]:
    return account(login=LoginHealth(state, NOW + 3_600))


@pytest.mark.parametrize(
    ("check", "changed", "text", "fix"),
    [
        ("instance", {"instance": Instance(42, 8433, "0.9")}, "this command is 1.0", "start it again"),
        ("instance", {"instance": None, "hung": True}, "/data and does not answer", "End it"),
        ("port", {"instance": None, "taken_by": " by nginx (pid 7)"}, "8433 is taken by nginx (pid 7)", "port 8434"),
        ("keychain", {"vault": Trouble("The keychain is locked", "Unlock it")}, "is locked", "Unlock it"),
        ("keychain", {"vault": Trouble("No keychain answers")}, "No keychain", "--vault file"),
        ("file vault", {"vault": Trouble("No passphrase", "Set it"), "vault_kind": "file"}, "passphrase", "Set it"),
        ("local key", {"local_key": Trouble("It is gone", "Remove")}, "It is gone", "Remove"),
        ("accounts", {"accounts": (), "accounts_trouble": Trouble("No answer", "Look")}, "No answer", "Look"),
        ("account", account(standing=Standing.SIGN_IN), "Work", "Sign in again: tidegate add claude"),
        ("account", account(standing=Standing.SIGN_IN, kind=AccountKind.GO), "Work", "tidegate add go"),
        ("account", account(standing=Standing.SIGN_IN, kind=AccountKind.API_KEY), "Work", "tidegate add api-key"),
        ("account", account(standing=Standing.LOCKED), "keychain locked", "tidegate refresh all"),
        ("account", account(generation=None), "Work", "cannot be read"),
        ("account", login(LoginState.UNSAVED), "Work", "do not end Tidegate"),
        ("provider", {"upstreams": (Reached("x:443", wanted=True, trouble="refused"),)}, "x:443", "firewall"),
        ("clock", {"skew_s": 400.0}, "6 min ahead of", "timedatectl"),
        ("clock", {"skew_s": -400.0}, "6 min behind", "timedatectl"),
        ("program", program(ours=None), "is gone", "tidegate undo claude-code"),
        ("program", program(ours=False), "changed since", "tidegate connect claude-code"),
        ("program", program(address="http://127.0.0.1:9"), "asks http://127.0.0.1:9", "tidegate connect claude-code"),
        ("program", program(ours=False, trouble=Trouble("It does not read", "Mend it")), "not read", "Mend it"),
        ("files", {"open_files": (OpenFile("/data/config.json", 0o644),)}, "mode 644", "chmod 600 '/data/config.json'"),
        ("disk", {"free_bytes": 10**7}, "10 MB are free", "Make room"),
        ("doctor", {"other": (Trouble("config.json does not read", "Restore it"),)}, "does not read", "Restore it"),
    ],
)
def test_problem_says_what_it_is_and_what_to_do(check: str, changed: dict[str, Any], text: str, fix: str) -> None:
    found = row(check, **changed)
    assert found.verdict == "problem"
    assert text in found.text
    assert fix in found.fix
    assert not healthy(judge(replace(WELL, **changed)))


@pytest.mark.parametrize(
    ("check", "changed", "text"),
    [
        ("instance", {"instance": None}, "is not running"),
        ("instance", {"instance": None, "installed": False, "accounts": ()}, "Nothing is set up"),
        ("local key", {"has_key": False}, "The first start makes"),
        ("accounts", {"accounts": ()}, "no account yet"),
        ("account", login(LoginState.IN_DOUBT), "Work"),
        ("account", login(LoginState.ENDING), "Work"),
        ("provider", {"upstreams": (Reached("x:443", wanted=False, trouble="refused"),)}, "x:443"),
        ("clock", {"skew_s": 60.0}, "ahead of"),
        ("clock", {"skew_s": None}, "could not be asked"),
        ("tray", {"desktop": Desktop(session=False)}, "no desktop session"),
        ("tray", {"desktop": Desktop(session=True, tray="none", notifications=True)}, "No panel"),
        ("notifications", {"desktop": Desktop(session=True, tray="xembed")}, "No program here"),
        ("disk", {"free_bytes": 10**8}, "almost full"),
    ],
)
def test_what_a_person_may_have_meant_is_a_note(check: str, changed: dict[str, Any], text: str) -> None:
    found = row(check, **changed)
    assert found.verdict == "note"
    assert text in found.text
    assert healthy(judge(replace(WELL, **changed)))


def test_account_is_told_with_its_generation_and_ages() -> None:
    text = row("account").text
    assert text.startswith("Work (Claude subscription): ready, generation 7, renewed 1 h")
    assert "its login serves until" in text


def test_instance_that_hangs_is_no_reason_to_doubt_key_and_accounts() -> None:
    checks = {row.check for row in judge(replace(WELL, instance=None, hung=True, accounts=()))}
    assert not checks & {"local key", "accounts", "port"}


def test_system_with_a_tray_of_its_own_is_not_asked_for_one() -> None:
    assert row("tray", desktop=Desktop(None)).verdict == "ok"
