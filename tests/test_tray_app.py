import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from core.autostart import Status
from core.errors import TidegateError
from core.import_glance import Glance
from core.model import (
    AccountId,
    AccountKind,
    AccountView,
    Level,
    LoginHealth,
    LoginState,
    Notification,
    NotificationAction,
    ProviderName,
    Snapshot,
    Standing,
    WindowView,
)
from tests.tray_person import News
from tray.app import REDRAW_S, App
from tray.backend import Backend
from tray.icon_colours import Panel
from tray.items import (
    Action,
    CopyAddress,
    CopyKey,
    Import,
    OpenDashboard,
    OpenFolder,
    Order,
    Quit,
    SignIn,
    StartAgain,
    StartAtLogin,
)
from tray.seams import End
from tray.toolkit import Menu

SECONDS = 10.0
WORK = AccountId("work")
PIN = Order("pin", {"account": WORK})


def snapshot(used: float = 0.1, **options: Any) -> Snapshot:
    kind = AccountKind.CLAUDE
    windows = (WindowView("5h", used, None, Level.OK),)
    view = AccountView(WORK, "Work", kind, kind.provider, Standing.READY, Level.OK, windows=windows, active=True)
    return Snapshot(at=0.0, address="http://127.0.0.1:8433", accounts=(replace(view, **options),))


class FakeCore:
    """A core that keeps what it is told."""

    def __init__(self, news: News) -> None:
        self.news = news
        self.picture = snapshot()
        self.done: list[tuple[str, dict[str, object]]] = []
        self.looks = 0
        self.changed: Callable[[], None] = lambda: None
        self.fail: Callable[[str], None] = lambda _: None
        self.ring: Callable[[], None] = lambda: None
        self.finished = False
        self.notify: Callable[[Notification], None] = lambda _: None
        self.found: Callable[[Glance], None] = lambda _: None
        self.taken_over = 0
        self.url = ""
        self.refuses_to_stop: TidegateError | None = None
        self.stopped = False

    def snapshot(self) -> Snapshot:
        self.looks += 1
        self.news.tell()
        return self.picture

    def do(self, name: str, /, **arguments: object) -> None:
        if name == "unpin":
            raise RuntimeError("a defect of the core")
        self.done.append((name, arguments))
        self.news.tell()

    @contextmanager
    def subscribed(
        self, changed: Callable[[], None], notify: Callable[[Notification], None], ended: Callable[[str], None]
    ) -> Iterator[None]:
        self.changed, self.notify, self.fail = changed, notify, ended
        yield

    @contextmanager
    def answering(self, shows: Callable[[], None]) -> Iterator[None]:
        self.ring = shows
        yield

    def finish(self) -> None:
        self.finished = True

    def local_key(self) -> str:
        return "tg-secret"

    def sign_in(self, kind: str) -> str:
        return f"http://127.0.0.1:9/sign-in/{kind}"

    def look_around(self, found: Callable[[Glance], None]) -> None:
        self.found = found

    def take_over(self) -> None:
        self.taken_over += 1
        self.news.tell()

    def dashboard_url(self) -> str:
        return self.url

    def stop(self) -> None:
        if self.refuses_to_stop:
            raise self.refuses_to_stop
        self.stopped = True


class FakeIcon:
    """A tray that draws nothing and counts everything."""

    def __init__(
        self, _name: str, icon: Any, title: str, menu: Menu, *, on_host: Callable[[bool], None], news: News
    ) -> None:
        self.menu = menu
        self.on_host = on_host
        self.visible = False
        self.title = title
        self.icons = [icon]
        self.menus = 0
        self._news = news
        self._end = threading.Event()

    def __setattr__(self, name: str, value: object) -> None:
        if name == "icon":
            self.icons.append(value)
        else:
            object.__setattr__(self, name, value)
        if "_end" in self.__dict__:
            self._news.tell()

    def update_menu(self) -> None:
        self.menus += 1
        self._news.tell()

    def run(self, setup: Callable[[Any], None]) -> None:
        self.worker = threading.Thread(target=setup, args=[self])
        self.worker.start()
        assert self._end.wait(SECONDS)

    def stop(self) -> None:
        self._end.set()


