"""The tray on whole desktops: the same promises on each. Screenshots go to TIDEGATE_ARTIFACTS when it is set."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from core.model import Level
from tests.browser.default_browser import DefaultBrowser
from tests.desktop.test_desktop import Driver, tray
from tests.desktop_slow.mouse import point
from tests.desktop_slow.person import LEFT, NOWHERE, RIGHT, Person, drawn, grouped, words
from tests.desktop_slow.reading import find
from tests.desktop_slow.session import desktop
from tests.desktop_slow.shells import APPEARANCES, SHELLS

pytestmark = [pytest.mark.anyio, pytest.mark.desktop_slow, pytest.mark.timeout(180)]

on_each = pytest.mark.parametrize("shell", sorted(SHELLS))
in_each_colour = pytest.mark.parametrize(
    ("shell", "dark"), APPEARANCES, ids=[f"{shell}-{'dark' if dark else 'light'}" for shell, dark in APPEARANCES]
)


@asynccontextmanager
async def tidegate(folder: Path, shell: str, *, dark: bool = True) -> AsyncIterator[tuple[Person, Driver]]:
    """A desktop with Tidegate in its panel, and a person before it."""
    async with desktop(folder, shell, dark=dark) as (session, running):
        with closing(DefaultBrowser(folder)) as browser:
            session.environment |= browser.environment
            async with tray(session) as driver:
                await point(session, *NOWHERE)
                yield Person(session, running, browser), driver


@in_each_colour
async def test_menu_is_drawn_as_it_is_on_the_bus_by_either_button(tmp_path: Path, shell: str, dark: bool) -> None:
    async with tidegate(tmp_path, shell, dark=dark) as (person, _):
        await person.until_icon()
        person.robot.screenshot("icon")
        rows = await person.rows()

        for button, name in ((LEFT, "left"), (RIGHT, "right")):
            lines = await person.open_menu(*words(rows), button=button)
            person.robot.screenshot(f"menu-{name}")
            await person.close_menu()

            assert grouped(lines, rows) == words(rows, between="")


@on_each
async def test_click_on_a_drawn_row_switches_the_account(tmp_path: Path, shell: str) -> None:
    async with tidegate(tmp_path, shell) as (person, driver):
        home = drawn(await person.row("Home"))
        lines = await person.open_menu(home)

        await person.click_line(lines, home)

        assert (await driver.said("do", name="pin"))["account"] == "home"


@on_each
async def test_click_in_a_drawn_submenu_picks_another_strategy(tmp_path: Path, shell: str) -> None:
    async with tidegate(tmp_path, shell) as (person, driver):
        strategies = await person.row("Strategy")
        wanted = next(row for row in strategies.children if row.kind == "radio" and not row.checked)
        lines = await person.open_menu(drawn(strategies), button=RIGHT)
        before = person.robot.look()
        await person.click_line(lines, drawn(strategies))
        lines = await person.until_read(before, drawn(wanted))
        person.robot.screenshot("submenu")

        await person.click_line(lines, drawn(wanted))

        picked = (await driver.said("do", name="strategy"))["strategy"]
        assert picked in drawn(wanted).lower()

        await person.row(f"Strategy: {picked}")


@on_each
async def test_account_that_needs_a_sign_in_is_the_top_row_and_a_click_opens_the_browser(
    tmp_path: Path, shell: str
) -> None:
    async with tidegate(tmp_path, shell) as (person, driver):
        icon = await person.until_icon()
        driver.command(picture="sign-in")
        wish = drawn(await person.row("Sign in again: Team"))
        rows = await person.rows()
        lines = await person.open_menu(*words(rows), icon=icon)
        person.robot.screenshot("sign-in")
        assert grouped(lines, rows) == words(rows, between="")
        assert words(rows)[0] == wish

        await person.click_line(lines, wish)

        assert await person.browser.opened() == "http://127.0.0.1:9/claude"


@pytest.mark.parametrize("shell", ["gnome", "gnome-wayland", "plasma"])  # waybar has no notifications of its own
async def test_notification_can_be_read_and_its_button_switches_back(tmp_path: Path, shell: str) -> None:
    async with tidegate(tmp_path, shell) as (person, driver):
        await person.until_icon()
        before = person.robot.look()
        back = {"label": "Switch back", "order": "pin", "arguments": {"account": "work"}}
        body = "5 h <window> & week full until 16:10"

        driver.command(notify={"title": "Work → Home", "body": body, "key": "work", "actions": [back]})

        lines = await person.until_read(before, "Work → Home", body)
        if person.shell.BUTTONS_UNDER_THE_MOUSE:
            await point(person.session, *find(lines, body).middle)
        lines = await person.until_read(before, "Work → Home", body, "Switch back")
        person.robot.screenshot("notification")
        await person.click_line(lines, "Switch back")
        assert (await driver.said("do", name="pin"))["account"] == "work"


@pytest.mark.parametrize("shell", ["plasma", "waybar"])  # GNOME's extension has no tooltips
async def test_mouse_that_rests_on_the_icon_is_told_who_serves(tmp_path: Path, shell: str) -> None:
    async with tidegate(tmp_path, shell) as (person, _):
        text = await person.tooltip()
        assert "Work" in text

        before = await person.point_at_icon()

        await person.until_read(before, text)
        person.robot.screenshot("tooltip")


@on_each
async def test_icon_follows_the_level(tmp_path: Path, shell: str) -> None:
    async with tidegate(tmp_path, shell) as (person, driver):
        for level in (Level.WARN, Level.SPENT, Level.OK):
            driver.command(picture=level.value)
            await person.until_icon(level)
            person.robot.screenshot(level.value)


@pytest.mark.parametrize(("shell", "part"), [(name, part) for name, shell in SHELLS.items() for part in shell.PARTS])
async def test_icon_comes_back_when_the_tray_does(tmp_path: Path, shell: str, part: str) -> None:
    async with tidegate(tmp_path, shell) as (person, driver):
        await person.until_icon()
        home = drawn(await person.row("Home"))

        await person.shell.take_away(part)
        await person.until_no_icon()
        await person.shell.give_back(part)

        lines = await person.open_menu(home)
        await person.click_line(lines, home)
        assert (await driver.said("do", name="pin"))["account"] == "home"
