from tray.items import Button, Line, OpenFolder, Quit, Separator, StartAgain
from tray.menu_failed import build, tooltip
from tray.menu_preferences import Desk


def test_menu_of_a_core_that_failed_says_why_and_needs_no_core() -> None:
    assert build("the disk is full", Desk(log_folder="/data")) == (
        Line("Not running: the disk is full"),
        Button("Start again", StartAgain()),
        Button("Show the log files", OpenFolder("/data")),
        Separator(),
        Button("Quit Tidegate", Quit()),
    )
    assert len(build("x", Desk())) == 4


def test_reason_is_one_short_line() -> None:
    assert "\n" not in tooltip("one\ntwo")
    assert len(tooltip("word " * 100)) <= 90
