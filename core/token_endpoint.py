"""The conversation with the provider's token endpoint: one request, one answer as a value."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from core import oauth
from core.errors import SignInFailed
from core.model import Endpoints, OAuthTokens

if TYPE_CHECKING:
    import httpx

ANSWER_WITHIN_S = 30.0
REVOKE_WITHIN_S = 5.0
"""For each step. The account is removed whatever comes of it, and the person waits."""

_REFUSED = frozenset({503, 529})
"""Server errors that say: not now, nothing was done."""


class Reply(msgspec.Struct, frozen=True):
    """What became of a renewal. `doubtful`: no answer came that says whether the refresh token is spent."""

    answer: oauth.Answer
    doubtful: bool = False


class TokenEndpoint:
    """Sends token requests. Redirects are not followed: the body is a credential."""

    def __init__(
        self, endpoints: Callable[[], Endpoints], http: "Callable[[], httpx.AsyncClient]", clock: Callable[[], float]
    ) -> None:
        self._endpoints = endpoints
        self._http = http
        self._clock = clock

    @property
    def url(self) -> str:
        """Where it is; a setting."""
        return self._endpoints().anthropic_token_url

    async def renew(self, tokens: OAuthTokens) -> Reply:
        """What the provider makes of the refresh token in `tokens`.

        After no answer, or one that does not tell, the same token is sent once more at once: if the first one counted,
        its answer is lost anyway, and a period of grace would be short.
        """
        first = await self._renew_once(tokens)
        if not first.doubtful:
            return first
        second = await self._renew_once(tokens)
        settled = isinstance(second.answer, oauth.Grant | oauth.InvalidGrant)
        return second if settled else Reply(second.answer, doubtful=True)

    async def _renew_once(self, tokens: OAuthTokens) -> Reply:
        came = await self._post(oauth.refresh_body(tokens.refresh), tokens)
        if came.status is None:
            return Reply(came.answer, doubtful=came.delivered)
        unreadable = came.status == 200  # noqa: PLR2004 - it was granted, whatever came of the words
        failed = came.status >= 500 and came.status not in _REFUSED  # noqa: PLR2004 - perhaps granted before it failed
        return Reply(came.answer, doubtful=isinstance(came.answer, oauth.Transient) and (unreadable or failed))

    async def exchange(self, code: str, challenge: oauth.Challenge) -> oauth.Grant:
        """Turn the code of a sign-in into tokens. Raises SignInFailed."""
        match (await self._post(oauth.exchange_body(code, challenge))).answer:
            case oauth.Grant() as grant:
                return grant
            case oauth.InvalidGrant():
                raise SignInFailed(
                    "The provider does not take this code",
                    "A code works once and for a few minutes. Start the sign-in again.",
                )
            case oauth.Throttled():
                raise SignInFailed("The provider takes no sign-ins for the moment", "Try again in five minutes.")
            case oauth.Misconfigured(text=text):
                raise SignInFailed(f"{self.url} does not sign in: {text}", "Check the endpoint settings.")
            case oauth.Transient(text=text):
                raise SignInFailed(f"The sign-in could not be finished: {text}", "Start it again.")

    async def revoke(self, tokens: OAuthTokens) -> str:
        """Tell the provider that nobody uses this login any more. Returns why that failed, empty when it worked."""
        import httpx  # noqa: PLC0415 - as in `_post`

        url = oauth.revoke_url(self.url)
        if not url:
            return f"nobody knows where beside {self.url}"
        try:
            response = await self._http().post(
                url, json=oauth.revoke_body(tokens.refresh), timeout=REVOKE_WITHIN_S, follow_redirects=False
            )
        except (httpx.RequestError, httpx.InvalidURL) as exc:
            return f"the provider did not answer ({type(exc).__name__})"
        return "" if response.is_success else f"the provider answered with status {response.status_code}"

    async def _post(self, body: Mapping[str, str], old: OAuthTokens | None = None) -> "_Came":
        import httpx  # noqa: PLC0415 - slow to load, and most instances never come here

        try:
            response = await self._http().post(
                self.url,
                json=body,
                headers={"accept": "application/json"},
                timeout=ANSWER_WITHIN_S,
                follow_redirects=False,
            )
        except httpx.InvalidURL as exc:
            return _Came(oauth.Misconfigured(str(exc)))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as exc:
            return _Came(oauth.Transient(f"the provider cannot be reached ({type(exc).__name__})"))
        except httpx.RequestError as exc:
            return _Came(oauth.Transient(f"the provider did not answer ({type(exc).__name__})"), delivered=True)
        status, retry_after = response.status_code, response.headers.get("retry-after")
        answer = oauth.read_answer(status, response.content, retry_after, self._clock(), old)
        return _Came(answer, status, delivered=True)


class _Came(msgspec.Struct, frozen=True):
    """What came of one request. `status` is None without an answer, `delivered` says whether it may have arrived."""

    answer: oauth.Answer
    status: int | None = None
    delivered: bool = False