class FakeNotifier:
    """Keeps the messages."""

    def __init__(self, news: News) -> None:
        self.news = news
        self.shown: list[Notification] = []
        self.works: bool | None = None

    def listen(self, pressed: Callable[[NotificationAction], None], changed: Callable[[], None]) -> None:
        self.press, self.changed = pressed, changed

    def available(self) -> bool | None:
        return self.works

    def show(self, notification: Notification) -> None:
        self.shown.append(notification)
        self.news.tell()


class Tray:
    """A running tray with its fakes."""

    def __init__(self, **options: Any) -> None:
        self.news = News()
        self.core = FakeCore(self.news)
        self.notifier = FakeNotifier(self.news)
        self.opened: list[str] = []
        self.made: list[FakeIcon] = []
        self.panel = Panel.DARK
        backend = Backend(self._make, (16, 22), lambda: self.panel)
        self.app = App(self.core, backend, self.notifier, self._open, **options)
        self.icon = self.made[0]

    def _make(self, *args: Any, **kwargs: Any) -> FakeIcon:
        self.made.append(FakeIcon(*args, **kwargs, news=self.news))
        return self.made[-1]

    def _open(self, url: str) -> bool:
        self.opened.append(url)
        self.news.tell()
        return True

    def click(self, action: Action) -> None:
        """Click the row with this action, as the desktop does."""
        next(row for row in rows(self.icon.menu) if getattr(row, "key", None) == action)(self.icon)

    def until_ended(self, thread: threading.Thread) -> None:
        for ending in (thread, self.icon.worker):
            ending.join(SECONDS)
            assert not ending.is_alive()

    def until_drawn(self) -> None:
        self.news.until(lambda: self.icon.menus and self.icon.title != "Tidegate")


def rows(menu: Menu) -> Iterator[Any]:
    for row in menu:
        yield row
        if row.submenu:
            yield from rows(row.submenu)


@contextmanager
def running(**options: Any) -> Iterator[Tray]:
    """A tray that has drawn for the first time."""
    tray = Tray(**options)
    thread = threading.Thread(target=tray.app.run)
    thread.start()
    tray.until_drawn()
    try:
        yield tray
    finally:
        tray.icon.stop()
        tray.until_ended(thread)


@pytest.mark.parametrize(
    ("action", "command"),
    [
        (PIN, ("pin", {"account": WORK})),
        (Order("pin", {"account": WORK, "for_s": 3600.0}), ("pin", {"account": WORK, "for_s": 3600.0})),
        (Order("disable", {"account": WORK}), ("disable", {"account": WORK})),
        (Order("remove", {"account": WORK, "revoke": True}), ("remove", {"account": WORK, "revoke": True})),
    ],
)
def test_click_gives_the_core_its_command(action: Action, command: tuple[str, dict[str, object]]) -> None:
    with running() as tray:
        tray.click(action)

        tray.news.until(lambda: tray.core.done == [command])


def test_an_order_may_have_an_argument_that_is_called_name() -> None:
    with running() as tray:
        (view,) = tray.core.picture.accounts
        tray.core.picture = replace(tray.core.picture, accounts=(view, replace(view, id=AccountId("home"))))
        tray.click(Order("strategy", {"name": "sticky"}))

        tray.news.until(lambda: tray.core.done == [("strategy", {"name": "sticky"})])


def test_icon_is_shown_in_every_size_with_its_tooltip() -> None:
    with running() as tray:
        assert tray.icon.visible
        assert [image.size for image in tray.icon.icons[-1]] == [(16, 16), (22, 22)]
        assert tray.icon.title == "Tidegate: Work — 5 h 10 % used"


def test_burst_of_changes_is_drawn_once_and_shows_the_last() -> None:
    with running() as tray:
        looks, menus = tray.core.looks, tray.icon.menus
        for percent in range(1000):
            tray.core.picture = snapshot(percent / 1000)
            tray.core.changed()

        tray.news.until(lambda: tray.icon.title == "Tidegate: Work — 5 h 100 % used")
        assert tray.core.looks - looks <= 2
        assert tray.icon.menus - menus <= 2


