"""One account's part of the menu."""

from pathlib import Path

import pytest
from msgspec.structs import replace

import core
from core import page
from core.model import (
    AccountId,
    AccountKind,
    AccountView,
    ExtraUsage,
    Level,
    LoginHealth,
    LoginState,
    Snapshot,
    Standing,
    WindowView,
)
from core.page import accounts
from core.wording import clock_time
from tray.items import Button, Check, Item, OpenDashboard, Order, SignIn, Submenu
from tray.menu import ADDING
from tray.menu_account import ADD_KEY_PLACES, submenu, urgent

NOW = 1_800_000_000.0
WORK = AccountId("a1")
HERE = {"account": WORK}


def account(kind: AccountKind = AccountKind.CLAUDE, **options: object) -> AccountView:
    return replace(AccountView(WORK, "Work", kind, kind.provider, Standing.READY, Level.OK), **options)


def rows(view: AccountView) -> dict[str, Item]:
    return {
        item.label: item for item in submenu(view, NOW).items if not hasattr(item, "items") and hasattr(item, "label")
    }


def read(view: AccountView) -> list[str]:
    place = OpenDashboard("account-a1")
    return [item.label for item in submenu(view, NOW).items if isinstance(item, Button) and item.action == place]


def test_the_submenu_tells_what_the_row_has_no_room_for() -> None:
    view = account(
        plan="Max",
        email="ada@example.org",
        detail="plan spent (you keep it to plan limits)",
        standing=Standing.COOLING,
        shares_with=("Key 2",),
        extra_usage=ExtraUsage(enabled=True, in_use=True),
        windows=(WindowView("5h", 0.5, None, Level.OK, seen_at=NOW - 1_500), WindowView("7d", 0.5, None, Level.OK)),
    )

    assert read(view) == [
        "Claude subscription · Max · ada@example.org",
        "Plan spent (you keep it to plan limits)",
        "Shares limits with Key 2",
        "Extra usage in use",
        "Quota read 25 min ago",
    ]
    assert read(account()) == ["Claude subscription"]


def test_the_submenu_tells_what_the_pace_leads_to() -> None:
    windows = (
        WindowView("5h", 0.5, NOW + 900, Level.OK, dry_at=NOW + 600),
        WindowView("7d", 0.5, NOW + 900, Level.OK, lost=0.12),
    )

    assert read(account(windows=windows))[1:] == [
        f"5 h runs dry at {clock_time(NOW + 600, NOW)}",
        f"12 % of the week will be lost at {clock_time(NOW + 900, NOW)}",
    ]


def test_an_account_can_be_pinned_switched_and_repaired() -> None:
    offered = rows(account(plan_limits_only=True))

    for button in (
        Button("Sign in again…", SignIn(AccountKind.CLAUDE)),
        Button("Pin for 1 h", Order("pin", {**HERE, "for_s": 3600.0})),
        Button("Pin until unpinned", Order("pin", HERE)),
        Check("Enabled", Order("disable", HERE), checked=True),
        Check("Plan limits only", Order("plan_limits", {**HERE, "on": False}), checked=True),
        Check("Serve Claude Code only", Order("serves", {**HERE, "serves": "claude-code"}), checked=False),
        Check("No notifications about it", Order("mute", {**HERE, "on": True}), checked=False),
        Button("Refresh login now", Order("refresh", HERE)),
        Button("Reset", Order("reset", HERE)),
        Button("Rename…", OpenDashboard("rename-a1")),
    ):
        assert offered[button.label] == button


def test_an_account_among_others_can_be_moved_in_their_order() -> None:
    others = [AccountId("a0"), WORK, AccountId("a2")]

    among = submenu(account(), NOW, order=others).items

    assert Button("Move up", Order("order", {"accounts": [WORK, "a0", "a2"]})) in among
    assert Button("Move down", Order("order", {"accounts": ["a0", "a2", WORK]})) in among
    assert "Move up" not in rows(account())


@pytest.mark.parametrize(
    ("view", "ways"),
    [
        (
            account(),
            {"Yes, remove Work": False, "Yes, remove Work and sign out at the provider": True},
        ),
        (account(borrowed_from="Claude Code"), {"Yes, remove Work": False}),
        (account(AccountKind.GO), {"Yes, remove Work": False}),
    ],
)
def test_removing_takes_two_steps(view: AccountView, ways: dict[str, bool]) -> None:
    removing = submenu(view, NOW).items[-1]

    assert removing == Submenu(
        "Remove…",
        tuple(Button(label, Order("remove", {**HERE, "revoke": revoke})) for label, revoke in ways.items()),
    )


@pytest.mark.parametrize(
    ("view", "button"),
    [
        (account(borrowed_from="OpenCode"), Button("Make it Tidegate's own…", SignIn(AccountKind.CLAUDE))),
        (
            account(AccountKind.API_KEY, standing=Standing.SIGN_IN),
            Button("Add another key…", OpenDashboard("add-api-key")),
        ),
        (account(AccountKind.GO, standing=Standing.SIGN_IN), Button("Add another key…", OpenDashboard("add-go"))),
    ],
)
def test_what_the_account_needs_can_be_given(view: AccountView, button: Button) -> None:
    assert rows(view)[button.label] == button
    assert "Sign in again…" not in rows(view)


@pytest.mark.parametrize(
    ("view", "label"),
    [
        (account(login=LoginHealth(LoginState.ENDING)), "Sign in again soon: Work"),
        (account(borrowed_from="OpenCode"), "Make Work Tidegate's own…"),
        (
            account(borrowed_from="OpenCode", standing=Standing.SIGN_IN, login=LoginHealth(LoginState.ENDING, NOW - 9)),
            "Make Work Tidegate's own…",
        ),
        (account(AccountKind.GO, standing=Standing.SIGN_IN), "Add another key for Work…"),
    ],
)
def test_what_is_urgent_is_said_with_a_time_only_where_one_is_known(view: AccountView, label: str) -> None:
    button = urgent(view, NOW)

    assert button is not None
    assert button.label == label


@pytest.mark.parametrize("view", [account(), account(AccountKind.GO), account(enabled=False, borrowed_from="OpenCode")])
def test_nothing_is_urgent_for_an_account_that_works_or_is_switched_off(view: AccountView) -> None:
    assert urgent(view, NOW) is None


def test_the_status_page_has_every_place_that_the_menu_opens() -> None:
    template = (Path(core.__file__).parent / "dashboard/page.html").read_text(encoding="utf-8")
    shown = page.document(template) + accounts.view(Snapshot(at=NOW, accounts=(account(),)))
    places = {action.place for _, action in ADDING if isinstance(action, OpenDashboard)} | set(ADD_KEY_PLACES.values())

    for place in (*places, "rename-a1"):
        assert f'<button id="{place}" data-dialog="' in shown
