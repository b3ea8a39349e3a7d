"""What a server answered to a page: read from the browser's own network log, also where the page is not told."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page, Response

SECONDS = 20.0


@dataclass(frozen=True)
class Answered:
    """One answer."""

    status: int
    headers: Mapping[str, str]


class Watch:
    """The answers of the server at one port to one page, its frames and the windows that it opens."""

    def __init__(self, page: Page, port: int) -> None:
        self._page = page
        self._port = f":{port}"
        self._ours: set[str] = set()
        self._answers: list[tuple[str, Answered]] = []
        self._news = anyio.Event()

    @classmethod
    @asynccontextmanager
    async def on(cls, page: Page, port: int) -> AsyncIterator["Watch"]:
        watch = cls(page, port)
        log = await page.context.new_cdp_session(page)
        log.on("Network.requestWillBeSentExtraInfo", watch._sent)
        log.on("Network.responseReceivedExtraInfo", watch._received)
        log.on("Network.webSocketFrameError", watch._no_web_socket)
        await log.send("Network.enable")
        page.context.on("response", watch._in_a_window)
        try:
            yield watch
        finally:
            page.context.remove_listener("response", watch._in_a_window)
            await log.detach()

    @property
    def answers(self) -> list[Answered]:
        return [answer for request, answer in self._answers if request in self._ours]

    async def until_answered(self, count: int) -> None:
        """Wait for so many answers since the start."""
        with anyio.fail_after(SECONDS):
            while len(self.answers) < count:
                await self._news.wait()

    def _sent(self, event: dict[str, Any]) -> None:
        if {name.lower(): value for name, value in event["headers"].items()}.get("host", "").endswith(self._port):
            self._ours.add(event["requestId"])
            self._tell()

    def _received(self, event: dict[str, Any]) -> None:
        headers = {name.lower(): value for name, value in event["headers"].items()}
        self._answers.append((event["requestId"], Answered(event["statusCode"], headers)))
        self._tell()

    def _no_web_socket(self, event: dict[str, Any]) -> None:
        found = re.search(r"response code: (\d+)", event["errorMessage"])
        self._took(Answered(int(found[1]) if found else 0, {}))

    def _in_a_window(self, response: Response) -> None:
        try:
            page = response.frame.page
        except PlaywrightError:  # the first one of a new window has no frame yet
            page = None
        if page is not self._page and self._port in response.url:
            self._took(Answered(response.status, response.headers))

    def _took(self, answer: Answered) -> None:
        """Keep an answer that is not told by its request."""
        self._ours.add("")
        self._answers.append(("", answer))
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()
