"""The programs that use this instance: their keys, and their settings when menu or status page connect one."""

from collections.abc import Callable
from dataclasses import replace

import anyio.to_thread

from core import connecting
from core.clients import CLIENTS, Offered
from core.config import Config, ConfigFile, new_local_key
from core.connecting import Where
from core.engine import Engine
from core.errors import NothingToDo, TidegateError, UsageError
from core.files import Paths
from core.local_keys import digest


class Connections:
    """One instance's. `where` is asked each time whose programs are meant."""

    def __init__(
        self, engine: Engine, config: ConfigFile, paths: Paths, where: Callable[[], Where] = connecting.here
    ) -> None:
        self._engine = engine
        self._config = config
        self._paths = paths
        self._where = where
        self._tell()

    async def new_key(self, name: str) -> str:
        """A key that only this program has, so that history names it and it can be taken back. Raises UsageError."""
        _known(name)
        key = new_local_key()
        await self._know(name, digest(key))
        return key

    async def forget_key(self, name: str) -> None:
        """The program's key opens nothing any more. Raises NothingToDo."""
        if name not in self._config.current.client_keys:
            raise NothingToDo(f"{name} has no key of its own")
        await self._know(name, None)

    async def connect(self, name: str) -> tuple[connecting.Plan, str]:
        """Point a program at this instance. Returns what was done and what to tell. Raises TidegateError."""
        if not self._engine.address:
            raise TidegateError("Tidegate is not listening", "Start it: `tidegate`, or `tidegate serve`.")
        where, before = self._where(), self._config.current.client_keys.get(name)
        key = await self.new_key(name)
        offered = Offered(self._engine.address, key)
        try:
            plan = await anyio.to_thread.run_sync(connecting.plan, self._paths, name, where, offered)
            await anyio.to_thread.run_sync(connecting.carry_out, self._paths, plan)
        except TidegateError:
            await self._know(name, before)
            raise
        return plan, f"{CLIENTS[name].name} is connected"

    async def undo(self, name: str) -> str:
        """Give a program its settings back. Returns what to tell the person. Raises NothingToDo or TidegateError."""
        _known(name)
        left = await anyio.to_thread.run_sync(connecting.undo, self._paths, name)
        if name in self._config.current.client_keys:
            await self.forget_key(name)
        return ". ".join([f"{CLIENTS[name].name} has its settings back", *left])

    async def _know(self, name: str, sha256: str | None) -> None:
        """Know the program by this digest of its key from now on; None: by none."""

        def changed(now: Config) -> Config:
            others = {n: d for n, d in now.client_keys.items() if n != name}
            return replace(now, client_keys=others if sha256 is None else {**others, name: sha256})

        await self._config.change(changed)
        self._tell()

    def _tell(self) -> None:
        self._engine.use(tuple(name for name in CLIENTS if name in self._config.current.client_keys))


def _known(name: str) -> None:
    if name not in CLIENTS:
        raise UsageError(f"There is no program {name!r}", f"One of: {', '.join(CLIENTS)}.")
