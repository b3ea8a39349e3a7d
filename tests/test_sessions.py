import pytest

from core.sessions import CODE_LIFE_S, MAX_SESSIONS, SESSION_LIFE_S, Sessions


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(clock)


def test_a_code_is_good_once(sessions: Sessions) -> None:
    code = sessions.issue()
    session = sessions.redeem(code)

    assert session is not None
    assert sessions.holds(session.cookie)
    assert sessions.holds(session.cookie, session.key)
    assert sessions.redeem(code) is None


def test_a_key_is_good_with_the_cookie_of_its_own_session_only(sessions: Sessions) -> None:
    one, other = sessions.redeem(sessions.issue()), sessions.redeem(sessions.issue())
    assert one is not None
    assert other is not None

    assert not sessions.holds(one.cookie, other.key)
    assert not sessions.holds(one.cookie, one.cookie)
    assert not sessions.holds(one.cookie, "")
    assert not sessions.holds(one.key, one.key)
    assert not sessions.holds("", one.key)


def test_a_session_says_nothing_of_its_secrets(sessions: Sessions) -> None:
    session = sessions.redeem(sessions.issue())

    assert repr(session) == "Session()"


def test_a_code_is_good_for_a_minute(sessions: Sessions, clock: Clock) -> None:
    code = sessions.issue()
    clock.now = CODE_LIFE_S

    assert sessions.redeem(code) is None


def test_a_session_ends(sessions: Sessions, clock: Clock) -> None:
    session = sessions.redeem(sessions.issue())
    assert session is not None
    clock.now = SESSION_LIFE_S

    assert not sessions.holds(session.cookie)
    assert not sessions.holds(session.cookie, session.key)


@pytest.mark.parametrize("made_up", ["", "x", "ünïcode", "\udc80"])
def test_what_was_not_issued_opens_nothing(sessions: Sessions, made_up: str) -> None:
    code = sessions.issue()

    assert sessions.redeem(made_up) is None
    assert not sessions.holds(made_up)
    assert not sessions.holds(code)


def test_the_oldest_of_too_many_goes(sessions: Sessions) -> None:
    codes = [sessions.issue() for _ in range(MAX_SESSIONS + 1)]

    assert sessions.redeem(codes[0]) is None
    assert sessions.redeem(codes[1]) is not None
