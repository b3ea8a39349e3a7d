import pytest

from core.redaction import HIDDEN, for_others, without_secrets


@pytest.mark.parametrize(
    "text",
    [
        "x-api-key: sk-ant-api03-CANARY-0001",
        "Bearer CANARY.of.any.shape",
        "GET /callback?code=CANARY&state=1",
        "ac_CANARYCANARY",
        "tg-CANARY_CANARY",
        "eyJhbGciCANARY.eyJzdWIiOiIxIn0.c2ln",
    ],
)
def test_what_looks_like_a_credential_is_hidden(text: str) -> None:
    washed = without_secrets(f"before {text} after")
    assert "CANARY" not in washed
    assert HIDDEN in washed
    assert washed.startswith("before ")
    assert washed.endswith(" after")


@pytest.mark.parametrize(
    "text",
    ["Work → Home: 5 h window full", "task-runner skipped", "https://api.anthropic.com", "claude-sonnet-5-20260101"],
)
def test_what_a_person_reads_stays(text: str) -> None:
    assert without_secrets(text) == text
    assert for_others(text, {}) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Work rests, Workshop serves", "Account 1 rests, Workshop serves"),
        ("Work (old) is full", "Account 2 is full"),
        ("ada.lovelace+x@example.co.uk signed in", "[hidden] signed in"),
        ("org 01234567-89ab-cdef-0123-456789abcdef", "org [hidden]"),
        ("/home/ada/.local/share and /home/adam", "~/.local/share and /home/adam"),
    ],
)
def test_stranger_reads_no_name_and_no_id(text: str, said: str) -> None:
    names = {"Work": "Account 1", "Work (old)": "Account 2", "/home/ada": "~", "": "nothing"}
    assert for_others(text, names) == said
