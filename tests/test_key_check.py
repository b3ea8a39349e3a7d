import httpx
import pytest

from core import key_check
from core.errors import SignInFailed
from core.model import AccountKind, Endpoints, Identity
from tests.fakes import SimulatedProvider, faults

pytestmark = pytest.mark.anyio
WHO = Identity("key:0123")


async def test_good_key_tells_its_organisation_and_costs_nothing(
    sim: SimulatedProvider, http: httpx.AsyncClient
) -> None:
    team = sim.add_api_key("Team")
    found = await key_check.whose(AccountKind.API_KEY, team.key, WHO, sim.endpoints(), http)
    assert found == Identity("key:0123", organization_uuid=team.organization_uuid)
    assert [r.path for r in sim.received] == ["/v1/models"]


async def test_good_go_key_tells_its_workspace(sim: SimulatedProvider, http: httpx.AsyncClient) -> None:
    go = sim.add_go_key("Go")
    found = await key_check.whose(AccountKind.GO, go.key, WHO, sim.endpoints(), http)
    assert found is not None
    assert found.organization_uuid.startswith("wrk_")
    assert [r.path for r in sim.received] == ["/zen/go/v1/usage"]


@pytest.mark.parametrize("kind", [AccountKind.API_KEY, AccountKind.GO])
async def test_refused_key_is_told_in_the_providers_words(
    sim: SimulatedProvider, http: httpx.AsyncClient, kind: AccountKind
) -> None:
    with pytest.raises(SignInFailed, match=r"refused this key: \w") as caught:
        await key_check.whose(kind, "sk-nobodys", WHO, sim.endpoints(), http)
    assert "sk-nobodys" not in str(caught.value)


async def test_provider_that_cannot_be_reached_says_nothing_of_the_key(http: httpx.AsyncClient) -> None:
    nobody = Endpoints(anthropic_api_url="http://127.0.0.1:9")
    assert await key_check.whose(AccountKind.API_KEY, "sk", WHO, nobody, http) is None


@pytest.mark.parametrize("fault", [faults.ServerError(500), faults.ServerError(502), faults.Overloaded()])
async def test_trouble_of_the_provider_says_nothing_of_the_key(
    sim: SimulatedProvider, http: httpx.AsyncClient, fault: faults.Fault
) -> None:
    sim.script("/v1/models", fault)
    key = sim.add_api_key("Team").key
    assert await key_check.whose(AccountKind.API_KEY, key, WHO, sim.endpoints(), http) is None


async def test_console_sign_in_makes_a_key_that_works(sim: SimulatedProvider, http: httpx.AsyncClient) -> None:
    console = sim.add_login("Console", scopes=("org:create_api_key", "user:profile"))
    key = await key_check.new_key(console.access, sim.endpoints(), http)
    assert key.startswith("sk-ant-api03-")
    assert await key_check.whose(AccountKind.API_KEY, key, WHO, sim.endpoints(), http) is not None


async def test_sign_in_without_the_right_to_make_keys_is_told(sim: SimulatedProvider, http: httpx.AsyncClient) -> None:
    login = sim.add_login("Work")
    with pytest.raises(SignInFailed, match="made no key") as caught:
        await key_check.new_key(login.access, sim.endpoints(), http)
    assert "add api-key" in caught.value.hint


async def test_no_answer_about_a_new_key_is_told(http: httpx.AsyncClient) -> None:
    with pytest.raises(SignInFailed, match="did not answer"):
        await key_check.new_key("token", Endpoints(anthropic_api_url="http://127.0.0.1:9"), http)
