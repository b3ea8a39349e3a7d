"""One question to a provider's usage endpoint, and the answer as a value. When to ask is decided elsewhere."""

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from core.model import AccountKind, Endpoints
from core.policy.polling import Failed, Read, Reading, TurnedAway, Unreadable
from core.providers import anthropic, opencode_go
from core.providers.base import error_of, json_object, retry_after_s
from core.providers.headers import Headers

if TYPE_CHECKING:
    import httpx

WITHIN_S = 15.0
"""For each step: to connect, to send, and between two pieces of the answer."""
WHOLE_S = 60.0
"""For all of it, should the answer trickle. Longer than connecting may take: httpx's pool bears no cancel there."""


class _Place(msgspec.Struct, frozen=True):
    """Where one kind of account is asked about, and how its answer reads. The credential goes as a bearer."""

    url: Callable[[Endpoints], str]
    read: Callable[[bytes, float], Read]
    headers: Mapping[str, str]


_PLACES = {
    AccountKind.CLAUDE: _Place(
        lambda endpoints: f"{endpoints.anthropic_api_url}/api/oauth/usage",
        lambda body, now: Read(anthropic.usage_windows(body, now), anthropic.usage_extra(body, now)),
        {"anthropic-beta": anthropic.OAUTH_BETA.decode()},
    ),
    AccountKind.GO: _Place(
        lambda endpoints: f"{endpoints.opencode_go_url}/usage",
        lambda body, now: Read(opencode_go.usage_windows(body, now)),
        {},
    ),
}


class UsageEndpoint:
    """Asks for the quota of one account at a time, as Tidegate and nobody else. Redirects are not followed."""

    def __init__(
        self, endpoints: Callable[[], Endpoints], http: "Callable[[], httpx.AsyncClient]", clock: Callable[[], float]
    ) -> None:
        self._endpoints = endpoints
        self._http = http
        self._clock = clock

    async def read(self, kind: AccountKind, secret: str) -> Reading:
        """What the provider says of the account with this credential. API keys have no such endpoint.

        The windows are those of the moment of asking: a refusal that comes meanwhile is newer.
        """
        import httpx  # noqa: PLC0415 - slow to load, and most instances never come here

        place, now = _PLACES[kind], self._clock()
        headers = {**place.headers, "accept": "application/json", "authorization": f"Bearer {secret}"}
        try:
            async with asyncio.timeout(WHOLE_S):
                answer = await self._http().get(
                    place.url(self._endpoints()), headers=headers, timeout=WITHIN_S, follow_redirects=False
                )
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as exc:
            return Failed(f"no answer ({type(exc).__name__})")
        return _judged(answer, place, now)


def _judged(answer: "httpx.Response", place: _Place, now: float) -> Reading:
    body = answer.content
    match answer.status_code:
        case 200:
            return place.read(body, now) if json_object(body) else Failed("the answer does not read")
        case 401:
            return Failed("credential rejected", rejected=True)
        # The type tells it from an edge server's page and from OpenCode Go's refusals, which pass.
        case 403 if error_of(body).type == "permission_error":
            return Unreadable()
        case 429:
            return TurnedAway(retry_after_s(Headers(answer.headers.raw), now))
        case status:
            return Failed(f"status {status}")
