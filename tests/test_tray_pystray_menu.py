from tray import pystray_menu
from tray.items import Action, Button, Check, CopyKey, Item, Line, OpenDashboard, Quit, Radio, Separator, Submenu
from tray.toolkit import Menu, MenuItem

ITEMS: tuple[Item, ...] = (
    Line("Work: R&D first"),
    Radio("Work", Quit(), checked=True),
    Radio("Home", None, checked=False),
    Separator(),
    Submenu("More", (Check("Work", CopyKey(), checked=False), Button("Open dashboard", OpenDashboard()))),
)


def rows(items: tuple[Item, ...], **options: bool) -> list[MenuItem]:
    return list(pystray_menu.menu(lambda: items, lambda _: None, **options))


def test_every_kind_of_row_becomes_the_pystray_row_that_draws_it() -> None:
    line, work, home, separator, more = rows(ITEMS)

    assert (line.text, line.enabled, line.checked) == ("Work: R&D first", False, None)
    assert (work.checked, work.radio, work.enabled) == (True, True, True)
    assert (home.checked, home.radio, home.enabled) == (False, True, False)
    assert separator is Menu.SEPARATOR
    check, button = more.submenu
    assert (check.checked, check.radio, check.default) == (False, False, False)
    assert (button.checked, button.default) == (None, True)


def test_only_the_dashboard_itself_is_the_default_row() -> None:
    shown = rows((Button("Rename…", OpenDashboard("rename-a1")), Button("Open dashboard", OpenDashboard())))

    assert [row.default for row in shown] == [False, True]


def test_click_hands_over_the_action_of_the_row() -> None:
    performed: list[Action] = []
    _, work, home, _, more = pystray_menu.menu(lambda: ITEMS, performed.append)

    for row in (work, home, *more.submenu):
        row(None)

    assert performed == [Quit(), CopyKey(), OpenDashboard()]


def test_menu_asks_for_its_items_each_time_it_is_read() -> None:
    items: list[Item] = [Line("first")]
    shown = pystray_menu.menu(lambda: items, lambda _: None)

    assert [row.text for row in shown] == ["first"]
    items[:] = [Line("second")]
    assert [row.text for row in shown] == ["second"]


def test_ampersands_are_doubled_where_the_toolkit_underlines_after_one() -> None:
    assert rows(ITEMS, double_ampersands=True)[0].text == "Work: R&&D first"


def test_submenu_tells_that_it_has_rows_without_reading_them() -> None:
    (more,) = rows((Submenu("More", (Submenu("Deeper", ITEMS),)),))
    more.submenu._visible_items = None  # what pystray reads the rows with

    assert more.submenu
    assert more.visible
    (empty,) = pystray_menu.menu(lambda: (Submenu("None", ()), Line("a")), lambda _: None)
    assert empty.text == "a"
