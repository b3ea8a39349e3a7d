"""The judge of the storms must be able to condemn: every kind of loss, put into an honest record, is found."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.crash import record
from tests.crash.checker import check
from tests.crash.record import (
    AnyEvent,
    Ended,
    Failed,
    Found,
    Issued,
    Killed,
    Listed,
    Obeyed,
    Ordered,
    Presented,
    Rest,
    Shown,
    Started,
    Token,
    Unsettled,
)

Tamper = Callable[[list[Any]], None]

HONEST: list[AnyEvent] = [
    Issued(1, "Anna", Token(1, 0)),
    Issued(1, "Bert", Token(2, 0)),
    Ended(1, 0),
    Found(1, {"Anna": Rest(Token(1, 0), 1), "Bert": Rest(Token(2, 0), 1)}, 0.0),
    # 4: the provider rotates Anna's token, and the kill comes before the new one is stored.
    Started(2, 0.5),
    Listed(2, ("Anna", "Bert")),
    Ordered(2, 0.1),
    Obeyed(2, 0.1),
    Presented(2, "Bert", Token(2, 0), accepted=True),
    Issued(2, "Bert", Token(2, 1)),
    Presented(2, "Anna", Token(1, 0), accepted=True),
    Issued(2, "Anna", Token(1, 1)),
    Ordered(2, 0.2),
    Killed(2, "in flight"),
    Found(2, {"Anna": Rest(Token(1, 0), 1, in_doubt=True), "Bert": Rest(Token(2, 1), 2)}, 0.2),
    # 15: the next process finds out, and the person signs in again.
    Started(3, 0.6),
    Listed(3, ("Anna", "Bert")),
    Presented(3, "Anna", Token(1, 0), accepted=False),
    Shown(3, ("Anna",), ("Bert",)),
    Issued(3, "Anna", Token(3, 0)),
    Ended(3, 0),
    Found(3, {"Anna": Rest(Token(3, 0), 2), "Bert": Rest(Token(2, 1), 2)}, 0.2),
]
KILL, AFTER_KILL, AT_END = 13, 14, 21


def rests(number: int, **accounts: Rest) -> Tamper:
    """Other contents for the files of one look."""

    def tamper(events: list[Any]) -> None:
        events[number] = replace(events[number], accounts={**events[number].accounts, **accounts})

    return tamper


def without(number: int, account: str) -> Tamper:
    def tamper(events: list[Any]) -> None:
        left = {label: rest for label, rest in events[number].accounts.items() if label != account}
        events[number] = replace(events[number], accounts=left)

    return tamper


def instead(number: int, event: AnyEvent) -> Tamper:
    return lambda events: events.__setitem__(number, event)


def also(number: int, event: AnyEvent) -> Tamper:
    return lambda events: events.insert(number, event)


def test_an_honest_record_is_without_fault_and_its_loss_is_counted() -> None:
    verdict = check(HONEST, ("Anna", "Bert"))

    assert verdict.violations == []
    assert (verdict.killed, verdict.start_s) == (1, [0.5, 0.6])
    assert verdict.states == {"in doubt": 1, "newest": 1}
    assert verdict.lost == {"in flight": 1}


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (rests(AFTER_KILL, Anna=Rest(Token(1, 0), 1)), "Anna is silently dead"),
        (rests(AFTER_KILL, Anna=Rest(None, 0)), "Anna is silently dead"),
        (rests(AFTER_KILL, Bert=Rest(Token(2, 0), 1)), "Bert is silently dead"),
        (rests(AT_END, Bert=Rest(Token(2, 1), 1)), "Bert went back from generation 2 to 1"),
        (rests(AT_END, Bert=Rest(Token(1, 0), 2, in_doubt=True)), "Bert holds a token of Anna"),
        (rests(AT_END, Bert=Rest(Token(2, 0), 2, in_doubt=True)), "Bert went back from Token(login=2, number=1)"),
        (without(AFTER_KILL, "Bert"), "not on disk: Bert"),
        (instead(5, Listed(2, ("Anna",))), "not listed: Bert"),
        (instead(5, Listed(2, ("Anna", "Bert", "Bert"))), "listed too often"),
        (instead(5, Listed(2, ("Anna", "Bert", "Carl"))), "listed too often"),
        (instead(18, Shown(3, ("Anna",), ())), "not shown: Bert"),
        (instead(18, Shown(3, ("Anna", "Bert"), ())), "Bert is shown as signed out, its login is good"),
        (also(18, Unsettled(3, ("Bert",))), "neither renewed nor shown as signed out: Bert"),
        (instead(15, Failed(3, "exit code 1")), "it failed: exit code 1"),
        (also(19, Failed(3, "an order: no sign-in")), "it failed: an order: no sign-in"),
        (instead(20, Ended(3, 1)), "exit code 1"),
        (instead(KILL, Ended(2, 0)), "lost Token(login=1, number=0) in a run that was not killed"),
        (instead(KILL, Ended(2, 0)), "and no kill explains it"),
        (
            also(12, Presented(2, "Anna", Token(1, 0), accepted=False)),
            "one process sent Token(login=1",
        ),
        (also(17, Presented(3, "Bert", Token(2, 0), accepted=False)), "Bert lost Token(login=2, number=1) in a run"),
        (instead(11, Issued(2, "Anna", Token(1, 2))), "lacks tokens"),
        (instead(17, Presented(3, "Anna", Token(1, 0), accepted=True)), "contradicts itself"),
        (instead(AFTER_KILL, replace(HONEST[AFTER_KILL], setting=0.0)), "a setting is 0.0"),
        (instead(AFTER_KILL, replace(HONEST[AFTER_KILL], broken=("config.json.broken-1",))), "config.json.broken-1"),
        (lambda events: events.__delitem__(slice(KILL + 1, None)), "the last kill is unproven"),
    ],
)
def test_every_kind_of_loss_is_found(tamper: Tamper, said: str) -> None:
    events = list(HONEST)
    tamper(events)

    violations = check(events, ("Anna", "Bert")).violations

    assert any(said in text for text in violations), violations


def test_a_login_that_is_two_generations_behind_is_no_accident_of_one_kill() -> None:
    events = list(HONEST)
    again = [Presented(2, "Bert", Token(2, 1), accepted=True), Issued(2, "Bert", Token(2, 2))]
    events[10:10] = again
    rests(AFTER_KILL + len(again), Bert=Rest(Token(2, 0), 1, in_doubt=True))(events)

    violations = check(events, ("Anna", "Bert")).violations

    assert any("Bert rests with Token(login=2, number=0), the newest one is 2" in text for text in violations)


def test_a_record_can_be_saved_and_judged_later(tmp_path: Path) -> None:
    record.save(tmp_path / "record.jsonl", HONEST)

    assert record.load(tmp_path / "record.jsonl") == HONEST
