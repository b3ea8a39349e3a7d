"""The tray icon on Linux: a pystray back end without GTK, for StatusNotifierItem panels and for XEmbed trays.

StatusNotifierItem comes first. Only while no panel speaks it the X server is asked for an XEmbed tray, and the icon is
in one of the two at most: many panels have both (Xfce, Plasma). Whichever comes later is waited for without waking.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

from dbus_fast.aio import MessageBus
from PIL import Image

from core.errors import NoDesktop
from tray import bus, dbusmenu, sni
from tray.calm import Calm
from tray.popup import Box
from tray.toolkit import Icon as PystrayIcon
from tray.toolkit import MenuItem
from tray.xembed import TrayWindow
from tray.xembed_menu import MenuWindow
from tray.xembed_screen import UNREACHABLE, Screen, has_display

GRACE_S = 1.0
"""A panel that starts may offer its XEmbed tray a moment before it speaks StatusNotifierItem."""
MENU_S = 0.1
"""The least time between two menus: GNOME's extension collects changes for as long, and nobody reads faster."""
_MIDDLE_BUTTON = 2
_BUTTONS = 3
"""The others are the wheel."""

log = logging.getLogger(__name__)


async def probe() -> None:
    """Raise NoDesktop when this session has neither a bus nor an X server of its own."""
    try:
        async with sni.session_bus():
            pass
    except NoDesktop:
        screen = _reachable_screen(lambda: None)
        if screen is None:
            raise
        screen.close()


def _reachable_screen(ended: Callable[[], None]) -> Screen | None:
    """A connection to the session's X server, if it has one."""
    if has_display():
        try:
            return Screen(ended)
        except UNREACHABLE as exc:
            log.debug("there is no X server: %s", exc)
    return None


