from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model import AccountId, AccountKind, AccountView, Level, ModelFamily, Snapshot, Standing, WindowView
from core.wording import clock_time
from tray import menu
from tray.menu import AddAccount, Button, Check, CopyAddress, Enable, Line, Pin, Quit, Radio, Separator, Submenu, Unpin

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


def flat(items: tuple[menu.Item, ...]) -> list[menu.Item]:
    return [inner for item in items for inner in ((item, *flat(item.items)) if isinstance(item, Submenu) else (item,))]


def row(view: AccountView) -> Radio:
    return next(item for item in menu.build(snapshot(view), NOW) if isinstance(item, Radio))


ROWS = [
    ({"windows": (window(), window("7d", 0.12))}, "5 h 62 % · week 12 %"),
    ({"windows": (window(resets_at=AT), window("7d", 0.12, AT))}, f"5 h 62 %, resets {CLOCK} · week 12 %"),
    (
        {"windows": (window(utilization=0.1, resets_at=AT), window("7d", 0.8, AT))},
        f"5 h 10 % · week 80 %, resets {CLOCK}",
    ),
    ({"windows": (window(resets_at=NOW - 1),)}, "5 h 62 %"),
    ({"windows": ()}, "ready"),
    ({"windows": (window("moon_phase", None),)}, "moon phase –"),
    ({"windows": (replace(window("7d_oi", 0.4), family=ModelFamily("opus")),)}, "opus week 40 %"),
    (
        {"standing": Standing.COOLING, "until_at": AT, "detail": "5 h window full"},
        f"resting until {CLOCK}: 5 h window full",
    ),
    ({"standing": Standing.COOLING, "detail": "out of credit"}, "resting: out of credit"),
    ({"standing": Standing.SIGN_IN}, "sign in again"),
    ({"standing": Standing.SIGN_IN, "detail": "signed out elsewhere"}, "sign in again: signed out elsewhere"),
    ({"standing": Standing.LOCKED}, "keychain locked"),
    ({"standing": Standing.DISABLED, "detail": "old news"}, "disabled"),
]


@pytest.mark.parametrize(("options", "words"), ROWS)
def test_row_of_an_account_tells_its_state(options: dict[str, object], words: str) -> None:
    assert row(account(**options)).label == f"Work — {words}"


@pytest.mark.parametrize(
    ("standing", "action"),
    [
        (Standing.READY, Pin(AccountId("id-Work"))),
        (Standing.COOLING, Pin(AccountId("id-Work"))),
        (Standing.SIGN_IN, AddAccount(AccountKind.CLAUDE)),
        (Standing.LOCKED, None),
        (Standing.DISABLED, None),
    ],
)
def test_click_on_an_account_switches_to_it_or_signs_it_in(standing: Standing, action: menu.Action | None) -> None:
    assert row(account(standing=standing)).action == action


def test_active_account_is_the_chosen_one_and_the_headline_says_why() -> None:
    items = menu.build(snapshot(account("Home"), account("Work", active=True, reason="5 h resets first")), NOW)

    assert items[0] == Line("Work: 5 h resets first")
    assert [item.checked for item in items if isinstance(item, Radio)] == [False, True]


def test_pinned_account_can_be_unpinned() -> None:
    pinned = account(pinned=True, pinned_until_at=AT)
    items = menu.build(snapshot(pinned), NOW)

    assert row(pinned).label.startswith("Work (pinned) — ")
    assert Button(f"Unpin Work (pinned until {CLOCK})", Unpin(pinned.provider)) in items
    assert not any(isinstance(item, Button) and isinstance(item.action, Unpin) for item in menu.build(snapshot(), NOW))


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
    assert menu.build(snapshot(*views), NOW)[0] == Line(words)


def test_empty_pool_offers_to_add_an_account() -> None:
    items = flat(menu.build(snapshot(), NOW))

    assert [item.action.kind for item in items if isinstance(item, Button) and isinstance(item.action, AddAccount)] == [
        AccountKind.CLAUDE,
        AccountKind.API_KEY,
        AccountKind.GO,
    ]
    assert not any(isinstance(item, Radio | Check) for item in items)


def test_each_account_can_be_enabled_and_disabled() -> None:
    items = flat(menu.build(snapshot(account(), account("Home", enabled=False)), NOW))

    assert [item for item in items if isinstance(item, Check)] == [
        Check("Work", Enable(AccountId("id-Work"), on=False), checked=True),
        Check("Home", Enable(AccountId("id-Home"), on=True), checked=False),
    ]


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
    assert label.startswith("the account of my second… — resting: very full")
    assert label.endswith("very full very…")
    assert len(label) < 150


@given(st.text(), st.text(), st.lists(st.text(min_size=1), max_size=6))
def test_every_label_is_one_printable_line_of_bounded_length(label: str, detail: str, names: list[str]) -> None:
    windows = tuple(window(name) for name in names)
    active = replace(account(windows=windows, active=True, reason=detail), label=label)
    resting = replace(account(standing=Standing.COOLING, detail=detail, pinned=True), label=label)
    items = flat(menu.build(snapshot(active, resting), NOW))

    for item in items:
        if not isinstance(item, Separator):
            assert item.label.isprintable()
            assert len(item.label) < 300
            item.label.encode()
    assert items[-1] == Button("Quit Tidegate", Quit())


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


def test_login_of_another_program_is_marked_as_borrowed() -> None:
    assert row(account(borrowed_from="Claude Code")).label.startswith("Work (borrowed) — ")
    assert row(account(borrowed_from="Claude Code", pinned=True)).label.startswith("Work (pinned, borrowed) — ")
