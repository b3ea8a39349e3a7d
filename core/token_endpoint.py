"""The conversation with the provider's token endpoint: one request, one answer as a value."""

from collections.abc import Callable, Mapping

import httpx

from core import oauth
from core.errors import SignInFailed
from core.model import Endpoints, OAuthTokens

ANSWER_WITHIN_S = 30.0

_NOT_DELIVERED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class TokenEndpoint:
    """Sends token requests. Redirects are not followed: the body is a credential."""

    def __init__(
        self, endpoints: Callable[[], Endpoints], http: Callable[[], httpx.AsyncClient], clock: Callable[[], float]
    ) -> None:
        self._endpoints = endpoints
        self._http = http
        self._clock = clock

    @property
    def url(self) -> str:
        """Where it is; a setting."""
        return self._endpoints().anthropic_token_url

    async def renew(self, tokens: OAuthTokens) -> oauth.Answer:
        """What the provider makes of the refresh token in `tokens`.

        When the request may have arrived and no answer came, the same token is sent once more at once: if the first
        one counted, its answer is lost anyway, and a period of grace would be short.
        """
        body = oauth.refresh_body(tokens.refresh)
        try:
            return await self._post(body, tokens)
        except _NOT_DELIVERED as exc:
            return _silent(exc)
        except httpx.RequestError:
            pass
        try:
            return await self._post(body, tokens)
        except httpx.RequestError as exc:
            return _silent(exc)

    async def exchange(self, code: str, challenge: oauth.Challenge) -> oauth.Grant:
        """Turn the code of a sign-in into tokens. Raises SignInFailed."""
        try:
            answer = await self._post(oauth.exchange_body(code, challenge))
        except httpx.RequestError as exc:
            answer = _silent(exc)
        match answer:
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

    async def _post(self, body: Mapping[str, str], old: OAuthTokens | None = None) -> oauth.Answer:
        try:
            response = await self._http().post(
                self.url,
                json=body,
                headers={"accept": "application/json"},
                timeout=ANSWER_WITHIN_S,
                follow_redirects=False,
            )
        except httpx.InvalidURL as exc:
            return oauth.Misconfigured(str(exc))
        retry_after = response.headers.get("retry-after")
        return oauth.read_answer(response.status_code, response.content, retry_after, self._clock(), old)


def _silent(exc: httpx.RequestError) -> oauth.Transient:
    reached = "cannot be reached" if isinstance(exc, _NOT_DELIVERED) else "did not answer"
    return oauth.Transient(f"the provider {reached} ({type(exc).__name__})")
