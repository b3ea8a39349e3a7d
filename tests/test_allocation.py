import platform
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="settings of glibc"
)

_SHARE = "from core.allocation import share_one_heap; share_one_heap()"
_HEAPS = """
import threading
go_on = threading.Barrier(5)
def work():
    bytearray(5_000)
    go_on.wait()
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
go_on.wait()
import ctypes
ctypes.CDLL(None).malloc_stats()
"""
"""It writes of each heap to standard error: `Arena 0:`, and so on."""


def told(*code: str) -> subprocess.CompletedProcess[str]:
    folder = Path(__file__).parents[1]
    command = [sys.executable, "-c", "\n".join(code)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20, cwd=folder)


@pytest.mark.parametrize(("first", "several"), [(_SHARE, False), ("", True)], ids=["sharing", "as-it-was"])
def test_all_threads_share_one_heap(first: str, several: bool) -> None:
    assert ("Arena 1:" in told(first, _HEAPS).stderr) is several
