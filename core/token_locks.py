"""One at a time: who touches an account's login waits for its turn, in this process and across processes."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

from filelock import Timeout

from core.errors import RefreshFailed
from core.files import OWNER_ONLY, Paths
from core.model import AccountId

LOCK_WITHIN_S = 45.0
"""Longer than a renewal in another process usually takes with its time-outs."""


class Lock(Protocol):
    """A lock that other processes respect. It can be taken several times and is free after as many releases."""

    async def acquire(self, timeout: float) -> object:  # noqa: ASYNC109 - filelock's name for it
        """Raises filelock.Timeout, or OSError."""

    async def release(self) -> None:
        """Give back what was taken once."""


def kernel_lock(path: Path) -> Lock:
    """A lock of the kernel's, so a crash frees it."""
    from filelock import AsyncFileLock  # noqa: PLC0415 - slow to load, and keys need none

    return AsyncFileLock(path, mode=OWNER_ONLY)


class Locks:
    """The locks of all accounts. Belongs to the event loop that uses it."""

    def __init__(self, paths: Paths, within_s: float, make: Callable[[Path], Lock]) -> None:
        self._paths = paths
        self._within_s = within_s
        self._make = make
        self._turns: defaultdict[AccountId, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._locks: dict[AccountId, Lock] = {}

    def turn(self, id_: AccountId) -> asyncio.Lock:
        """Nobody else in this process touches this login meanwhile."""
        return self._turns[id_]

    @contextlib.asynccontextmanager
    async def alone(self, id_: AccountId, within_s: float | None = None) -> AsyncIterator[None]:
        """Nobody else reads, renews or writes this login meanwhile. Raises RefreshFailed when others do for long."""
        async with self._turns[id_]:
            await self._acquire(id_, self._within_s if within_s is None else within_s)
            try:
                yield
            finally:
                await self._locks[id_].release()

    async def keep(self, id_: AccountId) -> None:
        """Within `alone`: keep other processes out beyond its end, until `free`."""
        await self._acquire(id_, 0.0)

    async def free(self, id_: AccountId) -> None:
        """Let other processes in again."""
        await self._locks[id_].release()

    async def _acquire(self, id_: AccountId, within_s: float) -> None:
        if (lock := self._locks.get(id_)) is None:
            lock = self._locks[id_] = self._make(self._paths.account_lock(id_))
        try:
            await lock.acquire(timeout=within_s)
        except Timeout as exc:
            raise RefreshFailed("Another Tidegate is busy with this login", "It is tried again by itself.") from exc
        except OSError as exc:
            title = f"{self._paths.account_lock(id_)} cannot be locked: {exc.strerror or exc}"
            raise RefreshFailed(title, "Check the disk and the folder's permissions.") from exc
