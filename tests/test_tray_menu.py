import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.commands import COMMANDS
from core.import_glance import Glance
from core.model import (
    AccountKind,
    AccountView,
    LoginHealth,
    LoginState,
    Move,
    Pause,
    ProviderName,
    Snapshot,
    Standing,
    Strategy,
)
from core.wording import FAILOVER_OFF_TEXT, TERMS, clock_time
from tests.menus import ADDRESS, AT, CLOCK, NOW, account, flat, inside, labels, snapshot, window
from tray import menu
from tray.items import (
    Button,
    Check,
    CopyAddress,
    CopyKey,
    Import,
    Line,
    OpenDashboard,
    Order,
    Quit,
    Radio,
    Separator,
    SignIn,
    Submenu,
)


def top(*accounts: AccountView, **options: object) -> list[str]:
    """The labels of the menu itself, without those of its submenus."""
    items = menu.build(snapshot(*accounts, **options), NOW)
    return [item.label for item in items if not isinstance(item, Separator)]


def test_the_menu_itself_is_short_and_in_the_order_in_which_it_matters() -> None:
    assert top() == [
        "No account yet",
        "Add account",
        "Open dashboard",
        "Connect a program",
        "Preferences",
        "Quit Tidegate",
    ]
    assert top(account(active=True)) == [
        "Serving now: Work",
        "Work — ready",
        "Account Work",
        "Add account",
        "Open dashboard",
        "Connect a program",
        "Pause",
        "Preferences",
        "Quit Tidegate",
    ]
    assert top(account(active=True), account("Home"), moves=(Move(NOW, "Home", "Work", "full"),)) == [
        "Serving now: Work",
        "Work — ready",
        "Home — ready",
        "Accounts",
        "Add account",
        "Strategy: balanced",
        "Recent moves",
        "Open dashboard",
        "Connect a program",
        "Pause",
        "Preferences",
        "Quit Tidegate",
    ]


@pytest.mark.parametrize("count", [12, 13, 40, 200])
def test_with_any_number_of_accounts_no_part_of_the_menu_is_longer_than_a_screen(count: int) -> None:
    views = [account(f"A{number}", standing=Standing.SIGN_IN) for number in range(count)]
    items = menu.build(snapshot(*views), NOW)

    def heights(rows: tuple[object, ...]) -> list[int]:
        return [len(rows), *(high for row in rows if isinstance(row, Submenu) for high in heights(row.items))]

    assert max(heights(items)) <= 33  # 825 pixels at 25 a row
    for view in views:
        assert any(item.label == view.label for item in flat(items) if isinstance(item, Submenu))
        assert any(isinstance(item, Radio) and item.label.startswith(f"{view.label} — ") for item in flat(items))
        assert f"Sign in again: {view.label}" in labels(items)


def test_empty_pool_offers_to_add_an_account() -> None:
    items = menu.build(snapshot(), NOW)

    assert [item.action for item in inside(items, "Add account") if isinstance(item, Button)] == [
        SignIn(AccountKind.CLAUDE),
        SignIn(AccountKind.API_KEY),
        OpenDashboard("add-api-key"),
        OpenDashboard("add-go"),
        OpenDashboard("add-by-import"),
    ]


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


def test_when_many_need_their_person_the_switcher_stays_in_sight() -> None:
    items = menu.build(snapshot(*(account(f"A{n}", standing=Standing.SIGN_IN) for n in range(6))), NOW)

    assert [item.label for item in items[:5]] == [
        *(f"Sign in again: A{n}" for n in range(4)),
        "2 more accounts need you",
    ]
    assert [item.label for item in inside(items, "2 more accounts need you")] == [
        "Sign in again: A4",
        "Sign in again: A5",
    ]


def test_a_pause_is_said_first_with_the_way_out_of_it_and_is_not_offered_again() -> None:
    items = menu.build(snapshot(account(), pause=Pause(AT)), NOW)

    assert items[:3] == (
        Button(f"Paused until {CLOCK}: nothing is let through", OpenDashboard("instance")),
        Button("Resume", Order("resume", {})),
        Separator(),
    )
    assert "Pause" not in top(account(), pause=Pause(AT))
    assert top(account(), pause=Pause())[0] == "Paused: nothing is let through"


