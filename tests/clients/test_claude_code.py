import uuid
from collections.abc import Callable

import pytest

from core.simulator import faults
from tests.clients.install import Programs
from tests.clients.recorder import assert_forwarded_as_made, credentials
from tests.clients.stage import Finished, Stage

pytestmark = pytest.mark.timeout(300, func_only=True)  # else the first test pays for the installation

PROMPT = "say something nice"
Ask = Callable[..., Finished]


@pytest.fixture
def ask(programs: Programs, stage: Stage) -> Ask:
    """Ask Claude Code, connected to Tidegate."""
    stage.connect("claude-code")

    def ask(prompt: str, *options: str) -> Finished:
        return stage.run(programs.claude, "-p", prompt, *options)

    return ask


def test_prompt_gets_its_whole_answer(stage: Stage, ask: Ask) -> None:
    finished = ask(PROMPT)

    assert finished == Finished(0, stage.answer(PROMPT), "")
    (received,) = stage.received
    assert (received.account, received.target) == ("Work", "/v1/messages?beta=true")
    assert received.header("user-agent").startswith("claude-cli/")
    stage.assert_key_stayed_here()


@pytest.mark.parametrize("label", ["Work", "Team"], ids=["subscription", "API key"])
def test_request_is_forwarded_as_made_with_the_accounts_credential(stage: Stage, ask: Ask, label: str) -> None:
    stage.order("pin", account=label)
    account = stage.account(label)
    oauth = label == "Work"

    with stage.recorded("claude-code") as recorder:
        assert ask(PROMPT).code == 0

    (sent,), (received,) = recorder.sent, stage.received
    assert stage.key in sent.header(b"authorization")
    assert sent.header(b"anthropic-beta").startswith("claude-code-")
    assert_forwarded_as_made(sent, received, oauth=oauth)
    expected = (b"authorization", f"Bearer {account.access}") if oauth else (b"x-api-key", account.key)
    assert credentials(received) == ((expected[0], expected[1].encode()),)
    stage.assert_key_stayed_here()


def test_tool_call_makes_its_round_trip(stage: Stage, ask: Ask) -> None:
    finished = ask(
        'use the tool Bash with {"command": "echo low tide", "description": "d"}', "--allowedTools=Bash(echo:*)"
    )

    assert finished.code == 0
    assert finished.out.startswith('The tool answered: "low tide".')
    first, second = stage.received
    assert b"tool_result" not in first.body
    assert b'"tool_result","content":"low tide"' in second.body


def test_full_window_during_a_session_moves_it_to_the_next_account(stage: Stage, ask: Ask) -> None:
    session = str(uuid.uuid4())
    assert ask("first", "--session-id", session).out == stage.answer("first")
    stage.account("Work").always(faults.QuotaRejected("5h", 3600))

    assert ask("second", "--continue") == Finished(0, stage.answer("second"), "")
    assert ask("third", "--continue") == Finished(0, stage.answer("third"), "")

    served = [(received.account, received.status) for received in stage.received]
    assert served == [("Work", 200), ("Work", 429), ("Home", 200), ("Home", 200)]
    refused, repeated = stage.received[1:3]
    assert refused.body == repeated.body
    assert {received.header("x-claude-code-session-id") for received in stage.received} == {session}


def test_spent_accounts_are_told_at_once_in_our_words(stage: Stage, ask: Ask) -> None:
    for label in ("Work", "Home", "Team"):
        stage.account(label).always(faults.QuotaRejected("5h", 3600))

    finished = ask(PROMPT)

    assert finished.code == 1
    assert finished.out.startswith("API Error: Request rejected (429) · Tidegate: no account is free before ")
    assert all(f"{label}: " in finished.out for label in ("Work", "Home", "Team"))
    assert [received.account for received in stage.received] == ["Work", "Home", "Team"]
