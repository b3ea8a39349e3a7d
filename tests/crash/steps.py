"""Which lines of a Tidegate a storm strikes at, and what each of them is doing."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FILES = {
    ".intent": "intent file: write, sync, rename",
    "vault.bin": "sealed vault: write, sync, rename",
    "recovery.bin": "recovery file: write, sync, rename",
    "config.json": "config file: write, sync, rename",
    "config.json.bak": "config's copy: write, sync, rename",
    "running.json": "running.json: write, sync, rename",
}
FUNCTIONS = {
    "Tokens._renew": "renewal: under the lock",
    "Tokens._write_intent": "renewal: before the send",
    "Tokens._send": "renewal: before and after the send",
    "Keeping.loaded": "vault and recovery file: re-read",
    "Keeping.take_newer": "vault and recovery file: re-read",
    "Keeping._take": "vault and recovery file: re-read",
    "Keeping.replace": "sign-in: store",
    "Tokens.store": "sign-in: store",
}
MODULES = {
    "token_intents": "intent: make, look for, remove",
    "token_endpoint": "renewal: request and answer",
    "token_keeping": "renewal: seal, store, then use",
    "token_locks": "lock across processes",
    "recovery": "recovery file: key, seal, drop",
    "vault_slots": "slots: choose, write, read back",
    "vault_file": "sealed vault: lock, open, seal",
    "vault_worker": "the vault's thread",
    "vault": "the vault's thread",
    "vault_secret_service": "keychain: find, write",
    "config": "config: read, change, save",
    "admission": "sign-in: admit",
    "app": "start and end of the process",
    "remote": "start and end of the process",
    "files": "start and end of the process",
    "poller": "looking after the logins",
}
OTHER = "credentials in memory"
PROTOCOL = (
    *("files:", "token_intents:", "token_endpoint:", "token_keeping:", "token_locks:", "recovery:"),
    *("vault_slots:", "vault_file:"),
    *(f"tokens:{name}:" for name in FUNCTIONS),
)
"""Lines that are all struck before any other is struck twice."""


@dataclass(frozen=True)
class Point:
    """A line, to be struck when it is reached the `nth` time."""

    name: str
    nth: int

    @property
    def step(self) -> str:
        """What the line is part of."""
        module, function, _, kind = self.name.split(":")
        return FILES.get(kind) or FUNCTIONS.get(function) or MODULES.get(module) or OTHER


def choose(counts: Mapping[str, int], number: int, chance: random.Random) -> Sequence[Point]:
    """`number` points out of the lines that a clean run reached: the refresh protocol's first, then any others."""
    names = sorted(counts)
    chance.shuffle(names)
    names.sort(key=lambda name: not name.startswith(PROTOCOL))  # stable: chance within each of the two
    rounds = [name for _ in range(-(-number // max(1, len(names)))) for name in names]
    # A run is never quite like the one before: a line's last hits may not come again.
    chosen = [Point(name, chance.randint(1, max(1, counts[name] * 2 // 3))) for name in rounds[:number]]
    chance.shuffle(chosen)
    return chosen
