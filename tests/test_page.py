import base64
import dataclasses
import hashlib
import re
from html.parser import HTMLParser

import pytest

from core import page
from core.model import (
    AccountId,
    AccountKind,
    AccountView,
    Level,
    ModelFamily,
    Move,
    ProviderName,
    Snapshot,
    Standing,
    Strategy,
    WindowView,
)

EVIL = '<script>alert("1")</script>\'&'
WORK = AccountView(
    AccountId("a1"),
    "Work",
    AccountKind.CLAUDE,
    ProviderName.ANTHROPIC,
    Standing.READY,
    Level.WARN,
    windows=(
        WindowView("5h", 0.72, 1_000.0, Level.WARN),
        WindowView("7d", 1.3, None, Level.SPENT, ModelFamily("opus")),
        WindowView("odd", None, None, Level.UNKNOWN),
    ),
    active=True,
    reason="week resets first",
    pinned=True,
    email="ada@example.org",
)
HOME = AccountView(
    AccountId("b2"),
    "Home",
    AccountKind.GO,
    ProviderName.OPENCODE_GO,
    Standing.COOLING,
    Level.SPENT,
    detail="5 h window full",
    until_at=500.0,
)
SNAPSHOT = Snapshot(
    at=0.0,
    version="9.9",
    address="http://127.0.0.1:8433",
    accounts=(WORK, HOME),
    strategy=Strategy.STICKY,
    moves=(Move(0.0, "Home", "Work", "5 h window full", 500.0),),
)


class _Tags(HTMLParser):
    """Every tag that is opened is closed, and nothing carries code or style."""

    VOID = frozenset({"meta", "rect"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: set[str] = set()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes |= {name for name, _ in attrs}
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _checked(text: str) -> _Tags:
    tags = _Tags()
    tags.feed(text)
    assert not tags.open
    assert not tags.attributes & {"style", "src", "href", "onclick", "onload"}
    assert "script" not in tags.seen
    return tags


def test_the_page_tells_who_serves_and_why_and_how_full_everybody_is() -> None:
    text = page.render(SNAPSHOT)

    _checked(text)
    for said in (
        "http://127.0.0.1:8433",
        "9.9",
        "sticky",
        "Serves now: week resets first · pinned",
        "72 %",
        "opus week",
        "100 %",
        "5 h window full until",
        "Home → Work: 5 h window full",
        "ada@example.org",
    ):
        assert said in text
    assert re.search(r'class="warn" width="72"', text)
    assert re.search(r'class="spent" width="100"', text)


def test_a_level_has_a_shape_of_its_own() -> None:
    signs = {level: page._SIGNS[level] for level in Level}

    assert len(set(signs.values())) == len(Level)


def test_without_accounts_the_page_says_how_to_add_one() -> None:
    text = page.render(Snapshot(at=0.0))

    _checked(text)
    assert "tidegate add" in text


@pytest.mark.parametrize("field", ["label", "detail", "reason", "email", "plan"])
def test_no_text_becomes_markup(field: str) -> None:
    views = AccountView(**{**_fields(WORK), field: EVIL})
    text = page.render(Snapshot(at=0.0, address=EVIL, accounts=(views,), moves=(Move(0.0, EVIL, EVIL, EVIL),)))

    _checked(text)
    assert "<script" not in text
    assert "&lt;script" in text


def _fields(view: AccountView) -> dict[str, object]:
    return {name: getattr(view, name) for name in AccountView.__dataclass_fields__}


def test_the_policy_allows_the_one_style_and_nothing_else() -> None:
    style = re.search(r"<style>(.*?)</style>", page.render(SNAPSHOT), re.DOTALL)

    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in page.CONTENT_SECURITY_POLICY
    assert page.CONTENT_SECURITY_POLICY.startswith("default-src 'none'")
    assert "unsafe" not in page.CONTENT_SECURITY_POLICY


def test_the_page_asks_for_itself_again_and_a_message_does_not() -> None:
    assert "http-equiv=refresh content=5" in page.render(SNAPSHOT)
    message = page.message(EVIL, "hint")
    _checked(message)
    assert "refresh" not in message.replace(page._STYLE, "")


def test_login_of_another_program_names_its_owner() -> None:
    borrowed = dataclasses.replace(WORK, borrowed_from="Claude Code")
    assert "borrowed from Claude Code" in page.render(Snapshot(at=0.0, accounts=(borrowed,)))
