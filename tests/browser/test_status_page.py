"""The status page in a real browser: accounts are added, signed in again, changed and removed with mouse and keyboard.

Screenshots go to TIDEGATE_ARTIFACTS when it is set.
"""

import asyncio
import json
import re
from pathlib import Path

import anyio
import httpx
import pytest
from playwright.async_api import Page, expect

from core import app
from core.demo_run import Memory
from core.files import Paths
from core.model import SignIn, Strategy
from core.simulator import SimulatedAccount
from core.vault import Vault
from core.wording import STRATEGY_WORDS
from tests.browser.visitor import Visitor
from tests.instance import OFFLINE
from tests.stage import on_stage

pytestmark = pytest.mark.anyio

SECONDS = 20.0


def simulated(ada: Visitor, label: str) -> SimulatedAccount:
    return next(account for account in ada.sim.accounts if account.label == label)


# --- who goes first --------------------------------------------------------------------------------


async def test_strategy_is_chosen_and_a_choice_made_elsewhere_is_followed(ada: Visitor) -> None:
    await ada.opens_the_page()
    choice = ada.page.get_by_label("Strategy")
    await expect(choice.locator("option:checked")).to_contain_text("balanced: ")

    await choice.select_option(label=f"sticky: {STRATEGY_WORDS[Strategy.STICKY]}")

    await ada.hears("strategy is now sticky")
    assert ada.stage.core.engine.pool.strategy is Strategy.STICKY
    await ada.stage.core.commands.run("strategy", {"name": "rotate"})
    await expect(choice.locator("option:checked")).to_contain_text("rotate: ")


async def test_strategy_that_cannot_be_saved_is_not_shown_as_chosen(ada: Visitor) -> None:
    await ada.opens_the_page()
    choice = ada.page.get_by_label("Strategy")
    saved = ada.stage.core.config._path
    saved.unlink()
    saved.mkdir()

    await choice.select_option(label=f"sticky: {STRATEGY_WORDS[Strategy.STICKY]}")

    await ada.hears("Cannot")
    await expect(choice.locator("option:checked")).to_contain_text("balanced: ")
    assert ada.stage.core.engine.pool.strategy is Strategy.BALANCED
    saved.rmdir()


# --- all of it at once ---------------------------------------------------------------------------------


async def test_nothing_is_let_through_while_paused_and_the_page_says_so(ada: Visitor) -> None:
    await ada.opens_the_page()

    await ada.button("Pause for 1 h").click()

    await expect(ada.page.locator("#view")).to_contain_text("Paused until")
    async with httpx.AsyncClient(base_url=ada.stage.core.engine.address, trust_env=False) as client:
        refused = await client.get("/v1/models", headers={"x-api-key": ada.stage.key})
    assert refused.status_code == 403
    assert "Tidegate is paused until" in refused.json()["error"]["message"]
    await ada.button("Resume").click()
    await expect(ada.button("Pause for 1 h")).to_be_visible()
    assert ada.stage.core.engine.pool.pause is None


async def test_failover_is_switched_off_and_said(ada: Visitor) -> None:
    await ada.opens_the_page()

    await ada.page.get_by_label("Failover").uncheck()

    await expect(ada.page.locator("#view")).to_contain_text("Failover is off")
    assert not ada.stage.core.engine.pool.failover


