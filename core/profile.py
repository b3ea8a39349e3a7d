"""Whose login it is, asked of the provider with its access token. Changes nothing and renews nothing."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from core.errors import UNREADABLE, SignInFailed
from core.model import Endpoints, Identity
from core.policy.plan import name_of
from core.providers.anthropic import OAUTH_BETA

if TYPE_CHECKING:
    import httpx

WITHIN_S = 15.0
SCOPE = "user:profile"
"""What a login must be good for to be asked; a setup token is not."""


class _Account(msgspec.Struct):
    uuid: str = ""
    email: str = ""


class _Organization(msgspec.Struct):
    uuid: str = ""
    organization_type: str = ""
    rate_limit_tier: str | None = None


class _Profile(msgspec.Struct):
    account: _Account = msgspec.field(default_factory=_Account)
    organization: _Organization = msgspec.field(default_factory=_Organization)


async def owner(access: str, endpoints: Endpoints, http: "httpx.AsyncClient") -> Identity | None:
    """Who is signed in. None when the provider does not say: not reachable, or a token that may not ask.

    Raises SignInFailed when it does not know the token.
    """
    import httpx  # noqa: PLC0415 - slow to load, and most instances never come here

    headers: Mapping[str, str] = {"authorization": f"Bearer {access}", "anthropic-beta": OAUTH_BETA.decode()}
    try:
        answer = await http.get(f"{endpoints.anthropic_api_url}/api/oauth/profile", headers=headers, timeout=WITHIN_S)
    except httpx.HTTPError:
        return None
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise SignInFailed("The provider refuses this login", "Sign in again in the program that it belongs to.")
    try:
        profile = msgspec.json.decode(answer.content, type=_Profile) if answer.is_success else _Profile()
    except UNREADABLE:
        return None
    account, organization = profile.account, profile.organization
    if not account.uuid or not organization.uuid:
        return None
    plan = name_of(organization.organization_type, organization.rate_limit_tier or "")
    return Identity(account.uuid, organization.uuid, account.email, plan)
