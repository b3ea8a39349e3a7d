"""The letters of what we draw on the screen: the desktop's usual font, as far as it can be found."""

import logging
import subprocess
from functools import lru_cache

from PIL import ImageFont

from core import programs

POINTS = 10
_PIXELS_A_POINT = 96 / 72
ANSWER_S = 2.0
"""fontconfig answers in milliseconds, or fills its cache first; then the letters are plainer."""

log = logging.getLogger(__name__)


def font(scale: float) -> ImageFont.FreeTypeFont:
    """The desktop's usual font, else the plain one that Pillow brings."""
    pixels = POINTS * _PIXELS_A_POINT * scale
    try:
        return ImageFont.truetype(_font_file(), pixels)
    except OSError:
        plain = ImageFont.load_default(pixels)
        assert isinstance(plain, ImageFont.FreeTypeFont)  # noqa: S101 - Pillow's wheels have FreeType
        return plain


@lru_cache(maxsize=1)
def _font_file() -> str:
    """Where fontconfig finds the font for `sans`; empty when it does not tell."""
    command = ["fc-match", "--format=%{file}", "sans"]
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            command, env=programs.environment(), capture_output=True, text=True, timeout=ANSWER_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as exc:
        log.debug("the desktop's font is not known: %s", exc)
        return ""
    return done.stdout
