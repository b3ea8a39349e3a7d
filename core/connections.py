"""The programs that use this instance: their keys, and their settings when menu or status page connect one."""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from core import autostart, connecting, connection_care, remote
from core.answers import ConnectionPlan, PlannedChange
from core.blocking import blocking
from core.clients import CLIENTS, Offered
from core.config import Config, ConfigFile
from core.connecting import Deed, Plan, Where
from core.engine import Engine
from core.errors import TidegateError
from core.files import Paths
from core.undoing import undo

log = logging.getLogger(__name__)


class Connections:
    """One instance's. `where` is asked each time whose programs are meant."""

    def __init__(
        self, engine: Engine, config: ConfigFile, paths: Paths, where: Callable[[], Where] = connecting.here
    ) -> None:
        self._engine = engine
        self._config = config
        self._paths = paths
        self._where = where
        # One deed at a time: two would mix their records, and each keeps a thread that waits for another one.
        self._changing = asyncio.Lock()
        self._tell()

    async def plan(self, name: str) -> tuple[Plan, ...]:
        """What connecting a program would change, with what is added to it. Changes nothing. Raises TidegateError."""
        where, offered = self._where(), self._offered()

        def planned() -> tuple[Plan, ...]:
            return connecting.plans(self._paths, connecting.entries(self._paths, name), where, offered)

        return await blocking(planned)

    async def connect(self, name: str) -> Deed:
        """Point a program at this instance, with what is added to it. Raises TidegateError."""
        where, offered = self._where(), self._offered()
        loop = asyncio.get_running_loop()

        def know(sha256: str) -> str:
            return asyncio.run_coroutine_threadsafe(self.know(name, sha256), loop).result()

        def models(key: str) -> Mapping[str, str]:
            return remote.models(self._paths, key)

        def connected() -> Deed:
            names = connecting.entries(self._paths, name)
            return connecting.connect(self._paths, names, where, offered, know=know, models=models)

        async with self._changing:
            return await blocking(connected)

    async def undo(self, name: str) -> tuple[str, ...]:
        """Give a program its settings back. Returns what could not be undone. Raises NothingToDo or TidegateError."""
        connecting.known(name)
        async with self._changing:
            left = await blocking(undo, self._paths, name)
            await self.know(name, "")
        return left

    async def know(self, name: str, sha256: str) -> str:
        """Know a program by this digest of its key from now on; empty: by none. Returns the digest of before.

        So history names it, and its key can be taken back. Raises UsageError when there is no such program.
        """
        connecting.known(name)
        before = self._config.current.client_keys.get(name, "")

        def changed(now: Config) -> Config:
            others = {n: d for n, d in now.client_keys.items() if n != name}
            return replace(now, client_keys={**others, name: sha256} if sha256 else others)

        await self._config.change(changed)
        self._tell()
        return before

    async def repair(self) -> None:
        """Finish what a kill has cut short: what each program has in its settings is what counts."""
        async with self._changing:
            keys = self._config.current.client_keys
            found = await blocking(connection_care.repair, self._paths, self._where(), keys)
            for name, sha256 in found.items():
                if sha256 != keys.get(name, ""):
                    await self._mend(name, sha256)

    async def _mend(self, name: str, sha256: str) -> None:
        log.info("connecting %s was cut short: %s", name, "its key is known again" if sha256 else "it is undone")
        try:
            await self.know(name, sha256)
        except TidegateError as exc:
            log.warning("%s: %s", name, exc.title)

    def _offered(self) -> Offered:
        if not self._engine.address:
            raise TidegateError("Tidegate is not listening", "Start it: `tidegate`, or `tidegate serve`.")
        return Offered(self._engine.address, "", command=autostart.installation(self._paths.root, os.environ))

    def _tell(self) -> None:
        self._engine.use(tuple(name for name in CLIENTS if name in self._config.current.client_keys))


def planned(plans: Sequence[Plan]) -> ConnectionPlan:
    """A program's plan with those of what is added to it, in words."""
    program, *added = plans
    changes = [change for plan in plans if plan.file == program.file for change in plan.changes]
    notes = [note for plan in plans for note in plan.notes]
    notes += [f"{plan.file} changes as well." for plan in added if plan.file != program.file and plan.changes]
    return ConnectionPlan(
        program.client,
        CLIENTS[program.client].name,
        str(program.file),
        tuple(PlannedChange(change.path, change.before, change.after) for change in changes),
        tuple(notes),
    )
