"""Write the README's picture, from a real panel: `python -m tests.desktop.screenshot`."""

import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import anyio
import msgspec
from PIL import Image
from Xlib.display import Display

from core.model import Account, AccountState, FailedOver, Level, Pool
from core.policy.alerts import notification
from tests.desktop.pictures import readme
from tests.desktop.robot import centre
from tests.desktop.session import Session, desktop
from tests.desktop.test_desktop import MENU_HEIGHT, SECONDS, tray
from tray.icon_colours import WATER

TARGET = Path(__file__).parents[2] / "icons/screenshot.png"
BACKGROUND = (58, 84, 110)
BOTTOM_RIGHT = "3"
SCREEN = "640x500x24"


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with desktop(Path(folder), dark=True, screen=SCREEN) as session, tray(session, "readme") as driver:
            robot = session.robot
            _paint(session)
            _put_notifications_out_of_the_way(session)
            icon = await robot.until_icon(WATER[Level.OK], SECONDS)
            message = the_move(time.time())
            driver.command(notify=message)
            await robot.until_notified(message["title"], SECONDS)
            await robot.until_seen(lambda _: len(robot.popups()) == 1, SECONDS, "notification")
            await robot.click(*centre(icon))
            await robot.until_popup(MENU_HEIGHT, SECONDS)
            await anyio.sleep(1)  # fades in
            picture = robot.look()
    picture.quantize(128, dither=Image.Dither.NONE).save(TARGET, optimize=True)


def the_move(now: float) -> Any:
    """What the product says of the failover that the picture shows."""
    home, work = (next(a for a in readme(now).accounts if a.label == label) for label in ("Home", "Work"))
    states = tuple(AccountState(Account(a.id, a.label, a.kind)) for a in (home, work))
    event = FailedOver(home.id, work.id, home.detail, home.until_at)
    message = notification(event, Pool.of(states), now)
    assert message
    return msgspec.to_builtins(message)


def _paint(session: Session) -> None:
    display = Display(session.environment["DISPLAY"])
    root = display.screen().root
    root.change_attributes(background_pixel=int.from_bytes(bytes(BACKGROUND)))
    root.clear_area()
    display.sync()
    display.close()


def _put_notifications_out_of_the_way(session: Session) -> None:
    setting = ["-c", "xfce4-notifyd", "-p", "/notify-location", "-n", "-t", "uint", "-s", BOTTOM_RIGHT]
    subprocess.run(["xfconf-query", *setting], env=session.environment, check=True, timeout=SECONDS)


if __name__ == "__main__":
    anyio.run(main)
