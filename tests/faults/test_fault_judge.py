"""The judge can fail: a good record passes, and each forgery of it is found by the rule that it breaks."""

from collections.abc import Callable
from typing import TypeVar

import pytest
from msgspec.structs import replace

from core.delivery import PING
from tests.faults import wire
from tests.faults.client import target_of
from tests.faults.judge import RULES, judge
from tests.faults.reading import State, answer_in, stream_in
from tests.faults.record import (
    AnyFact,
    Asked,
    Attempt,
    Broke,
    Happened,
    Quit,
    Record,
    Row,
    Saw,
    Stood,
    Told,
)

BODY = b'{"stream": true}'
SENT = (
    f"POST {target_of(1)} HTTP/1.1\r\nhost: x\r\nanthropic-version: 1\r\ncontent-type: application/json\r\n"
    "x-claude-code-session-id: one\r\nauthorization: Bearer sk-ant-oat01-First-1\r\n\r\n"
).encode() + BODY
OUR_ERROR = b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"Tidegate: gone."}}\n\n'
REFRESH = b'POST /v1/oauth/token HTTP/1.1\r\n\r\n{"refresh_token": "sk-ant-ort01-First-1"}'
F = TypeVar("F", bound=AnyFact)
Forge = Callable[[Record], None]


def attempt(said: bytes, at: float = 1.0, **changes: object) -> Attempt:
    made = Attempt(
        at=at,
        server="api",
        request=1,
        account="First",
        received=SENT,
        whole=True,
        said=said,
        ended=False,
        over_at=at + 0.1,
    )
    return replace(made, **changes)


def stood(account: str, **changes: object) -> Stood:
    made = Stood(
        at=9.0,
        account=account,
        sign_in="ok",
        rests=(),
        failures=0,
        enabled=True,
        login="fine",
        newest=True,
        known_doubt=False,
    )
    return replace(made, **changes)


def good() -> Record:
    """One request that was served."""
    return Record(
        "tg-local",
        [
            Asked(at=0.5, request=1, target=target_of(1), body=BODY),
            attempt(wire.streamed()),
            Saw(at=2.0, request=1, raw=wire.streamed(), began_at=1.5),
            Happened(at=3.0, what="stopping"),
            Row(at=2.0, outcome="Served", attempts=1, status=200, account="First"),
            stood("First"),
            stood("Second"),
        ],
    )


def changed(kind: type[F], **changes: object) -> Forge:
    """Another value in the first fact of a kind."""

    def forge(record: Record) -> None:
        at = next(n for n, fact in enumerate(record.facts) if isinstance(fact, kind))
        record.facts[at] = replace(record.facts[at], **changes)

    return forge


def without(kind: type[AnyFact]) -> Forge:
    def forge(record: Record) -> None:
        record.facts = [fact for fact in record.facts if not isinstance(fact, kind)]

    return forge


def more(*facts: AnyFact) -> Forge:
    def forge(record: Record) -> None:
        record.facts += facts

    return forge


def before(*said: bytes, **changes: object) -> Forge:
    """Attempts that came before the one that served, and counted in history."""

    def forge(record: Record) -> None:
        record.facts += [attempt(one, 0.6 + n / 100, over_at=0.605 + n / 100, **changes) for n, one in enumerate(said)]
        changed(Row, attempts=1 + len(said))(record)

    return forge


def both(*forges: Forge) -> Forge:
    def forge(record: Record) -> None:
        for one in forges:
            one(record)

    return forge


def cut(raw: bytes, **changes: object) -> Forge:
    """The provider broke off in the content, and the client got `raw`."""
    said = wire.CHUNKED + wire.chunk(wire.HALF)
    return both(changed(Attempt, said=said), changed(Saw, raw=raw, **changes), changed(Row, outcome="Cut"))


