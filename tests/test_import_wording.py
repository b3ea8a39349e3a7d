from dataclasses import replace

import pytest

from core.answers import ImportLine
from core.import_plan import Import, Skip, Update
from core.import_wording import line, settings_line
from core.imports.found import Problem
from core.model import Account, AccountId, AccountKind, ApiKey, Credential, Identity, OAuthTokens
from core.wording import clock_time

NOW = 1_767_225_600.0
UNTIL = clock_time(NOW + 3_600, NOW)
LOGIN = OAuthTokens("access-SECRET", "", NOW + 3_600)
WORK = Account(AccountId("a1"), "Work", AccountKind.CLAUDE)
STEP = Import("Work", AccountKind.CLAUDE, Identity(), LOGIN, True, "Claude Code", "Claude Code")


def said(step: Import | Update | Skip | Problem, *, dry: bool = False) -> str:
    return line(step, NOW, dry=dry).text


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (
            STEP,
            (
                f"Added Work, borrowed from Claude Code: it serves until {UNTIL}, or until you sign out there; "
                "`tidegate add claude --paste` makes it Tidegate's own"
            ),
        ),
        (
            replace(STEP, borrowed_from=""),
            f"Added Work, Claude subscription from Claude Code: it serves until {UNTIL}",
        ),
        (
            replace(STEP, kind=AccountKind.GO, credential=ApiKey("SECRET"), borrowed_from="", enabled=False),
            "Added Work: OpenCode Go from Claude Code, disabled as it is there",
        ),
        (
            replace(STEP, credential=None, program="Tidegate's export"),
            "Added Work: Claude subscription from Tidegate's export; sign in to let it serve",
        ),
        (
            replace(STEP, kind=AccountKind.API_KEY, credential=None),
            "Added Work: Anthropic API key from Claude Code; add its key to let it serve",
        ),
        (
            Update(WORK, LOGIN, "Claude Code", "Claude Code"),
            (
                f"Updated Work, borrowed from Claude Code: it serves until {UNTIL}; "
                "`tidegate add claude --paste` makes it Tidegate's own"
            ),
        ),
        (Update(WORK, LOGIN, "Tidegate's export"), f"Updated Work: it serves until {UNTIL}"),
        (Update(WORK, ApiKey("SECRET"), "Tidegate's export"), "Updated Work: it has its key again"),
        (Skip("Work", "ccflare", "it is here already"), "Skipped Work from ccflare: it is here already"),
        (Problem("/f.json", "it is not valid JSON"), "/f.json: it is not valid JSON"),
    ],
)
def test_each_step_is_said_in_a_line(step: Import | Update | Skip | Problem, text: str) -> None:
    assert said(step) == text
    assert "SECRET" not in repr(line(step, NOW, dry=False))


@pytest.mark.parametrize("credential", [LOGIN, ApiKey("sk-1"), None])
def test_dry_run_says_what_would_be_done(credential: Credential | None) -> None:
    assert said(replace(STEP, credential=credential), dry=True).startswith("Would add Work")
    assert said(Update(WORK, credential or LOGIN, "x"), dry=True).startswith("Would update Work")


def test_programs_read_the_same_from_fields() -> None:
    told = line(STEP, NOW, dry=True)

    assert (told.outcome, told.label, told.program, told.kind) == ("import", "Work", "Claude Code", AccountKind.CLAUDE)
    assert (told.borrowed, told.until_at) == (True, NOW + 3_600)


def test_settings_are_listed_or_said_to_stay() -> None:
    taken = settings_line({"strategy": "sticky", "hold_s": "30.0"}, dry=False)

    assert taken == ImportLine("settings", "Took over strategy sticky, hold_s 30.0", program="Tidegate's export")
    assert settings_line({"strategy": "sticky"}, dry=True).text == "Would take over strategy sticky"
    assert settings_line({}, dry=False).outcome == "skip"
