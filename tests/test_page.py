import base64
import hashlib
import json
import re
from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from core import page
from core.clients import on_this_machine
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
    Pause,
    ProviderName,
    Snapshot,
    Standing,
    Strategy,
    WindowView,
)
from core.wording import STRATEGY_WORDS, TERMS, clock_time

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
TEMPLATE = (Path(page.__file__).parent / "dashboard/page.html").read_text(encoding="utf-8")
SNAPSHOT = Snapshot(
    at=0.0,
    version="9.9",
    address="http://127.0.0.1:8433",
    accounts=(WORK, HOME),
    strategy=Strategy.STICKY,
    moves=(Move(0.0, "Home", "Work", "5 h window full", 500.0),),
)


class _Tags(HTMLParser):
    """Every tag that is opened is closed, ids are unique, and nothing carries code or style."""

    VOID = frozenset({"meta", "link", "img", "input", "rect"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: set[str] = set()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes |= {name for name, _ in attrs}
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, name: str) -> list[dict[str, str | None]]:
        """The attributes of every tag of this name."""
        return [attributes for tag, attributes in self.seen if tag == name]


def _checked(text: str) -> _Tags:
    tags = _Tags()
    tags.feed(text)
    assert not tags.open
    assert "style" not in tags.attributes
    assert not any(name.startswith("on") for name in tags.attributes)
    ids = [attributes["id"] for _, attributes in tags.seen if "id" in attributes]
    assert len(ids) == len(set(ids))
    return tags


def _buttons(view: AccountView, *others: AccountView) -> dict[str, tuple[object, ...]]:
    """What each button and switch of the first card does, by its words."""
    text = page.view(Snapshot(at=0.0, accounts=(view, *others))).partition("</article>")[0]
    found: dict[str, tuple[object, ...]] = {}
    for opening, label in re.findall(r"<(?:button|label><input) ([^>]*)> ?([^<]+)<", text):
        given = _Tags()
        given.feed(f"<i {opening}>")
        facts = {name.removeprefix("data-"): value or "" for name, value in given.seen[0][1].items()}
        if "dialog" in facts:
            found[label] = (facts["dialog"], facts["account"])
        else:
            found[label] = tuple(json.loads(facts[name]) for name in ("order", "on", "off") if name in facts)
    return found


def test_the_view_tells_who_serves_and_why_and_how_full_everybody_is() -> None:
    text = page.view(SNAPSHOT)

    tags = _checked(text)
    assert not {"src", "href"} & tags.attributes
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


def test_a_window_tells_what_its_pace_leads_to() -> None:
    dry = WindowView("5h", 0.7, 9_000.0, Level.WARN, dry_at=4_000.0)
    lost = WindowView("7d", 0.2, 900_000.0, Level.OK, lost=0.12)
    text = page.view(Snapshot(at=0.0, accounts=(replace(WORK, windows=(dry, lost)),)))

    _checked(text)
    assert re.search(r'class="outlook warn">runs dry at \d\d:\d\d<', text)
    assert re.search(r'class="outlook soft">12 % of the week will be lost on [^<]+<', text)
    assert "outlook" not in page.view(SNAPSHOT)


def test_for_how_long_all_accounts_last_is_told() -> None:
    two = (WORK, replace(WORK, id=AccountId("c3"), label="Team"))
    snapshot = Snapshot(at=0.0, accounts=two, headroom_s={ProviderName.ANTHROPIC: 3 * 3600.0})

    assert "<p>Anthropic: At this rate all accounts last 3 h 00 min more</p>" in page.view(snapshot)


def test_every_strategy_can_be_chosen_and_the_present_one_is() -> None:
    text = page.view(SNAPSHOT)
    options = _checked(text).all("option")

    orders = [json.loads(option["value"] or "") for option in options]
    assert orders == [["strategy", {"name": strategy.value}] for strategy in Strategy]
    assert [option["value"] for option in options if "selected" in option] == ['["strategy",{"name":"sticky"}]']
    assert all(escape(words) in text for words in STRATEGY_WORDS.values())


def test_a_level_has_a_shape_of_its_own() -> None:
    signs = {level: page._SIGNS[level] for level in Level}

    assert len(set(signs.values())) == len(Level)


def test_without_accounts_the_view_says_how_to_add_one() -> None:
    text = page.view(Snapshot(at=0.0))

    _checked(text)
    assert "Add one" in text


@pytest.mark.parametrize("field", ["id", "label", "detail", "reason", "email", "plan", "borrowed_from", "shares_with"])
def test_no_text_becomes_markup(field: str) -> None:
    value = (EVIL,) if field == "shares_with" else EVIL
    view = replace(WORK, **{field: value})
    text = page.view(Snapshot(at=0.0, address=EVIL, accounts=(view,), moves=(Move(0.0, EVIL, EVIL, EVIL),)))

    tags = _checked(text)
    assert not tags.all("script")
    assert "<script" not in text
    assert "&lt;script" in text


def test_an_account_says_what_it_shares_what_it_costs_and_how_old_its_reading_is() -> None:
    window = replace(WORK.windows[0], seen_at=1_000.0)
    extra = ExtraUsage(enabled=True, in_use=True, utilization=0.4)
    view = replace(WORK, windows=(window,), shares_with=("Key 1", "Key 2"), extra_usage=extra)

    text = page.view(Snapshot(at=1_000.0 + 3 * 3600, accounts=(view,)))

    assert "Shares limits with Key 1, Key 2" in text
    assert "Extra usage in use, 40 % of its limit" in text
    assert "read 3 h 00 min ago" in text


def test_each_program_has_a_switch_that_connects_it_and_gives_it_back() -> None:
    drawn = page.view(replace(SNAPSHOT, programs=("opencode",)))

    switches = dict(re.findall(r"<label><input ([^>]*)> ?([^<]+)<", drawn.partition('id="programs"')[2]))
    orders = {label: [name for name in ("connect", "undo") if name in tag] for tag, label in switches.items()}
    assert orders == {client.name: ["connect", "undo"] for client in on_this_machine().values()}
    assert [label for tag, label in switches.items() if "checked" in tag] == ["OpenCode"]


def test_a_pause_is_said_with_its_end_and_the_way_out() -> None:
    drawn = page.view(replace(SNAPSHOT, pause=Pause(SNAPSHOT.at + 3600), failover=False))

    assert f"Paused until {clock_time(SNAPSHOT.at + 3600, SNAPSHOT.at)}: nothing is let through" in drawn
    assert '<button id="resume-all"' in drawn
    assert "Pause for" not in drawn
    assert "Failover is off: when an account cannot serve, you switch." in drawn


def test_the_page_has_its_orders() -> None:
    buttons = _buttons(WORK, HOME)

    assert buttons == {
        "Pause for 1 h": (["pause", {"for_s": 3600.0}],),
        "Pause until resumed": (["pause", {}],),
        "Failover": (
            ["failover", {"on": True}],
            ["failover", {"on": False}],
        ),
        "Unpin": (["unpin", {"account": "a1"}],),
        "Move down": (["order", {"accounts": ["b2", "a1"]}],),
        "Refresh login now": (["refresh", {"account": "a1"}],),
        "Reset": (["reset", {"account": "a1"}],),
        "Enabled": (["enable", {"account": "a1"}], ["disable", {"account": "a1"}]),
        "Plan limits only": (
            ["plan_limits", {"account": "a1", "on": True}],
            ["plan_limits", {"account": "a1", "on": False}],
        ),
        "Serve Claude Code only": (
            ["serves", {"account": "a1", "serves": "claude-code"}],
            ["serves", {"account": "a1", "serves": "any"}],
        ),
        "No notifications about it": (
            ["mute", {"account": "a1", "on": True}],
            ["mute", {"account": "a1", "on": False}],
        ),
        "Sign in again…": ("sign-in", "a1"),
        "Rename…": ("rename", "a1"),
        "Remove…": ("remove", "a1"),
    }


@pytest.mark.parametrize(
    ("view", "label", "dialog"),
    [
        (replace(WORK, standing=Standing.SIGN_IN), "Sign in again", "sign-in"),
        (replace(WORK, login=LoginHealth(LoginState.ENDING, 9.0)), "Sign in again", "sign-in"),
        (replace(WORK, borrowed_from="Claude Code"), "Make it Tidegate&#x27;s own", "sign-in"),
        (replace(HOME, standing=Standing.SIGN_IN), "Add another key", "add-key"),
    ],
)
def test_what_an_account_needs_of_the_person_is_its_first_button(view: AccountView, label: str, dialog: str) -> None:
    text = page.view(Snapshot(at=0.0, accounts=(view,)))

    assert _buttons(view)[label] == (dialog, view.id)
    assert text.index(label) < text.index("<details")
    assert "Sign in again…" not in text


def test_the_end_of_a_login_is_offered_for_logins_of_our_own_only() -> None:
    def removal(view: AccountView) -> dict[str, str | None]:
        tags = _checked(page.view(Snapshot(at=0.0, accounts=(view,))))
        return next(button for button in tags.all("button") if button.get("data-dialog") == "remove")

    assert removal(WORK)["data-own"]
    assert "data-own" not in removal(HOME)
    assert "data-own" not in removal(replace(WORK, borrowed_from="OpenCode"))


def test_login_of_another_program_names_its_owner() -> None:
    borrowed = replace(WORK, borrowed_from="Claude Code")

    assert "borrowed from Claude Code" in page.view(Snapshot(at=0.0, accounts=(borrowed,)))


# --- the document ----------------------------------------------------------------------------------


def test_the_document_is_whole_and_carries_its_terms_and_nothing_that_runs_by_itself() -> None:
    text = page.document(TEMPLATE)

    tags = _checked(text)
    assert text.count(escape(TERMS)) == 3, "in every dialog that adds accounts"
    assert [script.get("src") for script in tags.all("script")] == ["/-/page.js"]
    assert "<!--" not in text
    assert "tidegate-key" not in text


def test_the_document_of_a_link_carries_its_key_once() -> None:
    tags = _checked(page.document(TEMPLATE, "the-key"))

    assert [meta["content"] for meta in tags.all("meta") if meta.get("name") == "tidegate-key"] == ["the-key"]


def test_every_field_of_the_document_has_its_label_and_keys_are_not_shown() -> None:
    tags = _checked(page.document(TEMPLATE))
    labelled = {label["for"] for label in tags.all("label") if "for" in label}
    fields = [field for field in tags.all("input") if field.get("type") != "checkbox"]

    assert {field["id"] for field in fields} == labelled
    assert [field["type"] for field in fields if field["name"] == "key"] == ["password"]
    assert all(field["autocomplete"] == "off" for field in fields)


def test_every_dialog_that_a_button_names_is_there() -> None:
    text = page.document(TEMPLATE) + page.view(SNAPSHOT)
    tags = _Tags()
    tags.feed(text)

    wanted = {button["data-dialog"] for button in tags.all("button") if "data-dialog" in button}
    assert wanted == {dialog["id"] for dialog in tags.all("dialog")}


@pytest.mark.parametrize("policy", [page.CONTENT_SECURITY_POLICY, page.DOCUMENT_POLICY])
def test_both_policies_allow_nothing_from_elsewhere_and_nothing_inline(policy: str) -> None:
    assert policy.startswith("default-src 'none'")
    assert policy.endswith("base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_the_policy_of_a_message_allows_its_one_style() -> None:
    text = page.message(EVIL, "hint")
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)

    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in page.CONTENT_SECURITY_POLICY
    tags = _checked(text)
    assert not tags.all("script")
    assert not {"src", "href"} & tags.attributes
