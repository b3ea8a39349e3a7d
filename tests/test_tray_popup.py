"""Where the rows of a drawn menu are, and what mouse and keys do. No screen."""

import pytest

from tray import popup
from tray.popup import Box, Key, Mark, Metrics, Popup, Row

SCREEN = Box(0, 0, 1000, 600)
METRICS = Metrics(lambda text: 7.0 * len(text))
ICON_ABOVE = Box(900, 2, 24, 24)
ICON_BELOW = Box(900, 574, 24, 24)
ROWS = (
    Row("Work: 62 %", enabled=False),
    Row("Work", mark=Mark.RADIO, checked=True, deed="work"),
    Row("Home", mark=Mark.RADIO, deed="home"),
    Row(),
    Row("More", rows=(Row("Rename", deed="rename"), Row("Deeper", rows=(Row("Remove", deed="remove"),)))),
    Row("Resting", enabled=False, deed="resting"),
    Row("Quit", deed="quit"),
)
LONG = tuple(Row(f"Account {number}", deed=number) for number in range(60))


def opened(rows: tuple[Row, ...] = ROWS, anchor: Box = ICON_ABOVE, screen: Box = SCREEN) -> Popup:
    return popup.opened(rows, anchor, screen, METRICS)


def spot(shown: Popup, index: int, number: int = 0) -> tuple[int, int]:
    """The middle of a row."""
    panel = shown.panels[number]
    return panel.box.x + 20, panel.box.y + sum(panel.span(index)) // 2


def at(shown: Popup) -> list[int | None]:
    return [panel.at for panel in shown.panels]


def with_submenu() -> Popup:
    shown = popup.pointed(opened(), *spot(opened(), 4))
    return popup.settled(shown, *spot(shown, 4))


def press(shown: Popup, *keys: Key) -> Popup:
    for key in keys:
        after, row = popup.pressed(shown, key)
        assert after is not None
        assert row is None
        shown = after
    return shown


# --- where it is -----------------------------------------------------------------------------------


def test_menu_hangs_from_an_icon_in_a_panel_above_and_stands_on_one_below() -> None:
    assert opened(anchor=ICON_ABOVE).panels[0].box.y == ICON_ABOVE.bottom
    assert opened(anchor=ICON_BELOW).panels[0].box.bottom == ICON_BELOW.y


@pytest.mark.parametrize("anchor", [ICON_ABOVE, ICON_BELOW, Box(-5, 300, 1, 1), Box(995, 300, 24, 24)])
@pytest.mark.parametrize("rows", [ROWS, LONG], ids=["short", "long"])
def test_menu_and_submenu_stay_on_the_screen(anchor: Box, rows: tuple[Row, ...]) -> None:
    screen = Box(100, 50, 700, 300)
    shown = opened((Row("More", rows=rows), *rows), anchor, screen)
    shown = popup.settled(shown, *spot(shown, 0))

    assert len(shown.panels) == 2
    for panel in shown.panels:
        assert screen.x <= panel.box.x <= panel.box.right <= screen.right
        assert screen.y <= panel.box.y <= panel.box.bottom <= screen.bottom


def test_submenu_opens_to_the_right_and_where_there_is_no_room_to_the_left() -> None:
    right, left = opened(anchor=Box(100, 2, 24, 24)), opened(anchor=ICON_ABOVE)
    right, left = (popup.settled(shown, *spot(shown, 4)) for shown in (right, left))

    assert right.panels[1].box.right > right.panels[0].box.right
    assert left.panels[1].box.x < left.panels[0].box.x


def test_submenus_go_on_in_the_direction_that_the_first_one_took() -> None:
    deep = (Row("a", rows=(Row("b", rows=(Row("c", rows=(Row("d"),)),)),)),)
    for anchor, step in ((Box(0, 0, 1, 1), 1), (Box(999, 0, 1, 1), -1)):
        shown = press(opened(deep, anchor), Key.DOWN, Key.RIGHT, Key.RIGHT, Key.RIGHT)
        places = [panel.box.x for panel in shown.panels]

        assert places == sorted(places, reverse=step < 0)
        assert len(set(places)) == 4


