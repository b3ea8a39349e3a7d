"""Answers are coded for clients that accept it, and a coded stream stays a stream."""

import gzip
from typing import Any

import brotli
import httpx
import pytest
from backports import zstd

from tests.fakes import (
    ASK,
    SimulatedAccount,
    SimulatedProvider,
    faults,
    signed,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("coding", "decode"), [("gzip", gzip.decompress), ("br", brotli.decompress), ("zstd", zstd.decompress)]
)
async def test_answers_are_coded_for_clients_that_accept_it(
    sim: SimulatedProvider, work: SimulatedAccount, coding: str, decode: Any, stream: bool
) -> None:
    sim.encode = coding
    async with (
        httpx.AsyncClient(trust_env=False) as client,
        client.stream(
            "POST",
            f"{sim.url}/v1/messages",
            headers={**signed(work), "accept-encoding": f"identity, {coding}"},
            json={**ASK, "stream": stream},
        ) as answer,
    ):
        raw = b"".join([chunk async for chunk in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == coding
    assert "You said" in decode(raw).decode()


async def test_every_event_of_a_coded_stream_can_be_read_when_it_arrives(
    sim: SimulatedProvider, work: SimulatedAccount
) -> None:
    sim.encode = "gzip"
    work.script(faults.Stall(faults.Phase.MID_STREAM, 60))
    async with (
        httpx.AsyncClient(base_url=sim.url, trust_env=False) as client,
        client.stream("POST", "/v1/messages", headers=signed(work), json={**ASK, "stream": True}) as answer,
    ):
        seen = ""
        async for text in answer.aiter_text():
            seen += text
            if "content_block_delta" in seen:
                break
    assert "message_start" in seen


async def test_nobody_gets_a_coding_they_did_not_accept(
    sim: SimulatedProvider, http: httpx.AsyncClient, work: SimulatedAccount
) -> None:
    sim.encode = "zstd"
    headers = {**signed(work), "accept-encoding": "gzip"}
    answer = await http.post("/v1/messages", headers=headers, json=ASK)
    assert "content-encoding" not in answer.headers
