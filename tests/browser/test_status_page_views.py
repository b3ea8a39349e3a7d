"""The views of the status page beside the accounts, with every control of theirs: charts, activity, log, settings."""

import re
import time
from typing import Any

import pytest
from playwright.async_api import Locator, expect

from core.files import Paths
from core.history_samples import SampleRow, WindowKey
from core.logs import Entry, as_text
from core.model import AccountId, IconStyle, QuietHours, Strategy
from core.page.settings import ON_THE_PAGE
from core.simulator.faults import BadRequest, QuotaRejected
from tests.browser.visitor import Visitor, give_a_past

pytestmark = pytest.mark.anyio

VIEWS = ("Accounts", "Charts", "Activity", "Log", "Settings")
ASK: Any = {"model": "claude-sonnet-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}


# --- the way from view to view ---------------------------------------------------------------------


async def test_each_view_is_reached_by_its_link_and_stays_after_a_reload(ada: Visitor) -> None:
    await ada.opens_the_page()
    for name in VIEWS:
        view = await ada.goes_to(name)

        await expect(view.get_by_role("heading", level=1)).to_have_text(name)
        await expect(ada.page.locator("[data-view]:visible")).to_have_count(1)
        await expect(ada.page.locator("nav [aria-current=page]")).to_have_text(name)
        await expect(ada.page).to_have_title(f"{name} · Tidegate")
        assert ada.page.url == f"{ada.stage.url}/-/#{name.lower()}"
    await ada.page.reload()
    await expect(ada.page.get_by_role("heading", level=1)).to_have_text("Settings")
    await ada.page.go_back()
    await expect(ada.page.get_by_role("heading", level=1)).to_have_text("Log")


async def test_a_link_that_names_a_view_opens_it_and_the_code_is_gone_from_the_address(ada: Visitor) -> None:
    await ada.opens_the_page("#activity")

    await expect(ada.page.get_by_role("heading", level=1)).to_have_text("Activity")
    assert ada.page.url == f"{ada.stage.url}/-/#activity"


async def test_the_focus_goes_with_who_follows_a_link_inside_a_view(ada: Visitor) -> None:
    await give_a_past(ada.stage)
    ada.sim.accounts[-2].script(QuotaRejected())
    await ada.stage.sdk().messages.create(**ASK)
    await ada.opens_the_page()

    await ada.page.get_by_role("link", name="All that happened").focus()
    await ada.page.keyboard.press("Enter")

    await expect(ada.page.get_by_role("heading", level=1, name="Activity")).to_be_focused()


@pytest.mark.parametrize("name", VIEWS)
async def test_the_keyboard_reaches_every_control_of_a_view(ada: Visitor, name: str) -> None:
    await give_a_past(ada.stage)
    await ada.opens_the_page()
    await ada.goes_to(name)
    wanted = await ada.page.evaluate(f"({CONTROLS}).length")
    await ada.page.locator("body").evaluate("() => document.activeElement.blur()")

    reached = set[str]()
    for _ in range(wanted + 1):
        await ada.page.keyboard.press("Tab")
        reached.add(await ada.page.evaluate(f"String(({CONTROLS}).indexOf(document.activeElement))"))

    assert reached >= {str(place) for place in range(wanted)}


CONTROLS = """
[...document.querySelectorAll('a[href], button, select, input, summary, [tabindex="0"]')].filter(
  control => control.checkVisibility() && !control.disabled && (control.type !== 'radio' || control.checked))
"""
"""What the keyboard must reach: of radio buttons the one that is chosen, the others by its arrows."""


# --- charts ----------------------------------------------------------------------------------------


async def painted(frame: Locator) -> str:
    """What is on a chart's canvas."""
    await frame.locator("canvas").wait_for()
    return str(await frame.locator("canvas").evaluate("canvas => canvas.toDataURL()"))


async def test_charts_are_drawn_for_each_window_and_the_tokens(ada: Visitor) -> None:
    await give_a_past(ada.stage)
    await ada.opens_the_page()
    charts = await ada.goes_to("Charts")

    await expect(charts.get_by_role("heading", level=3)).to_have_text(
        ["5 h window", "Week window", "By model", "Read from prompt caches"]
    )
    pictures = [await painted(frame) for frame in await charts.get_by_role("img").all()]
    assert len(set(pictures)) == len(pictures), "each shows something of its own"
    await ada.photo("charts")


async def test_charts_look_back_as_far_as_is_chosen_with_mouse_or_keyboard(ada: Visitor) -> None:
    await give_a_past(ada.stage)
    await ada.opens_the_page()
    charts = await ada.goes_to("Charts")
    tokens = charts.locator("#tokens figcaption")
    day = await tokens.inner_text()

    await charts.get_by_text("7 days", exact=True).click()
    await expect(tokens).not_to_have_text(day)
    week = await tokens.inner_text()
    await ada.page.keyboard.press("ArrowRight")

    await expect(charts.get_by_label("30 days")).to_be_checked()
    await expect(charts.get_by_label("30 days")).to_be_focused()
    await expect(tokens).not_to_have_text(week)


async def test_a_chart_can_be_read_as_a_table(ada: Visitor) -> None:
    await give_a_past(ada.stage)
    await ada.opens_the_page()
    charts = await ada.goes_to("Charts")

    await charts.get_by_text("Show as a table").first.click()

    table = charts.get_by_role("table", name="5 h window: the highest utilization")
    await expect(table.get_by_role("columnheader")).to_have_text(["From", "Work", "Home"])
    await expect(table.get_by_role("row")).to_have_count(25)
    await expect(table.get_by_role("cell").filter(has_text="%").first).to_be_visible()


async def test_a_chart_tells_the_values_under_the_mouse(ada: Visitor) -> None:
    await give_a_past(ada.stage)
    await ada.opens_the_page()
    charts = await ada.goes_to("Charts")
    figure = charts.locator("#window-1")
    before = await figure.locator(".legend").inner_text()
    plot = figure.locator(".u-over")
    await plot.wait_for()

    await plot.hover(position={"x": 60, "y": 40})

    await expect(figure.locator(".when")).to_have_text(re.compile(r"\d\d:\d\d"))
    await expect(figure.locator(".legend")).not_to_have_text(before)
    await ada.page.mouse.move(0, 0)
    await expect(figure.locator(".when")).to_be_empty()
    assert await figure.locator(".legend").inner_text() == before


async def test_charts_follow_the_windows_width_and_the_colour_scheme(ada: Visitor) -> None:
    await give_a_past(ada.stage)
    await ada.opens_the_page()
    charts = await ada.goes_to("Charts")
    plot = charts.get_by_role("img").first
    await ada.page.set_viewport_size({"width": 1280, "height": 900})
    canvas = plot.locator("canvas")
    await canvas.wait_for()
    wide, light = int(await canvas.evaluate("canvas => canvas.width")), await painted(plot)

    await ada.page.emulate_media(color_scheme="dark")
    await ada.page.wait_for_function("light => document.querySelector('.plot canvas').toDataURL() !== light", arg=light)
    await expect(canvas).to_have_js_property("width", wide)
    await ada.page.set_viewport_size({"width": 400, "height": 900})

    await ada.page.wait_for_function("wide => document.querySelector('.plot canvas').width < wide", arg=wide)
    assert await ada.page.evaluate("document.scrollingElement.scrollWidth") <= 400


async def test_charts_are_drawn_again_while_somebody_looks_but_not_at_every_change(ada: Visitor) -> None:
    await give_a_past(ada.stage)
    asked: list[str] = []
    ada.page.on("request", lambda request: asked.append(request.url) if "/views/charts" in request.url else None)
    await ada.page.clock.install()
    await ada.opens_the_page()
    charts = await ada.goes_to("Charts")
    await charts.locator(".plot canvas").first.wait_for()
    figure = charts.locator("#window-0 figcaption")

    key = WindowKey(AccountId("work"), "5h")
    ada.stage.core.history.sample(SampleRow(time.time(), key, 0.87, time.time() + 7_000))
    await ada.stage.core.commands.run("failover", {"on": False})
    await expect(ada.page.locator("#view")).to_contain_text("Failover is off")
    assert len(asked) == 1
    await ada.page.clock.fast_forward(31_000)

    await expect(figure).to_contain_text("Work: now 87 %")


async def test_without_a_past_the_charts_say_so(ada: Visitor) -> None:
    await ada.opens_the_page()

    charts = await ada.goes_to("Charts")

    await expect(charts).to_contain_text("No utilization is known of this time.")
    await expect(charts).to_contain_text("No tokens were used in this time.")


# --- activity --------------------------------------------------------------------------------------


async def test_a_request_appears_while_somebody_looks_with_what_became_of_it(ada: Visitor) -> None:
    work = await ada.stage.login("Office")
    await ada.opens_the_page()
    activity = await ada.goes_to("Activity")
    await expect(activity).to_contain_text("Nothing has happened yet")

    await ada.stage.sdk().messages.create(**ASK)

    entry = activity.get_by_role("listitem").filter(has_text="claude-sonnet-5").first
    await expect(entry).to_contain_text("Office")
    await expect(entry).to_contain_text("answered")
    await expect(entry).to_contain_text(" out")
    work.script(BadRequest())
    with pytest.raises(Exception, match="400"):
        await ada.stage.sdk().messages.create(**ASK)
    await expect(activity.get_by_role("listitem").first).to_contain_text("the request was refused")
    await expect(activity.get_by_role("listitem").first).to_contain_text("status 400")
    await ada.photo("activity")


async def test_a_move_stands_out_with_its_cause(ada: Visitor) -> None:
    first = await ada.stage.login("Office")
    await ada.stage.login("Desk")
    await ada.stage.core.commands.run("strategy", {"name": "priority"})
    first.script(QuotaRejected())
    await ada.opens_the_page("#activity")

    await ada.stage.sdk().messages.create(**ASK)

    move = ada.page.locator(".timeline .move").first
    await expect(move).to_contain_text("Office to Desk: 5 h window full")
    request = ada.page.locator(".timeline .request").first
    assert await move.evaluate(FONT_WEIGHT) > await request.evaluate(FONT_WEIGHT)


FONT_WEIGHT = "entry => Number(getComputedStyle(entry.querySelector('.what')).fontWeight)"


async def test_activity_is_filtered_by_account_and_by_what_went_wrong(ada: Visitor) -> None:
    await give_a_past(ada.stage)
    await ada.opens_the_page()
    activity = await ada.goes_to("Activity")
    entries = activity.get_by_role("listitem")

    await activity.get_by_label("Account").select_option("Home")
    await expect(entries.filter(has=ada.page.locator(".who", has_text="Work"))).to_have_count(0)
    await expect(entries.filter(has=ada.page.locator(".who", has_text="Home"))).not_to_have_count(0)
    await activity.get_by_label("Only what went wrong").check()

    await expect(entries.filter(has_text="answered")).to_have_count(0)
    await expect(activity.get_by_label("Only what went wrong")).to_be_focused()
    await activity.get_by_label("Account").select_option("All accounts")
    await expect(activity.get_by_label("Account")).to_have_value("")
    await expect(activity.locator(".move")).not_to_have_count(0)
    await activity.get_by_label("Only what went wrong").uncheck()
    await expect(entries.filter(has_text="answered")).not_to_have_count(0)


# --- the log ---------------------------------------------------------------------------------------


class Logged:
    """The log of an instance, as if it were written by it."""

    def __init__(self, ada: Visitor) -> None:
        self._file = Paths(ada.stage.core.config._path.parent).log

    def write(self, *entries: Entry) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.writelines(f"{as_text(entry)}\n" for entry in entries)


async def test_the_log_grows_while_somebody_looks_and_can_be_narrowed_and_copied(ada: Visitor) -> None:
    log = Logged(ada)
    log.write(Entry(1_000_000.0, "INFO", "all is well"), Entry(1_000_001.0, "WARNING", "Work: trouble", "c61f5649"))
    await ada.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await ada.opens_the_page()
    view = await ada.goes_to("Log")
    entries = view.get_by_role("listitem")

    await expect(entries).to_have_count(2)
    await expect(entries.nth(1)).to_contain_text("WARNING c61f5649 Work: trouble")
    log.write(Entry(1_000_002.0, "ERROR", "more trouble\n  in two lines"))
    await expect(entries).to_have_count(3)
    await view.get_by_label("Show").select_option("Warnings and errors")
    await expect(entries).to_have_count(2)
    await ada.photo("log")
    await view.get_by_role("button", name="Copy").click()

    await ada.hears("Copied")
    copied = await ada.page.evaluate("navigator.clipboard.readText()")
    assert "Work: trouble" in copied
    assert "more trouble\n  in two lines" in copied
    assert "all is well" not in copied


async def test_the_end_of_the_log_stays_in_sight_only_for_who_looks_at_it(ada: Visitor) -> None:
    log = Logged(ada)
    log.write(*(Entry(1_000_000.0 + number, "INFO", f"line {number}") for number in range(200)))
    await ada.opens_the_page()
    view = await ada.goes_to("Log")
    box = view.get_by_role("region", name="Log")
    last = view.get_by_role("listitem").last
    await expect(last).to_be_in_viewport()

    log.write(Entry(1_001_000.0, "INFO", "the next"))
    await expect(last).to_contain_text("the next")
    await expect(last).to_be_in_viewport()
    await box.focus()
    await ada.page.keyboard.press("Home")
    await expect(view.get_by_role("listitem").first).to_be_in_viewport()
    log.write(Entry(1_001_001.0, "INFO", "one more"))

    await expect(last).to_contain_text("one more")
    await expect(view.get_by_role("listitem").first).to_be_in_viewport()


# --- settings --------------------------------------------------------------------------------------


async def test_every_setting_of_the_page_can_be_changed_there(ada: Visitor) -> None:
    await ada.opens_the_page()
    view = await ada.goes_to("Settings")
    seen = await view.locator("[data-setting]").evaluate_all("fields => fields.map(field => field.dataset.setting)")
    assert set(seen) == ON_THE_PAGE

    for label in ("Failover", "Notifications", "Coloured icon", "Percent on the icon"):
        await view.get_by_role("checkbox", name=label, exact=True).uncheck()
        await ada.hears("is now off")
        await expect(view.get_by_role("checkbox", name=label, exact=True)).to_be_enabled()
    await view.get_by_label("Strategy").select_option("sticky")
    await ada.hears("strategy is now sticky")
    await view.get_by_label("Log level").select_option("debug")
    await ada.hears("log is now debug; it counts from the next start")
    await view.get_by_label("Longest wait").fill("7.5")
    await ada.page.keyboard.press("Tab")
    await ada.hears("hold_s is now 7.5")
    await view.get_by_label("Quiet hours").fill("22:00-7:00")
    await ada.page.keyboard.press("Enter")
    await ada.hears("quiet_hours is now 22:00-07:00")
    await expect(view.get_by_label("Quiet hours")).to_have_value("22:00-07:00")
    await ada.photo("settings")

    now = ada.stage.core.config.current.settings
    assert (now.failover, now.notifications, now.icon) == (False, False, IconStyle(colours=False, number=False))
    assert (now.strategy, now.log, now.hold_s) == (Strategy.STICKY, "debug", 7.5)
    assert now.quiet_hours == QuietHours(22 * 60, 7 * 60)


async def test_a_value_that_is_not_taken_says_why_beside_its_field_until_it_is(ada: Visitor) -> None:
    await ada.opens_the_page()
    view = await ada.goes_to("Settings")
    field = view.get_by_label("Quiet hours")

    await field.fill("at night")
    await ada.page.keyboard.press("Enter")

    error = view.locator("#setting-quiet_hours-error")
    await expect(error).to_contain_text("It must be off, or two times such as 22:00-07:00.")
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_be_focused()
    await expect(field).to_have_value("at night")
    await field.fill("23:00-06:00")
    await ada.page.keyboard.press("Enter")
    await ada.hears("quiet_hours is now 23:00-06:00")
    await expect(error).to_be_empty()
    await expect(field).not_to_have_attribute("aria-invalid", "true")
    await expect(field).to_be_focused()


async def test_a_setting_that_is_changed_elsewhere_is_followed_and_what_is_typed_stays(ada: Visitor) -> None:
    await ada.opens_the_page()
    view = await ada.goes_to("Settings")
    typed = view.get_by_label("Longest wait")
    await typed.fill("12")

    await ada.stage.core.commands.run("config_set", {"key": "failover", "text": "off"})
    await ada.stage.core.commands.run("config_set", {"key": "quiet_hours", "text": "21:00-05:00"})

    await expect(view.get_by_role("checkbox", name="Failover")).not_to_be_checked()
    await expect(view.get_by_label("Quiet hours")).to_have_value("21:00-05:00")
    await expect(typed).to_have_value("12")
    await expect(typed).to_be_focused()


async def test_a_page_of_this_browser_without_the_key_reads_no_view(ada: Visitor) -> None:
    await give_a_past(ada.stage)
    await ada.opens_the_page()
    async with await ada.context.new_page() as other:
        await other.goto(f"{ada.stage.url}/-/#activity")

        await expect(other.locator("#connection")).to_contain_text("Open it from Tidegate's menu")
        text = await other.evaluate("fetch('/-/views/activity').then(answer => answer.text())")
        shown = await other.content()

    assert "Work" not in text
    assert "Work" not in shown