def test_label_longer_than_the_screen_makes_a_menu_as_wide_as_the_screen() -> None:
    assert opened((Row("x" * 500),)).panels[0].box.width == SCREEN.width


def test_twice_the_dots_make_everything_twice_as_large() -> None:
    large = popup.opened(ROWS, ICON_ABOVE, Box(0, 0, 4000, 4000), Metrics(lambda text: 14.0 * len(text), 2.0))
    small = popup.opened(ROWS, ICON_ABOVE, Box(0, 0, 4000, 4000), METRICS)

    assert large.panels[0].box.height == 2 * small.panels[0].box.height
    assert large.panels[0].box.width == 2 * small.panels[0].box.width


# --- the mouse -------------------------------------------------------------------------------------


def test_every_row_that_can_be_clicked_is_where_it_is_drawn_and_no_other_can() -> None:
    shown = opened()

    hits = [popup.hit(shown, *spot(shown, index)) for index in range(len(ROWS))]

    assert hits == [(0, index if row.selectable else None) for index, row in enumerate(ROWS)]
    assert popup.hit(shown, 5, 5) is None


def test_click_on_a_row_does_it_and_closes() -> None:
    shown = popup.pointed(opened(), *spot(opened(), 2))

    assert popup.clicked(shown, *spot(shown, 2)) == (None, ROWS[2])


def test_click_on_what_can_only_be_read_does_nothing() -> None:
    shown = popup.pointed(opened(), *spot(opened(), 5))

    assert popup.clicked(shown, *spot(shown, 5)) == (shown, None)


def test_button_let_go_on_a_row_that_came_under_the_mouse_by_itself_does_nothing() -> None:
    shown = opened()

    assert popup.clicked(shown, *spot(shown, 1)) == (shown, None)


def test_click_on_a_row_with_a_submenu_opens_it() -> None:
    shown = popup.pointed(opened(), *spot(opened(), 4))

    stays, row = popup.clicked(shown, *spot(shown, 4))

    assert row is None
    assert stays is not None
    assert [panel.rows for panel in stays.panels] == [ROWS, ROWS[4].rows]


def test_submenu_stays_while_the_mouse_crosses_another_row_on_the_way_to_it() -> None:
    shown = popup.pointed(with_submenu(), *spot(opened(), 6))
    assert len(shown.panels) == 2

    shown = popup.pointed(shown, *spot(shown, 0, 1))
    shown = popup.settled(shown, *spot(shown, 0, 1))

    assert at(shown) == [4, 0]


def test_submenu_closes_when_the_mouse_rests_on_another_row() -> None:
    shown = popup.pointed(with_submenu(), *spot(opened(), 6))
    shown = popup.settled(shown, *spot(shown, 6))

    assert at(shown) == [6]


def test_mouse_outside_leaves_the_way_to_the_submenu_marked() -> None:
    shown = popup.pointed(with_submenu(), 5, 5)

    assert at(shown) == [4, None]


def test_submenu_of_a_submenu_is_clicked_as_well() -> None:
    shown = with_submenu()
    shown = popup.settled(popup.pointed(shown, *spot(shown, 1, 1)), *spot(shown, 1, 1))
    shown = popup.pointed(shown, *spot(shown, 0, 2))

    assert popup.clicked(shown, *spot(shown, 0, 2))[1] == Row("Remove", deed="remove")


def test_menu_taller_than_the_screen_scrolls_by_wheel_and_by_resting_on_its_arrow() -> None:
    shown = opened(LONG)
    assert shown.panels[0].arrows() == (False, True)
    below = (shown.panels[0].box.x + 5, shown.panels[0].box.bottom - 2)
    assert popup.hit(shown, *below) == (0, None)
    assert popup.scrolls(shown, *below)

    rested = popup.settled(shown, *below)
    turned = popup.wheeled(shown, *below, 1)

    assert rested.panels[0].scroll == turned.panels[0].scroll == METRICS.row
    assert turned.panels[0].arrows() == (True, True)


