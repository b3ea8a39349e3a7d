"""Random two-sided scripts from the same words, judged by the same rules."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from tests.faults import wire
from tests.faults.judge import judge
from tests.faults.play import play
from tests.faults.scenarios_logins import ENDED
from tests.faults.script import (
    SOON,
    Act,
    Arrived,
    Ask,
    Clock,
    End,
    Fate,
    Go,
    Grant,
    Happening,
    Hear,
    Read,
    Reads,
    Renewing,
    Say,
    Scenario,
    Sends,
    Slept,
    Step,
    Turn,
    When,
)

ANSWERS = (
    wire.streamed(),
    wire.streamed(wire.WITHOUT_STOP),
    wire.streamed(wire.HALF + wire.error_event()),
    wire.streamed(wire.STARTED + wire.error_event("rate_limit_error")),
    wire.streamed(wire.error_event("authentication_error")),
    wire.streamed(b""),
    wire.measured(wire.WHOLE),
    wire.measured(wire.WHOLE, 10_000),
    wire.UNTIL_CLOSE + wire.WHOLE,
    wire.MESSAGE,
    wire.quota_full(),
    wire.throttled(60),
    wire.BARE_429,
    wire.UNAUTHORIZED,
    wire.DISABLED,
    wire.NO_CREDIT,
    wire.BAD_REQUEST,
    wire.OVERLOADED,
    wire.failed(500),
    wire.redirect(307, "{elsewhere}"),
    wire.head(103) + wire.streamed(),
    b"220 mail.invalid ESMTP\r\n\r\n",
    b"",
)
GRANTS = (
    (Grant(),),
    (Grant(), End.RESET),
    (Grant(answer=False), End.RESET),
    (End.RESET,),
    (Say(wire.INVALID_GRANT),),
    (Say(wire.failed(500)),),
    (Say(wire.failed(503)),),
    (Grant(answer=False), Say(wire.said(200, b"<html>"))),
)


@st.composite
def turns(draw: st.DrawFn) -> Turn:
    """An answer, whole or cut anywhere, in pieces of any size, and an end of any kind."""
    answer = draw(st.sampled_from(ANSWERS))
    if draw(st.booleans()):
        answer = answer[: draw(st.integers(0, len(answer)))]
    end = draw(st.sampled_from([None, None, End.CLOSE, End.RESET, End.WAIT]))
    acts: list[Act] = [Say(answer, draw(st.sampled_from([0, 0, 11, 300])))] if answer else []
    acts += [end] if end else []
    reads = draw(st.sampled_from([Reads.ALL, Reads.ALL, Reads.ALL, Reads.HEAD])) if acts else Reads.ALL
    if reads is Reads.HEAD and end is None:
        acts.append(End.CLOSE)  # a body that nobody reads would be taken for the next request
    return Turn(tuple(acts or (End.CLOSE,)), reads)


@st.composite
def clients(draw: st.DrawFn) -> tuple[Step, ...]:
    """A client that asks once or twice, and stays or leaves."""
    sends = draw(st.sampled_from([Sends.ALL, Sends.ALL, Sends.ALL, Sends.HALF, Sends.SLOWLY]))
    ask = Ask(stream=draw(st.booleans()), tools=draw(st.booleans()), sends=sends)
    leaves: tuple[Step, ...] = (draw(st.sampled_from([Go.RESET, Go.CLOSE])),)
    if sends is Sends.HALF:
        return (ask, *leaves)
    way = draw(st.sampled_from(["stays", "stays", "again", "arrived", "hears"]))
    match way:
        case "arrived":
            return (ask, When(Arrived()), *leaves)
        case "hears":
            return (ask, Hear(draw(st.integers(1, 900))), *leaves)
        case "again":
            return (ask, Read(), Go.RETURN, Ask(stream=ask.stream), Read())
        case _:
            return (ask, Read())


@st.composite
def scripts(draw: st.DrawFn) -> Scenario:
    """Both sides, and perhaps something that happens to Tidegate meanwhile."""
    ends_in_s = draw(st.sampled_from([{}, {}, ENDED]))
    begun = When(Renewing()) if ends_in_s else When(Arrived())
    meanwhile: tuple[Happening, ...] = draw(
        st.sampled_from(
            [
                (),
                (),
                (),
                (begun, Slept(600)),
                (Clock(400 * 86_400.0),),
                (When(Arrived()), Fate.STOP),
                (begun, Fate.DISK_FULL),
                (begun, Fate.LOCK_VAULT),
            ]
        )
    )
    client = draw(clients())
    asks = [step for step in client if isinstance(step, Ask)]
    if asks[0].sends is Sends.HALF:  # it asks nobody
        meanwhile = ()
    if Fate.STOP in meanwhile:  # whoever comes later finds nobody
        client = (asks[0], Read())
    return Scenario(
        "random",
        (),
        client=client,
        upstream=tuple(draw(st.lists(turns(), max_size=4))),
        tokens=tuple(Turn(acts) for acts in draw(st.lists(st.sampled_from(GRANTS), max_size=2))),
        meanwhile=meanwhile,
        ends_in_s=ends_in_s,
        patience=SOON,
    )


def _holds(script: Scenario) -> None:
    note(repr(script))
    with tempfile.TemporaryDirectory() as folder:
        assert judge(play(script, Path(folder))) == []


PLAYED = settings(
    deadline=None, database=None, suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large)
)


@given(scripts())
@settings(PLAYED, max_examples=10, derandomize=True, phases=[Phase.generate])
def test_a_few_scripts_break_no_rule(script: Scenario) -> None:
    _holds(script)


@pytest.mark.faults
@pytest.mark.timeout(900)
@given(scripts())
@settings(PLAYED, max_examples=200)
def test_many_scripts_break_no_rule(script: Scenario) -> None:
    _holds(script)
