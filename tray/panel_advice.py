"""What to install or switch on where no panel shows tray icons, by desktop. A pure table."""

_WAYLAND = "Install waybar and put `tray` among its modules."
_ADVICE = {
    "GNOME": (
        "GNOME shows tray icons with an extension: install gnome-shell-extension-appindicator,"
        " sign out and in again, and switch AppIndicator on in Extensions."
    ),
    "KDE": "Add the System Tray widget to a panel.",
    "XFCE": "Add the Status Tray plugin to a panel (xfce4-panel 4.16 or later).",
    "LXQT": "Add the Status Notifier plugin to the panel.",
    "MATE": "Add the Notification Area to a panel.",
    "X-CINNAMON": "Add the System Tray applet to the panel.",
    "BUDGIE": "Add the System Tray applet to the panel.",
    "UNITY": "Install indicator-application.",
    "I3": "Set `tray_output primary` for i3bar.",
    "SWAY": _WAYLAND,
    "HYPRLAND": _WAYLAND,
    "WLROOTS": _WAYLAND,
}
_OTHERWISE = "A panel with a tray is missing: tint2 is a small one for X, waybar for Wayland."


def advice(desktop: str) -> str:
    """What a person can do about it. `desktop`: what XDG_CURRENT_DESKTOP says, names with colons between them."""
    names = desktop.upper().split(":")
    return next((_ADVICE[name] for name in names if name in _ADVICE), _OTHERWISE)
