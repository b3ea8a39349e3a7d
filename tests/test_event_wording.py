from typing import get_args

import pytest

from core.event_wording import Happening, happening_text, moves_text
from core.model import (
    AccountId,
    Alert,
    AllSpent,
    ClientKind,
    ClientNotServed,
    ExtraUsageBegan,
    LoginRequired,
    ModelFamily,
    Move,
    ProviderBack,
    ProviderLost,
    ProviderName,
    QuotaWindow,
    RenewalFailed,
    SessionMoved,
    WindowFilled,
    WindowReset,
)
from core.wording import clock_time

NOW = 1_800_000_000.0
AT = NOW + 3_600
CLOCK = clock_time(AT, NOW)
A, B = AccountId("a"), AccountId("b")
LABELS = {A: "Work", B: "Home"}
WEEK = QuotaWindow("7d", 0.9, AT)

TOLD: list[tuple[Happening, str]] = [
    (Move(NOW, "Work", "Home", "5 h window full", AT), f"Work to Home: 5 h window full until {CLOCK}"),
    (Move(NOW, "Work", "Home", "sign in again"), "Work to Home: sign in again"),
    (
        SessionMoved(A, B, "5 h window full", 112_400),
        "A conversation moved from Work to Home: 5 h window full; about 112 k tokens to read anew",
    ),
    (SessionMoved(A, B, "pinned by you", 0), "A conversation moved from Work to Home: pinned by you"),
    (AllSpent(ProviderName.ANTHROPIC, AT), f"No account of Anthropic could serve before {CLOCK}"),
    (
        AllSpent(ProviderName.ANTHROPIC, None, ModelFamily("opus")),
        "No account of Anthropic could serve opus",
    ),
    (LoginRequired(A, "the login was revoked"), "Work needs you: the login was revoked"),
    (RenewalFailed(A, "no answer"), "Work: its login was not renewed: no answer"),
    (ClientNotServed(A, ClientKind.OTHER, "only Claude Code"), "Work does not serve a program: only Claude Code"),
    (WindowFilled(A, WEEK, Alert.SPENT), "Work: week at 90 %"),
    (WindowFilled(A, WEEK, Alert.WARN, AT), f"Work: week at 90 %, at its pace full at {CLOCK}"),
    (ExtraUsageBegan(A), "Work: its plan was spent, and extra usage paid from then on"),
    (WindowReset(A, WEEK), "Work: week began anew"),
    (ProviderLost(ProviderName.OPENCODE_GO, "no route"), "OpenCode Go could not be reached: no route"),
    (ProviderBack(ProviderName.ANTHROPIC, 95.0), "Anthropic was back after 95 s"),
]


@pytest.mark.parametrize(("event", "text"), TOLD)
def test_what_happened_is_one_line(event: Happening, text: str) -> None:
    assert happening_text(event, LABELS.__getitem__, NOW) == text


def test_everything_that_history_tells_has_words() -> None:
    assert {type(event) for event, _ in TOLD} == set(get_args(Happening))


@pytest.mark.parametrize(
    ("moves", "tokens", "text"),
    [
        (0, 0, ""),
        (1, 800, "1 move in the last 24 h cost about 800 tokens of prompt cache"),
        (12, 1_400_000, "12 moves in the last 24 h cost about 1.4 M tokens of prompt cache"),
    ],
)
def test_what_moves_cost_is_one_sentence(moves: int, tokens: int, text: str) -> None:
    assert moves_text(moves, tokens, 86_400.0) == text
