"""Somebody with the status page in a browser."""

import os
import re
import time
from pathlib import Path

from playwright.async_api import BrowserContext, Locator, Page, expect

from core.demo_past import Member, Window, past
from core.history_samples import SampleRow
from core.model import AccountId
from core.simulator import SimulatedAccount
from tests.stage import Stage


class Visitor:
    """Somebody with the status page of a Tidegate that stands before the simulated provider."""

    def __init__(self, stage: Stage, page: Page) -> None:
        self.stage = stage
        self.sim = stage.sim
        self.page = page

    @property
    def context(self) -> BrowserContext:
        return self.page.context

    async def opens_the_page(self, place: str = "") -> None:
        await self.page.goto(f"{self.stage.core.page_link()}{place}")
        await self.page.locator("#view[aria-busy=false]").wait_for(state="attached")

    async def goes_to(self, name: str) -> Locator:
        """Follow the link to a view. Returns its place when it is drawn."""
        await self.page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()
        view = self.page.locator(f'[data-view="{name.lower()}"]')
        await view.locator("[aria-busy=false]").wait_for()
        return view

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def card(self, label: str) -> Locator:
        return self.page.get_by_role("article", name=label, exact=True)

    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    async def manages(self, label: str) -> Locator:
        """The account's card with everything that can be done."""
        card = self.card(label)
        await card.locator("summary").click()
        return card

    async def hears(self, text: str | re.Pattern[str]) -> None:
        """Wait for what the page says of an order."""
        await expect(self.page.locator("#said")).to_contain_text(text)

    async def allows(self, button: Locator, whose: str) -> Page:
        """Press a button that opens the provider's page in another tab, and allow this account there."""
        async with self.context.expect_page() as opened:
            await button.click()
        tab = await opened.value
        await tab.get_by_label(f"({whose})").check()
        await tab.get_by_role("button", name="Allow").click()
        return tab

    async def adds(self, account: SimulatedAccount, label: str = "") -> None:
        """Sign in to a subscription, start to end."""
        await self.button("Sign in with Claude…").click()
        await self.dialog().get_by_label("Label").fill(label)
        tab = await self.allows(self.dialog().get_by_role("button", name="Open the sign-in page"), account.label)
        await tab.get_by_role("heading", name="Signed in").wait_for()
        await tab.close()
        await expect(self.dialog()).to_be_hidden()

    async def labels(self) -> list[str]:
        return await self.page.locator("article h3").all_inner_texts()

    async def until_labels(self, *labels: str) -> None:
        await expect(self.page.locator("article h3")).to_have_text(list(labels))

    async def photo(self, name: str) -> None:
        if folder := os.environ.get("TIDEGATE_ARTIFACTS"):
            await self.page.screenshot(path=Path(folder) / f"page-{name}.png", full_page=True)


async def give_a_past(stage: Stage) -> None:
    """Work and Home, and a month in which they were used."""
    members = []
    for label, length_s in (("Work", 18_000.0), ("Home", 18_000.0)):
        account = await stage.login(label)
        now = time.time()
        windows = (Window("5h", length_s, 0.4, now + 7_000), Window("7d", 604_800.0, 0.6, now + 300_000))
        members.append(Member(AccountId(account.label.lower()), label, windows))
    history = stage.core.history
    for number, row in enumerate(past(members, time.time(), 0)):
        history.sample(row) if isinstance(row, SampleRow) else history.record(row)
        if number % 2_000 == 0:
            await history.flush()  # only so many may wait