def test_change_that_nobody_can_see_redraws_nothing() -> None:
    with running() as tray:
        icons, menus = len(tray.icon.icons), tray.icon.menus
        tray.core.picture = replace(snapshot(served=9, in_flight=1), at=5.0)
        looks = tray.core.looks

        tray.core.changed()
        tray.news.until(lambda: tray.core.looks > looks)
        tray.click(PIN)  # comes after the drawing
        tray.news.until(lambda: tray.core.done)

        assert (len(tray.icon.icons), tray.icon.menus) == (icons, menus)


def test_end_of_a_rest_is_drawn_without_an_event() -> None:
    with running() as tray:
        tray.core.picture = snapshot(standing=Standing.COOLING, until_at=time.time() + 2 * REDRAW_S)
        tray.core.changed()
        tray.news.until(lambda: "resting" in tray.icon.title)

        tray.core.picture = snapshot()

        tray.news.until(lambda: tray.icon.title == "Tidegate: Work — 5 h 10 % used")


def test_messages_of_the_core_are_shown() -> None:
    message = Notification("Work rests", "5 h window full", "work")
    with running() as tray:
        tray.core.notify(message)

        tray.news.until(lambda: tray.notifier.shown == [message])


def test_dashboard_opens_in_the_browser() -> None:
    with running() as tray:
        tray.core.url = "http://127.0.0.1:8433/-/"
        tray.click(OpenDashboard())

        tray.news.until(lambda: tray.opened == [tray.core.url])


def test_without_a_dashboard_the_command_is_told() -> None:
    with running() as tray:
        tray.click(OpenDashboard())

        tray.news.until(lambda: tray.notifier.shown)
        assert "tidegate status" in tray.notifier.shown[0].body


@pytest.mark.parametrize("kind", [AccountKind.CLAUDE, AccountKind.API_KEY])
def test_signing_in_opens_the_providers_page(kind: AccountKind) -> None:
    with running() as tray:
        tray.click(SignIn(kind))

        tray.news.until(lambda: tray.opened == [f"http://127.0.0.1:9/sign-in/{kind.value}"])


def test_keys_are_added_on_the_status_page_where_they_are_not_shown() -> None:
    with running() as tray:
        tray.core.url = "http://127.0.0.1:8433/-/open?code=abc"
        tray.click(OpenDashboard("add-go"))

        tray.news.until(lambda: tray.opened == [f"{tray.core.url}#add-go"])


def test_accounts_that_were_found_are_offered_and_one_click_imports_them() -> None:
    with running() as tray:
        tray.core.picture = Snapshot(at=0.0, address="http://127.0.0.1:8433")
        menus = tray.icon.menus
        tray.core.found(Glance(2, ("Claude Code", "OpenCode")))
        tray.news.until(lambda: tray.icon.menus > menus)
        tray.click(Import())

        tray.news.until(lambda: tray.core.taken_over == 1)


def test_without_a_clipboard_the_address_is_shown_and_the_key_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with running() as tray:
        tray.click(CopyAddress())
        tray.click(CopyKey())

        tray.news.until(lambda: len(tray.notifier.shown) == 2)
    address, key = (notification.body for notification in tray.notifier.shown)
    assert address == "http://127.0.0.1:8433"
    assert "tidegate token" in key
    assert "tg-secret" not in key


