"""Where Tidegate's calls to the world can be made to fail: files, SQLite, sockets, the control plane's HTTP.

The product has no hook for it. What is replaced here belongs to Python's library (and httpx's transport), for the time
of a block; a call on files outside `folders`, or on a socket that is not Tidegate's, never fails. The vault has a seam
of its own: its back end is a parameter.
"""

import builtins
import errno
import io
import os
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from core.errors import VaultLocked

KINDS = ("open", "write", "fsync", "rename", "unlink", "mkdir", "sqlite", "connect", "send", "recv", "http", "vault")

_REASONS = {
    "open": errno.EACCES,
    "write": errno.ENOSPC,
    "fsync": errno.EIO,
    "rename": errno.EIO,
    "unlink": errno.EACCES,
    "mkdir": errno.ENOSPC,
    "connect": errno.ENETUNREACH,
    "send": errno.ECONNRESET,
    "recv": errno.ECONNRESET,
}


def failure(kind: str) -> Exception:
    """What a failing call of this kind raises."""
    if kind == "sqlite":
        return sqlite3.OperationalError("disk I/O error")
    if kind == "http":
        return httpx.ReadError("the connection broke")
    if kind == "vault":
        return VaultLocked("The keychain is locked", "Unlock it.")
    number = _REASONS[kind]
    return OSError(number, os.strerror(number))


def no_room(kind: str) -> Exception:
    """The same on a disk that is full."""
    if kind == "sqlite":
        return sqlite3.OperationalError("database or disk is full")
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Seam:
    """Counts Tidegate's calls and lets some of them fail."""

    def __init__(self, *folders: Path) -> None:
        self._folders = tuple(str(folder) for folder in folders)
        self._guard = threading.Lock()
        self._aside = False
        self.counts: dict[str, int] = dict.fromkeys(KINDS, 0)
        self.listens_on: set[int] = set()
        """Ports of Tidegate's own."""
        self.calls_to: set[int] = set()
        """Ports of providers."""
        self.fails: Callable[[str, int], bool] = lambda _kind, _number: False
        """Whether the n-th call of its kind fails (from 1)."""
        self.struck: list[str] = []
        """Where failures were let in."""
        self.make: Callable[[str], Exception] = failure

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What is called in the block is none of Tidegate's: it neither counts nor fails."""
        self._aside = True
        try:
            yield
        finally:
            self._aside = False

    def call(self, kind: str, what: str) -> None:
        """A call is about to be made. Raises what it shall fail with."""
        if self._aside:
            return
        with self._guard:
            self.counts[kind] += 1
            if not self.fails(kind, self.counts[kind]):
                return
            self.struck.append(f"{kind} {self.counts[kind]}: {what}")
        raise self.make(kind)

    def on_path(self, kind: str, path: object) -> None:
        """The same for a call on a file, if it is one of Tidegate's."""
        if isinstance(path, (str, bytes, os.PathLike)) and os.fsdecode(path).startswith(self._folders):
            self.call(kind, os.fsdecode(path))

    def on_handle(self, kind: str, handle: int) -> None:
        """The same for an open file."""
        with suppress(FileNotFoundError):
            self.on_path(kind, Path(f"/proc/self/fd/{handle}").readlink())

    def owns(self, sock: socket.socket) -> bool:
        """Whether it is one end of Tidegate's."""
        with suppress(OSError):
            if sock.family == socket.AF_UNIX:
                return False
            if sock.getsockname()[1] in self.listens_on:
                return True
            return sock.getpeername()[1] in self.calls_to
        return False


@contextmanager
def seam(*folders: Path) -> Iterator[Seam]:
    """Stand between Tidegate and the world until the block ends."""
    made = Seam(*folders)
    replaced: list[tuple[Any, str, Any]] = []
    missing = object()

    def put(owner: Any, name: str, new: Any) -> None:
        replaced.append((owner, name, vars(owner).get(name, missing)))
        setattr(owner, name, new)

    for name, kind in (("replace", "rename"), ("rename", "rename"), ("unlink", "unlink"), ("remove", "unlink")):
        put(os, name, _on_path(made, kind, getattr(os, name)))
    put(os, "mkdir", _on_path(made, "mkdir", os.mkdir))
    put(os, "open", _on_path(made, "open", os.open))
    put(os, "fsync", _on_handle(made, "fsync", os.fsync))
    put(io, "open", _opening(made, io.open))
    put(builtins, "open", _opening(made, builtins.open))
    put(sqlite3, "connect", _connecting(made, sqlite3.connect))
    for name, kind in (("connect", "connect"), ("send", "send"), ("recv", "recv")):
        put(socket.socket, name, _on_socket(made, kind, getattr(socket.socket, name)))
    put(httpx.AsyncHTTPTransport, "handle_async_request", _sending(made, httpx.AsyncHTTPTransport.handle_async_request))
    try:
        yield made
    finally:
        for owner, name, old in reversed(replaced):
            if old is missing:
                delattr(owner, name)
            else:
                setattr(owner, name, old)


def _on_path(seam: Seam, kind: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(path: Any, *args: Any, **kwargs: Any) -> Any:
        seam.on_path(kind, path)
        return real(path, *args, **kwargs)

    return call


def _on_handle(seam: Seam, kind: str, real: Callable[[int], None]) -> Callable[[int], None]:
    def call(handle: int) -> None:
        seam.on_handle(kind, handle)
        real(handle)

    return call


class _Raw(io.FileIO):
    """A file whose writes go through the seam."""

    seam: Seam

    def write(self, data: Any, /) -> int:
        self.seam.on_handle("write", self.fileno())
        return super().write(data) or 0


def _opening(seam: Seam, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(file: Any, mode: str = "r", buffering: int = -1, *args: Any, **kwargs: Any) -> Any:
        seam.on_path("open", file)
        if mode != "wb" or not isinstance(file, int):
            return real(file, mode, buffering, *args, **kwargs)
        raw = _Raw(file, mode)
        raw.seam = seam
        return io.BufferedWriter(raw)

    return call


def _connecting(seam: Seam, real: Callable[..., Any]) -> Callable[..., Any]:
    class Connection(sqlite3.Connection):
        def execute(self, sql: str, /, *args: Any) -> sqlite3.Cursor:
            seam.call("sqlite", sql.strip().partition("\n")[0][:60])
            return super().execute(sql, *args)

        def executescript(self, sql: str, /) -> sqlite3.Cursor:
            seam.call("sqlite", "script")
            return super().executescript(sql)

    def call(database: Any, *args: Any, **kwargs: Any) -> Any:
        if database == ":memory:":  # nothing of it reaches the world
            return real(database, *args, **kwargs)
        seam.on_path("sqlite", database)
        return real(database, *args, factory=Connection, **kwargs)

    return call


def _on_socket(seam: Seam, kind: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: socket.socket, *args: Any) -> Any:
        if kind == "connect" and args and isinstance(args[0], tuple) and args[0][1] in seam.calls_to:
            seam.call(kind, str(args[0]))
        elif kind != "connect" and seam.owns(self):
            seam.call(kind, str(self.getsockname()))
        return real(self, *args)

    return call


def _sending(seam: Seam, real: Callable[..., Any]) -> Callable[..., Any]:
    async def call(self: httpx.AsyncHTTPTransport, request: httpx.Request) -> Any:
        if request.url.port in seam.calls_to:
            seam.call("http", str(request.url))
        return await real(self, request)

    return call
