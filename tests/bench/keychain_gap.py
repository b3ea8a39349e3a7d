"""What a keychain in trouble costs: `python -m tests.bench.keychain_gap`. One JSON line for each trouble.

A real gnome-keyring on a bus of its own is stopped, killed, locked or absent while a vault with the product's own
deadlines is asked, alone and by a crowd. Told are the longest call, the calls over their limit, and the longest time
that the event loop was busy with one thing (beside it runs nothing but the one who looks). The first line is this
machine's own noise: the same loop with nothing to do.
"""

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from core.errors import VaultError
from core.vault import READ_WITHIN_S, WRITE_WITHIN_S, Vault
from core.vault_secret_service import SecretService
from tests.fakes_vault import login, once_it_answers
from tests.integration.secret_service import TROUBLES, Desktop, befall, desktop, recover
from tests.loop_gap import Gap, watched_loop

ROUNDS = 5
CROWD = 100
IDLE_S = 3.0
SLACK_S = 0.5
"""A call is over its limit when it takes so much longer."""


async def measure(session: Desktop, trouble: str) -> dict[str, object]:
    """One trouble, from its beginning to the first good answer after it."""
    vault = Vault(SecretService(trouble))
    await vault.save("anna", login(1), 1)
    befall(session, trouble)
    took: list[tuple[float, float]] = []

    async def call(limit_s: float, act: Callable[[], Awaitable[object]]) -> None:
        began = time.monotonic()
        try:
            await act()
        except VaultError:
            took.append((time.monotonic() - began, limit_s))

    async with watched_loop() as gap:
        for _ in range(ROUNDS):
            await call(READ_WITHIN_S, lambda: vault.load("anna"))
            await call(WRITE_WITHIN_S, lambda: vault.save("anna", login(2), 2))
        await asyncio.gather(*(call(READ_WITHIN_S, lambda: vault.load("anna")) for _ in range(CROWD)))
    recover(session, trouble)
    await once_it_answers(lambda: vault.load("anna"))
    await vault.close()
    return {
        "test": "T06",
        "trouble": trouble,
        "calls": len(took),
        "over_limit": sum(seconds > limit_s + SLACK_S for seconds, limit_s in took),
        "longest_call_s": round(max(seconds for seconds, _ in took), 3),
        **told(gap),
    }


async def noise() -> dict[str, object]:
    """What the machine does to a loop that has nothing to do."""
    async with watched_loop() as gap:
        await asyncio.sleep(IDLE_S)
    return {"test": "T06", "trouble": "none, idle", **told(gap)}


def told(gap: Gap) -> dict[str, object]:
    """The figures of one measurement."""
    return {"loop_gap_ms": gap.longest_ms, "loop_gap_p99_ms": gap.p99_ms, "looks": len(gap.all_s)}


def main() -> None:
    """Measure all troubles, each with a keychain of its own."""
    print(json.dumps(asyncio.run(noise())), flush=True)
    with tempfile.TemporaryDirectory(prefix="tg-") as root, desktop(Path(root)) as session:
        os.environ["DBUS_SESSION_BUS_ADDRESS"] = session.environment["DBUS_SESSION_BUS_ADDRESS"]
        for trouble in TROUBLES:
            session.start_keychain(unlocked=True)
            print(json.dumps(asyncio.run(measure(session, trouble))), flush=True)
            session.stop_keychain()
            session.wipe_keychain()


if __name__ == "__main__":
    main()
