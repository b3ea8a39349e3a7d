import re
from typing import Any

import pytest
from msgspec.structs import replace

from core.answers import Happened, Recounted, RequestEntry, RequestsReport
from core.model import ProviderName
from core.page import activity
from tests.markup import EVIL, checked

NOW = 1_000_000.0
SERVED = RequestEntry(
    at=NOW - 30,
    label="Work",
    provider=ProviderName.ANTHROPIC,
    model="claude-sonnet-5",
    client="claude-code",
    session="s1",
    status=200,
    outcome="Served",
    attempts=2,
    input=1_200,
    output=340,
    cache_read=56_000,
    cache_write=0,
    duration_s=75.0,
    first_byte_s=0.84,
)
FAILED = replace(SERVED, at=NOW - 10, label="Home", status=529, outcome="UpstreamFailed", attempts=1, client="")
LEFT = replace(SERVED, at=NOW - 5, label="", status=499, outcome="ClientLeft", model="")
MOVED = Happened(NOW - 20, "Move", "Work to Home: 5 h window full", labels=("Work", "Home"))
BEGUN = Happened(NOW - 15, "WindowReset", "Spare: 5 h began anew", labels=("Spare",))
COST = "75 s, first byte after 0.8 s · 1 k in, 56 k from cache, 340 out"


def drawn(*entries: RequestEntry, happened: tuple[Happened, ...] = (), **asked: Any) -> str:
    """The view of these, with three accounts to choose from."""
    recounted = Recounted(NOW, happened, 86_400.0, 0, 0)
    return activity.view(RequestsReport(NOW, entries), recounted, ["Work", "Home", "Spare"], **asked)


def told(text: str) -> list[str]:
    """What each entry says, without its tags."""
    return [" ".join(re.sub("<[^>]+>", " ", entry).split()) for entry in re.findall(r"<li.*?</li>", text)]


def test_requests_and_happenings_stand_together_the_newest_first() -> None:
    text = drawn(LEFT, FAILED, SERVED, happened=(BEGUN, MOVED))

    checked(text)
    said = [re.sub(r"^\d\d:\d\d ", "", entry) for entry in told(text)]
    assert said == [
        f"nobody – the program hung up no model Claude Code · 2 attempts · {COST}",
        f"Home ✕ the provider failed claude-sonnet-5 status 529 · {COST}",
        "· Spare: 5 h began anew",
        "⇄ Work to Home: 5 h window full",
        f"Work ✓ answered claude-sonnet-5 Claude Code · 2 attempts · {COST}",
    ]


def test_moves_stand_out() -> None:
    text = drawn(SERVED, happened=(BEGUN, MOVED))

    assert re.findall(r'<li class="(\w+)">', text) == ["event", "move", "request"]


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({}, ["nobody", "Home", "Spare:", "Work to", "Work"]),
        ({"account": "Work"}, ["Work to", "Work"]),
        ({"account": "Home"}, ["Home", "Work to"]),
        ({"account": "Spare"}, ["Spare:"]),
        ({"wrong": True}, ["Home", "Work to"]),
        ({"account": "Spare", "wrong": True}, []),
    ],
)
def test_only_what_is_asked_for_is_shown(asked: dict[str, Any], shown: list[str]) -> None:
    text = drawn(LEFT, FAILED, SERVED, happened=(BEGUN, MOVED), **asked)

    said = [re.sub(r"^\d\d:\d\d (. )?", "", entry) for entry in told(text)]
    assert len(said) == len(shown)
    assert all(one.startswith(words) for one, words in zip(said, shown, strict=True))


def test_the_form_keeps_what_was_asked() -> None:
    tags = checked(drawn(SERVED, account="Home", wrong=True))

    assert [option["value"] for option in tags.all("option") if "selected" in option] == ["Home"]
    assert "checked" in tags.all("input")[0]
    assert [option["value"] for option in tags.all("option")] == ["", "Work", "Home", "Spare"]


def test_what_is_not_there_is_said() -> None:
    assert "Nothing has happened yet." in drawn()
    assert "Nothing of this kind happened lately." in drawn(SERVED, account="Home")


def test_a_long_past_is_cut() -> None:
    text = drawn(*(replace(SERVED, at=NOW - age) for age in range(activity.MOST_SHOWN + 50)))

    assert len(told(text)) == activity.MOST_SHOWN


def test_no_text_becomes_markup() -> None:
    evil = replace(SERVED, label=EVIL, model=EVIL, client=EVIL, outcome=EVIL)
    text = drawn(evil, happened=(replace(MOVED, text=EVIL),))

    checked(text)
    assert "<script" not in text


@pytest.mark.parametrize(
    ("duration_s", "said"), [(0.0123, "12 ms"), (0.84, "0.8 s"), (9.96, "10.0 s"), (75.2, "75 s"), (700.0, "11 min")]
)
def test_a_duration_is_told_as_roughly_as_it_is_long(duration_s: float, said: str) -> None:
    assert f"{said} ·" in told(drawn(replace(SERVED, duration_s=duration_s, first_byte_s=None)))[0]
