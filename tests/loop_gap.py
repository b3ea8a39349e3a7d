"""How long an event loop was busy with one thing, at most."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

TICK_S = 0.005


@dataclass
class Gap:
    """The times between two looks of the loop, beyond what was waited on purpose."""

    all_s: list[float] = field(default_factory=list)

    @property
    def longest_ms(self) -> float:
        return round(max(self.all_s, default=0.0) * 1_000, 1)

    @property
    def p99_ms(self) -> float:
        return round(sorted(self.all_s)[len(self.all_s) * 99 // 100] * 1_000, 1) if self.all_s else 0.0


@asynccontextmanager
async def watched_loop() -> AsyncIterator[Gap]:
    """Look at the running loop every few milliseconds until the block ends."""
    gap, loop = Gap(), asyncio.get_running_loop()

    async def look() -> None:
        while True:
            began_at = loop.time()
            await asyncio.sleep(TICK_S)
            gap.all_s.append(loop.time() - began_at - TICK_S)

    looking = asyncio.create_task(look())
    try:
        yield gap
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
