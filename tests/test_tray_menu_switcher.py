"""Who serves, and a row for each account."""

import pytest

from core.model import AccountKind, AccountView, Pause, ProviderName, Standing
from tests.menus import AT, CLOCK, NOW, account, flat, inside, snapshot
from tray.items import Action, Button, Item, OpenDashboard, Order, Radio, Separator, SignIn, Submenu
from tray.menu_switcher import GROUP, ROWS, in_groups, switcher


def rows(*views: AccountView, **options: object) -> list[Item]:
    return list(switcher(snapshot(*views, **options), NOW))


def radios(items: list[Item]) -> list[Radio]:
    return [item for item in items if isinstance(item, Radio)]


@pytest.mark.parametrize(
    ("standing", "action"),
    [
        (Standing.READY, Order("pin", {"account": "id-Work"})),
        (Standing.COOLING, Order("pin", {"account": "id-Work"})),
        (Standing.SIGN_IN, SignIn(AccountKind.CLAUDE)),
        (Standing.LOCKED, None),
        (Standing.DISABLED, None),
    ],
)
def test_click_on_an_account_switches_to_it_or_signs_it_in(standing: Standing, action: Action | None) -> None:
    assert radios(rows(account(standing=standing)))[0].action == action


def test_active_account_is_the_chosen_one_and_the_headline_says_why() -> None:
    items = rows(account("Home"), account("Work", active=True, reason="5 h resets first"))

    assert items[0] == Button("Serving now: Work — 5 h resets first", OpenDashboard("accounts"))
    assert [item.checked for item in radios(items)] == [False, True]


def test_while_nothing_is_let_through_nobody_is_said_to_serve() -> None:
    assert rows(account(active=True), pause=Pause())[0].label == "Next: Work"


def test_pinned_account_can_be_unpinned() -> None:
    pinned = account(pinned=True, pinned_until_at=AT)
    items = rows(pinned)

    assert radios(items)[0].label.startswith("Work (pinned) — ")
    assert Button(f"Unpin Work (pinned until {CLOCK})", Order("unpin", {"provider": pinned.provider})) in items
    for_good = rows(account(pinned=True))
    assert Button("Unpin Work", Order("unpin", {"provider": pinned.provider})) in for_good
    assert not any(isinstance(item, Button) and item.label.startswith("Unpin") for item in rows(account()))


@pytest.mark.parametrize(
    ("views", "words"),
    [
        ((), "No account yet"),
        ((account(standing=Standing.COOLING, until_at=AT),), f"Nobody can serve before {CLOCK}"),
        ((account(standing=Standing.COOLING),), "Nobody can serve now"),
        ((account(standing=Standing.SIGN_IN),), "Sign in again to go on"),
        ((account(standing=Standing.LOCKED), account(standing=Standing.SIGN_IN)), "Unlock the keychain to go on"),
        ((account(standing=Standing.DISABLED),), "All accounts are disabled"),
        ((account(),), "No account has served yet"),
    ],
)
def test_headline_says_why_nobody_serves(views: tuple[AccountView, ...], words: str) -> None:
    assert rows(*views)[0] == Button(words, OpenDashboard("accounts"))


def test_accounts_of_two_providers_are_grouped_each_with_its_headline() -> None:
    go = account("Go", AccountKind.GO, active=True, reason="the only one")
    items = rows(account(active=True), go, account("Home", standing=Standing.DISABLED))

    assert [item.label for item in items if not isinstance(item, Separator)] == [
        "Claude: Work",
        "Work — ready",
        "Home — disabled",
        "OpenCode Go: Go — the only one",
        "Go — ready",
    ]
    spent = rows(account(standing=Standing.COOLING), go)
    assert spent[0].label == "Claude: Nobody can serve now"


def test_for_how_long_all_accounts_last_stands_below_them() -> None:
    items = rows(account(), account("Home"), headroom_s={ProviderName.ANTHROPIC: 3 * 3_600.0})

    last = max(place for place, item in enumerate(items) if isinstance(item, Radio))
    assert items[last + 1].label == "At this rate all accounts last 3 h 00 min more"


def test_long_labels_and_words_are_cut_between_words() -> None:
    long = account("the account of my second organisation " * 5, standing=Standing.COOLING, detail="very full " * 50)

    label = radios(rows(long))[0].label
    assert label.startswith("the account of my second… — very full")
    assert label.endswith("very full very…")
    assert len(label) < 150


def test_as_many_accounts_as_fit_have_a_row_in_the_menu() -> None:
    items = rows(*(account(f"A{n}") for n in range(ROWS)))

    assert len(radios(items)) == ROWS
    assert not any(isinstance(item, Submenu) for item in items)


def test_beyond_that_those_that_serve_keep_their_rows_and_the_others_are_one_step_away() -> None:
    views = [account(f"A{n}", active=n == 30, pinned=n == 30) for n in range(40)]
    items = rows(*views)

    assert [row.label.partition(" ")[0] for row in radios(items)] == [*(f"A{n}" for n in range(ROWS - 1)), "A30"]
    rest = inside(items, "28 more accounts")
    assert [group.label for group in rest] == ["A11 to A31", "A32 to A39"]
    assert len(radios(flat(items))) == 40


def test_one_account_too_many_is_said_in_the_singular() -> None:
    assert inside(rows(*(account(f"A{n}") for n in range(ROWS + 1))), "1 more account")


def test_each_provider_keeps_its_other_accounts_for_itself() -> None:
    go = [account(f"G{n}", AccountKind.GO, active=n == 2) for n in range(3)]
    items = rows(*(account(f"A{n}") for n in range(ROWS)), *go)

    assert [item.label for item in items if isinstance(item, Submenu)] == ["1 more account", "2 more accounts"]
    assert [row.label for row in radios(items)][-1] == "G2 — ready"


def test_rows_are_put_into_groups_only_when_they_are_too_many() -> None:
    rows = [(f"A{n}", Separator()) for n in range(2 * GROUP + 1)]

    assert in_groups(rows[:GROUP]) == (Separator(),) * GROUP
    assert [(group.label, len(group.items)) for group in in_groups(rows)] == [
        ("A0 to A19", GROUP),
        ("A20 to A39", GROUP),
        ("A40 to A40", 1),
    ]
