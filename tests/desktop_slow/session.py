"""A session with a whole desktop in it: like `tests.desktop.session`, with a system bus of its own as well.

The machine's system bus is never asked, so nothing that runs there (logind, NetworkManager, …) is seen or touched.
"""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.desktop.bus import private_bus
from tests.desktop.robot import Robot
from tests.desktop.session import Session, _adopt_strays, _start_x
from tests.desktop_slow.shells import HEIGHT, SHELLS, WIDTH, Shell, installed, require


@asynccontextmanager
async def desktop(folder: Path, shell: str, *, dark: bool) -> AsyncIterator[tuple[Session, Shell]]:
    """A running desktop. Fails, and does not skip, when a program is missing."""
    kind = SHELLS[shell]
    require(kind)
    artifacts = Path(os.environ.get("TIDEGATE_ARTIFACTS") or folder / "artifacts") / folder.name
    artifacts.mkdir(parents=True, exist_ok=True)
    (folder / "system").mkdir()
    _adopt_strays(yes=True)
    session = Session(folder, artifacts)
    session.environment |= {
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "XDG_SESSION_TYPE": "x11",
        "XDG_DATA_DIRS": "/usr/share",
        **kind.ENVIRONMENT,
    }
    services = {name: installed(name) for name in kind.SERVICES}
    try:
        async with AsyncExitStack() as stack:
            session.environment["DISPLAY"] = _start_x(session, f"{WIDTH}x{HEIGHT}x24")
            system = stack.enter_context(private_bus(folder / "system", {}, session.environment))
            session.environment["DBUS_SYSTEM_BUS_ADDRESS"] = system
            address = stack.enter_context(private_bus(folder, services, session.environment))
            session.environment["DBUS_SESSION_BUS_ADDRESS"] = address
            # A copy: the robot stays on this display, also where the session's programs are on Wayland and not on X11.
            robot = Robot.connected(dict(session.environment), artifacts)
            session.robot = await stack.enter_async_context(robot)
            running = kind(session)
            running.configure(dark=dark)
            await running.start()
            yield session, running
    finally:
        session.end_all()
        _adopt_strays(yes=False)
