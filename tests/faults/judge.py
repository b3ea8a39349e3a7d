"""Judges the record of a scenario when it is over, by the rules that hold for all of them; see `RULES`. Pure.

It believes what the two ends wrote down, and what Tidegate's own history says only where it must agree with them.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from itertools import pairwise

from core.delivery import PING
from tests.faults.reading import Answer, State, answer_in, stream_in
from tests.faults.record import Asked, Attempt, Broke, Happened, Quit, Record, Row, Saw, Stood, Told

MAX_EXECUTIONS = 3
MAX_WAIT_S = 30.0
SLACK_S = 5.0
"""A machine may be busy: no rule here is about less."""
LEFT_WITHIN_S = 1.0 + SLACK_S

_FINAL = frozenset({400, 404, 405, 406, 410, 411, 413, 414, 415, 422})
"""Answers that the request itself has caused: nobody else is asked."""
_ACCOUNTS_OWN = re.compile(rb"credit balance|has been disabled|third-party apps|only authorized for use|extra usage")
"""A 400 that is about the account."""
_BLAMES = frozenset({400, 401, 402, 403, 429})
_SECRETS = re.compile(rb"sk-ant-[a-z0-9]+-[A-Za-z]+-\d+")
_UNCHANGED_NAMES = ("anthropic-version", "content-type", "x-claude-code-session-id")


class Kind(Enum):
    """What an attempt came to, by what left the two ends."""

    NOT_DELIVERED = "not delivered"
    """Not a byte of the request arrived."""
    UNKNOWN = "unknown"
    """Bytes of it arrived, and not a byte of an answer left."""
    REFUSED = "refused"
    """A complete answer that says that nothing was done."""
    FINAL = "final"
    """A complete answer that the request has caused."""
    HALF = "half"
    """An answer began and has no end."""
    EMPTY = "empty"
    """A stream with a proper end and nothing in it: as much known as with no answer."""
    SERVED = "served"


def answer_of(attempt: Attempt) -> Answer:
    """What the provider said."""
    return answer_in(attempt.said, ended=attempt.ended)


def kind_of(attempt: Attempt) -> Kind:
    """What one attempt came to."""
    answer = answer_of(attempt)
    if answer.state is State.NONE:
        return Kind.UNKNOWN if attempt.received else Kind.NOT_DELIVERED
    if answer.state in {State.GARBAGE, State.HEAD_CUT}:
        return Kind.HALF
    streams = (answer.header("content-type") or "").startswith("text/event-stream")
    stream = stream_in(answer.body)
    if 200 <= answer.status < 300 and streams:
        if stream.error_first:
            return Kind.REFUSED
        if stream.error is not None or stream.stopped:
            return Kind.SERVED
        return Kind.EMPTY if answer.state is State.WHOLE and not answer.body else Kind.HALF
    if answer.state is State.CUT:
        return Kind.HALF
    if 200 <= answer.status < 300:
        return Kind.SERVED
    if answer.status in _FINAL and not _ACCOUNTS_OWN.search(answer.body):
        return Kind.FINAL
    return Kind.REFUSED


# --- rules ------------------------------------------------------------------------------------------


def executions_are_few(record: Record) -> Iterator[str]:
    """A request is sent again only when it was not delivered or refused; once, without tools, when that is unknown."""
    for asked in record.all(Asked):
        attempts = record.attempts(asked.request)
        doubts = 0
        for number, attempt in enumerate(attempts[:-1], 1):
            kind = kind_of(attempt)
            if kind in {Kind.HALF, Kind.FINAL, Kind.SERVED}:
                yield f"request {asked.request} was sent again after attempt {number} was {kind.value}"
            if kind in {Kind.UNKNOWN, Kind.EMPTY}:
                doubts += 1
                if doubts > 1:
                    yield f"request {asked.request} was sent again after a second attempt whose fate is unknown"
                if asked.tools and kind is Kind.UNKNOWN:
                    yield f"request {asked.request} acts in the world and was sent again after an unknown fate"
        delivered = [one for one in attempts if kind_of(one) is not Kind.NOT_DELIVERED]
        if len(delivered) > MAX_EXECUTIONS:
            yield f"request {asked.request} reached the provider {len(delivered)} times"


def one_at_a_time(record: Record) -> Iterator[str]:
    """The next attempt begins when the one before is over."""
    for asked in record.all(Asked):
        attempts = record.attempts(asked.request)
        for before, after in pairwise(attempts):
            if after.at < before.over_at:
                yield f"two attempts for request {asked.request} overlap"


def cuts_are_seen(record: Record) -> Iterator[str]:
    """No client takes a cut stream for a whole answer: what it got has its own end, or none."""
    for saw in record.all(Saw):
        answer = _seen(saw)
        streams = (answer.header("content-type") or "").startswith("text/event-stream")
        if answer.state is not State.WHOLE or not streams or answer.status != 200:
            continue
        stream = stream_in(answer.body)
        if not stream.stopped and stream.error is None:
            yield f"the stream for request {saw.request} ends cleanly and has no end of its own"


def answers_are_the_providers(record: Record) -> Iterator[str]:
    """What a client gets of a success is what the provider said; behind a cut there is our error event at most."""
    for saw in record.all(Saw):
        answer = _seen(saw)
        if answer.status != 200 or answer.state in {State.NONE, State.HEAD_CUT, State.GARBAGE}:
            continue
        attempts = record.attempts(saw.request)
        if not attempts:
            yield f"request {saw.request} was answered with 200 and never reached the provider"
            continue
        theirs = answer_of(attempts[-1])
        ours, said = _without_pings(answer.body), _without_pings(theirs.body)
        whole = answer.state is State.WHOLE
        if kind_of(attempts[-1]) is Kind.SERVED and whole:
            if ours != said:
                yield f"the answer to request {saw.request} is not what the provider said"
            continue
        rest = ours.removeprefix(said)
        if len(ours) > len(said) and not ours.startswith(said):
            yield f"the answer to request {saw.request} begins with something else than the provider's"
        elif not said.startswith(ours) and not _is_our_error(rest):
            yield f"behind the cut answer to request {saw.request} there is more than an error event"


def whole_answers_arrive(record: Record) -> Iterator[str]:
    """A client that stays gets what the provider served it whole, unless Tidegate was stopped meanwhile."""
    stopped_at = min((fact.at for fact in record.all(Happened) if fact.what == "stopping"), default=float("inf"))
    for saw in record.all(Saw):
        attempts = record.attempts(saw.request)
        if not attempts or kind_of(attempts[-1]) is not Kind.SERVED or attempts[-1].left_at is not None:
            continue
        if saw.at < stopped_at and _seen(saw).state is not State.WHOLE:
            yield f"the provider served request {saw.request} whole, and the client did not get it so"


def everybody_is_answered(record: Record) -> Iterator[str]:
    """A request gets an answer, or its client left, or Tidegate was stopped; an error is in the provider's shape."""
    quits = {fact.request for fact in record.all(Quit)}
    stopping = any(fact.what == "stopping" for fact in record.all(Happened))
    for asked in record.all(Asked):
        saw = next(record.of(Saw, asked.request), None)
        if saw is None:
            if asked.request not in quits:
                yield f"request {asked.request} was never answered"
            continue
        answer = _seen(saw)
        if answer.state is State.NONE and not stopping:
            yield f"the connection of request {asked.request} ended without an answer"
        if answer.status >= 500 and not record.attempts(asked.request) and b'"type":"error"' not in answer.body:
            yield f"our error for request {asked.request} is not in the provider's shape"


