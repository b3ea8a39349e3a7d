"""The mouse of a session, on the X server that shows it.

Without `--sync` of xdotool, which waits for ever when the pointer is there already. The X server takes events in turn.
"""

import anyio

from tests.desktop.session import Session

MOVE_S = 10.0


async def point(session: Session, x: int, y: int) -> None:
    """Move there."""
    await _xdotool(session, "mousemove", str(x), str(y))


async def click(session: Session, x: int, y: int, button: int = 1) -> None:
    """Click there."""
    await _xdotool(session, "mousemove", str(x), str(y), "click", str(button))


async def _xdotool(session: Session, *words: str) -> None:
    with anyio.fail_after(MOVE_S):
        await anyio.run_process(["xdotool", *words], env=session.robot._environment)
