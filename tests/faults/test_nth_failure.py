"""Every call to the world fails once, and from some call on all of them fail: what was confirmed is there afterwards.

The method is SQLite's and curl's: count the calls of a life in which nothing fails, then live again for each.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.failing import KINDS
from tests.faults.life import Story, live

DISK = ("open", "write", "fsync", "rename", "unlink", "mkdir", "sqlite")
A_FEW = {"open": 2, "fsync": 9, "rename": 6, "unlink": 7, "send": 8, "vault": 9}
"""One call of some kinds, for `make test`: in the middle of something that must not be half done."""
EVERY = 4
"""Of the calls from which on nothing works any more, each fourth: the lives in between differ little."""

Live = Callable[..., Story]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Live:
    """A life in a folder of its own, which is the home of the programs that are connected."""
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)

    def lived(fails: Callable[[str, int], bool], *, sealed: bool = False, hurried: bool = False) -> Story:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        monkeypatch.setenv("HOME", str(folder / "home"))
        return live(folder, fails, sealed=sealed, hurried=hurried)

    return lived


def never(_kind: str, _number: int) -> bool:
    return False


def once(kind: str, number: int) -> Callable[[str, int], bool]:
    return lambda one, n: (one, n) == (kind, number)


def from_on(kind: str, number: int) -> Callable[[str, int], bool]:
    return lambda one, n: one == kind and n >= number


def test_a_life_in_which_nothing_fails_leaves_nothing_undone(home: Live) -> None:
    story = home(never)

    assert (story.wrong, story.refused) == ([], {})
    assert all(story.counts[kind] for kind in KINDS)


@pytest.mark.parametrize(("kind", "number"), A_FEW.items(), ids=A_FEW)
def test_a_failing_call_costs_nothing_that_was_confirmed(home: Live, kind: str, number: int) -> None:
    story = home(once(kind, number))

    assert story.wrong == []
    assert story.struck


@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
def test_each_call_fails_once(home: Live, kind: str) -> None:
    wrong = {}
    for number in range(1, home(never).counts[kind] + 1):
        story = home(once(kind, number))
        wrong |= {where: story.wrong for where in story.struck[:1] if story.wrong}

    assert wrong == {}


@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
def test_from_some_call_on_all_of_its_kind_fail(home: Live, kind: str) -> None:
    wrong = {}
    for number in range(1, home(never).counts[kind] + 1, EVERY):
        story = home(from_on(kind, number), hurried=True)
        wrong |= {where: story.wrong for where in story.struck[:1] if story.wrong}

    assert wrong == {}


@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", DISK)
def test_each_fourth_call_fails_once_with_the_vault_that_is_a_file(home: Live, kind: str) -> None:
    wrong = {}
    for number in range(1, home(never, sealed=True).counts[kind] + 1, EVERY):
        story = home(once(kind, number), sealed=True)
        wrong |= {where: story.wrong for where in story.struck[:1] if story.wrong}

    assert wrong == {}
