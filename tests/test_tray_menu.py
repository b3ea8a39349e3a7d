from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.import_glance import Glance
from core.model import (
    AccountId,
    AccountKind,
    AccountView,
    Level,
    LoginHealth,
    LoginState,
    ProviderName,
    Snapshot,
    Standing,
    Strategy,
    WindowView,
)
from core.wording import TERMS, clock_time
from tray import menu
from tray.items import (
    Action,
    Button,
    Check,
    CopyAddress,
    Import,
    Item,
    Line,
    OpenDashboard,
    Order,
    Quit,
    Radio,
    Separator,
    SignIn,
    Submenu,
)

NOW = 1_800_000_000.0
AT = NOW + 3_600
CLOCK = clock_time(AT, NOW)


def window(name: str = "5h", utilization: float | None = 0.62, resets_at: float | None = None) -> WindowView:
    return WindowView(name, utilization, resets_at, Level.OK)


def account(label: str = "Work", kind: AccountKind = AccountKind.CLAUDE, **options: object) -> AccountView:
    view = AccountView(AccountId(f"id-{label}"), label, kind, kind.provider, Standing.READY, Level.OK)
    return replace(view, **options)


def snapshot(*accounts: AccountView, **options: object) -> Snapshot:
    return replace(Snapshot(at=NOW, address="http://127.0.0.1:8433", accounts=accounts), **options)


def flat(items: tuple[Item, ...]) -> list[Item]:
    return [inner for item in items for inner in ((item, *flat(item.items)) if isinstance(item, Submenu) else (item,))]


def inside(items: tuple[Item, ...], *labels: str) -> tuple[Item, ...]:
    """The rows of a submenu."""
    for label in labels:
        items = next(item.items for item in items if isinstance(item, Submenu) and item.label == label)
    return items


def row(view: AccountView) -> Radio:
    return next(item for item in menu.build(snapshot(view), NOW) if isinstance(item, Radio))


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
    assert row(account(standing=standing)).action == action


def test_active_account_is_the_chosen_one_and_the_headline_says_why() -> None:
    items = menu.build(snapshot(account("Home"), account("Work", active=True, reason="5 h resets first")), NOW)

    assert items[0] == Line("Work: 5 h resets first")
    assert [item.checked for item in items if isinstance(item, Radio)] == [False, True]


def test_pinned_account_can_be_unpinned() -> None:
    pinned = account(pinned=True, pinned_until_at=AT)
    items = menu.build(snapshot(pinned), NOW)

    assert row(pinned).label.startswith("Work (pinned) — ")
    assert Button(f"Unpin Work (pinned until {CLOCK})", Order("unpin", {"provider": pinned.provider})) in items
    assert not any(item.label.startswith("Unpin") for item in menu.build(snapshot(account()), NOW) if _has_label(item))


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
    items = menu.build(snapshot(*views), NOW)

    assert next(item for item in items if isinstance(item, Line)) == Line(words)


def test_empty_pool_offers_to_add_an_account() -> None:
    items = menu.build(snapshot(), NOW)

    assert [item.action for item in inside(items, "Add account") if isinstance(item, Button)] == [
        SignIn(AccountKind.CLAUDE),
        SignIn(AccountKind.API_KEY),
        OpenDashboard("add-api-key"),
        OpenDashboard("add-go"),
        OpenDashboard("add-by-import"),
    ]
    assert not any(isinstance(item, Radio | Check) for item in flat(items))


def test_who_adds_an_account_reads_the_terms_in_lines_that_a_menu_can_show() -> None:
    lines = [item.label for item in inside(menu.build(snapshot(), NOW), "Add account") if isinstance(item, Line)]

    assert " ".join(lines) == TERMS
    assert max(map(len, lines)) <= menu.TERMS_WIDTH


@pytest.mark.parametrize(
    ("found", "label"),
    [
        (Glance(2, ("Claude Code", "OpenCode")), "Import 2 accounts found (Claude Code, OpenCode)…"),
        (Glance(1, ("OpenCode",)), "Import 1 account found (OpenCode)…"),
    ],
)
def test_first_start_offers_to_import_what_was_found_before_anything_else(found: Glance, label: str) -> None:
    assert menu.build(snapshot(), NOW, found)[0] == Button(label, Import())


@pytest.mark.parametrize(
    ("shown", "found"),
    [(snapshot(), None), (snapshot(), Glance()), (snapshot(account()), Glance(2, ("OpenCode",)))],
)
def test_no_import_is_offered_without_a_find_or_once_there_is_an_account(shown: Snapshot, found: Glance | None) -> None:
    assert not any(isinstance(item, Button) and item.action == Import() for item in menu.build(shown, NOW, found))


