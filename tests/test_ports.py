import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from core.ports import owner_of, user_of

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:20F1 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0000 100 0 0 10 0
   1: 0100007F:20F2 0100007F:20F1 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0000 20 4 30 10 -1
   2: 0100007F:20F1 0100007F:20F2 01 00000000:00000000 00:00000000 00000000  1001        0 4714 1 0000 20 4 30 10 -1
   3: 0100007F:20F4 0100007F:20F1 01 00000000:00000000 00:00000000 00000000  1000        0 4715 1 0000 20 4 30 10 -1
   4: 0200007F:20F4 0100007F:20F1 01 00000000:00000000 00:00000000 00000000  1002        0 4716 1 0000 20 4 30 10 -1
   5: 0200007F:20F2 0100007F:20F1 06 00000000:00000000 00:00000000 00000000     0        0 0 3 0000
"""
TABLE_6 = """\
  sl  local_address                         remote_address                        st tx rx tr tm retr uid timeout inode
   0: 00000000000000000000000001000000:20F3 00000000000000000000000000000000:0000 0A 0:0 0:0 00000000 1000 0 4713 1
"""


@pytest.fixture(params=["127.0.0.1", "::1", "127.0.0.2"])
def listener(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with closing(socket.socket(family)) as made:
        made.bind((request.param, 0))
        made.listen()
        yield made


@linux
def test_a_listener_is_named_with_its_process(listener: socket.socket) -> None:
    name = Path("/proc/self/comm").read_text().strip()

    assert owner_of(listener.getsockname()[1]) == f" by {name} (pid {os.getpid()})"


@linux
def test_a_port_of_a_mere_connection_has_no_owner(listener: socket.socket) -> None:
    with socket.create_connection(listener.getsockname()[:2]) as client:
        assert owner_of(client.getsockname()[1]) == ""


@linux
def test_a_port_that_nobody_holds_any_more_has_no_owner(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()

    assert owner_of(port) == ""


def process(proc: Path, pid: int, name: bytes, inode: int) -> None:
    """Add a process with one socket to a made-up /proc."""
    (proc / str(pid) / "fd").mkdir(parents=True)
    (proc / str(pid) / "fd" / "3").symlink_to(f"socket:[{inode}]")
    (proc / str(pid) / "comm").write_bytes(name + b"\n")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(TABLE)
    (tmp_path / "net" / "tcp6").write_text(TABLE_6)
    process(tmp_path, 7, b"somebody", 9999)
    return tmp_path


@pytest.mark.parametrize(("port", "inode"), [(0x20F1, 4711), (0x20F3, 4713)])
def test_the_process_is_found_by_its_socket(proc: Path, port: int, inode: int) -> None:
    process(proc, 42, b"squatter", inode)

    assert owner_of(port, proc) == " by squatter (pid 42)"


def test_a_name_that_is_no_text_is_still_a_name(proc: Path) -> None:
    process(proc, 42, b"squ\xfftter", 4711)

    assert owner_of(0x20F1, proc) == " by squ\N{REPLACEMENT CHARACTER}tter (pid 42)"


def test_a_process_that_ends_meanwhile_or_belongs_to_another_user_is_passed_over(proc: Path) -> None:
    (proc / "41").mkdir()
    process(proc, 42, b"squatter", 4711)

    assert owner_of(0x20F1, proc) == " by squatter (pid 42)"


@pytest.mark.parametrize("port", [0x20F1, 0x20F2, 0x20F4])
def test_nobody_is_named_when_nobody_tells(proc: Path, port: int) -> None:
    assert owner_of(port, proc) == ""


def test_without_a_proc_nobody_is_named(tmp_path: Path) -> None:
    assert owner_of(8433, tmp_path) == ""


@linux
def test_a_connection_is_its_users(listener: socket.socket) -> None:
    with socket.create_connection(listener.getsockname()[:2]) as client:
        assert user_of(client.getsockname()[1], listener.getsockname()[1]) == os.getuid()


def test_the_user_is_the_other_ends_and_not_our_own(proc: Path) -> None:
    assert user_of(0x20F2, 0x20F1, proc) == 1000


def test_ports_that_two_users_share_are_nobodys(proc: Path) -> None:
    assert user_of(0x20F4, 0x20F1, proc) == -1


def test_a_connection_that_is_not_there_has_no_user(proc: Path, tmp_path: Path) -> None:
    assert user_of(0x20F9, 0x20F1, proc) is None
    assert user_of(0x20F2, 0x20F1, tmp_path / "not Linux") is None
