import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
_POWERLESS = ["setpriv", "--bounding-set=-all"] if _IS_ROOT else []
"""Root may read everything; without its capabilities it is a person like others."""
_PRIVATE = "from core.hardening import keep_memory_private; keep_memory_private(); "
_READ = """
import sys
try:
    print(len(open(f"/proc/{sys.argv[1]}/environ", "rb").read()))
except PermissionError:
    print("refused")
"""


def powerless(code: str, *arguments: str) -> list[str]:
    return [*_POWERLESS, sys.executable, "-c", code, *arguments]


@contextmanager
def waiting(first: str) -> Iterator[tuple[int, int]]:
    """A process that has done `first` and waits: its id, and how large a dump of it may be."""
    code = f"{first}import resource; print(resource.getrlimit(resource.RLIMIT_CORE)[0], flush=True); input()"
    process = subprocess.Popen(
        powerless(code), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
    )
    try:
        assert process.stdout
        yield process.pid, int(process.stdout.readline())
    finally:
        process.communicate("\n", timeout=20)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_process_with_credentials_leaves_no_dump() -> None:
    with waiting(_PRIVATE) as (_, dump_bytes):
        assert dump_bytes == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux closes a process's memory so")
@pytest.mark.parametrize(("first", "closed"), [(_PRIVATE, True), ("", False)], ids=["private", "as-it-was"])
def test_its_environment_is_closed_to_the_persons_other_programs(first: str, closed: bool) -> None:
    with waiting(first) as (pid, _):
        told = subprocess.run(powerless(_READ, str(pid)), capture_output=True, text=True, check=True, timeout=20)
    assert (told.stdout.strip() == "refused") is closed
