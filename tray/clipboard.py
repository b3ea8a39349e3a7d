"""The clipboard, through whichever program of the desktop is there: Tidegate has no toolkit of its own."""

import logging
import shutil
import subprocess

from core import programs

log = logging.getLogger(__name__)

PROGRAMS: tuple[tuple[str, ...], ...] = (
    ("wl-copy",),
    ("xclip", "-selection", "clipboard"),
    ("xsel", "--clipboard", "--input"),
    ("pbcopy",),
    ("clip",),
)
"""In the order of trying: on a Wayland desktop the X programs reach only X windows."""
COPY_S = 3.0
"""They answer at once, or hang because their display is gone."""


def copy(text: str, search_path: str | None = None) -> bool:
    """Put `text` on the clipboard. Returns whether a program took it.

    The text goes through the program's input: what is on a command line, every user of the machine can read.
    """
    for name, *arguments in PROGRAMS:
        program = shutil.which(name, path=search_path)
        if program is not None and _copy_with([program, *arguments], text):
            return True
    return False


def _copy_with(command: list[str], text: str) -> bool:
    try:
        # These programs stay in the background to serve the clipboard: an output kept open would be waited for.
        subprocess.run(  # noqa: S603 - a program from the list above
            command,
            env=programs.environment(),
            input=text.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=COPY_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as exc:
        log.debug("the clipboard program did not work: %s", exc)
        return False
    return True
