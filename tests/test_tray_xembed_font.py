import sys
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("fontconfig is Linux's", allow_module_level=True)

from tray import xembed_font


@pytest.mark.parametrize("command", ["", "#!/bin/sh\nexit 1\n", "#!/bin/sh\necho /nowhere.ttf\n"])
def test_font_is_the_plain_one_where_fontconfig_does_not_help(
    command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if command:
        (tmp_path / "fc-match").write_text(command)
        (tmp_path / "fc-match").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    xembed_font._font_file.cache_clear()

    assert xembed_font.font(2.0).size == 2 * xembed_font.font(1.0).size
    xembed_font._font_file.cache_clear()


def test_font_has_the_letters_that_the_menu_uses() -> None:
    letters = xembed_font.font(1.0)
    missing = letters.getmask("\uffff").getbbox()

    for letter in "—·…→é%":
        assert letters.getmask(letter).getbbox() not in (None, missing), letter