async def test_a_program_is_connected_after_its_changes_were_shown_and_gets_its_settings_back(
    ada: Visitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    settings = tmp_path / "home" / ".claude" / "settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"env": {"ANTHROPIC_BASE_URL": "https://elsewhere.example"}}')
    before = settings.read_text()
    await ada.opens_the_page("#programs")
    program = ada.page.get_by_label("Claude Code", exact=True)

    await program.click()

    await expect(ada.dialog().get_by_role("heading")).to_have_text("Connect Claude Code")
    await expect(ada.dialog()).to_contain_text(str(settings))
    change = ada.dialog().get_by_role("listitem").filter(has_text="ANTHROPIC_BASE_URL")
    await expect(change).to_have_text(re.compile(f'.*https://elsewhere.example" → .*{ada.stage.core.engine.address}'))
    await ada.photo("connect")
    await ada.dialog().get_by_role("button", name="Cancel").click()
    await expect(program).to_be_focused()
    await expect(program).not_to_be_checked()
    assert settings.read_text() == before
    await ada.page.keyboard.press("Space")
    await ada.dialog().get_by_role("button", name="Connect").click()
    await ada.hears("Claude Code is connected")
    assert json.loads(settings.read_text())["env"]["ANTHROPIC_BASE_URL"] == ada.stage.core.engine.address
    await expect(program).to_be_checked()
    await program.uncheck()
    await ada.hears("Claude Code has its settings back")
    assert settings.read_text() == before


# --- accounts that come ----------------------------------------------------------------------------


async def test_who_signs_in_with_claude_has_an_account_that_serves(ada: Visitor) -> None:
    await ada.opens_the_page()
    await expect(ada.page.get_by_text("No account yet")).to_be_visible()
    await ada.button("Sign in with Claude…").click()
    await expect(ada.dialog()).to_contain_text("the provider's terms")
    await ada.page.keyboard.press("Escape")

    await ada.adds(simulated(ada, "Home"), label="Mine")

    await ada.hears("Added Mine")
    await expect(ada.card("Mine")).to_contain_text("home@example.org")
    await ada.stage.sdk().messages.create(
        model="claude-sonnet-5", max_tokens=9, messages=[{"role": "user", "content": "hello"}]
    )
    await expect(ada.card("Mine")).to_contain_text("1 served")
    assert ada.stage.served("Home") == 1


async def test_code_from_another_computer_can_be_pasted_and_a_wrong_one_again(ada: Visitor) -> None:
    await ada.opens_the_page()
    await ada.button("Sign in with Claude…").click()
    async with ada.context.expect_page():
        await ada.dialog().get_by_role("button", name="Open the sign-in page").click()
    tab = await ada.allows(ada.dialog().get_by_role("link", name="the page that shows a code"), "Work")
    code = await tab.locator("pre").inner_text()

    await ada.dialog().get_by_label("Code", exact=True).fill("not a code at all#x")
    await ada.dialog().get_by_role("button", name="Finish").click()
    await expect(ada.dialog().get_by_role("alert")).not_to_be_empty()
    await ada.dialog().get_by_label("Code", exact=True).fill(code)
    await ada.dialog().get_by_role("button", name="Finish").click()

    await ada.hears("Added work@example.org")
    await ada.until_labels("work@example.org")


async def test_who_denies_or_cancels_has_no_account_and_reads_why(ada: Visitor) -> None:
    await ada.opens_the_page()
    await ada.button("Sign in with Claude…").click()
    async with ada.context.expect_page() as opened:
        await ada.dialog().get_by_role("button", name="Open the sign-in page").click()
    tab = await opened.value
    await tab.get_by_role("button", name="Deny").click()

    await expect(ada.dialog().get_by_role("alert")).to_contain_text("The sign-in was declined")
    async with ada.context.expect_page():
        await ada.dialog().get_by_role("button", name="Open the sign-in page").click()
    outcomes = [sign_in.outcome for sign_in in ada.stage.core.commands._sign_ins._open.values()]
    await ada.dialog().get_by_role("button", name="Cancel").click()

    with anyio.fail_after(SECONDS):
        await asyncio.wait(outcomes)
    assert await ada.labels() == []


async def test_no_code_stays_in_an_address_line(ada: Visitor) -> None:
    link = f"{ada.stage.core.page_link()}"
    await ada.page.goto(link)
    await ada.page.locator("#view[aria-busy=false]").wait_for()
    await ada.button("Sign in with Claude…").click()
    tab = await ada.allows(ada.dialog().get_by_role("button", name="Open the sign-in page"), "Work")
    await tab.get_by_role("heading", name="Signed in").wait_for()

    assert ada.page.url == f"{ada.stage.url}/-/"
    await expect(tab).to_have_url(re.compile(r"/callback$"))
    await tab.goto(link)
    await tab.get_by_role("heading", name="This link has been used").wait_for()
    assert tab.url == f"{ada.stage.url}/-/open"


async def test_console_sign_in_makes_an_api_key(ada: Visitor) -> None:
    await ada.opens_the_page()
    await ada.button("Sign in to the Console…").click()
    tab = await ada.allows(ada.dialog().get_by_role("button", name="Open the sign-in page"), "Work")
    await tab.get_by_role("heading", name="Signed in").wait_for()

    await ada.hears("Added")
    await expect(ada.page.locator("article")).to_contain_text("Anthropic API key")


@pytest.mark.parametrize("kind", ["API key", "OpenCode Go key"])
async def test_key_is_added_and_stays_nowhere_in_the_page(ada: Visitor, kind: str) -> None:
    key = (ada.sim.add_api_key("Team") if kind == "API key" else ada.sim.add_go_key("Team")).key
    await ada.opens_the_page()
    await ada.button(f"Add an {kind}…").click()
    field = ada.dialog().get_by_label("Key")
    assert await field.get_attribute("type") == "password"

    await field.fill("sk-not one")
    await ada.dialog().get_by_role("button", name="Check and add").click()
    await expect(ada.dialog().get_by_role("alert")).to_contain_text("does not look like a key")
    await expect(field).to_be_focused()
    assert await field.input_value() == ""
    await field.fill(key)
    await ada.dialog().get_by_label("Label").fill("Team")
    await ada.dialog().get_by_role("button", name="Check and add").click()

    await ada.hears("Added Team")
    await expect(ada.card("Team")).to_contain_text(re.compile("Anthropic API key|OpenCode Go"))
    values = await ada.page.locator("input").evaluate_all("fields => fields.map(field => field.value)")
    kept = await ada.page.evaluate("JSON.stringify([localStorage, sessionStorage, history.state])")
    assert key not in await ada.page.content() + str(values) + kept


async def test_key_that_was_typed_and_not_sent_is_gone_with_its_dialog(ada: Visitor) -> None:
    await ada.opens_the_page("#add-api-key")
    await ada.dialog().get_by_label("Key").fill("sk-ant-half-of-a-key")
    await ada.page.keyboard.press("Escape")

    await expect(ada.page.locator("#add-key-key")).to_have_value("")


async def test_login_of_another_program_is_imported_and_becomes_tidegates_own(
    ada: Visitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = simulated(ada, "Work")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CLAUDE_CONFIG_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    login = {"accessToken": theirs.access, "refreshToken": theirs.lineage.refresh}
    login |= {"expiresAt": int(1000 * (ada.sim.clock() + 3600)), "scopes": ["user:inference"]}
    (tmp_path / ".claude").mkdir()
    (tmp_path / ".claude/.credentials.json").write_text(json.dumps({"claudeAiOauth": login}))
    await ada.opens_the_page()

    await ada.button("Import from other programs…").click()
    await expect(ada.dialog()).to_contain_text("Would add work@example.org, borrowed from Claude Code")
    assert await ada.labels() == []
    await ada.dialog().get_by_role("button", name="Import").click()
    await expect(ada.dialog()).to_contain_text("Added work@example.org")
    await ada.dialog().get_by_role("button", name="Close").click()
    card = ada.card("work@example.org")
    await expect(card).to_contain_text("borrowed from Claude Code")
    await ada.allows(card.get_by_role("button", name="Make it Tidegate's own"), "Work")

    await ada.hears("work@example.org is signed in again")
    await expect(card).not_to_contain_text("borrowed")
    assert len(await ada.labels()) == 1
    assert not theirs.lineage.revoked


# --- accounts that are here ------------------------------------------------------------------------


async def test_signing_in_again_keeps_label_and_place(ada: Visitor) -> None:
    await ada.opens_the_page()
    for label in ("Work", "Home"):
        await ada.adds(simulated(ada, label), label)
    work = ada.stage.core.engine.snapshot().accounts[0].id
    ada.stage.core.engine.sign_in(work, SignIn.NEEDED, "login rejected")
    card = ada.card("Work")
    await expect(card).to_contain_text("sign in again: login rejected")
    await ada.photo("sign-in-again")

    await ada.allows(card.get_by_role("button", name="Sign in again"), "Work")

    await ada.hears("Work is signed in again")
    await expect(card).to_contain_text("ready")
    assert await ada.labels() == ["Work", "Home"]
    assert ada.stage.core.engine.snapshot().accounts[0].id == work


async def test_who_signs_in_as_somebody_else_reads_that_the_account_still_waits(ada: Visitor) -> None:
    await ada.opens_the_page()
    await ada.adds(simulated(ada, "Work"), "Work")
    card = await ada.manages("Work")

    await ada.allows(card.get_by_role("button", name="Sign in again…"), "Home")

    await ada.hears("Work still waits for its own sign-in")
    await ada.until_labels("Work", "home@example.org")


async def test_account_goes_only_when_the_person_is_sure_and_its_login_too_when_wanted(ada: Visitor) -> None:
    await ada.opens_the_page()
    await ada.adds(simulated(ada, "Work"), "Work")
    lineage = simulated(ada, "Work").lineage
    card = await ada.manages("Work")

    await card.get_by_role("button", name="Remove…").click()
    await expect(ada.dialog().get_by_role("heading")).to_have_text("Remove Work?")
    await ada.dialog().get_by_role("button", name="Cancel").click()
    assert await ada.labels() == ["Work"]
    await card.get_by_role("button", name="Remove…").click()
    await ada.dialog().get_by_label("Also sign out at the provider").check()
    await ada.dialog().get_by_role("button", name="Yes, remove it").click()

    await ada.hears("Removed Work")
    await ada.until_labels()
    assert lineage.revoked


async def test_every_button_of_an_account_does_what_it_says(ada: Visitor) -> None:
    await ada.stage.login("Work")
    await ada.stage.login("Home")
    await ada.opens_the_page()
    card = await ada.manages("Work")

    async def press(name: str, said: str) -> None:
        await card.get_by_role("button", name=name, exact=True).click()
        await ada.hears(said)

    await press("Pin for 1 h", "Work serves for 1 h")
    await expect(card).to_contain_text("pinned until")
    await press("Unpin", "Unpinned")
    await press("Pin until unpinned", "Work serves until unpinned")
    await press("Move down", "The order is now Home, Work")
    await ada.until_labels("Home", "Work")
    await press("Move up", "The order is now Work, Home")
    await press("Refresh login now", "Work")
    await press("Reset", "Work")
    for switch, first, second in (
        ("Plan limits only", "rests when its plan is spent", "may go on"),
        ("Serve Claude Code only", "serves Claude Code only", "serves every client"),
        ("Enabled", "disabled", "enabled"),
    ):
        box = card.get_by_role("checkbox", name=switch)
        before = await box.is_checked()
        await box.click()
        await ada.hears(first)
        await box.click()
        await ada.hears(second)
        await expect(box).to_be_checked(checked=before)
    await press("Rename…", "")
    await ada.dialog().get_by_label("New label").fill("Office")
    await ada.page.keyboard.press("Enter")
    await ada.hears("Work is now called Office")
    await ada.until_labels("Office", "Home")


async def test_order_that_is_refused_says_why_and_changes_nothing(ada: Visitor) -> None:
    await ada.stage.login("Work")
    await ada.opens_the_page()
    card = await ada.manages("Work")
    box = card.get_by_role("checkbox", name="Plan limits only")
    await ada.stage.core.commands.run("plan_limits", {"account": "work", "on": True})
    await expect(box).to_be_checked()
    await box.evaluate("box => box.dataset.off = box.dataset.on")

    await box.click()

    await ada.hears("already")
    await expect(box).to_be_checked()


# --- the page itself -------------------------------------------------------------------------------


async def test_what_changes_elsewhere_is_shown_where_it_is_and_the_focus_stays(ada: Visitor) -> None:
    for label in ("Work", "Home"):
        await ada.stage.login(label)
    await ada.opens_the_page()
    card = await ada.manages("Home")
    button = card.get_by_role("button", name="Reset")
    await button.focus()
    before = await button.element_handle()

    await ada.stage.core.commands.run("rename", {"account": "Work", "label": "Office"})
    await ada.until_labels("Office", "Home")
    await ada.stage.core.commands.run("order", {"accounts": ["Home"]})
    await ada.until_labels("Home", "Office")

    await expect(button).to_be_focused()
    assert await button.evaluate("(now, before) => now === before", before)


async def test_everything_can_be_done_with_the_keyboard(ada: Visitor) -> None:
    await ada.stage.login("Work")
    await ada.opens_the_page()
    keyboard = ada.page.keyboard

    async def tab_to(name: str) -> None:
        for _ in range(30):
            await keyboard.press("Tab")
            seen = await ada.page.evaluate(
                "[document.activeElement.innerText, document.activeElement.parentElement.innerText].join('|')"
            )
            if name in seen.split("|")[0] or seen.split("|")[1].strip() == name:
                return
        raise AssertionError(name)

    await tab_to("Manage")
    await keyboard.press("Enter")
    await tab_to("Plan limits only")
    await keyboard.press("Space")
    await ada.hears("rests when its plan is spent")
    await tab_to("Pin for 1 h")
    await keyboard.press("Enter")
    await expect(ada.card("Work")).to_contain_text("pinned until")
    await expect(ada.card("Work").locator("summary")).to_be_focused()
    await tab_to("Remove…")
    await keyboard.press("Enter")
    await expect(ada.dialog()).to_be_visible()
    await keyboard.press("Escape")
    await expect(ada.page.get_by_role("button", name="Remove…")).to_be_focused()


async def test_the_link_leaves_the_address_bar_and_a_reload_keeps_the_page(ada: Visitor) -> None:
    await ada.stage.login("Work")
    await ada.opens_the_page()

    assert ada.page.url == f"{ada.stage.url}/-/"
    await ada.page.reload()

    await ada.until_labels("Work")
    card = await ada.manages("Work")
    await card.get_by_role("button", name="Reset").click()
    await ada.hears("Work")


async def test_another_tab_has_the_cookie_and_sees_nothing_without_the_pages_key(ada: Visitor) -> None:
    await ada.stage.login("Work")
    await ada.opens_the_page()
    async with await ada.context.new_page() as other:
        await other.goto(f"{ada.stage.url}/-/")

        await expect(other.locator("#connection")).to_contain_text("Open it from Tidegate's menu")
        assert "Work" not in await other.content()
        status = await other.evaluate("fetch('/-/commands/disable', {method: 'POST', body: '{}'}).then(a => a.status)")
    assert status == 403


async def test_page_says_so_when_tidegate_is_gone_and_when_its_session_is_over(tmp_path: Path, page: Page) -> None:
    memory = Memory()
    async with on_stage(tmp_path, memory=memory) as stage:
        await stage.login("Work")
        await Visitor(stage, page).opens_the_page()
        port = int(stage.url.rpartition(":")[2])
    notice = page.locator("#connection")
    await expect(notice).to_contain_text("does not answer")

    again = app.Options(vault=Vault(memory), port=port, environ=OFFLINE)
    async with app.running(Paths(tmp_path), again):
        await expect(notice).to_contain_text("Open it from Tidegate's menu", timeout=20_000)