def network_blames_nobody(record: Record) -> Iterator[str]:
    """An account rests, is penalised or signed out only after the provider said so, in a whole answer or an error."""
    excused = {"lock the vault", "hang the vault"} & {fact.what for fact in record.all(Happened)}
    for stood in record.all(Stood):
        if _accused(record, stood.account):
            continue
        if stood.rests or stood.failures:
            yield f"{stood.account} rests ({', '.join(stood.rests)}) and no answer of the provider says why"
        if stood.sign_in != "ok" and not (excused and stood.sign_in == "locked"):
            yield f"{stood.account} is {stood.sign_in} and no answer of the provider says why"
        if not stood.enabled:
            yield f"{stood.account} was disabled by nobody"
    for told in record.all(Told):
        blames = told.event in {"CooldownStarted", "LoginRequired"}
        label = next((one.account for one in record.all(Stood) if one.account.lower() == told.account), told.account)
        if blames and label and not _accused(record, label):
            yield f"{told.event} was told of {label}, which no answer of the provider accuses"


def leaving_ends_it(record: Record) -> Iterator[str]:
    """After a client left, nothing more is sent for it, and what was on its way is closed within a second."""
    for quit_ in record.all(Quit):
        for attempt in record.attempts(quit_.request):
            if attempt.at > quit_.at + LEFT_WITHIN_S:
                yield f"request {quit_.request} was sent {attempt.at - quit_.at:.1f} s after its client had left"
            if attempt.left_at is not None and attempt.left_at > quit_.at + LEFT_WITHIN_S:
                yield f"the provider worked on for {attempt.left_at - quit_.at:.1f} s after the client had left"


