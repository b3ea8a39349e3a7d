"""What is kept of connected programs is told plainly when it does not read."""

from pathlib import Path

import pytest

from core.connected import MAX_FILE_BYTES, Record, forget, keep, keep_original, original, our_key, read, records
from core.errors import TidegateError
from core.files import Paths
from tests.desk import ADDRESS, THEIRS, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_record_that_does_not_read_says_where_the_originals_are(desk: Desk) -> None:
    desk.has(THEIRS)
    desk.connect()
    desk.paths.connected.write_text("{")

    with pytest.raises(TidegateError) as raised:
        records(desk.paths)

    assert str(desk.paths.originals) in raised.value.hint


def test_a_record_is_kept_until_it_is_forgotten_with_its_original(tmp_path: Path) -> None:
    paths, record = (
        Paths(tmp_path),
        Record("/home/ada/settings.json", ADDRESS, "0" * 64, {'["env"]': ("1" * 64,)}, 0o644),
    )
    keep_original(paths, "claude-code", THEIRS)
    keep(paths, "claude-code", record)
    keep(paths, "opencode", record)

    assert records(paths) == {"claude-code": record, "opencode": record}
    assert original(paths, "claude-code") == THEIRS
    assert original(paths, "opencode") is None

    forget(paths, "claude-code")

    assert [*records(paths)] == ["opencode"]
    assert original(paths, "claude-code") is None
    forget(paths, "opencode")
    assert not paths.connected.exists()


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("tg-mine", "tg-mine"),
        ("sk-ant-theirs", None),
        ([{"name": "A", "value": 7}, "x", {"name": "B", "value": "tg-mine"}], "tg-mine"),
        ([], None),
        ({"value": "tg-mine"}, None),
        (None, None),
    ],
)
def test_a_key_of_ours_is_told_from_others(value: object, key: str | None) -> None:
    assert our_key(value) == key


def test_a_file_that_is_no_settings_is_not_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_bytes(b" " * (MAX_FILE_BYTES + 1))
    with pytest.raises(TidegateError, match="too large to be settings"):
        read(file)
