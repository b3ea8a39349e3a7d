from collections.abc import AsyncIterator

import httpx
import pytest

from core.model import AccountKind, Endpoints, ExtraUsage, ModelFamily, QuotaWindow, WindowStatus
from core.policy.polling import Failed, Read, Reading, TurnedAway, Unreadable
from core.simulator import ExtraUsage as ExtraCredit
from core.simulator.faults import Fault
from core.usage_reading import UsageEndpoint
from tests.fakes import SimulatedAccount, SimulatedProvider, Window, faults
from tests.pools import NOW
from tests.recorded import answer

pytestmark = pytest.mark.anyio

USAGE = "/api/oauth/usage"
GO_USAGE = "/zen/go/v1/usage"
HOUR = 3600.0


@pytest.fixture
async def sim() -> AsyncIterator[SimulatedProvider]:
    async with SimulatedProvider.running(lambda: NOW) as provider:
        yield provider


@pytest.fixture
async def endpoint(sim: SimulatedProvider) -> AsyncIterator[UsageEndpoint]:
    async with httpx.AsyncClient(trust_env=False, follow_redirects=True, headers={"user-agent": "tidegate/0"}) as http:
        yield UsageEndpoint(sim.endpoints, lambda: http, lambda: NOW)


async def read(endpoint: UsageEndpoint, account: SimulatedAccount) -> Reading:
    return await endpoint.read(account.kind, account.access or account.key)


async def test_a_subscription_tells_its_windows_and_those_of_single_models(
    sim: SimulatedProvider, endpoint: UsageEndpoint
) -> None:
    account = sim.add_login("Ada")
    account.quota["5h"].utilization = 0.62
    account.quota["7d_oi"] = Window(1.01, NOW + 24 * HOUR, 168 * HOUR)

    assert await read(endpoint, account) == Read(
        (
            QuotaWindow("5h", 0.62, NOW + 3 * HOUR, seen_at=NOW),
            QuotaWindow("7d", 0.1, NOW + 96 * HOUR, seen_at=NOW),
            QuotaWindow("7d_oi", 1.01, NOW + 24 * HOUR, family=ModelFamily("fable"), seen_at=NOW),
        ),
        ExtraUsage(enabled=False, seen_at=NOW),
    )


async def test_a_subscription_tells_how_much_of_its_extra_usage_is_spent(
    sim: SimulatedProvider, endpoint: UsageEndpoint
) -> None:
    account = sim.add_login("Ada")
    account.extra_usage = ExtraCredit(limit=5000, used=1250)

    reading = await read(endpoint, account)

    assert isinstance(reading, Read)
    assert reading.extra_usage == ExtraUsage(enabled=True, in_use=None, utilization=0.25, seen_at=NOW)


async def test_an_opencode_go_key_tells_its_windows(sim: SimulatedProvider, endpoint: UsageEndpoint) -> None:
    account = sim.add_go_key("Go")
    account.quota["monthly"].utilization = 1.0

    reading = await read(endpoint, account)

    assert isinstance(reading, Read)
    assert [(w.name, w.utilization, w.status) for w in reading.windows] == [
        ("rolling", 0.1, WindowStatus.ALLOWED),
        ("weekly", 0.1, WindowStatus.ALLOWED),
        ("monthly", 1.0, WindowStatus.REJECTED),
    ]


async def test_it_asks_once_under_its_own_name_and_with_nothing_but_the_credential(
    sim: SimulatedProvider, endpoint: UsageEndpoint
) -> None:
    account = sim.add_login("Ada")

    await read(endpoint, account)

    (received,) = sim.received
    assert (received.method, received.path, received.body) == ("GET", USAGE, b"")
    assert received.header("user-agent") == "tidegate/0"
    assert received.header("authorization") == f"Bearer {account.access}"
    assert received.header("anthropic-beta") == "oauth-2025-04-20"
    assert not received.header("x-api-key")


async def test_a_setup_token_is_told_to_be_unreadable(sim: SimulatedProvider, endpoint: UsageEndpoint) -> None:
    account = sim.add_login("Ada", scopes=("user:inference",))

    assert await read(endpoint, account) == Unreadable()


