from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.files import Paths
from core.log_reading import TROUBLES, Seen, follow, recent, tail
from core.logs import LOGS_KEPT, Entry, as_json, as_text


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path)


def entry(number: int) -> Entry:
    return Entry(1_763_000_000.0 + number, "INFO", f"fact {number}")


def write(file: Path, *numbers: int) -> None:
    with file.open("a", encoding="utf-8") as log:
        log.writelines(f"{as_text(entry(number))}\n" for number in numbers)


def rotate(paths: Paths) -> None:
    for number in range(LOGS_KEPT, 0, -1):
        newer = Path(f"{paths.log}.{number - 1}") if number > 1 else paths.log
        if newer.exists():
            newer.replace(f"{paths.log}.{number}")


def numbers(entries: list[Entry]) -> list[int]:
    return [int(one.text.removeprefix("fact ")) for one in entries]


def test_tail_goes_back_over_rotated_files(paths: Paths) -> None:
    write(paths.log, 1, 2, 3)
    rotate(paths)
    write(paths.log, 4)
    assert numbers(tail(paths, 2)[0]) == [3, 4]
    assert numbers(tail(paths, 100)[0]) == [1, 2, 3, 4]


def test_tail_of_no_log_is_empty(paths: Paths) -> None:
    assert tail(paths, 10) == ([], Seen())


def test_the_last_entries_are_read_over_rotated_files(paths: Paths) -> None:
    write(paths.log, 1, 2, 3)
    rotate(paths)
    write(paths.log, 4)
    assert numbers(recent(paths, 2)) == [3, 4]
    assert numbers(recent(paths, 100)) == [1, 2, 3, 4]


def test_the_last_entries_of_no_log_are_none(paths: Paths) -> None:
    assert recent(paths, 10) == []


@pytest.mark.parametrize("written", [as_text, as_json])
def test_the_last_troubles_are_found_among_all_else(paths: Paths, written: Callable[[Entry], str]) -> None:
    entries = [
        Entry(1_763_000_000.0, "WARNING", "the first", "0a1b2c3d"),
        Entry(1_763_000_001.0, "ERROR", "broken\nTraceback:\n  WARNING is in here"),
        Entry(1_763_000_002.0, "INFO", "no WARNING, but the word"),
        Entry(1_763_000_003.0, "CRITICAL", "the last"),
    ]
    paths.log.write_text("".join(f"{written(entry)}\n" for entry in entries), encoding="utf-8")

    assert recent(paths, 10, TROUBLES) == [entries[0], entries[1], entries[3]]
    assert recent(paths, 2, TROUBLES) == [entries[1], entries[3]]
    assert recent(paths, 10) == entries


def test_tail_reads_what_is_no_utf_8(paths: Paths) -> None:
    paths.log.write_bytes(as_text(entry(1)).encode() + b" \xff\n")
    assert tail(paths, 1)[0][0].text == "fact 1 \N{REPLACEMENT CHARACTER}"


class Ended(Exception):
    """The scripted following is over."""


def followed(paths: Paths, *steps: Callable[[], None]) -> list[Entry]:
    """What `follow` gives while the steps happen, each between two looks."""
    script: Iterator[Callable[[], None]] = iter(steps)

    def wait() -> None:
        step = next(script, None)
        if step is None:
            raise Ended
        step()

    given: list[Entry] = []
    try:
        given.extend(follow(paths, tail(paths, 0)[1], wait))
    except Ended:
        return given
    raise AssertionError


def test_following_begins_with_what_comes_next(paths: Paths) -> None:
    write(paths.log, 1)
    assert numbers(followed(paths, lambda: write(paths.log, 2), lambda: write(paths.log, 3))) == [2, 3]


def test_following_goes_over_rotations_without_a_gap(paths: Paths) -> None:
    def busy() -> None:
        write(paths.log, 2)
        rotate(paths)
        write(paths.log, 3)
        rotate(paths)
        write(paths.log, 4)

    write(paths.log, 1)
    assert numbers(followed(paths, busy, lambda: write(paths.log, 5))) == [2, 3, 4, 5]


def test_following_begins_before_there_is_a_log(paths: Paths) -> None:
    assert numbers(followed(paths, lambda: write(paths.log, 1), lambda: write(paths.log, 2))) == [1, 2]


def test_line_that_is_half_written_is_waited_for(paths: Paths) -> None:
    whole = f"{as_json(entry(7))}\n"

    def append(part: str) -> Callable[[], None]:
        def write_part() -> None:
            with paths.log.open("a", encoding="utf-8") as log:
                log.write(part)

        return write_part

    assert numbers(followed(paths, append(whole[:20]), append(whole[20:]))) == [7]


def test_line_that_is_half_written_at_the_end_of_the_tail_is_followed(paths: Paths) -> None:
    write(paths.log, 1)
    whole = f"{as_text(entry(2))}\n"
    with paths.log.open("a", encoding="utf-8") as log:
        log.write(whole[:30])
        log.flush()
        entries, seen = tail(paths, 9)
        log.write(whole[30:])
    assert numbers(entries) == [1]
    assert numbers([next(follow(paths, seen, lambda: None))]) == [2]


def test_log_that_was_removed_or_emptied_is_followed_on(paths: Paths) -> None:
    def removed() -> None:
        paths.log.unlink()
        write(paths.log, 3)

    def emptied() -> None:
        paths.log.write_text("")
        write(paths.log, 4)

    write(paths.log, 1, 2)
    rotate(paths)
    write(paths.log, 2, 2, 2)
    assert numbers(followed(paths, removed)) == [3]
    write(paths.log, 3, 3)
    assert numbers(followed(paths, emptied)) == [4]
