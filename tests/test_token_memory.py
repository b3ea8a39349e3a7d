import pytest
from msgspec.structs import replace

from core.model import AccountId, ApiKey, LoginHealth, LoginState, OAuthTokens
from core.token_memory import Logins
from core.vault import Stored

ANNA, BERT = AccountId("anna"), AccountId("bert")
NOW = 1_800_000_000.0
TOKENS = OAuthTokens("access", "refresh", NOW + 28_800)


class Here:
    """Logins, the time, and what was told of them."""

    def __init__(self) -> None:
        self.now = NOW
        self.told: list[tuple[AccountId, LoginState]] = []
        self.logins = Logins(lambda: self.now, lambda: 0.0, self._hear)

    def _hear(self, id_: AccountId, health: LoginHealth) -> None:
        self.told.append((id_, health.state))


@pytest.fixture
def here() -> Here:
    return Here()


def test_a_change_is_told_once_and_what_changes_nothing_not_at_all(here: Here) -> None:
    here.logins.take(ANNA, Stored(1, TOKENS))
    here.logins.change(ANNA, failures=1)
    here.logins.report(ANNA)
    here.logins.renewing(ANNA, True)
    here.logins.change(ANNA, in_doubt=True)
    here.logins.take(ANNA, Stored(2, TOKENS), saved=False)
    here.logins.renewing(ANNA, False)
    here.logins.change(ANNA, saved=True)

    states = [LoginState.FINE, LoginState.RENEWING, LoginState.IN_DOUBT, LoginState.UNSAVED, LoginState.FINE]
    assert here.told == [(ANNA, state) for state in states]


def test_the_passing_of_time_is_told_when_somebody_looks(here: Here) -> None:
    here.logins.take(ANNA, Stored(1, replace(TOKENS, refresh="")))
    here.now = TOKENS.expires_at - 60

    here.logins.report(ANNA)

    assert here.told == [(ANNA, LoginState.FINE), (ANNA, LoginState.ENDING)]


def test_a_new_end_is_a_change(here: Here) -> None:
    here.logins.take(ANNA, Stored(1, TOKENS))
    here.logins.take(ANNA, Stored(2, replace(TOKENS, expires_at=NOW + 99_999)))

    assert here.told == [(ANNA, LoginState.FINE)] * 2


def test_the_unsaved_are_known_by_name(here: Here) -> None:
    here.logins.take(ANNA, Stored(1, TOKENS), saved=False)
    here.logins.take(BERT, Stored(1, ApiKey("key")))

    assert here.logins.unsaved() == (ANNA,)
    assert set(here.logins) == {ANNA, BERT}


def test_of_a_forgotten_account_nothing_is_told_until_it_is_back(here: Here) -> None:
    here.logins.take(ANNA, Stored(1, TOKENS))
    here.logins.forget(ANNA)
    here.logins.renewing(ANNA, False)
    here.logins.report(ANNA)
    assert here.told == [(ANNA, LoginState.FINE)]

    here.logins.take(ANNA, Stored(1, TOKENS))

    assert here.told == [(ANNA, LoginState.FINE)] * 2
