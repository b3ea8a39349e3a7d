import json
import re
from html import escape
from pathlib import Path

import pytest
from msgspec.structs import replace

import core
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
from core.page import accounts
from core.wording import STRATEGY_WORDS, clock_time
from tests.markup import EVIL, Tags, checked

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


def _buttons(view: AccountView, *others: AccountView) -> dict[str, tuple[object, ...]]:
    """What each button and switch of the first card does, by its words."""
    text = accounts.view(Snapshot(at=0.0, accounts=(view, *others))).partition("</article>")[0]
    found: dict[str, tuple[object, ...]] = {}
    for opening, label in re.findall(r"<(?:button|label><input) ([^>]*)> ?([^<]+)<", text):
        given = Tags()
        given.feed(f"<i {opening}>")
        facts = {name.removeprefix("data-"): value or "" for name, value in given.seen[0][1].items()}
        if "dialog" in facts:
            found[label] = (facts["dialog"], facts["account"])
        else:
            found[label] = tuple(json.loads(facts[name]) for name in ("order", "on", "off") if name in facts)
    return found


def test_the_view_tells_who_serves_and_why_and_how_full_everybody_is() -> None:
    text = accounts.view(SNAPSHOT)

    tags = checked(text)
    assert [link["href"] for link in tags.all("a")] == ["#activity"]
    assert "src" not in tags.attributes
    for said in (
        "http://127.0.0.1:8433",
        "9.9",
        "sticky",
        "Serves now: week resets first · pinned",
        "72 %",
        "opus week",
        "100 %",
        "5 h window full until",
        "Home to Work: 5 h window full",
        "ada@example.org",
    ):
        assert said in text
    assert re.search(r'class="warn" width="72"', text)
    assert re.search(r'class="spent" width="100"', text)


def test_a_window_tells_what_its_pace_leads_to() -> None:
    dry = WindowView("5h", 0.7, 9_000.0, Level.WARN, dry_at=4_000.0)
    lost = WindowView("7d", 0.2, 900_000.0, Level.OK, lost=0.12)
    text = accounts.view(Snapshot(at=0.0, accounts=(replace(WORK, windows=(dry, lost)),)))

    checked(text)
    assert re.search(r'class="outlook warn">runs dry at \d\d:\d\d<', text)
    assert re.search(r'class="outlook soft">12 % of the week will be lost on [^<]+<', text)
    assert "outlook" not in accounts.view(SNAPSHOT)


def test_for_how_long_all_accounts_last_is_told() -> None:
    two = (WORK, replace(WORK, id=AccountId("c3"), label="Team"))
    snapshot = Snapshot(at=0.0, accounts=two, headroom_s={ProviderName.ANTHROPIC: 3 * 3600.0})

    assert "<p>Anthropic: At this rate all accounts last 3 h 00 min more</p>" in accounts.view(snapshot)


def test_every_strategy_can_be_chosen_and_the_present_one_is() -> None:
    text = accounts.view(SNAPSHOT)
    options = checked(text).all("option")

    orders = [json.loads(option["value"] or "") for option in options]
    assert orders == [["strategy", {"name": strategy.value}] for strategy in Strategy]
    assert [option["value"] for option in options if "selected" in option] == ['["strategy",{"name":"sticky"}]']
    assert all(escape(words) in text for words in STRATEGY_WORDS.values())


def test_a_level_has_a_shape_of_its_own() -> None:
    signs = {level: accounts._SIGNS[level] for level in Level}

    assert len(set(signs.values())) == len(Level)


def test_without_accounts_the_view_says_how_to_add_one() -> None:
    text = accounts.view(Snapshot(at=0.0))

    checked(text)
    assert "Add one" in text


@pytest.mark.parametrize("field", ["id", "label", "detail", "reason", "email", "plan", "borrowed_from", "shares_with"])
def test_no_text_becomes_markup(field: str) -> None:
    value = (EVIL,) if field == "shares_with" else EVIL
    view = replace(WORK, **{field: value})
    text = accounts.view(Snapshot(at=0.0, address=EVIL, accounts=(view,), moves=(Move(0.0, EVIL, EVIL, EVIL),)))

    tags = checked(text)
    assert not tags.all("script")
    assert "<script" not in text
    assert "&lt;script" in text


def test_an_account_says_what_it_shares_what_it_costs_and_how_old_its_reading_is() -> None:
    window = replace(WORK.windows[0], seen_at=1_000.0)
    extra = ExtraUsage(enabled=True, in_use=True, utilization=0.4)
    view = replace(WORK, windows=(window,), shares_with=("Key 1", "Key 2"), extra_usage=extra)

    text = accounts.view(Snapshot(at=1_000.0 + 3 * 3600, accounts=(view,)))

    assert "Shares limits with Key 1, Key 2" in text
    assert "Extra usage in use, 40 % of its limit" in text
    assert "read 3 h 00 min ago" in text


def test_each_program_has_a_switch_that_asks_before_it_connects_and_gives_back_at_once() -> None:
    drawn = accounts.view(replace(SNAPSHOT, programs=("opencode",)))

    switches = dict(re.findall(r"<label><input ([^>]*)> ?([^<]+)<", drawn.partition('id="programs"')[2]))
    assert {label: "undo" in tag and "data-on=" not in tag for tag, label in switches.items()} == {
        client.name: True for client in on_this_machine().values()
    }
    assert all('data-dialog="connect" data-client=' in tag for tag in switches)
    assert [label for tag, label in switches.items() if "checked" in tag] == ["OpenCode"]


def test_a_pause_is_said_with_its_end_and_the_way_out() -> None:
    drawn = accounts.view(replace(SNAPSHOT, pause=Pause(SNAPSHOT.at + 3600), failover=False))

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
    text = accounts.view(Snapshot(at=0.0, accounts=(view,)))

    assert _buttons(view)[label] == (dialog, view.id)
    assert text.index(label) < text.index("<details")
    assert "Sign in again…" not in text


def test_the_end_of_a_login_is_offered_for_logins_of_our_own_only() -> None:
    def removal(view: AccountView) -> dict[str, str | None]:
        tags = checked(accounts.view(Snapshot(at=0.0, accounts=(view,))))
        return next(button for button in tags.all("button") if button.get("data-dialog") == "remove")

    assert removal(WORK)["data-own"]
    assert "data-own" not in removal(HOME)
    assert "data-own" not in removal(replace(WORK, borrowed_from="OpenCode"))


def test_login_of_another_program_names_its_owner() -> None:
    borrowed = replace(WORK, borrowed_from="Claude Code")

    assert "borrowed from Claude Code" in accounts.view(Snapshot(at=0.0, accounts=(borrowed,)))


def test_every_dialog_that_a_button_names_is_there() -> None:
    template = (Path(core.__file__).parent / "dashboard/page.html").read_text(encoding="utf-8")
    text = page.document(template) + accounts.view(SNAPSHOT)
    tags = Tags()
    tags.feed(text)

    asking = [*tags.all("button"), *tags.all("input")]
    wanted = {control["data-dialog"] for control in asking if "data-dialog" in control}
    assert wanted == {dialog["id"] for dialog in tags.all("dialog")}