def test_accounts_that_need_their_person_come_first() -> None:
    views = (
        account("Team", standing=Standing.SIGN_IN),
        account("Home", login=LoginHealth(LoginState.ENDING, AT)),
        account("Lent", borrowed_from="Claude Code", login=LoginHealth(LoginState.FINE, AT)),
        account("Key", AccountKind.API_KEY, standing=Standing.SIGN_IN),
        account("Off", enabled=False, standing=Standing.DISABLED, login=LoginHealth(LoginState.ENDING, AT)),
    )

    items = menu.build(snapshot(*views), NOW)

    assert items[:5] == (
        Button("Sign in again: Team", SignIn(AccountKind.CLAUDE)),
        Button(f"Sign in again by {CLOCK}: Home", SignIn(AccountKind.CLAUDE)),
        Button(f"Make Lent Tidegate's own… (borrowed until {CLOCK})", SignIn(AccountKind.CLAUDE)),
        Button("Add another key for Key…", OpenDashboard("add-api-key")),
        Separator(),
    )


def test_while_nobody_is_needed_the_menu_begins_with_who_serves() -> None:
    assert isinstance(menu.build(snapshot(account()), NOW)[0], Line)


def test_each_account_has_a_submenu_in_the_order_of_the_accounts() -> None:
    items = inside(menu.build(snapshot(account(), account("Home")), NOW), "Accounts")

    assert [item.label for item in items if isinstance(item, Submenu)] == ["Work", "Home"]


def test_accounts_of_two_providers_are_grouped_each_with_its_headline() -> None:
    go = account("Go", AccountKind.GO, active=True, reason="the only one")
    items = menu.build(snapshot(account(active=True), go, account("Home")), NOW)

    words = [item.label.partition(" — ")[0] for item in items if isinstance(item, Line | Radio)]
    assert words == ["Claude · Work", "Work", "Home", "OpenCode Go · Go: the only one", "Go"]


def test_address_cannot_be_copied_while_nothing_listens() -> None:
    items = menu.build(snapshot(account(), address=""), NOW)

    assert Line("Not listening") in items
    assert Button("Copy address", None) in items
    assert Button("Copy address  http://127.0.0.1:8433", CopyAddress()) in menu.build(snapshot(account()), NOW)


def test_demo_says_so_first() -> None:
    assert menu.build(snapshot(demo=True), NOW)[0] == Line("Demo: simulated accounts")


def test_long_labels_and_words_are_cut_between_words() -> None:
    long = account("the account of my second organisation " * 5, standing=Standing.COOLING, detail="very full " * 50)

    label = row(long).label
    assert label.startswith("the account of my second… — very full")
    assert label.endswith("very full very…")
    assert len(label) < 150


@given(st.text(), st.text(), st.lists(st.text(min_size=1), max_size=6))
def test_every_label_is_one_printable_line_of_bounded_length(label: str, detail: str, names: list[str]) -> None:
    windows = tuple(window(name) for name in names)
    active = replace(account(windows=windows, active=True, reason=detail), label=label)
    resting = replace(account(standing=Standing.COOLING, detail=detail, pinned=True), label=label)
    items = flat(menu.build(snapshot(active, resting), NOW, Glance(1, tuple(names))))

    for item in items:
        if _has_label(item):
            assert item.label.isprintable()
            assert len(item.label) < 300
            item.label.encode()
    assert items[-1] == Button("Quit Tidegate", Quit())


def test_every_strategy_can_be_chosen_and_the_present_one_is_marked() -> None:
    rows = inside(menu.build(snapshot(account(), strategy=Strategy.STICKY), NOW), "Strategy: sticky")

    assert [row.action for row in rows] == [Order("strategy", {"name": name.value}) for name in Strategy]
    assert [row.label.partition(" — ")[0] for row in rows if row.checked] == ["sticky"]
    assert all(len(row.label) <= menu.TEXT_LENGTH for row in rows)


def test_for_how_long_all_accounts_last_stands_below_them() -> None:
    shown = snapshot(account(), account("Home"), headroom_s={ProviderName.ANTHROPIC: 3 * 3_600.0})
    items = menu.build(shown, NOW)

    last = max(place for place, item in enumerate(items) if isinstance(item, Radio))
    assert items[last + 1] == Line("At this rate all accounts last 3 h 00 min more")


def test_tooltip_is_short_enough_for_windows() -> None:
    many = account("x" * 200, active=True, windows=tuple(window(f"window {n}") for n in range(9)))

    assert len(menu.tooltip(snapshot(many), NOW)) <= menu.TOOLTIP_LENGTH
    assert menu.tooltip(snapshot(account(active=True, windows=(window(),))), NOW) == "Tidegate: Work — 5 h 62 %"
    assert menu.tooltip(snapshot(demo=True), NOW) == "Tidegate demo: No account yet"


def test_next_change_is_the_first_end_of_a_rest_a_pin_or_a_window_that_is_still_to_come() -> None:
    views = (
        account(until_at=NOW + 300, pinned_until_at=NOW + 200),
        account(windows=(window(resets_at=NOW - 5), window(resets_at=NOW + 100))),
    )

    assert menu.changes_at(snapshot(*views), NOW) == NOW + 100
    assert menu.changes_at(snapshot(*views), NOW + 100) == NOW + 200
    assert menu.changes_at(snapshot(account()), NOW) is None
    dry = account(windows=(replace(window(resets_at=NOW + 100), dry_at=NOW + 50),))
    assert menu.changes_at(snapshot(dry), NOW) == NOW + 50


def _has_label(item: Item) -> bool:
    return not isinstance(item, Separator)
