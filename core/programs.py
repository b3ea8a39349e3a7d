"""Programs of the person's that Tidegate starts: they get none of its variables, one of which may be a passphrase."""

import os
import sys
import webbrowser

_OURS = "TIDEGATE_"
_LIBRARIES = "LD_LIBRARY_PATH"
_BEFORE = f"{_LIBRARIES}_ORIG"


def environment() -> dict[str, str]:
    """The environment for such a program."""
    theirs = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    # As a package (PyInstaller's) we run with the libraries in our own folder. Another program that found those first
    # would not start, or crash: PyInstaller's manual, "LD_LIBRARY_PATH considerations".
    if hasattr(sys, "_MEIPASS") and sys.platform == "linux":
        theirs.pop(_LIBRARIES, None)
        if _BEFORE in theirs:
            theirs[_LIBRARIES] = theirs.pop(_BEFORE)
    return theirs


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
