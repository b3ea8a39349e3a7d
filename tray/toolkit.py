"""pystray, imported so that it opens no display.

On Linux pystray connects to an X server while it is imported, and dies when there is none. Tidegate has its own
back end there (`tray/linux.py`) and needs only pystray's `Icon`, `Menu` and `MenuItem`.
"""

import os
import sys

_VARIABLE = "PYSTRAY_BACKEND"

if sys.platform == "linux":
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = "dummy"
    try:
        import pystray
    finally:  # programs that Tidegate starts inherit the environment
        del os.environ[_VARIABLE]
        if before is not None:
            os.environ[_VARIABLE] = before
else:
    import pystray

Icon = pystray.Icon
Menu = pystray.Menu
MenuItem = pystray.MenuItem
