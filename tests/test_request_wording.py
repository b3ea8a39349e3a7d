from typing import get_args

import pytest

from core.model import Outcome
from core.request_wording import OUTCOME_WORDS, SERVED, outcome_text, went_wrong


def test_every_outcome_has_its_words() -> None:
    assert set(OUTCOME_WORDS) == {outcome.__name__ for outcome in get_args(Outcome)}
    assert len({outcome_text(outcome, 499) for outcome in OUTCOME_WORDS}) == len(OUTCOME_WORDS)


@pytest.mark.parametrize(
    ("outcome", "status", "said", "wrong"),
    [
        (SERVED, 200, "answered", False),
        ("UpstreamFailed", 529, "the provider failed", True),
        ("ClientLeft", 499, "the program hung up", False),
        ("ClientLeft", 429, "no account could serve", True),
        ("SomethingNew", 500, "SomethingNew", True),
    ],
)
def test_a_request_is_told_by_its_outcome_and_what_the_program_got(
    outcome: str, status: int, said: str, *, wrong: bool
) -> None:
    assert outcome_text(outcome, status) == said
    assert went_wrong(outcome, status) is wrong
