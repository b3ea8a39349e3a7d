"""Programs of the person's that Tidegate starts: they get none of its variables, one of which may be a passphrase.

And Tidegate itself, in its own place.
"""

import os
import subprocess
import sys
import webbrowser
from collections.abc import Sequence
from typing import NoReturn

from core.errors import TidegateError

_OURS = "TIDEGATE_"
_LIBRARIES = "LD_LIBRARY_PATH"
_BEFORE = f"{_LIBRARIES}_ORIG"


def environment() -> dict[str, str]:
    """The environment for such a program."""
    return {name: value for name, value in _as_we_were_started().items() if not name.startswith(_OURS)}


def become(command: Sequence[str]) -> NoReturn:
    """Replace this process by Tidegate, started anew: whatever hangs in it ends, and what it held is free.

    Raises TidegateError when the program is not there any more.
    """
    given = _as_we_were_started()
    given["PYINSTALLER_RESET_ENVIRONMENT"] = "1"  # else a package takes itself for its own helper
    try:
        if sys.platform == "win32":  # its exec does not quote: a folder with a space would become two words
            subprocess.Popen(command, env=given)  # noqa: S603 - ourselves
            os._exit(0)
        os.execve(command[0], list(command), given)  # noqa: S606 - ourselves
    except OSError as exc:
        raise TidegateError(f"Tidegate cannot be started again: {command[0]}: {exc.strerror or exc}") from exc


def _as_we_were_started() -> dict[str, str]:
    given = dict(os.environ)
    # As a package (PyInstaller's) we run with the libraries in our own folder. Another program that found those first
    # would not start, or crash: PyInstaller's manual, "LD_LIBRARY_PATH considerations".
    if hasattr(sys, "_MEIPASS") and sys.platform == "linux":
        given.pop(_LIBRARIES, None)
        if _BEFORE in given:
            given[_LIBRARIES] = given.pop(_BEFORE)
    return given


def open_url(url: str) -> bool:
    """Open an address in the person's browser. Returns whether there is one."""
    # webbrowser takes no environment, so ours is the other program's for as long as it takes to start one.
    theirs = environment()
    ours = {name: value for name, value in os.environ.items() if theirs.get(name) != value}
    for name in ours:
        del os.environ[name]
    os.environ.update(theirs)
    try:
        return webbrowser.open(url)
    finally:
        os.environ.update(ours)