def requests_are_the_clients(record: Record) -> Iterator[str]:
    """Target, body and the protocol's headers arrive as the client made them; nothing is sent that nobody asked for."""
    asked = {fact.request: fact for fact in record.all(Asked)}
    for attempt in record.attempts():
        if not attempt.received:
            continue
        request = asked.get(attempt.request)
        if request is None:
            yield f"request {attempt.request} reached the provider and no client sent all of it"
            continue
        head, _, body = attempt.received.partition(b"\r\n\r\n")
        if head.split(b"\r\n")[0] != f"POST {request.target} HTTP/1.1".encode():
            yield f"request {attempt.request} arrived with another request line"
        if attempt.whole and body != request.body:
            yield f"the body of request {attempt.request} arrived changed"
        if not request.body.startswith(body):
            yield f"what arrived of request {attempt.request} is not its body"
        lower = head.lower()
        for name in _UNCHANGED_NAMES:
            if lower.count(f"\r\n{name}:".encode()) != 1:
                yield f"request {attempt.request} arrived without its {name}"


def credentials_stay_apart(record: Record) -> Iterator[str]:
    """Each request carries one credential, an account's; nobody else's host gets any, and no client sees one."""
    accounts = {stood.account for stood in record.all(Stood)}
    for attempt in record.all(Attempt):
        head = attempt.received.partition(b"\r\n\r\n")[0]
        if record.local_key and record.local_key.encode() in attempt.received:
            yield f"the local key went to {attempt.server}"
        if attempt.server == "elsewhere":
            yield "a request went where a redirect points"
        if attempt.server != "api" or not attempt.received:
            continue
        if len(_SECRETS.findall(head)) != 1 or attempt.account not in accounts:
            yield f"request {attempt.request} arrived with the credential of {attempt.account or 'nobody'}"
    for saw in record.all(Saw):
        if _SECRETS.search(saw.raw):
            yield f"the client of request {saw.request} was shown a credential"


def waiting_is_bounded(record: Record) -> Iterator[str]:
    """Before the first byte Tidegate itself waits 30 s at most; what the provider takes is the provider's."""
    for asked in record.all(Asked):
        saw = next(record.of(Saw, asked.request), None)
        if saw is None or saw.began_at is None:
            continue
        busy = [(a.at, min(a.over_at, saw.began_at)) for a in record.all(Attempt) if a.request in {0, asked.request}]
        before = [other.at for other in record.all(Saw) if other.at <= saw.began_at and other.request < asked.request]
        began_at = max([asked.at, *before])  # answers on one connection come in turn
        waited_s = saw.began_at - began_at - _covered(busy, began_at, saw.began_at)
        if waited_s > MAX_WAIT_S + SLACK_S:
            yield f"request {asked.request} waited {waited_s:.0f} s for Tidegate"


