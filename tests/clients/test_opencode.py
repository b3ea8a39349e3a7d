from collections.abc import Callable
from typing import NamedTuple

import pytest

from core.model import AccountKind
from core.simulator import faults
from tests.clients.install import Programs
from tests.clients.recorder import assert_forwarded_as_made, credentials
from tests.clients.stage import Finished, Stage

pytestmark = pytest.mark.timeout(300, func_only=True)  # else the first test pays for the installation

PROMPT = "say something nice"
CLAUDE = "anthropic/claude-sonnet-5"
Ask = Callable[..., Finished]


@pytest.fixture
def ask(programs: Programs, stage: Stage) -> Ask:
    """Ask OpenCode, connected to Tidegate. On stdin it takes a prompt as it is."""
    stage.connect("opencode")

    def ask(prompt: str, *options: str, model: str = CLAUDE) -> Finished:
        return stage.run(programs.opencode, "run", "--model", model, *options, given=prompt)

    return ask


class Way(NamedTuple):
    """From a model's name to the place and the header that its provider wants."""

    label: str
    model: str
    path: str
    header: str


WAYS = {
    "subscription": Way("Work", CLAUDE, "/v1/messages", "authorization"),
    "API key": Way("Team", CLAUDE, "/v1/messages", "x-api-key"),
    "Go chat": Way("Go", "opencode-go/kimi-k3", "/zen/go/v1/chat/completions", "authorization"),
    "Go messages": Way("Go", "opencode-go/minimax-m3", "/zen/go/v1/messages", "x-api-key"),
    "Go responses": Way("Go", "opencode-go/gpt-6-luna", "/zen/go/v1/responses", "authorization"),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_prompt_is_forwarded_as_made_and_gets_its_whole_answer(stage: Stage, ask: Ask, way: Way) -> None:
    stage.order("pin", account=way.label)
    account = stage.account(way.label)

    with stage.recorded("opencode") as recorder:
        finished = ask(PROMPT, model=way.model)

    assert (finished.code, finished.out) == (0, stage.answer(PROMPT))
    received = {received.body: received for received in stage.received}  # two at once come in any order
    assert len(recorder.sent) == len(received) == len(stage.received)
    secret = account.key or account.access
    expected = (way.header.encode(), f"Bearer {secret}".encode() if way.header == "authorization" else secret.encode())
    for sent in recorder.sent:
        arrived = received[sent.body]
        assert (arrived.path, arrived.account) == (way.path, way.label)
        assert arrived.header("user-agent").startswith("opencode/")
        assert_forwarded_as_made(sent, arrived, oauth=account.kind is AccountKind.CLAUDE)
        assert credentials(arrived) == (expected,)
    stage.assert_key_stayed_here()


def test_tool_call_makes_its_round_trip(stage: Stage, ask: Ask) -> None:
    finished = ask('use the tool bash with {"command": "echo low tide", "description": "d"}')

    assert finished.code == 0
    assert 'The tool answered: "low tide".' in finished.out
    assert b'"tool_result"' in stage.received[-1].body
    assert b'"low tide\\n"' in stage.received[-1].body


def test_full_window_during_a_session_moves_it_to_the_next_account(stage: Stage, ask: Ask) -> None:
    assert ask("first").out == stage.answer("first")
    count = len(stage.received)
    stage.account("Work").always(faults.QuotaRejected("5h", 3600))

    for prompt in ("second", "third"):
        finished = ask(prompt, "--continue")
        assert (finished.code, finished.out) == (0, stage.answer(prompt))

    refused, repeated, straight = stage.received[count:]
    assert [(r.account, r.status) for r in (refused, repeated, straight)] == [
        ("Work", 429),
        ("Home", 200),
        ("Home", 200),
    ]
    assert refused.body == repeated.body
    assert len({received.header("x-session-id") for received in stage.received}) == 1


def test_spent_accounts_are_waited_for(stage: Stage, ask: Ask) -> None:
    """OpenCode obeys `retry-after`: the person gets the answer as soon as an account is ready again."""
    stage.order("disable", account="Team")
    for label in ("Work", "Home"):
        stage.account(label).script(faults.QuotaRejected("5h", 3))

    finished = ask(PROMPT, "--title", "without a second request for one")

    assert (finished.code, finished.out) == (0, stage.answer(PROMPT))
    served = [(received.account, received.status) for received in stage.received]
    assert served[:2] == [("Work", 429), ("Home", 429)]
    assert [status for _, status in served[2:]] == [200]


def test_accounts_that_cannot_serve_are_told_at_once_in_our_words(stage: Stage, ask: Ask) -> None:
    for label in ("Work", "Home", "Team"):
        stage.order("disable", account=label)

    finished = ask(PROMPT)

    assert finished.code == 1
    assert "Tidegate: no account can serve this. Work: disabled; Home: disabled; Team: disabled." in finished.err
    assert not stage.received
