import pytest
from msgspec.structs import replace

from core.model import ApiKey, LoginHealth, LoginState, OAuthTokens
from core.token_login import EARLY_S, SETUP_TOKEN_EARLY_S, Facts, Login
from core.vault import Stored

NOW = 1_800_000_000.0
HOUR_S = 3_600.0


def login(life_s: float, **known: object) -> Login:
    return Login(Stored(1, OAuthTokens("access", "refresh", NOW + life_s)), **known)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("life_s", "margin_s", "rejected", "lives"),
    [
        (61, 60, False, True),
        (60, 60, False, False),
        (1, 0, False, True),
        (0, 0, False, False),
        (-1, 0, False, False),
        (HOUR_S, 0, True, False),
    ],
)
def test_a_login_lives_until_its_end_or_until_it_is_rejected(
    life_s: float, margin_s: float, rejected: bool, lives: bool
) -> None:
    assert login(life_s, rejected=rejected).lives(NOW, margin_s) is lives


def test_an_api_key_lives_for_ever_and_is_never_due() -> None:
    key = Login.of(Stored(1, ApiKey("key")), 0.5, granted_at=NOW)

    assert key.secret == "key"
    assert key.expires_at is None
    assert key.lives(NOW + 1e9, 60)
    assert not key.due(NOW + 1e9)


@pytest.mark.parametrize(("chance", "early_s"), [(0.0, 1_800), (0.5, 1_620), (1.0, 1_440)])
def test_chance_moves_the_due_time_within_its_share(chance: float, early_s: float) -> None:
    stored = Stored(1, OAuthTokens("access", "refresh", NOW + 8 * HOUR_S))

    for granted_at in (None, NOW):
        assert Login.of(stored, chance, granted_at=granted_at).due_at == NOW + 8 * HOUR_S - early_s


def test_a_new_login_is_due_at_half_its_life_at_the_soonest() -> None:
    stored = Stored(1, OAuthTokens("access", "refresh", NOW + 600))

    assert Login.of(stored, 0.0, granted_at=NOW).due_at == NOW + 300
    assert Login.of(stored, 0.0).due(NOW)


@pytest.mark.parametrize(
    ("known", "due"),
    [
        ({}, True),
        ({"spent": True}, False),
        ({"saved": False}, False),
        ({"rest_until_at": NOW + 1}, False),
        ({"rest_until_at": NOW}, True),
        ({"rest_from_at": NOW + 1, "rest_until_at": NOW + 2}, True),  # the clock was set back
        ({"due_at": NOW + 1}, False),
        ({"due_at": NOW + 1, "in_doubt": True}, True),
    ],
)
def test_a_login_is_due_unless_it_is_spent_or_rests_or_the_vault_fails(known: dict[str, object], due: bool) -> None:
    assert login(60, **{"due_at": NOW - 1, **known}).due(NOW) is due


def test_a_doubt_holds_a_login_back_until_it_was_looked_into_once() -> None:
    assert login(60, in_doubt=True).held_back
    assert not login(60, in_doubt=True, failures=1).held_back
    assert not login(60).held_back


SETUP_TOKEN = {"refresh": "", "scopes": ("user:inference",)}


@pytest.mark.parametrize(
    ("life_s", "known", "credential", "state"),
    [
        (HOUR_S, {}, {}, LoginState.RENEWING),
        (HOUR_S, {"in_doubt": True}, {}, LoginState.IN_DOUBT),
        (HOUR_S, {"in_doubt": True, "saved": False}, {}, LoginState.UNSAVED),
        (HOUR_S, {"saved": False, "sealed": True}, {}, LoginState.UNSAVED),
        (HOUR_S, {"spent": True}, {}, LoginState.ENDING),
        (HOUR_S, {"spent": True, "rejected": True}, {}, LoginState.RENEWING),
        (EARLY_S + 1, {}, {"refresh": ""}, LoginState.RENEWING),
        (EARLY_S, {}, {"refresh": ""}, LoginState.ENDING),
        (SETUP_TOKEN_EARLY_S + 1, {}, SETUP_TOKEN, LoginState.RENEWING),
        (SETUP_TOKEN_EARLY_S, {}, SETUP_TOKEN, LoginState.ENDING),
    ],
)
def test_of_several_things_the_person_is_told_what_asks_most_of_them(
    life_s: float, known: dict[str, bool], credential: dict[str, object], state: LoginState
) -> None:
    tokens = replace(OAuthTokens("access", "refresh", NOW + life_s), **credential)  # type: ignore[arg-type]

    assert Login(Stored(1, tokens), **known).health(NOW, renewing=True) == LoginHealth(state, NOW + life_s)


def test_a_login_and_a_key_to_which_nothing_happens_are_fine() -> None:
    assert login(HOUR_S).health(NOW, renewing=False) == LoginHealth(LoginState.FINE, NOW + HOUR_S)
    assert Login(Stored(1, ApiKey("key"))).health(NOW, renewing=False) == LoginHealth(LoginState.FINE, None)


def test_facts_hold_no_secret_and_say_when_it_is_renewed() -> None:
    stored = Stored(7, OAuthTokens("access", "refresh", NOW + 8 * HOUR_S))

    facts = Facts.of(Login.of(stored, 0.0))

    assert facts == Facts(7, True, NOW + 8 * HOUR_S - EARLY_S, NOW + 8 * HOUR_S)
    assert Facts.of(login(60, spent=True)).due_at is None
    assert Facts.of(Login(Stored(1, ApiKey("key")))) == Facts(1, False, None, None)


def test_the_rest_doubles_from_five_seconds_to_five_minutes() -> None:
    rests = [login(60, failures=failures).backoff_s for failures in (0, 1, 2, 5, 6, 7, 10_000)]

    assert rests == [5, 10, 20, 160, 300, 300, 300]


def test_no_secret_is_shown_in_a_repr() -> None:
    shown = repr(login(60)) + repr(Login(Stored(1, ApiKey("sk-key"))))

    assert not [secret for secret in ("'access'", "'refresh'", "sk-key") if secret in shown]