def history_agrees(record: Record) -> Iterator[str]:
    """Every request that was sent is in history with all its attempts: so what was sent twice is counted."""
    if _full_at_the_end(record):
        return
    rows, reached = record.all(Row), {attempt.request for attempt in record.attempts()} - {0}
    if len(rows) < len(reached):
        yield f"history knows {len(rows)} of {len(reached)} requests"
    counted = sum(row.attempts for row in rows)
    made = sum(1 for attempt in record.attempts() if attempt.request in reached)
    if counted < made:
        yield f"history counts {counted} attempts, the provider {made}"
    for row in rows:
        if row.attempts and row.outcome == "Served" and not made:
            yield "history says that a request was served, and the provider saw none"


def logins_are_kept(record: Record) -> Iterator[str]:
    """The newest login of each account rests in the files, or the files say that it is in doubt or gone."""
    happened = {fact.what for fact in record.all(Happened)}
    for stood in record.all(Stood):
        # A disk that takes nothing takes no intent either; then only a login that has ended is renewed, and it shows,
        # also while that goes on, and when it has come to nothing.
        shown = "disk full" in happened and (stood.login in {"in-doubt", "refreshing"} or stood.sign_in == "needed")
        if not (stood.newest or stood.known_doubt or shown or "other spends" in happened):
            yield f"{stood.account} is silently dead: its newest login is nowhere, and it shows as {stood.login}"


def tokens_are_sent_once(record: Record) -> Iterator[str]:
    """A refresh token is sent again only when no answer told what became of it."""
    told: set[bytes] = set()
    for attempt in record.attempts(server="tokens"):
        found = _SECRETS.search(attempt.received.partition(b"\r\n\r\n")[2])
        if found is None:
            continue
        answer = answer_of(attempt)
        if found[0] in told:
            yield f"a refresh token of {attempt.account} was sent again after it had been exchanged"
        if answer.state is State.WHOLE and answer.status == 200 and b"access_token" in answer.body:
            told.add(found[0])


def nothing_breaks(record: Record) -> Iterator[str]:
    """Tidegate has words for all that happens: no traceback in the log, no task that stays."""
    yield from (fact.text for fact in record.all(Broke))


Rule = Callable[[Record], Iterator[str]]
RULES: Mapping[str, Rule] = {
    rule.__name__: rule
    for rule in (
        executions_are_few,
        one_at_a_time,
        cuts_are_seen,
        answers_are_the_providers,
        whole_answers_arrive,
        everybody_is_answered,
        network_blames_nobody,
        leaving_ends_it,
        requests_are_the_clients,
        credentials_stay_apart,
        waiting_is_bounded,
        history_agrees,
        logins_are_kept,
        tokens_are_sent_once,
        nothing_breaks,
    )
}


def judge(record: Record) -> list[str]:
    """Everything that is wrong with a record, each with the rule that it breaks."""
    return [f"{name}: {text}" for name, rule in RULES.items() for text in rule(record)]


# --- what they stand on -----------------------------------------------------------------------------


def _seen(saw: Saw) -> Answer:
    return answer_in(saw.raw, ended=saw.ended)


def _without_pings(body: bytes) -> bytes:
    return body.replace(PING, b"")


def _is_our_error(rest: bytes) -> bool:
    return rest.startswith(b"event: error\n") and b"Tidegate: " in rest


def _full_at_the_end(record: Record) -> bool:
    """The disk took nothing until Tidegate was gone."""
    turns = [fact.what for fact in record.all(Happened) if fact.what in {"disk full", "disk back"}]
    return turns[-1:] == ["disk full"]


def _accused(record: Record, account: str) -> bool:
    """Whether the provider has said anything against an account."""
    for attempt in record.all(Attempt):
        if attempt.account != account:
            continue
        answer = answer_of(attempt)
        if answer.state is State.WHOLE and answer.status in _BLAMES:
            return True
        if answer.status == 200 and stream_in(answer.body).error is not None:
            return True
    failed = [a for a in record.attempts() if a.account == account and answer_of(a).status >= 500]
    return len(failed) >= 5


def _covered(spans: list[tuple[float, float]], begin: float, end: float) -> float:
    """How much of a time at least one of the spans covers."""
    covered, reached = 0.0, begin
    for start, stop in sorted(spans):
        start, stop = max(start, reached), min(stop, end)  # noqa: PLW2901 - cut to what is new
        if stop > start:
            covered += stop - start
            reached = stop
    return covered
