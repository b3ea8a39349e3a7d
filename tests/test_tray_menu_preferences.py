"""How Tidegate starts, tells and looks."""

from typing import Any

import pytest

from core.model import IconStyle, QuietHours, Settings
from core.settings import with_setting
from tests.menus import inside, snapshot
from tray.items import Button, Check, Item, OpenDashboard, OpenFolder, Order, Radio, StartAtLogin
from tray.menu_preferences import NIGHT, Desk, preferences


def rows(desk: Desk | None = None, **options: Any) -> tuple[Item, ...]:
    return preferences(snapshot(**options), desk or Desk()).items


def setting(key: str, text: str) -> Order:
    return Order("config_set", {"key": key, "text": text})


@pytest.mark.parametrize("on", [True, False])
def test_what_is_on_is_marked_and_a_click_turns_it_over(on: bool) -> None:
    shown = rows(Desk(autostart=on), notifications=on, icon=IconStyle(colours=on, number=on))

    text = "off" if on else "on"
    assert [row for row in shown if isinstance(row, Check)] == [
        Check("Start at login", StartAtLogin(not on), on),
        Check("Notifications", setting("notifications", text), on),
        Check("Coloured icon", setting("icon.colours", text), on),
        Check("Percent on the icon", setting("icon.number", text), on),
    ]


def test_what_this_desktop_cannot_do_is_said_in_words() -> None:
    said = [row.label for row in rows(Desk(autostart=None, notifications=False)) if isinstance(row, Button)]

    assert said == ["Tidegate cannot start at login here", "Nothing on this desktop shows notifications"]
    assert not [row for row in rows(Desk(autostart=True)) if isinstance(row, Button)]


@pytest.mark.parametrize(
    ("current", "offered", "chosen"),
    [
        (None, ["off", "22:00–07:00"], "off"),
        (NIGHT, ["off", "22:00–07:00"], "22:00–07:00"),
        (QuietHours(9 * 60 + 5, 17 * 60), ["off", "22:00–07:00", "09:05–17:00"], "09:05–17:00"),
    ],
)
def test_quiet_hours_are_off_at_night_or_as_they_were_set(
    current: QuietHours | None, offered: list[str], chosen: str
) -> None:
    choices = inside(rows(quiet_hours=current), f"Quiet hours: {chosen}")

    assert [choice.label for choice in choices] == offered
    assert [choice.label for choice in choices if isinstance(choice, Radio) and choice.checked] == [chosen]


def test_every_setting_is_one_that_the_core_knows() -> None:
    shown = [*rows(), *inside(rows(), "Quiet hours: off")]
    orders = [row.action for row in shown if isinstance(row, Check | Radio) and isinstance(row.action, Order)]

    settings = [with_setting(Settings(), **order.arguments) for order in orders]
    assert [changed.quiet_hours for changed in settings[-2:]] == [None, NIGHT]
    assert len(settings) == 5


def test_about_tells_what_runs_here() -> None:
    assert inside(rows(Desk(log_folder="/home/ada/log")), "About Tidegate") == (
        Button("Version 0.1.0", OpenDashboard("instance")),
        Button("Free software, MIT licence", OpenDashboard("instance")),
        Button("Show the log files", OpenFolder("/home/ada/log")),
    )
    assert len(inside(rows(), "About Tidegate")) == 2
