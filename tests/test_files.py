import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.errors import InstanceRunning, TidegateError
from core.files import (
    Paths,
    default_paths,
    instance_lock,
    make_folder,
    move_aside,
    sync_folder,
    unfinished,
    write_atomic,
)
from core.model import AccountId

REPOSITORY = Path(__file__).parents[1]
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither file modes nor these limits")


@pytest.fixture
def open_umask() -> Iterator[None]:
    """The most careless setting a person can have."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


# --- writing ---------------------------------------------------------------------------------------


@posix
@pytest.mark.usefixtures("open_umask")
def test_what_is_written_is_for_the_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    write_atomic(tmp_path / "new", b"1")
    (tmp_path / "old").write_bytes(b"0")
    (tmp_path / "old").chmod(0o644)
    write_atomic(tmp_path / "old", b"1")

    assert mode(tmp_path / "new") == mode(tmp_path / "old") == 0o600
    assert names(tmp_path) == {"new", "old"}


@posix
@pytest.mark.usefixtures("open_umask")
def test_every_folder_that_is_missing_is_made_for_the_owner_only_and_those_that_are_there_stay(tmp_path: Path) -> None:
    """In a new home even `.config` is missing, and whoever may write there can put other settings in place of ours."""
    there = tmp_path / "there"
    there.mkdir(mode=0o755)
    Paths(there / "share" / "tidegate").create()
    make_folder(there / ".config" / "opencode")
    make_folder(there / ".config" / "opencode")

    made = [path for path in there.rglob("*") if path.is_dir()]
    assert len(made) == 5
    assert {mode(path) for path in made} == {0o700}
    assert mode(there) == 0o755


def test_file_in_the_place_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "file")


@pytest.mark.parametrize("content", [b"", b"new", os.urandom(1_000_000)], ids=["empty", "short", "long"])
def test_the_new_content_replaces_the_old_one_whole(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old" * 1000)

    write_atomic(path, content)

    assert path.read_bytes() == content


def test_a_symlink_stays_and_its_target_is_written(tmp_path: Path) -> None:
    target = tmp_path / "dotfiles" / "config.json"
    target.parent.mkdir()
    target.write_bytes(b"old")
    link = tmp_path / "config.json"
    link.symlink_to(target)
    chain = tmp_path / "chain"
    chain.symlink_to("config.json")

    write_atomic(chain, b"new")

    assert link.is_symlink()
    assert chain.is_symlink()
    assert target.read_bytes() == b"new"
    assert names(target.parent) == {"config.json"}


def test_a_symlink_to_nothing_yet_makes_its_target(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "target")

    write_atomic(link, b"new")

    assert (tmp_path / "target").read_bytes() == b"new"


def test_a_reader_sees_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    whole = {bytes([letter]) * 50_000 for letter in b"abc"}
    write_atomic(path, b"a" * 50_000)
    seen: set[bytes] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(10):
        for content in whole:
            write_atomic(path, content)
    done.set()
    reader.join()

    assert seen
    assert seen <= whole


def test_a_target_that_cannot_be_replaced_stays_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "inside").write_bytes(b"old")

    with pytest.raises(OSError, match="folder"):
        write_atomic(folder, b"new")

    assert (folder / "inside").read_bytes() == b"old"
    assert names(tmp_path) == {"folder"}


@pytest.mark.parametrize("parent", ["a file", "nowhere"])
def test_a_place_where_nothing_can_be_written_is_an_error(tmp_path: Path, parent: str) -> None:
    (tmp_path / "a file").write_bytes(b"old")

    with pytest.raises(OSError, match=parent):
        write_atomic(tmp_path / parent / "file", b"new")

    assert names(tmp_path) == {"a file"}
    assert (tmp_path / "a file").read_bytes() == b"old"


@posix
def test_a_disk_that_takes_no_more_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the full disk: the write fails in the middle."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    program = """
import resource, signal, sys
from pathlib import Path
from core.files import write_atomic
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_atomic(Path(sys.argv[1]), b"n" * 5000)
except OSError as exc:
    print(exc.strerror)