@pytest.mark.parametrize(
    ("fault", "reading"),
    [
        (faults.EndpointThrottle(), TurnedAway()),
        (faults.EndpointThrottle(0), TurnedAway(0.0)),
        (faults.EndpointThrottle(3600), TurnedAway(3600.0)),
        (faults.BareThrottle(), TurnedAway()),
        (faults.Unauthorized(), Failed("credential rejected", rejected=True)),
        (faults.Forbidden(), Unreadable()),
        (faults.NotFound(), Failed("status 404")),
        (faults.ServerError(502), Failed("status 502")),
        (faults.ServerError(503), Failed("status 503")),
        (faults.Overloaded(), Failed("status 529")),
        (faults.ResetBeforeAnswer(), Failed("no answer (ReadError)")),
        (faults.CloseBeforeAnswer(), Failed("no answer (RemoteProtocolError)")),
        (faults.HalfHead(), Failed("no answer (RemoteProtocolError)")),
        (faults.GarbageHead(), Failed("no answer (RemoteProtocolError)")),
        (faults.CutClean(), Failed("no answer (RemoteProtocolError)")),
        (faults.CutHard(), Failed("no answer (ReadError)")),
    ],
    ids=str,
)
async def test_whatever_goes_wrong_is_a_value(
    sim: SimulatedProvider, endpoint: UsageEndpoint, fault: Fault, reading: Reading
) -> None:
    account = sim.add_login("Ada")
    sim.script(USAGE, fault)

    assert await read(endpoint, account) == reading
    assert len(sim.received) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_with_the_credential(
    sim: SimulatedProvider, endpoint: UsageEndpoint, status: int
) -> None:
    account = sim.add_login("Ada")
    sim.script(USAGE, faults.Redirect(status, f"{sim.url}/elsewhere"))  # type: ignore[arg-type]

    assert await read(endpoint, account) == Failed(f"status {status}")
    assert [received.path for received in sim.received] == [USAGE]


async def test_a_go_key_that_is_refused_may_be_asked_about_again(endpoint: UsageEndpoint) -> None:
    assert await endpoint.read(AccountKind.GO, "sk-made-up") == Failed("credential rejected", rejected=True)


@pytest.mark.parametrize(
    ("kind", "answer", "reading"),
    [
        (AccountKind.CLAUDE, httpx.Response(403, text="<html>Attention required</html>"), Failed("status 403")),
        (AccountKind.GO, httpx.Response(403, json={"error": {"type": "EntitlementError"}}), Failed("status 403")),
        (AccountKind.CLAUDE, httpx.Response(200, text="<html>Sign in</html>"), Failed("the answer does not read")),
        (AccountKind.CLAUDE, httpx.Response(200, json={"five_hour": None, "limits": []}), Read(())),
        (AccountKind.GO, httpx.Response(429, headers={"retry-after": "soon"}), TurnedAway()),
    ],
    ids=["edge server", "no subscription", "portal of a hotel", "nothing begun", "nonsense in retry-after"],
)
async def test_answers_that_the_simulated_provider_does_not_give(
    kind: AccountKind, answer: httpx.Response, reading: Reading
) -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer)) as http:
        assert await UsageEndpoint(Endpoints, lambda: http, lambda: NOW).read(kind, "secret") == reading


@pytest.mark.parametrize(
    ("recording", "reading"),
    [("anthropic-usage-403-scope.http", Unreadable()), ("anthropic-usage-429.http", TurnedAway(0.0))],
)
async def test_recorded_refusals_say_nothing_of_the_account(recording: str, reading: Reading) -> None:
    told = answer(recording)
    lines = [(name.decode(), value.decode()) for name in told.headers if (value := told.headers.get(name))]
    given = httpx.Response(told.status, headers=lines, content=told.body)
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: given)) as http:
        assert await UsageEndpoint(Endpoints, lambda: http, lambda: NOW).read(AccountKind.CLAUDE, "secret") == reading


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "https://no host"], ids=["nobody there", "no address"])
async def test_an_address_where_nobody_is_is_a_failure(url: str) -> None:
    nowhere = Endpoints(anthropic_api_url=url)
    async with httpx.AsyncClient(trust_env=False) as http:
        reading = await UsageEndpoint(lambda: nowhere, lambda: http, lambda: NOW).read(AccountKind.CLAUDE, "secret")

    assert isinstance(reading, Failed)
    assert not reading.rejected
