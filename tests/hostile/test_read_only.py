"""T10: a data folder that can be read and not written. One that fills up while Tidegate runs: `tests/crash`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import run

import pytest

from core.errors import TidegateError
from tests.crash.full_disk import may_mount, small_disk
from tests.stage import on_stage

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(not may_mount(), reason="needs the right to mount a file system")]


@contextmanager
def read_only(root: Path) -> Iterator[None]:
    """What lies at `root`, a file system of its own, cannot be changed until the block ends."""
    run(["mount", "-o", "remount,ro", str(root)], check=True)
    try:
        yield
    finally:
        run(["mount", "-o", "remount,rw", str(root)], check=True)


async def test_a_start_on_a_read_only_folder_is_one_sentence_that_names_it(tmp_path: Path) -> None:
    root = tmp_path / "disk"
    with small_disk(root):
        async with on_stage(root):
            pass
        with read_only(root):
            with pytest.raises(TidegateError) as told:
                async with on_stage(root):
                    pass
            assert str(root) in f"{told.value.title} {told.value.hint}"