HALF_SEEN = wire.CHUNKED + wire.chunk(wire.HALF)
FAIR: dict[str, Forge] = {
    "nothing is wrong": more(),
    "refused by one account, served by the next": before(wire.OVERLOADED),
    "unknown once": before(b""),
    "not delivered twice": before(b"", b"", received=b""),
    "cut, with our error event": cut(HALF_SEEN + wire.chunk(OUR_ERROR), ended=True),
    "cut, and reset": cut(HALF_SEEN, reset=True),
    "a ping of ours in between": changed(Saw, raw=wire.streamed(PING + wire.WHOLE)),
    "a spent account rests": both(before(wire.quota_full()), changed(Stood, rests=("quota",))),
    "a client that left": both(without(Saw), more(Quit(at=1.2, request=1)), changed(Attempt, left_at=1.3)),
    "a locked vault shows": both(more(Happened(at=0.1, what="lock the vault")), changed(Stood, sign_in="locked")),
    "a doubt that a full disk could not take": both(
        more(Happened(at=0.1, what="disk full")), changed(Stood, newest=False, login="in-doubt")
    ),
    "a doubt that the files tell of": changed(Stood, newest=False, known_doubt=True),
}

FOUL: dict[str, tuple[Forge, str]] = {
    "sent again after half an answer": (before(wire.CHUNKED[:30]), "executions_are_few"),
    "sent again after content": (before(HALF_SEEN), "executions_are_few"),
    "sent again after it was served": (before(wire.streamed()), "executions_are_few"),
    "sent again after its own mistake": (before(wire.BAD_REQUEST), "executions_are_few"),
    "sent again after two unknown fates": (before(b"", b""), "executions_are_few"),
    "sent again although it acts in the world": (both(before(b""), changed(Asked, tools=True)), "executions_are_few"),
    "sent four times": (before(*[wire.OVERLOADED] * 3), "executions_are_few"),
    "two attempts at a time": (both(before(wire.OVERLOADED), changed(Attempt, at=0.6001)), "one_at_a_time"),
    "a cut that ends cleanly": (cut(wire.streamed(wire.HALF)), "cuts_are_seen"),
    "a cut that ends cleanly with its connection": (
        cut(wire.UNTIL_CLOSE + wire.HALF, ended=True),
        "cuts_are_seen",
    ),
    "an answer with a word changed": (
        changed(Saw, raw=wire.streamed(wire.WHOLE.replace(b"tide", b"time"))),
        "answers_are_the_providers",
    ),
    "more behind a cut than an error event": (
        cut(HALF_SEEN + wire.chunk(wire.WHOLE[len(wire.HALF) :]) + wire.END),
        "answers_are_the_providers",
    ),
    "an answer out of nothing": (
        both(without(Attempt), changed(Row, attempts=0, outcome="x")),
        "answers_are_the_providers",
    ),
    "a whole answer that was cut by us": (changed(Saw, raw=HALF_SEEN, reset=True), "whole_answers_arrive"),
    "no answer at all": (without(Saw), "everybody_is_answered"),
    "a connection that ends without a word": (
        both(without(Happened), changed(Saw, raw=b"", ended=True, began_at=None)),
        "everybody_is_answered",
    ),
    "a rest for a broken connection": (
        both(before(b""), changed(Stood, rests=("upstream",))),
        "network_blames_nobody",
    ),
    "a penalty for a broken connection": (both(before(b""), changed(Stood, failures=1)), "network_blames_nobody"),
    "signed out by a broken connection": (changed(Stood, sign_in="needed"), "network_blames_nobody"),
    "locked without a lock": (changed(Stood, sign_in="locked"), "network_blames_nobody"),
    "disabled by nobody": (changed(Stood, enabled=False), "network_blames_nobody"),
    "a rest that is told and unfounded": (
        more(Told(at=1.0, event="CooldownStarted", account="second")),
        "network_blames_nobody",
    ),
    "sent after its client had left": (
        both(more(Quit(at=0.7, request=1)), changed(Attempt, at=20.0, over_at=20.1)),
        "leaving_ends_it",
    ),
    "worked on after its client had left": (
        both(without(Saw), more(Quit(at=1.1, request=1)), changed(Attempt, left_at=30.0)),
        "leaving_ends_it",
    ),
    "a body that was changed": (
        changed(Attempt, received=SENT.replace(b"true", b"TRUE")),
        "requests_are_the_clients",
    ),
    "a header that was dropped": (
        changed(Attempt, received=SENT.replace(b"anthropic-version: 1\r\n", b"")),
        "requests_are_the_clients",
    ),
    "a path that was changed": (
        changed(Attempt, received=SENT.replace(b"/v1/messages", b"/v2/messages")),
        "requests_are_the_clients",
    ),
    "a request of nobody": (more(attempt(wire.streamed(), request=7)), "requests_are_the_clients"),
    "the local key goes out": (
        changed(Attempt, received=SENT.replace(b"host: x", b"x-key: tg-local")),
        "credentials_stay_apart",
    ),
    "two credentials": (
        changed(Attempt, received=SENT.replace(b"host: x", b"x-api-key: sk-ant-api03-Second-1")),
        "credentials_stay_apart",
    ),
    "nobody's credential": (changed(Attempt, account="Third"), "credentials_stay_apart"),
    "a redirect that was followed": (more(attempt(b"", server="elsewhere")), "credentials_stay_apart"),
    "a credential shown to a client": (
        changed(Saw, raw=wire.refused(502, "api_error", "sk-ant-oat01-First-1")),
        "credentials_stay_apart",
    ),
    "a wait that is too long": (changed(Asked, at=-60.0), "waiting_is_bounded"),
    "a request that history does not know": (without(Row), "history_agrees"),
    "an execution that history does not count": (
        both(before(b""), changed(Row, attempts=1)),
        "history_agrees",
    ),
    "a login that is silently dead": (changed(Stood, newest=False), "logins_are_kept"),
    "a refresh token that is sent again": (
        more(
            *(
                attempt(wire.said(200, b'{"access_token": "x"}'), at, server="tokens", request=0, received=REFRESH)
                for at in (0.1, 0.2)
            )
        ),
        "tokens_are_sent_once",
    ),
    "a traceback": (more(Broke(at=1.0, text="a request failed inside Tidegate")), "nothing_breaks"),
}


