from core.doorbell import Doorbell


def test_bell_is_answered_by_the_face_that_is_there() -> None:
    bell = Doorbell()
    rung: list[str] = []
    assert not bell.ring()

    with bell.answered(lambda: rung.append("icon")):
        assert bell.ring()
        assert bell.ring()

    assert not bell.ring()
    assert rung == ["icon", "icon"]