"""

    ended = subprocess.run(
        [sys.executable, "-c", program, path], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=30
    )

    assert ended.stdout == "File too large\n"
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == {"file"}


def test_a_folder_can_be_made_to_keep_a_rename(tmp_path: Path) -> None:
    sync_folder(tmp_path)

    with pytest.raises(OSError, match="nowhere"):
        sync_folder(tmp_path / "nowhere")


# --- moving aside ----------------------------------------------------------------------------------


def test_a_damaged_file_is_kept_under_the_first_free_name(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    kept = []
    for content in (b"first", b"second", b"third"):
        path.write_bytes(content)
        kept.append(move_aside(path))

    assert [aside.name for aside in kept] == [f"config.json.broken-{n}" for n in (1, 2, 3)]
    assert [aside.read_bytes() for aside in kept] == [b"first", b"second", b"third"]
    assert not path.exists()


def test_of_a_damaged_file_behind_a_symlink_the_target_moves(tmp_path: Path) -> None:
    target = tmp_path / "dotfiles" / "real.json"
    target.parent.mkdir()
    target.write_bytes(b"bad")
    link = tmp_path / "config.json"
    link.symlink_to(target)

    assert move_aside(link) == target.with_name("real.json.broken-1")
    assert link.is_symlink()


@pytest.mark.parametrize("path", ["gone", "nowhere/gone"])
def test_a_file_that_cannot_be_moved_is_told_in_words(tmp_path: Path, path: str) -> None:
    with pytest.raises(TidegateError, match="cannot be moved aside: No such file") as caught:
        move_aside(tmp_path / path)

    assert caught.value.hint


# --- folders ---------------------------------------------------------------------------------------


@posix
@pytest.mark.usefixtures("open_umask")
def test_the_folders_are_for_the_owner_only(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "new" / "tidegate")

    paths.create()
    paths.create()

    assert mode(paths.root) == mode(paths.root / "locks") == 0o700


@posix
def test_a_folder_that_others_use_too_keeps_its_mode(tmp_path: Path) -> None:
    """Somebody may say `--data-dir /tmp`."""
    tmp_path.chmod(0o755)

    Paths(tmp_path).create()

    assert mode(tmp_path) == 0o755
    assert mode(tmp_path / "locks") == 0o700


def test_a_folder_that_cannot_be_used_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    for root in (tmp_path / "file", tmp_path / "file" / "tidegate"):
        with pytest.raises(TidegateError, match=r"Tidegate cannot use .*file") as caught:
            instance_lock(Paths(root))
        assert "--data-dir" in caught.value.hint


def test_a_lock_that_cannot_be_opened_is_told_in_words(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.instance_lock.mkdir()

    with pytest.raises(TidegateError, match=r"instance\.lock cannot be locked") as caught:
        instance_lock(paths)

    assert caught.value.hint


def test_every_file_lies_below_the_root(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    properties = [name for name, value in vars(Paths).items() if isinstance(value, property)]

    found = [getattr(paths, name) for name in properties] + [paths.account_lock(AccountId("a"))]

    assert len(set(found)) == len(found) >= 7
    assert all(path.is_relative_to(tmp_path) for path in found)


def test_the_installation_of_a_user_is_named_after_the_program() -> None:
    assert default_paths().root.name == "tidegate"


# --- one instance ----------------------------------------------------------------------------------


@contextmanager
def another_process_with_the_lock(paths: Paths) -> Iterator["subprocess.Popen[str]"]:
    program = """
import sys
from pathlib import Path
from core.files import Paths, instance_lock
lock = instance_lock(Paths(Path(sys.argv[1])))
print("held", flush=True)
sys.stdin.read()
lock.release()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, paths.root],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_a_second_process_is_told_that_another_one_is_there(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "tidegate")
    with another_process_with_the_lock(paths) as process:
        with pytest.raises(InstanceRunning, match="Another Tidegate is using") as caught:
            instance_lock(paths)
        process.communicate("", timeout=30)

    assert "--data-dir" in caught.value.hint
    instance_lock(paths).release()


def test_who_takes_the_lock_clears_away_what_a_killed_process_was_writing_and_nothing_else(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.create()
    unfinished = [
        tmp_path / ".vault.bin.a1b2_3cd",
        tmp_path / ".config.json.bak.zzzzzzzz",
        tmp_path / "locks" / ".x.intent.00000000",
    ]
    others = [
        tmp_path / ".bashrc",
        tmp_path / ".profile.a1b2c3d4",
        tmp_path / "config.json",
        tmp_path / "locks" / "x.intent",
    ]
    for path in (*unfinished, *others):
        path.write_bytes(b"")

    instance_lock(paths).release()

    assert [path.exists() for path in unfinished] == [False] * 3
    assert [path.exists() for path in others] == [True] * 4


def test_the_lock_is_free_when_its_process_was_killed(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "tidegate")
    with another_process_with_the_lock(paths) as process:
        process.kill()
        process.wait(timeout=30)

    if sys.platform != "win32":
        assert process.returncode == -signal.SIGKILL
        assert mode(paths.instance_lock) == 0o600
    instance_lock(paths).release()


def test_one_process_takes_its_own_lock_once(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "tidegate")
    lock = instance_lock(paths)

    with pytest.raises(InstanceRunning):
        instance_lock(paths)

    lock.release()
    instance_lock(paths).release()


def test_another_folder_is_another_installation(tmp_path: Path) -> None:
    first, second = instance_lock(Paths(tmp_path / "one")), instance_lock(Paths(tmp_path / "two"))

    assert first.is_locked
    assert second.is_locked
    first.release()
    second.release()


def test_what_a_kill_has_left_of_a_file_is_found_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    for name in (".settings.json.ab_c1234", ".settings.json.backup", ".other.json.ab_c1234", "settings.json.ab_c1234"):
        (tmp_path / name).touch()

    assert [left.name for left in unfinished(file)] == [".settings.json.ab_c1234"]
    assert unfinished(tmp_path / "gone" / "settings.json") == ()
