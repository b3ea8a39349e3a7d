"""Programs of the person's that Tidegate starts: they get none of its variables, one of which may be a passphrase."""

import os
import webbrowser

_OURS = "TIDEGATE_"


def environment() -> dict[str, str]:
    """The environment for such a program."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}


def open_url(url: str) -> bool:
    """Open an address in the person's browser. Returns whether there is one."""
    # webbrowser takes no environment, so ours is without these variables for as long as it takes to start one.
    ours = {name: os.environ.pop(name) for name in os.environ.keys() - environment().keys()}
    try:
        return webbrowser.open(url)
    finally:
        os.environ.update(ours)