def test_scrolling_ends_at_the_last_row() -> None:
    shown = popup.wheeled(opened(LONG), 900, 100, 1000)

    assert shown.panels[0].arrows() == (True, False)
    assert shown.panels[0].span(59)[1] == shown.panels[0].box.height - METRICS.edge
    assert popup.wheeled(shown, 900, 100, 1) == shown


def test_wheel_outside_and_on_a_short_menu_does_nothing() -> None:
    shown = opened()

    assert popup.wheeled(shown, 5, 5, 1) == shown
    assert popup.wheeled(shown, *spot(shown, 1), 1) == shown


# --- the keys --------------------------------------------------------------------------------------


def test_arrow_keys_reach_every_row_that_can_be_clicked_and_go_round() -> None:
    shown, reached = opened(), []
    for _ in range(5):
        shown = press(shown, Key.DOWN)
        reached.append(shown.panels[0].at)
    assert reached == [1, 2, 4, 6, 1]

    assert at(press(shown, Key.UP)) == [6]
    assert at(press(shown, Key.END)) == [6]
    assert at(press(shown, Key.HOME)) == [1]
    assert at(press(opened(), Key.UP)) == [6]


def test_right_opens_a_submenu_at_its_first_row_and_left_goes_back() -> None:
    inside = press(opened(), Key.DOWN, Key.DOWN, Key.DOWN, Key.RIGHT)
    assert at(inside) == [4, 0]

    assert at(press(inside, Key.DOWN, Key.ENTER)) == [4, 1, 0]
    assert at(press(inside, Key.LEFT)) == [4]
    assert at(press(inside, Key.ESCAPE)) == [4]


def test_right_and_left_without_a_submenu_do_nothing() -> None:
    shown = press(opened(), Key.DOWN)

    assert press(shown, Key.RIGHT) == shown
    assert press(shown, Key.LEFT) == shown
    assert press(opened(), Key.ENTER) == opened()


def test_enter_does_the_row_and_escape_closes() -> None:
    shown = press(opened(), Key.DOWN)

    assert popup.pressed(shown, Key.ENTER) == (None, ROWS[1])
    assert popup.pressed(shown, Key.ESCAPE) == (None, None)


def test_keys_scroll_the_row_they_reach_into_view() -> None:
    shown = press(opened(LONG), Key.END)
    top, bottom = shown.panels[0].span(59)
    assert 0 <= top < bottom <= shown.panels[0].box.height

    shown = press(shown, Key.HOME)
    assert shown.panels[0].scroll == 0


def test_menu_without_a_row_to_click_takes_keys_and_does_nothing() -> None:
    shown = opened((Row("only to read", enabled=False),))

    assert at(press(shown, Key.DOWN, Key.ENTER)) == [None]


# --- news ------------------------------------------------------------------------------------------


def test_new_words_change_the_rows_in_place_with_the_submenu_open_and_the_row_reached() -> None:
    shown = popup.pointed(with_submenu(), *spot(with_submenu(), 0, 1))
    news = (*ROWS[:4], Row("More than before", rows=ROWS[4].rows), *ROWS[5:])

    fresh = popup.renewed(shown, news)

    assert at(fresh) == [4, 0]
    assert fresh.panels[0].rows == news
    assert popup.clicked(fresh, *spot(fresh, 0, 1))[1] == ROWS[4].rows[0]


def test_other_rows_let_go_of_the_row_reached_so_that_no_click_hits_what_came_under_the_mouse() -> None:
    shown = popup.pointed(with_submenu(), *spot(opened(), 1))

    fresh = popup.renewed(shown, (Row("Team", deed="team"), *ROWS))

    assert at(fresh) == [None]
    assert popup.clicked(fresh, *spot(shown, 1)) == (fresh, None)


def test_menu_that_grows_above_a_panel_below_still_stands_on_it() -> None:
    shown = opened(anchor=ICON_BELOW)

    fresh = popup.renewed(shown, (Row("Team", deed="team"), *ROWS))

    assert fresh.panels[0].box.bottom == shown.panels[0].box.bottom
    assert fresh.panels[0].box.height > shown.panels[0].box.height
