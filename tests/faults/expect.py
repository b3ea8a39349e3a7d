"""What a scenario expects of its own record, beyond the rules that hold for all."""

from collections.abc import Iterator

from tests.faults.reading import State, answer_in, stream_in
from tests.faults.record import Asked, Record, Row, Saw, Stood, Told
from tests.faults.script import Gone, Nothing, Scenario, Sees, Stands

PING = b'event: ping\ndata: {"type": "ping"}\n\n'


def missed(scenario: Scenario, record: Record) -> list[str]:
    """Everything in the record that is not as the scenario says."""
    return [*_seen(scenario, record), *_asked(scenario, record), *_told(scenario, record), *_standing(scenario, record)]


def _seen(scenario: Scenario, record: Record) -> Iterator[str]:
    asked = record.all(Asked)
    if len(asked) != len(scenario.sees):
        yield f"{len(asked)} requests were made, the scenario tells of {len(scenario.sees)}"
        return
    for fact, wanted in zip(asked, scenario.sees, strict=True):
        saw = next(record.of(Saw, fact.request), None)
        match wanted:
            case Gone():
                if saw is not None:
                    yield f"request {fact.request} has an answer although its client left"
            case Nothing():
                if saw is None or saw.raw:
                    yield f"request {fact.request} was not left without an answer: {saw and saw.raw!r}"
            case Sees():
                yield from _fits(wanted, saw, fact.request)


def _fits(wanted: Sees, saw: Saw | None, request: int) -> Iterator[str]:
    if saw is None:
        yield f"request {request} has no answer"
        return
    answer = answer_in(saw.raw, ended=saw.ended)
    error = answer.body
    if answer.status == 200:
        error = stream_in(answer.body).error or b""
    unknown = answer.header("x-tidegate-outcome") == "unknown"
    checks = (
        ("status", answer.status, wanted.status),
        ("whole", answer.state is State.WHOLE, wanted.whole),
        ("unknown", unknown, wanted.unknown),
        ("retry-after", answer.header("retry-after") is not None, wanted.retry_after),
        ("ping", PING in answer.body, wanted.ping),
    )
    for name, found, expected in checks:
        if found != expected:
            yield f"request {request}: {name} is {found}, not {expected}: {saw.raw[-300:]!r}"
    if wanted.body is not None and answer.body != wanted.body:
        yield f"request {request}: the body is {answer.body!r}"
    if wanted.error and f'"{wanted.error}"'.encode() not in error:
        yield f"request {request}: no {wanted.error} in {error!r}"
    if wanted.text and wanted.text.encode() not in error:
        yield f"request {request}: no {wanted.text!r} in {error!r}"
    if wanted.should_retry is not None and answer.header("x-should-retry") != wanted.should_retry:
        yield f"request {request}: x-should-retry is {answer.header('x-should-retry')}"


def _asked(scenario: Scenario, record: Record) -> Iterator[str]:
    asked = tuple(attempt.account for attempt in record.attempts() if attempt.received)
    if asked != scenario.asked:
        yield f"the provider was asked with {asked}, not {scenario.asked}"
    renewals = len(record.attempts(server="tokens"))
    if renewals != scenario.renewals:
        yield f"{renewals} token requests, not {scenario.renewals}"


def _told(scenario: Scenario, record: Record) -> Iterator[str]:
    rows = record.all(Row)
    outcome = rows[-1].outcome if rows else None
    if outcome != scenario.outcome:
        yield f"history says {outcome}, not {scenario.outcome}"
    told = {fact.event for fact in record.all(Told)}
    if lacking := set(scenario.tells) - told:
        yield f"{', '.join(sorted(lacking))} was not told; told were {', '.join(sorted(told)) or 'none'}"


def _standing(scenario: Scenario, record: Record) -> Iterator[str]:
    for stood in record.all(Stood):
        found = _stands(stood)
        wanted = scenario.stands.get(stood.account)
        if wanted is None:
            wanted = Stands.READY
        if found is not wanted:
            yield f"{stood.account} is {found.value}, not {wanted.value}"


def _stands(stood: Stood) -> Stands:
    if not stood.enabled:
        return Stands.DISABLED
    if stood.sign_in != "ok":
        return Stands.LOCKED if stood.sign_in == "locked" else Stands.SIGN_IN
    return Stands.COOLING if stood.rests else Stands.READY