def test_key_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "wl-copy"
    program.write_text(f"#!/bin/sh\n/bin/cat > {tmp_path}/copied\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with running() as tray:
        tray.click(CopyKey())

        tray.news.until(lambda: tray.notifier.shown)
    assert (tmp_path / "copied").read_text() == "tg-secret"
    assert tray.notifier.shown[0].title == "The key is on the clipboard"


def test_the_log_files_are_shown_by_the_file_manager(tmp_path: Path) -> None:
    with running(log_folder=str(tmp_path)) as tray:
        tray.click(OpenFolder(str(tmp_path)))

        tray.news.until(lambda: tray.opened == [tmp_path.as_uri()])


class FakeAutostart:
    """A desktop that starts what it is told to."""

    def __init__(self) -> None:
        self.on = False

    def status(self) -> Status:
        return Status(self.on, "")

    def switch_on(self) -> Status:
        self.on = True
        return self.status()

    def switch_off(self) -> Status:
        self.on = False
        return self.status()


def test_start_at_login_is_switched_and_the_menu_then_offers_the_way_back() -> None:
    autostart = FakeAutostart()
    with running(autostart=autostart) as tray:
        tray.news.until(lambda: any(getattr(row, "key", None) == StartAtLogin(on=True) for row in rows(tray.icon.menu)))
        menus = tray.icon.menus
        tray.click(StartAtLogin(on=True))
        tray.news.until(lambda: tray.icon.menus > menus)
        assert autostart.on

        tray.click(StartAtLogin(on=False))
        tray.news.until(lambda: not autostart.on)


def test_click_that_fails_is_logged_and_the_next_one_works(caplog: pytest.LogCaptureFixture) -> None:
    with running() as tray:
        tray.core.picture = snapshot(pinned=True)
        tray.click(Order("unpin", {"provider": ProviderName.ANTHROPIC}))
        tray.click(PIN)

        tray.news.until(lambda: tray.core.done)
    assert "could not do this: Order" in caplog.text


def test_quit_stops_the_core_and_then_the_icon() -> None:
    tray = Tray()
    thread = threading.Thread(target=tray.app.run)
    thread.start()

    tray.click(Quit())

    tray.until_ended(thread)
    assert tray.core.stopped


def test_core_that_cannot_stop_yet_keeps_the_tray_and_says_why() -> None:
    with running() as tray:
        tray.core.refuses_to_stop = TidegateError("A login is not saved yet", "Unlock the keychain.")
        tray.click(Quit())
        tray.click(PIN)

        tray.news.until(lambda: tray.core.done)
        assert tray.notifier.shown[0].title == "A login is not saved yet"
        assert tray.notifier.shown[0].body == "Unlock the keychain."


def test_panel_that_gets_other_colours_gets_another_icon() -> None:
    with running() as tray:
        before = tray.icon.icons[-1]
        tray.panel = Panel.LIGHT

        tray.icon.on_host(True)

        tray.news.until(lambda: tray.icon.icons[-1] != before)


def test_icon_that_no_panel_shows_for_a_while_is_told_once() -> None:
    with running(host_patience_s=0.0) as tray:
        tray.icon.on_host(False)

        tray.news.until(lambda: tray.notifier.shown)
        assert tray.notifier.shown[0].title == "No panel shows Tidegate's icon"


def test_panel_that_is_only_restarted_is_not_worth_a_message() -> None:
    with running(host_patience_s=SECONDS) as tray:
        tray.icon.on_host(False)
        tray.icon.on_host(True)
        tray.click(PIN)

        tray.news.until(lambda: tray.core.done)
        assert tray.notifier.shown == []
        assert tray.app._patience() is None


def test_idle_tray_waits_without_a_timer() -> None:
    with running() as tray:
        tray.click(PIN)
        tray.news.until(lambda: tray.core.done)

        assert tray.app._patience() is None


# --- messages that are answered --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "done", "opened"),
    [
        (NotificationAction("Switch back", "pin", {"account": "work"}), [("pin", {"account": "work"})], []),
        (NotificationAction("Details"), [], ["http://127.0.0.1:8433/-/open?code=once"]),
    ],
)
def test_button_of_a_message_gives_its_order_and_one_without_opens_the_status_page(
    action: NotificationAction, done: list[Any], opened: list[str]
) -> None:
    with running() as tray:
        tray.core.url = "http://127.0.0.1:8433/-/open?code=once"
        tray.notifier.press(action)

        tray.news.until(lambda: (tray.core.done, tray.opened) == (done, opened))


def test_login_that_the_vault_does_not_take_is_told_once_each_time() -> None:
    unsaved = LoginHealth(LoginState.UNSAVED)
    with running() as tray:
        for used, login in ((0.2, unsaved), (0.3, unsaved), (0.4, LoginHealth()), (0.5, unsaved)):
            tray.core.picture = snapshot(used, login=login)
            tray.core.changed()
            tray.news.until(lambda: f"{used:.0%}".replace("%", " %") in tray.icon.title)  # noqa: B023 - waited for here

        assert [message.title for message in tray.notifier.shown] == 2 * ["Not saved: the login of Work"]


