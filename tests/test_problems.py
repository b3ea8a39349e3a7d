import json
from datetime import datetime

import pytest

from core.exchange import Simple
from core.model import Exhausted, ProviderName
from core.problems import bad_gateway, come_back, nobody_ready, problem

NOW = datetime(2026, 11, 21, 12, 0).astimezone().timestamp()
HERE = ProviderName.ANTHROPIC


def error(answer: Simple) -> tuple[int, str, str]:
    content = json.loads(answer.body)
    assert content.keys() == {"type", "error"}
    assert content["type"] == "error"
    return answer.status, content["error"]["type"], content["error"]["message"]


def headers(answer: Simple) -> dict[bytes, bytes]:
    assert len({name for name, _ in answer.headers}) == len(answer.headers)
    return dict(answer.headers)


def test_an_error_of_ours_has_the_providers_shape() -> None:
    answer = problem(404, "not_found_error", "Nothing “here”.", (b"x-more", b"1"))

    assert error(answer) == (404, "not_found_error", "Nothing “here”.")
    assert headers(answer) == {b"content-type": b"application/json", b"x-more": b"1"}


@pytest.mark.parametrize("unknown", [True, False])
def test_a_missing_answer_is_a_502_that_says_when_the_work_may_have_been_done(*, unknown: bool) -> None:
    answer = bad_gateway("Tidegate: no answer.", unknown=unknown)

    assert error(answer) == (502, "api_error", "Tidegate: no answer.")
    assert headers(answer).get(b"x-tidegate-outcome") == (b"unknown" if unknown else None)


def test_when_all_are_spent_each_account_says_why_and_the_client_when_to_come_back() -> None:
    reasons = (("Work", "5 h window full", NOW + 9000), ("Home", "week full", NOW + 7200.2), ("Old", "disabled", None))

    answer = nobody_ready(Exhausted(NOW + 7200.2, reasons), HERE, NOW)

    each = "Work: 5 h window full until 14:30; Home: week full until 14:00; Old: disabled."
    assert error(answer) == (429, "rate_limit_error", f"Tidegate: no account is free before 14:00. {each}")
    assert headers(answer)[b"retry-after"] == b"7201"
    assert headers(answer)[b"x-should-retry"] == b"false"


@pytest.mark.parametrize(("until_at", "until"), [(NOW + 7200, " until 14:00"), (None, "")])
def test_a_pause_is_said_at_once_and_not_asked_about_again(until_at: float | None, until: str) -> None:
    answer = nobody_ready(Exhausted(until_at, (), paused=True), HERE, NOW)

    way_out = "`tidegate resume` or the tray icon's menu lets requests through again."
    assert error(answer) == (403, "permission_error", f"Tidegate is paused{until}. {way_out}")
    assert headers(answer)[b"x-should-retry"] == b"false"


@pytest.mark.parametrize(("ready_at", "wait"), [(NOW - 60, b"1"), (NOW, b"1"), (NOW + 0.2, b"1"), (NOW + 1.2, b"2")])
def test_the_wait_is_in_whole_seconds_that_are_long_enough(ready_at: float, wait: bytes) -> None:
    answer = nobody_ready(Exhausted(ready_at, (("Work", "full", ready_at),)), HERE, NOW)

    assert headers(answer)[b"retry-after"] == wait


@pytest.mark.parametrize(("wait_s", "repeats"), [(5, True), (60, True), (61, False), (9000, False)])
def test_a_client_is_left_to_repeat_itself_only_when_an_account_is_ready_within_a_minute(
    wait_s: float, repeats: bool
) -> None:
    answer = nobody_ready(Exhausted(NOW + wait_s, (("Work", "full", NOW + wait_s),)), HERE, NOW)

    assert headers(answer).get(b"x-should-retry") == (None if repeats else b"false")


def test_when_only_the_person_can_help_no_client_should_repeat_itself() -> None:
    reasons = (("Work", "sign in again", None), ("Home", "disabled", None))

    answer = nobody_ready(Exhausted(None, reasons), HERE, NOW)

    message = "Tidegate: no account can serve this. Work: sign in again; Home: disabled."
    assert error(answer) == (403, "permission_error", message)
    assert headers(answer)[b"x-should-retry"] == b"false"
    assert b"retry-after" not in headers(answer)


@pytest.mark.parametrize("ready_at", [None, NOW + 7200])
def test_when_somebody_is_ready_again_the_client_should_repeat_itself(ready_at: float | None) -> None:
    reasons = (("Work", "tried just now", None), ("Home", "week full", NOW + 7200))

    answer = nobody_ready(Exhausted(ready_at, reasons, tried=True), HERE, NOW)

    status, kind, message = error(answer)
    assert (status, kind) == (429, "rate_limit_error")
    assert message.endswith("Work: tried just now; Home: week full until 14:00.")
    assert headers(answer)[b"retry-after"] == b"1"
    assert headers(answer)[b"x-should-retry"] == b"true"


@pytest.mark.parametrize(
    ("provider", "command"),
    [(ProviderName.ANTHROPIC, "`tidegate add claude`"), (ProviderName.OPENCODE_GO, "`tidegate add go`")],
)
def test_without_an_account_the_client_reads_how_to_add_one(provider: ProviderName, command: str) -> None:
    answer = nobody_ready(Exhausted(None, ()), provider, NOW)

    status, kind, message = error(answer)
    assert (status, kind) == (403, "permission_error")
    assert command in message
    assert headers(answer)[b"x-should-retry"] == b"false"


def test_after_too_many_attempts_the_client_is_asked_to_come_back() -> None:
    answer = come_back()

    assert error(answer)[:2] == (429, "rate_limit_error")
    assert (headers(answer)[b"retry-after"], headers(answer)[b"x-should-retry"]) == (b"1", b"true")
