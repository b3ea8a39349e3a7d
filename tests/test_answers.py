from core.answers import LocalKey

SECRET = "tg-SECRET"


def test_the_local_key_does_not_show_itself() -> None:
    assert SECRET not in repr(LocalKey(SECRET))
    assert SECRET not in str(LocalKey(SECRET))
