"""Several processes over one vault: the refresh token that one of them has spent is never sent by another."""

import asyncio
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec.structs import replace

from core.files import Paths
from core.model import AccountId, OAuthTokens
from core.vault import open_vault
from tests.crash import figures
from tests.crash.figures import Tell
from tests.renewing_process import PASSPHRASE
from tests.token_server import HOUR_S, TokenServer, token_server

pytestmark = pytest.mark.anyio

ANNA = AccountId("anna")
PROCESSES = 3
RENEWALS = 60
"""Of each process in a round; then three new ones take over."""
AT_LEAST_S = 20.0
SHORT_LIFE_S = 0.15


@dataclass
class Tally:
    """What the processes came to."""

    rounds: int = 0
    asked: int = 0
    """Renewals that were wanted in rounds of long-lived tokens, where each is either sent or adopted."""
    sent: int = 0
    """Of those, the ones that reached the provider."""
    failed: list[bytes] = field(default_factory=list)

    @property
    def adopted(self) -> int:
        return self.asked - self.sent


async def renew_together(paths: Paths, server: TokenServer, tally: Tally, life_s: float) -> None:
    """One round: every token that a process got is rejected at once, so that it wants another one."""
    server.life_s = life_s
    command = [sys.executable, "-m", "tests.renewing_process", str(paths.root), server.url, str(RENEWALS)]
    before = server.number
    processes = [
        await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(PROCESSES)
    ]
    ended = [await process.communicate() for process in processes]
    tally.failed += [said for (_, said), process in zip(ended, processes, strict=True) if process.returncode]
    tally.rounds += 1
    if life_s > HOUR_S / 2:
        tally.asked += PROCESSES * RENEWALS
        tally.sent += server.number - before


@pytest.mark.crash
@pytest.mark.timeout(180)
async def test_three_processes_for_twenty_seconds_never_send_a_spent_token(tmp_path: Path, tell: Tell) -> None:
    paths, tally, began_at = Paths(tmp_path / "data"), Tally(), time.monotonic()
    async with token_server(now=time.time()) as server:
        vault = open_vault("file", paths, "install", {"TIDEGATE_VAULT_KEY": PASSPHRASE})
        await vault.save(ANNA, replace(server.newest(), expires_at=time.time() + HOUR_S), 1)

        while time.monotonic() - began_at < AT_LEAST_S or tally.rounds % 2:
            await renew_together(paths, server, tally, HOUR_S if tally.rounds % 2 == 0 else SHORT_LIFE_S)
            if tally.rounds % 2 == 0:  # the next round begins with a token that lives
                stored = await vault.load(ANNA)
                assert stored is not None
                await vault.save(
                    ANNA, replace(stored.credential, expires_at=time.time() + HOUR_S), stored.generation + 1
                )

        stored = await vault.load(ANNA)
        await vault.close()
    seconds = time.monotonic() - began_at
    tell(
        figures.line(
            "T05",
            n=server.number,
            violations=server.rejected,
            seconds=seconds,
            processes=PROCESSES * tally.rounds,
            adoptions=tally.adopted,
            adoptions_out_of=tally.asked,
        )
    )
    assert tally.failed == []
    assert server.rejected == 0
    assert len(set(server.sent())) == len(server.sent()) == server.number
    assert stored is not None
    assert isinstance(stored.credential, OAuthTokens)
    assert stored.credential.refresh == server.newest().refresh
    assert tally.adopted > 0
    assert seconds >= AT_LEAST_S
