"""Whether one account can serve: everything that may stand in the way, and the words for it."""

import pytest
from msgspec.structs import replace

from core.model import AccountState, ClientKind, ModelFamily, ProviderName, Request, Serves, SignIn, Standing
from core.policy.readiness import any_client, bar, live, obstacle, resting, standing
from tests.pools import ANTHROPIC, NOW, rest, state
from tests.pools import resting as resting_account

OPUS = replace(ANTHROPIC, family=ModelFamily("opus"))
CODE = any_client(ProviderName.ANTHROPIC)


@pytest.mark.parametrize(
    ("account", "request_", "words"),
    [
        (state("a"), ANTHROPIC, ""),
        (state("a", enabled=False), ANTHROPIC, "disabled"),
        (state("a", sign_in=SignIn.NEEDED), ANTHROPIC, "sign in again"),
        (state("a", sign_in=SignIn.NEEDED, sign_in_text="login revoked"), ANTHROPIC, "login revoked"),
        (state("a", sign_in=SignIn.LOCKED), ANTHROPIC, "keychain locked"),
        (state("a", serves=Serves.CLAUDE_CODE), ANTHROPIC, "serves Claude Code only"),
        (state("a", serves=Serves.CLAUDE_CODE), CODE, ""),
        (
            state("a", refuses=frozenset({ClientKind.OTHER})),
            ANTHROPIC,
            "the provider does not let it serve this program",
        ),
        (state("a", refuses=frozenset({ClientKind.OTHER})), CODE, ""),
        (resting_account("a"), ANTHROPIC, "5 h window full"),
        (resting_account("a", text=""), ANTHROPIC, "resting"),
        (resting_account("a", for_s=-1), ANTHROPIC, ""),
        (resting_account("a", family=ModelFamily("opus")), ANTHROPIC, ""),
        (
            resting_account("a", family=ModelFamily("opus")),
            replace(ANTHROPIC, family=ModelFamily("opus")),
            "5 h window full",
        ),
    ],
)
def test_what_stands_in_the_way_is_said_in_plain_words(account: AccountState, request_: Request, words: str) -> None:
    assert obstacle(account, request_, NOW) == words


def test_what_only_a_person_mends_comes_before_what_time_does() -> None:
    account = replace(resting_account("a"), sign_in=SignIn.NEEDED)
    assert bar(account, ANTHROPIC) == obstacle(account, ANTHROPIC, NOW) == "sign in again"
    assert bar(resting_account("a"), ANTHROPIC) == ""


def test_of_several_rests_the_longest_that_concerns_the_request_counts() -> None:
    account = state("a", cooldowns=(rest(60), rest(600, "week full"), rest(9000, family=ModelFamily("opus"))))
    assert resting(account, ANTHROPIC, NOW) == rest(600, "week full")


def test_rests_that_are_over_do_not_live_on() -> None:
    assert live(state("a", cooldowns=(rest(-1), rest(1))), NOW) == (rest(1),)


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        (state("a"), Standing.READY),
        (resting_account("a"), Standing.COOLING),
        (resting_account("a", family=ModelFamily("opus")), Standing.READY),
        (state("a", enabled=False, sign_in=SignIn.NEEDED), Standing.DISABLED),
        (state("a", sign_in=SignIn.NEEDED), Standing.SIGN_IN),
        (state("a", sign_in=SignIn.LOCKED), Standing.LOCKED),
    ],
)
def test_an_account_stands_in_one_word(account: AccountState, expected: Standing) -> None:
    assert standing(account, NOW) is expected
