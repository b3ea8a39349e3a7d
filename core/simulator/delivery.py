"""How a reply travels to the client, and how a scripted fault spoils it on the way."""

import asyncio
import itertools
from collections.abc import Iterable, Iterator
from http import HTTPStatus

from core.simulator import dialects
from core.simulator.answers import STATUS_OF_TYPE, STREAM_TYPE, Answer, anthropic_error, json_answer
from core.simulator.connection import Exchange
from core.simulator.faults import (
    CloseBeforeAnswer,
    ConnectionFault,
    CutClean,
    CutHard,
    EmptyStream,
    ErrorFirst,
    ErrorMidStream,
    GarbageHead,
    HalfHead,
    Phase,
    ResetBeforeAnswer,
    Slow,
    Stall,
    StreamFault,
)
from core.simulator.service import Generation

_EVENTS_BEFORE_STALL = 4  # start, block start, ping, one delta
_STREAM_HEADERS = (STREAM_TYPE, ("cache-control", "no-cache"))

Spoiler = StreamFault | ConnectionFault


async def deliver(exchange: Exchange, answer: Answer, spoiler: Spoiler | None, encode: str | None) -> None:
    """Send a whole answer, or what `spoiler` leaves of it."""
    match spoiler:
        case ResetBeforeAnswer():
            exchange.reset()
        case CloseBeforeAnswer():
            exchange.close()
        case HalfHead():
            await exchange.garbage(b"HTTP/1.1 200 OK\r\ncontent-ty")
        case GarbageHead():
            await exchange.garbage(b"\x16\x03\x01\x02\x00 this is not HTTP\r\n\r\n")
        case CutHard(reset=True):
            await exchange.send_part(answer)
            exchange.reset()
        case CutHard() | CutClean() | EmptyStream():
            await exchange.send_part(answer)
            exchange.close()
        case Stall(seconds=seconds):
            await asyncio.sleep(seconds)
            await exchange.send(answer, encode)
        case _:
            await exchange.send(answer, encode)


async def generate(exchange: Exchange, generation: Generation, encode: str | None, gap_s: float, now: float) -> None:
    """Send a turn, whole or as a stream, as the client asked for."""
    step, turn, dialect = generation.step, generation.turn, generation.dialect
    id_ = generation.request_id.removeprefix("req_011")
    if turn.stream and not isinstance(step, ConnectionFault):
        await _stream(exchange, generation, dialect.events(turn, id_, now), encode, gap_s)
        return
    answer = json_answer(HTTPStatus.OK, dialect.whole(turn, id_, now))
    if isinstance(step, ErrorFirst | ErrorMidStream):
        text = dialects.stream_error_text(step.type)
        answer = anthropic_error(STATUS_OF_TYPE.get(step.type, 500), step.type, text, generation.request_id)
    await deliver(exchange, answer.plus(generation.headers), step, encode)


async def _stream(
    exchange: Exchange, generation: Generation, events: Iterator[bytes], encode: str | None, gap_s: float
) -> None:
    step = generation.step
    if isinstance(step, Slow):
        gap_s = step.gap_s
    if isinstance(step, Stall) and step.phase is Phase.BEFORE_HEAD:
        await asyncio.sleep(step.seconds)
    await exchange.begin((*generation.headers, *_STREAM_HEADERS), encode)
    match step:
        case EmptyStream():
            await exchange.end(whole=False)
        case ErrorFirst(type_, after_start):
            await _send(exchange, itertools.islice(events, int(after_start)), gap_s)
            await _fail(exchange, generation, type_)
        case ErrorMidStream(after_events, type_):
            await _send(exchange, itertools.islice(events, after_events), gap_s)
            await _fail(exchange, generation, type_)
        case CutClean(after_events):
            await _send(exchange, itertools.islice(events, after_events), gap_s)
            await exchange.end(whole=False)
        case CutHard(after_events, reset):
            await _send(exchange, itertools.islice(events, after_events), gap_s)
            (exchange.reset if reset else exchange.close)()
        case Stall(Phase.AFTER_HEAD | Phase.MID_STREAM as phase, seconds):
            before = _EVENTS_BEFORE_STALL if phase is Phase.MID_STREAM else 0
            await _send(exchange, itertools.islice(events, before), gap_s)
            await asyncio.sleep(seconds)
            await _send(exchange, events, gap_s)
            await exchange.end()
        case _:
            await _send(exchange, events, gap_s)
            await exchange.end()


async def _fail(exchange: Exchange, generation: Generation, type_: str) -> None:
    await exchange.event(generation.dialect.error(type_, generation.request_id))
    await exchange.end(whole=False)


async def _send(exchange: Exchange, events: Iterable[bytes], gap_s: float) -> None:
    for event in events:
        if gap_s:
            await asyncio.sleep(gap_s)
        await exchange.event(event)