@pytest.mark.parametrize("forge", FAIR.values(), ids=FAIR)
def test_a_fair_record_passes(forge: Forge) -> None:
    record = good()
    forge(record)

    assert judge(record) == []


@pytest.mark.parametrize(("forge", "rule"), FOUL.values(), ids=FOUL)
def test_a_forged_record_is_found_out(forge: Forge, rule: str) -> None:
    record = good()
    forge(record)

    assert rule in {text.partition(":")[0] for text in judge(record)}


def test_every_rule_is_broken_by_a_forgery() -> None:
    assert {rule for _, rule in FOUL.values()} == set(RULES)


@pytest.mark.parametrize("at", range(0, len(wire.streamed()), 7))
def test_a_part_of_an_answer_never_reads_as_whole(at: int) -> None:
    assert answer_in(wire.streamed()[:at]).state is not State.WHOLE


@pytest.mark.parametrize(
    ("raw", "ended", "state", "body"),
    [
        (wire.streamed(), False, State.WHOLE, wire.WHOLE),
        (wire.head(103) + wire.streamed(), False, State.WHOLE, wire.WHOLE),
        (wire.UNTIL_CLOSE + wire.HALF, True, State.WHOLE, wire.HALF),
        (wire.UNTIL_CLOSE + wire.HALF, False, State.CUT, wire.HALF),
        (wire.measured(wire.HALF, 9_000), True, State.CUT, wire.HALF),
        (b"220 mail.invalid ESMTP\r\n\r\n", False, State.GARBAGE, b""),
    ],
)
def test_an_answer_is_read_as_its_framing_says(raw: bytes, ended: bool, state: State, body: bytes) -> None:
    answer = answer_in(raw, ended=ended)

    assert (answer.state, answer.body) == (state, body)


def test_events_are_told_apart() -> None:
    stream = stream_in(wire.STARTED + wire.error_event() + wire.HALF[-9:])

    assert (stream.names, stream.error_first, stream.stopped, stream.clean) == (
        ("message_start", "error", ""),
        True,
        False,
        True,
    )
