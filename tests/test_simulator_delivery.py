"""A spoiled answer looks on the wire exactly as its fault says."""

import httpx
import pytest

from tests.fakes import (
    ASK,
    SimulatedAccount,
    SimulatedProvider,
    ask,
    events,
    faults,
    signed,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("fault", "before"),
    [
        (faults.ErrorFirst("rate_limit_error"), 0),
        (faults.ErrorFirst("rate_limit_error", after_start=True), 1),
        (faults.ErrorMidStream(5, "rate_limit_error"), 5),
    ],
)
async def test_an_error_event_ends_a_stream_that_began_well(
    http: httpx.AsyncClient, work: SimulatedAccount, fault: faults.StreamFault, before: int
) -> None:
    work.script(fault)
    answer = await ask(http, work, stream=True)
    named = events(answer.text)
    assert answer.status_code == 200
    assert len(named) == before + 1
    assert named[-1][0] == "error"
    assert named[-1][1]["error"]["type"] == "rate_limit_error"
    assert named[-1][1]["request_id"] == answer.headers["request-id"]


async def test_an_error_of_a_stream_is_a_status_for_a_client_that_asked_for_none(
    http: httpx.AsyncClient, work: SimulatedAccount
) -> None:
    work.script(faults.ErrorMidStream())
    assert (await ask(http, work)).status_code == 529


async def test_a_clean_cut_looks_whole_to_http(
    sim: SimulatedProvider, http: httpx.AsyncClient, work: SimulatedAccount
) -> None:
    work.script(faults.CutClean(4), faults.EmptyStream())
    cut, empty = await ask(http, work, stream=True), await ask(http, work, stream=True)
    assert [name for name, _ in events(cut.text)][-1] == "content_block_delta"
    assert (empty.status_code, empty.text) == (200, "")
    assert [received.answered for received in sim.received] == [False, False]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.CutHard(4), httpx.ReadError),
        (faults.CutHard(4, reset=False), httpx.RemoteProtocolError),
        (faults.ResetBeforeAnswer(), httpx.ReadError),
        (faults.CloseBeforeAnswer(), httpx.RemoteProtocolError),
        (faults.HalfHead(), httpx.RemoteProtocolError),
        (faults.GarbageHead(), httpx.RemoteProtocolError),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_broken_connection_is_an_error_of_the_transport(
    sim: SimulatedProvider,
    http: httpx.AsyncClient,
    work: SimulatedAccount,
    *,
    fault: faults.Fault,
    error: type[Exception],
    stream: bool,
) -> None:
    work.script(fault)
    with pytest.raises(error):
        await ask(http, work, stream=stream)
    assert not sim.received[0].answered
    assert (await ask(http, work, stream=stream)).status_code == 200


async def test_a_hard_cut_delivers_what_came_before_it(http: httpx.AsyncClient, work: SimulatedAccount) -> None:
    work.script(faults.CutHard(4))
    seen = b""
    with pytest.raises(httpx.ReadError):
        async with http.stream("POST", "/v1/messages", headers=signed(work), json={**ASK, "stream": True}) as answer:
            async for chunk in answer.aiter_raw():
                seen += chunk
    assert [name for name, _ in events(seen.decode())][-1] == "content_block_delta"


async def test_a_reset_spends_nothing_and_a_silent_close_does(http: httpx.AsyncClient, work: SimulatedAccount) -> None:
    work.script(faults.ResetBeforeAnswer(), faults.CloseBeforeAnswer())
    with pytest.raises(httpx.TransportError):
        await ask(http, work)
    after_reset = work.served
    with pytest.raises(httpx.TransportError):
        await ask(http, work)
    assert (after_reset, work.served) == (0, 1)


@pytest.mark.parametrize("phase", list(faults.Phase))
async def test_a_stall_goes_on_where_it_stopped(
    http: httpx.AsyncClient, work: SimulatedAccount, phase: faults.Phase
) -> None:
    work.script(faults.Stall(phase, 0.05))
    answer = await ask(http, work, stream=True)
    assert events(answer.text)[-1][0] == "message_stop"


async def test_a_slow_stream_is_whole(http: httpx.AsyncClient, work: SimulatedAccount) -> None:
    work.script(faults.Slow(0.002))
    assert events((await ask(http, work, stream=True)).text)[-1][0] == "message_stop"
