"""API keys at the provider: is this one good and whose is it, and a new one for a Console sign-in."""

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from core.errors import UNREADABLE, SignInFailed
from core.model import AccountKind, Endpoints, Identity
from core.providers.anthropic import OAUTH_BETA

if TYPE_CHECKING:
    import httpx

WITHIN_S = 15.0
_ANTHROPIC_VERSION = "2023-06-01"


class _Envelope(msgspec.Struct):
    """What the providers say: of an error, of Go's usage, of a new key."""

    error: dict[str, object] | None = None
    raw_key: str = ""
    workspaceID: str = ""  # noqa: N815 - the provider's name


async def whose(
    kind: AccountKind, key: str, identity: Identity, endpoints: Endpoints, http: "httpx.AsyncClient"
) -> Identity | None:
    """`identity` with the organisation (Go: workspace) that the key belongs to, whose limits it shares.

    None when the provider cannot be asked now. Raises SignInFailed when it refuses the key.
    """
    import httpx  # noqa: PLC0415 - slow to load, and most instances never come here

    try:
        if kind is AccountKind.GO:
            answer = await http.get(
                f"{endpoints.opencode_go_url}/usage", headers={"authorization": f"Bearer {key}"}, timeout=WITHIN_S
            )
        else:
            headers = {"x-api-key": key, "anthropic-version": _ANTHROPIC_VERSION}
            url = f"{endpoints.anthropic_api_url}/v1/models?limit=1"
            answer = await http.get(url, headers=headers, timeout=WITHIN_S)
    except httpx.HTTPError:
        return None
    body = _read(answer.content)
    if answer.status_code in {401, 403}:
        message = str((body.error or {}).get("message", "")) or f"status {answer.status_code}"
        raise SignInFailed(f"The provider refused this key: {message}", "Copy it again, or make a new one.")
    if not answer.is_success:
        return None
    organization = body.workspaceID or answer.headers.get("anthropic-organization-id", "")
    return replace(identity, organization_uuid=organization)


async def new_key(access: str, endpoints: Endpoints, http: "httpx.AsyncClient") -> str:
    """A new API key for the person who has just signed in to the Console. Raises SignInFailed."""
    import httpx  # noqa: PLC0415 - slow to load, and most instances never come here

    url = f"{endpoints.anthropic_api_url}/api/oauth/claude_cli/create_api_key"
    hint = "Make a key in the Console yourself and add it with `tidegate add api-key`."
    try:
        headers = {"authorization": f"Bearer {access}", "anthropic-beta": OAUTH_BETA.decode()}
        headers["content-type"] = "application/json"
        answer = await http.post(url, headers=headers, content=b"", timeout=WITHIN_S)
    except httpx.HTTPError as exc:
        raise SignInFailed(f"The provider did not answer with a key ({type(exc).__name__})", hint) from exc
    body = _read(answer.content)
    if not answer.is_success or not body.raw_key:
        message = str((body.error or {}).get("message", "")) or f"status {answer.status_code}"
        raise SignInFailed(f"The provider made no key: {message}", hint)
    return body.raw_key


def _read(content: bytes) -> _Envelope:
    try:
        return msgspec.json.decode(content, type=_Envelope)
    except UNREADABLE:
        return _Envelope()