def test_a_pause_is_for_an_hour_or_until_resumed() -> None:
    assert inside(menu.build(snapshot(account()), NOW), "Pause") == (
        Button("Pause for 1 h", Order("pause", {"for_s": 3600.0})),
        Button("Pause until resumed", Order("pause", {})),
    )


def test_a_provider_that_cannot_be_reached_is_named() -> None:
    first = top(account(), account("Go", AccountKind.GO), unreachable=(ProviderName.OPENCODE_GO,))[0]

    assert first == "OpenCode Go cannot be reached; requests wait"


def test_failover_that_is_off_is_said_where_it_matters() -> None:
    assert top(account(), account("Home"), failover=False)[0] == FAILOVER_OFF_TEXT
    assert FAILOVER_OFF_TEXT not in top(account(), failover=False)


def test_nothing_listening_is_said() -> None:
    assert top(account(), address="")[0] == "Not listening: no program can reach Tidegate"


def test_demo_says_so_first() -> None:
    assert top(demo=True)[0] == "Demo: simulated accounts"


def test_each_program_is_connected_and_given_back_by_a_click() -> None:
    rows = inside(menu.build(snapshot(account(), programs=("opencode",)), NOW), "Connect a program")

    assert rows == (
        Check("Claude Code", Order("connect", {"client": "claude-code"}), checked=False),
        Check("OpenCode", Order("undo", {"client": "opencode"}), checked=True),
        Check("Claude Code in VS Code", Order("connect", {"client": "vscode"}), checked=False),
        Check("Shell (bash, zsh, fish)", Order("connect", {"client": "shell"}), checked=False),
        Separator(),
        Button(f"Copy address {ADDRESS}", CopyAddress()),
        Button("Copy key", CopyKey()),
    )


def test_no_program_can_be_connected_while_nothing_listens() -> None:
    rows = inside(menu.build(snapshot(account(), address=""), NOW), "Connect a program")

    assert {row.action for row in rows if isinstance(row, Check)} == {None}
    assert Button("Copy address", None) in rows


def test_recent_moves_are_told_newest_first_with_their_reasons() -> None:
    moves = tuple(Move(NOW - 60 * n, "Work", f"Home {n}", "5 h window full", AT) for n in range(20))
    rows = inside(menu.build(snapshot(account(), moves=moves), NOW), "Recent moves")

    assert len(rows) == menu.MOVES_SHOWN
    assert rows[0] == Button(f"{clock_time(NOW, NOW)} Work → Home 0: 5 h window full", OpenDashboard("moves"))
    assert rows[1].label.startswith(f"{clock_time(NOW - 60, NOW)} Work → Home 1: ")


def test_every_strategy_can_be_chosen_and_the_present_one_is_marked() -> None:
    rows = inside(menu.build(snapshot(account(), account("Home"), strategy=Strategy.STICKY), NOW), "Strategy: sticky")

    choices = [row for row in rows if isinstance(row, Radio)]
    assert [row.action for row in choices] == [Order("strategy", {"name": name.value}) for name in Strategy]
    assert [row.label.partition(" — ")[0] for row in choices if row.checked] == ["sticky"]
    assert all(len(row.label) <= menu.TEXT_LENGTH for row in choices)


@pytest.mark.parametrize(("on", "text"), [(True, "off"), (False, "on")])
def test_failover_is_switched_beside_the_strategies(on: bool, text: str) -> None:
    shown = snapshot(account(), account("Home"), failover=on)

    order = Order("failover", {"on": text == "on"})
    assert Check("Failover: when an account cannot serve, others do", order, on) in flat(menu.build(shown, NOW))


def test_a_strategy_is_a_choice_only_when_one_provider_has_several_accounts() -> None:
    assert "Strategy: balanced" not in top(account(), account("Go", AccountKind.GO))
    assert "Strategy: balanced" in top(account(), account("Go", AccountKind.GO), account("Home"))


