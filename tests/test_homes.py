"""Files are looked for where the person has moved them to."""

from core.homes import folders
from core.imports import VARIABLES


def test_folders_follow_the_environment() -> None:
    plain = folders("/home/ada", {}, VARIABLES)
    moved = folders(
        "/home/ada", {"CLAUDE_CONFIG_DIR": "/c", "XDG_DATA_HOME": "/d", "XDG_CONFIG_HOME": "/e", "PATH": "/"}, VARIABLES
    )

    assert (plain["claude"], plain["data"], plain["config"]) == (
        "/home/ada/.claude",
        "/home/ada/.local/share",
        "/home/ada/.config",
    )
    assert (moved["claude"], moved["data"], moved["config"]) == ("/c", "/d", "/e")
    assert "PATH" not in moved
    assert "APPDATA" not in plain
