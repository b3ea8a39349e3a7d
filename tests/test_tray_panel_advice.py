import pytest

from tray.panel_advice import advice


@pytest.mark.parametrize(
    ("desktop", "named"),
    [
        ("ubuntu:GNOME", "gnome-shell-extension-appindicator"),
        ("GNOME-Classic:GNOME", "gnome-shell-extension-appindicator"),
        ("KDE", "System Tray"),
        ("XFCE", "Status Tray"),
        ("Budgie:GNOME", "applet"),
        ("sway", "waybar"),
        ("i3", "i3bar"),
        ("", "tint2"),
        ("SomethingNew", "waybar"),
    ],
)
def test_advice_names_what_this_desktop_needs(desktop: str, named: str) -> None:
    assert named in advice(desktop)