class Icon(PystrayIcon):  # type: ignore[misc]  # pystray has no types
    """A pystray icon: `run()` blocks the main thread, everything else may be called from any thread.

    `icon` is one image, or a sequence of the same picture in several sizes. `on_host` is told whether a panel
    shows the icon, at the start and whenever that changes. It and the clicks run on the loop that draws the menu:
    a callback hands its work on and returns.
    """

    HAS_NOTIFICATION = False

    def __init__(self, *args: Any, on_host: Callable[[bool], None] = lambda _: None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._on_host = on_host
        self._told: bool | None = None
        self._on_bus = self._in_tray = False
        self._item = sni.StatusNotifierItem(self.name, self.title, self._open_menu_here, self)
        self._rows = dbusmenu.DBusMenu(lambda: self.menu, self._clicked)
        self._calm = Calm(self._draw_menu, MENU_S)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._bus: MessageBus | None = None
        self._screen: Screen | None = None
        self._tray: TrayWindow | None = None
        self._popup: MenuWindow | None = None
        self._waiting: asyncio.TimerHandle | None = None
        self._stopping = asyncio.Event()

    def run(self, setup: Callable[["Icon"], None] | None = None) -> None:
        """Show the icon until `stop()`, or until the session ends. Raises NoDesktop when there is no session."""
        try:
            asyncio.run(self._serve(setup))
        finally:
            self._let_go()

    def _let_go(self) -> None:
        """End the connections. A loop that broke has left both: the panel would show an icon that answers nothing."""
        self._leave_screen()
        if self._bus is not None:
            self._bus.disconnect()

    async def _serve(self, setup: Callable[["Icon"], None] | None) -> None:
        # The session comes first: pystray's setup thread, once started, waits for ever for an icon that fails to run.
        async with AsyncExitStack() as ends:
            self._loop = asyncio.get_running_loop()
            self._loop.set_exception_handler(_on_lost_future)
            ends.callback(self._forget_loop)
            await self._connect(ends)
            self._start_setup(setup)
            self._mark_ready()
            async with asyncio.TaskGroup() as tasks:
                if self._bus is None:
                    self._hosted(shown=False)
                else:
                    tasks.create_task(self._until_session_ends(self._bus), name="session bus")
                    await sni.Registration(self._bus, self._item, lambda shown: self._hosted(shown=shown)).begin(tasks)
                await self._stopping.wait()
                if self._bus is not None:
                    self._bus.disconnect()

    async def _connect(self, ends: AsyncExitStack) -> None:
        """Have the session's bus, or at least its screen. Raises NoDesktop when there is neither."""
        try:
            self._bus = await ends.enter_async_context(sni.session_bus())
        except NoDesktop:
            if not self._reach_screen():
                raise
        else:
            self._bus.export(sni.ITEM_PATH, self._item)
            self._bus.export(dbusmenu.PATH, self._rows)

    async def _until_session_ends(self, session: MessageBus) -> None:
        await bus.ended(session)
        if not self._stopping.is_set():
            log.info("the desktop session has ended")
            self._stopping.set()

    def _forget_loop(self) -> None:
        self._loop = None

    # --- who shows the icon ------------------------------------------------------------------------

    def _hosted(self, *, shown: bool) -> None:
        """A panel shows the icon from the bus, or none does."""
        self._on_bus = shown
        if self._waiting is not None:
            self._waiting.cancel()
        if shown:
            self._leave_tray()
        elif self._loop is not None and has_display() and not self._stopping.is_set():
            self._waiting = self._loop.call_later(GRACE_S, self._look_for_xembed)
        self._tell()

    def _docked(self, shown: bool) -> None:
        self._in_tray = shown
        self._tell()

    def _tell(self) -> None:
        shown = self._on_bus or self._in_tray
        if shown is not self._told:
            self._told = shown
            self._on_host(shown)

    # --- the screen, while it is needed ------------------------------------------------------------

    def _look_for_xembed(self) -> None:
        """Be in the XEmbed tray that is there, or in the first that comes."""
        if self._tray is None and self._reach_screen() and self._screen is not None:
            self._tray = TrayWindow(self._screen, self.name, self._pressed, self._docked)
            self._draw_tray()

    def _reach_screen(self) -> bool:
        """Have a connection to the X server, if there is one."""
        if self._screen is None:
            self._screen = _reachable_screen(self._on_lost_screen)
            if self._screen is not None:
                self._popup = MenuWindow(self._screen, self._clicked, self._menu_closed)
        return self._screen is not None

    def _leave_tray(self) -> None:
        """Take the icon from the XEmbed tray. A menu that is open stays until it is closed."""
        if self._tray is not None:
            self._tray.hide()
            self._tray = None
        self._in_tray = False
        if self._popup is None or not self._popup.is_open:
            self._leave_screen()

    def _leave_screen(self) -> None:
        """Take everything from the X server, and the connection with it."""
        screen = self._screen
        self._drop_screen()
        if screen is not None:
            screen.close()

    def _drop_screen(self) -> None:
        for window in (self._tray, self._popup):
            if window is not None:
                window.drop()
        self._screen = self._tray = self._popup = None
        self._in_tray = False

    def _on_lost_screen(self) -> None:
        log.info("the X server has ended")
        self._drop_screen()
        self._tell()
        if self._bus is None:
            self._stopping.set()

    def _pressed(self, button: int) -> None:
        """A click on the icon in the XEmbed tray."""
        if button == _MIDDLE_BUTTON:
            self()
        elif button <= _BUTTONS and self._tray is not None:
            self._open_menu(self._tray.place())

    def _open_menu_here(self) -> None:
        """A panel hands the click to us: the menu opens at the mouse, or where there are no windows, the dashboard."""
        if self._reach_screen() and self._screen is not None:
            self._open_menu(self._screen.pointer())
        else:
            self()

    def _open_menu(self, anchor: Box) -> None:
        if self._popup is not None:
            self._popup.open(self.menu, anchor)

    def _menu_closed(self) -> None:
        """Leave the screen, if it was reached for the menu alone."""
        if self._tray is None and self._bus is not None and self._loop is not None:
            self._loop.call_soon(self._leave_tray)

    # --- what pystray asks of a back end ------------------------------------------------------------

    def _clicked(self, row: MenuItem) -> None:
        try:
            row(self)
        except Exception:  # the edge: a row that fails must not take the icon along
            log.exception("the menu row %r failed", row.text)

    def _images(self) -> Sequence[Image.Image]:
        return self.icon if isinstance(self.icon, Sequence) else (self.icon,)

    def _show(self) -> None:
        self._item.shown = True
        self._post(self._item.new_status)
        self._post(self._draw_tray)

    def _hide(self) -> None:
        self._item.shown = False
        self._post(self._item.new_status)
        self._post(self._draw_tray)

    def _update_icon(self) -> None:
        self._item.pixmaps = [sni.pixmap(image) for image in self._images()]
        self._icon_valid = True
        self._post(self._item.new_icon)
        self._post(self._draw_tray)

    def _update_title(self) -> None:
        self._item.text = self.title
        self._post(self._item.new_tool_tip)
        self._post(self._draw_tray)

    def _update_menu(self) -> None:
        self._post(self._calm.ask)

    def _stop(self) -> None:
        self._post(self._stopping.set)

    def _draw_menu(self) -> None:
        self._rows.refresh()
        if self._popup is not None:
            self._popup.renew(self.menu)

    def _draw_tray(self) -> None:
        if self._tray is None:
            return
        if self._item.shown:
            self._tray.show(self._images(), self.title)
        else:
            self._tray.hide()

    def _post(self, call: Callable[[], object]) -> None:
        """Run `call` on the loop; without one there is nobody to tell."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop closed in between
                loop.call_soon_threadsafe(call)


def _on_lost_future(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """When the bus goes, dbus-fast drops the messages under way as failed futures that nobody asks for.

    And when the X server goes, its reader tells; a call that came before the reader has nothing to add.
    """
    if isinstance(context.get("exception"), (OSError, EOFError, *UNREACHABLE)):
        log.debug("a message to the panel was lost: %s", context["exception"])
    else:
        loop.default_exception_handler(context)
