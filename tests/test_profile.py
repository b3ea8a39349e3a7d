from collections.abc import AsyncIterator

import httpx
import pytest

from core import profile
from core.errors import SignInFailed
from core.model import Endpoints, Identity
from tests.fakes import SimulatedProvider

pytestmark = pytest.mark.anyio


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


async def test_provider_says_whose_a_login_is(sim: SimulatedProvider, http: httpx.AsyncClient) -> None:
    ada = sim.add_login("Ada")

    owner = await profile.owner(ada.access, sim.endpoints(), http)

    assert owner == Identity(ada.account_uuid, ada.organization_uuid, ada.email, "max 5x")


@pytest.mark.parametrize(
    ("organization", "plan"),
    [
        ({"organization_type": "claude_max", "rate_limit_tier": "default_claude_max_20x"}, "max 20x"),
        ({"organization_type": "claude_pro", "rate_limit_tier": "default_claude_ai"}, "pro"),
        ({"organization_type": "claude_max", "rate_limit_tier": None}, "max"),
        ({"organization_type": "claude_team"}, "team"),
    ],
)
async def test_plan_is_named_with_its_size_where_the_provider_tells_one(
    organization: dict[str, object], plan: str
) -> None:
    said = {"account": {"uuid": "ada"}, "organization": {"uuid": "org", **organization}}

    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=said))) as http:
        owner = await profile.owner("sk-ant-oat01-EXAMPLE", Endpoints(), http)

    assert owner == Identity("ada", "org", "", plan)


async def test_login_that_may_not_ask_has_no_name(sim: SimulatedProvider, http: httpx.AsyncClient) -> None:
    token = sim.add_login("CI", scopes=("user:inference",)).access

    assert await profile.owner(token, sim.endpoints(), http) is None


async def test_login_that_the_provider_does_not_know_is_told(sim: SimulatedProvider, http: httpx.AsyncClient) -> None:
    with pytest.raises(SignInFailed):
        await profile.owner("sk-ant-oat01-EXAMPLE-nobody", sim.endpoints(), http)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"account":{"uuid":"a"}}', b'{"account":17}'])
async def test_answer_that_names_nobody_is_no_answer(body: bytes) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        assert await profile.owner("sk-ant-oat01-EXAMPLE", Endpoints(), http) is None


async def test_provider_that_cannot_be_reached_says_nothing(http: httpx.AsyncClient) -> None:
    nobody = Endpoints(anthropic_api_url="http://127.0.0.1:9")

    assert await profile.owner("sk-ant-oat01-EXAMPLE", nobody, http) is None
