"""T17: a whole Tidegate starts and stops again and again in one process, and nothing of it stays behind."""

import asyncio
import contextlib
import gc
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from core import app, threaded
from core.demo_run import Memory
from core.files import Paths
from core.simulator import SimulatedProvider
from core.vault import Vault
from tests.browser.person import endpoints_of
from tests.crash.figures import Tell, line
from tests.fakes import ASK, VERSION, simulator_in_thread
from tests.raw import leftovers
from tests.soak.belongings import Belongings, at_rest, held, rss_kib, settled
from tests.soak.slope import Slope, slope
from tests.stage import in_front_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts in /proc")

WARM_UP = 3
"""Lives until all that is imported and made once is there."""
FAST, SLOW = 15, 200
KIB_PER_LIFE = 8.0
"""What a life may leave in memory: caches of libraries fill up with addresses that differ by their port."""

Life = Callable[[], None]


class Ground:
    """What outlives each life: the folder, the credentials, the provider."""

    def __init__(self, folder: Path, sim: SimulatedProvider) -> None:
        self.folder = folder
        self.sim = sim
        self.memory = Memory()
        self._added = False

    def on_a_loop(self) -> None:
        """`app.running` on a loop of its own, with work, a listener for changes and an idle client when it ends."""
        asyncio.run(self._live())

    async def _live(self) -> None:
        before = leftovers(asyncio.get_running_loop())
        async with contextlib.AsyncExitStack() as outside:  # noqa: SIM117 - it is what goes on after the stop
            async with in_front_of(self.sim, self.folder, self.memory) as stage:
                if not self._added:
                    await stage.login("Work")
                    self._added = True
                http = await outside.enter_async_context(httpx.AsyncClient(base_url=stage.url, trust_env=False))
                http.headers.update({"x-api-key": stage.key, **VERSION})
                watched = await outside.enter_async_context(http.stream("GET", "/-/events"))
                assert (await anext(watched.aiter_lines())).startswith("event: ")
                for streamed in (False, True):
                    answer = await http.post("/v1/messages", json={**ASK, "stream": streamed})
                    assert answer.status_code == 200, answer.text
        tasks, timers = leftovers(asyncio.get_running_loop())
        assert tasks == before[0], "a task goes on"
        # A client of the test may leave one; ours are those whose callback is Tidegate's.
        assert [timer for timer in timers - before[1] if "core." in repr(timer)] == []

    def on_a_thread(self) -> None:
        """`threaded.in_thread`, as the tray has it."""
        options = app.Options(vault=Vault(self.memory), port=0, environ=endpoints_of(self.sim))
        with (
            threaded.in_thread(Paths(self.folder), options) as core,
            core.subscribed(lambda: None, lambda _: None, lambda _: None),
        ):
            headers = {"x-api-key": core.local_key()}
            with httpx.Client(base_url=core.snapshot().address, headers=headers, trust_env=False) as http:
                assert http.get("/-/snapshot").is_success
                assert http.get("/v1/models", headers=VERSION).status_code in {200, 403}
            core.stop()


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    (tmp_path / "data").mkdir()
    with simulator_in_thread() as sim:
        yield Ground(tmp_path / "data", sim)


@contextmanager
def switch_interval() -> Iterator[None]:
    """Put back what a core on a thread changes for the whole process."""
    before = sys.getswitchinterval()
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def lives(ground: Ground, life: Life, number: int) -> Slope:
    """Live so often. Nothing may be left after any life; returns how memory grew in the second half, in KiB a life."""
    before: Belongings | None = None
    memory = []
    with switch_interval():
        for count in range(WARM_UP + number):
            life()
            ground.sim._journal.clear()  # what the provider remembers is not ours
            gc.collect()
            if before is not None:
                left = settled(ground.folder, before)
                assert left == [], f"life {count + 1}"
                memory.append(rss_kib())
            elif count + 1 == WARM_UP:
                before = at_rest(ground.folder)
    late = memory[len(memory) // 2 :]
    return slope(range(len(late)), late)


@pytest.mark.parametrize("where", ["on_a_loop", "on_a_thread"])
def test_fifteen_starts_and_stops_leave_nothing_behind(ground: Ground, where: str) -> None:
    lives(ground, getattr(ground, where), FAST)
    assert {"instance.lock", "config.json", "history.db"} <= held(ground.folder).files
    assert not any(name.startswith(("running", "recovery", "history.db-", ".")) for name in held(ground.folder).files)


@pytest.mark.soak
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("where", ["on_a_loop", "on_a_thread"])
def test_two_hundred_starts_and_stops_leave_nothing_behind(ground: Ground, where: str, tell: Tell) -> None:
    began_at = time.monotonic()
    growth = lives(ground, getattr(ground, where), SLOW)
    seconds = time.monotonic() - began_at
    tell(line(f"T17 {where}", n=SLOW, violations=0, seconds=seconds, kib_per_life=str(growth)))
    assert not growth.is_surely_above(KIB_PER_LIFE)


# --- the search itself -----------------------------------------------------------------------------


def test_what_a_life_leaves_behind_is_found(ground: Ground) -> None:
    """A descriptor, a thread and a file, each left by one life in a row of good ones."""
    go_on = threading.Event()
    kept: list[socket.socket] = []
    leaks: dict[str, Life] = {
        "descriptors of socket": lambda: kept.append(socket.socket()),
        "thread forgotten": threading.Thread(target=go_on.wait, name="forgotten").start,
        "file data.tmp": (ground.folder / "data.tmp").touch,
    }
    before = held(ground.folder)
    for leak in leaks.values():
        leak()
    try:
        found = held(ground.folder).beyond(before)
    finally:
        go_on.set()
        kept[0].close()
    assert len(found) == len(leaks)
    assert all(any(name in one for one in found) for name in leaks), found
    (ground.folder / "data.tmp").unlink()
    assert settled(ground.folder, before) == []


def test_task_and_timer_that_go_on_are_found(ground: Ground) -> None:
    async def life() -> None:
        loop = asyncio.get_running_loop()
        before = leftovers(loop)
        task = asyncio.create_task(asyncio.sleep(60))
        timer = loop.call_later(60, ground.on_a_thread)
        tasks, timers = leftovers(loop)
        assert tasks - before[0] == {task}
        assert timer in timers
        task.cancel()
        timer.cancel()

    asyncio.run(life())