def test_menu_says_when_nothing_shows_notifications() -> None:
    with running() as tray:
        tray.notifier.works = False
        tray.notifier.changed()

        tray.news.until(lambda: any("Nothing on this desktop" in row.text for row in rows(tray.icon.menu)))


# --- a second start, and the end -------------------------------------------------------------------


def test_ten_starts_at_once_open_one_page() -> None:
    with running() as tray:
        tray.core.url = "http://127.0.0.1:8433/-/open?code=once"
        for _ in range(10):
            tray.core.ring()
        tray.click(PIN)

        tray.news.until(lambda: tray.core.done)
        assert len(tray.opened) == 1


def test_process_that_is_told_to_end_saves_what_it_can_and_asks_nobody() -> None:
    tray = Tray()
    tray.core.refuses_to_stop = TidegateError("A login is not saved yet", "Unlock the keychain.")
    thread = threading.Thread(target=tray.app.run)
    thread.start()

    tray.app.end()

    tray.until_ended(thread)
    assert tray.core.finished


# --- when one half fails ---------------------------------------------------------------------------


def test_core_that_has_failed_is_shown_in_words_and_colour_and_can_be_started_again() -> None:
    tray = Tray()
    ends: list[End] = []
    thread = threading.Thread(target=lambda: ends.append(tray.app.run()))
    thread.start()
    tray.until_drawn()
    before = tray.icon.icons[-1]

    tray.core.fail("no file descriptors are left")

    tray.news.until(lambda: tray.icon.title == "Not running: no file descriptors are left")
    assert tray.icon.icons[-1] != before
    assert [row.text for row in tray.icon.menu if row.text][:2] == [tray.icon.title, "Start again"]
    assert tray.notifier.shown[-1].title == "Tidegate has failed"
    assert tray.notifier.shown[-1].actions[0].label == "Start again"
    tray.click(StartAgain())
    tray.until_ended(thread)
    assert ends == [End.AGAIN]


def test_core_that_answers_again_is_shown_as_before() -> None:
    with running() as tray:
        before = tray.icon.title
        tray.core.fail("It does not answer any more")
        tray.news.until(lambda: tray.icon.title == "Not running: It does not answer any more")

        tray.core.fail("")

        tray.news.until(lambda: tray.icon.title == before)
        tray.news.until(lambda: tray.notifier.shown[-1].title == "Tidegate answers again")
        assert "Start again" not in [row.text for row in tray.icon.menu]


def test_message_about_the_failure_can_start_it_again_too() -> None:
    tray = Tray()
    ends: list[End] = []
    thread = threading.Thread(target=lambda: ends.append(tray.app.run()))
    thread.start()
    tray.core.fail("memory")
    tray.news.until(lambda: tray.notifier.shown)

    tray.notifier.press(tray.notifier.shown[-1].actions[0])

    tray.until_ended(thread)
    assert ends == [End.AGAIN]


def test_worker_that_fails_takes_the_icon_down_rather_than_leave_a_dead_picture() -> None:
    tray = Tray()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            tray.app.run()
        except ValueError as exc:
            failures.append(exc)

    tray.app._patience = lambda: -1.0  # type: ignore[method-assign]  # a defect of ours: no queue takes that
    thread = threading.Thread(target=run)
    thread.start()

    tray.until_ended(thread)
    assert [str(exc) for exc in failures] == ["'timeout' must be a non-negative number"]


@pytest.mark.parametrize("end", ["quit", "session"])
def test_icon_ends_with_the_word_for_it(end: str) -> None:
    tray = Tray()
    ends: list[End] = []
    thread = threading.Thread(target=lambda: ends.append(tray.app.run()))
    thread.start()
    tray.until_drawn()

    if end == "quit":
        tray.click(Quit())
    else:
        tray.icon.stop()

    tray.until_ended(thread)
    assert ends == [End.QUIT]