def test_every_order_of_the_menu_is_one_that_the_core_takes() -> None:
    views = (account(pinned=True), account("Key", AccountKind.API_KEY), account("Go", AccountKind.GO, enabled=False))
    rows = [row for pause in (None, Pause()) for row in flat(menu.build(snapshot(*views, pause=pause), NOW))]

    orders = [row.action for row in rows if isinstance(getattr(row, "action", None), Order)]
    for order in orders:
        msgspec.convert(dict(order.arguments), COMMANDS[order.name].arguments)
    names = {order.name for order in orders}
    assert {"pin", "unpin", "enable", "disable", "plan_limits", "pause", "resume", "strategy", "config_set"} <= names


def test_no_two_rows_that_stand_together_read_the_same() -> None:
    kinds = {kind.value: kind for kind in AccountKind}
    views = (account(label, kind, pinned=True, active=True) for label, kind in kinds.items())
    moves = (Move(NOW, "Work", "Home", "full"),)
    items = menu.build(snapshot(*views, account("Home"), moves=moves, failover=False), NOW)

    for rows in (items, *(item.items for item in flat(items) if isinstance(item, Submenu))):
        said = [item.label for item in rows if not isinstance(item, Separator)]
        assert len(said) == len(set(said))


@given(st.text(), st.text(), st.lists(st.text(min_size=1), max_size=6))
def test_every_label_is_one_printable_line_of_bounded_length(label: str, detail: str, names: list[str]) -> None:
    windows = tuple(window(name) for name in names)
    active = replace(account(windows=windows, active=True, reason=detail, email=label, plan=detail), label=label)
    resting = replace(account(standing=Standing.COOLING, detail=detail, pinned=True), label=label)
    moves = (Move(NOW, label, label, detail),)
    items = menu.build(snapshot(active, resting, moves=moves, version=label), NOW, Glance(1, tuple(names)))

    for said in labels(items):
        assert said.isprintable()
        assert 0 < len(said) < 300
        said.encode()
    assert items[-1] == Button("Quit Tidegate", Quit())


def test_tooltip_is_short_enough_for_windows() -> None:
    many = account("x" * 200, active=True, windows=tuple(window(f"window {n}") for n in range(9)))

    assert len(menu.tooltip(snapshot(many), NOW)) <= menu.TOOLTIP_LENGTH
    assert menu.tooltip(snapshot(account(active=True, windows=(window(),))), NOW) == "Tidegate: Work — 5 h 62 % used"
    assert menu.tooltip(snapshot(demo=True), NOW) == "Tidegate demo: No account yet"


def test_tooltip_says_what_stops_everything() -> None:
    active = account(active=True)

    assert menu.tooltip(snapshot(active, pause=Pause()), NOW) == "Tidegate: Paused: nothing is let through"
    lost = snapshot(active, unreachable=(ProviderName.ANTHROPIC,))
    assert menu.tooltip(lost, NOW) == "Tidegate: Anthropic cannot be reached; requests wait"
    elsewhere = snapshot(active, unreachable=(ProviderName.OPENCODE_GO,))
    assert menu.tooltip(elsewhere, NOW) == "Tidegate: Work — ready"


def test_next_change_is_the_first_end_of_a_rest_a_pin_a_pause_or_a_window_that_is_still_to_come() -> None:
    views = (
        account(until_at=NOW + 300, pinned_until_at=NOW + 200),
        account(windows=(window(resets_at=NOW - 5), window(resets_at=NOW + 100))),
    )

    assert menu.changes_at(snapshot(*views), NOW) == NOW + 100
    assert menu.changes_at(snapshot(*views), NOW + 100) == NOW + 200
    assert menu.changes_at(snapshot(account()), NOW) is None
    dry = account(windows=(replace(window(resets_at=NOW + 100), dry_at=NOW + 50),))
    assert menu.changes_at(snapshot(dry), NOW) == NOW + 50
    assert menu.changes_at(snapshot(dry, pause=Pause(NOW + 10)), NOW) == NOW + 10
    assert menu.changes_at(snapshot(account(), pause=Pause()), NOW) is None
