"""Damaged files at the start: it starts, or names the file; and whatever a person could want back is still there."""

import asyncio
import itertools
import json
import random
import secrets
import shutil
import sqlite3
import tempfile
import time
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core import config
from core.errors import TidegateError
from core.model import AccountId, ApiKey
from core.vault import open_vault
from tests.crash import figures
from tests.crash.damage import BYTES, JSON, Damage
from tests.crash.disk import NONCE_BYTES, RECOVERY_MAGIC
from tests.crash.figures import Tell
from tests.crash.program import PASSPHRASE, Process, Program, until
from tests.instance import OFFLINE

pytestmark = pytest.mark.anyio

AT_ONCE = 2
SAVED_WITHIN_S = 20.0
LABELS = ("Work", "Home", "Team")
PRECIOUS = ("config.json", "config.json.bak", "history.db", "vault.bin", "recovery.bin")
"""Files that are never simply overwritten."""


@dataclass(frozen=True)
class Case:
    """One file of an installation, and what has become of it."""

    file: str
    damage: str
    change: Damage

    def __str__(self) -> str:
        return f"{self.file}: {self.damage}"


def cases(template: Path, number: int, chance: random.Random) -> Sequence[Case]:
    """`number` cases that differ in file or damage as long as there are others, then only by chance."""

    def all_of_them() -> Iterator[Case]:
        for path in sorted(path for path in template.rglob("*") if path.is_file() and path.stat().st_size):
            name = str(path.relative_to(template))
            damages = {**BYTES, **(JSON if path.suffix in {".json", ".bak", ".intent"} else {})}
            yield from (Case(name, damage, change) for damage, change in damages.items())

    known = list(all_of_them())
    chance.shuffle(known)
    return list(itertools.islice(itertools.cycle(known), number))


def installed(root: Path) -> Program:
    """An installation whose processes end with its block."""
    return Program(root, {**OFFLINE, **PASSPHRASE, "HOME": str(root.parent)})


async def healthy(root: Path) -> Path:
    """An installation with three accounts, as SIGKILL leaves it: a WAL, running.json, an intent, a sealed login."""
    async with installed(root) as program:
        return await left_by_a_kill(program)


async def left_by_a_kill(program: Program) -> Path:
    process = await program.start()
    assert await process.ready(), process.said
    for number, (label, kind) in enumerate(zip(LABELS, ("api-key", "go", "api-key"), strict=True)):
        await process.order("add_key", kind=kind, key=f"sk-ant-api03-example-{number}", label=label)
    await process.order("strategy", name="sticky")

    async def pool_saved() -> bool:
        return any(path.stat().st_size for path in program.root.glob("history.db-wal"))

    await until(pool_saved, SAVED_WITHIN_S)
    first = (await process.accounts())[0]
    process.kill()
    await process.ended()
    await leave_things_under_way(program, first.id)
    return program.root


async def leave_things_under_way(program: Program, id_: AccountId) -> None:
    """What a renewal leaves that was killed before its pair came into the vault."""
    paths = program.paths
    intent = {"generation": 1, "fingerprint": "0badcafe", "at": 1.0}
    paths.account_lock(id_).with_suffix(".intent").write_text(json.dumps(intent))
    settings = config.peek(paths.config)
    assert settings
    vault = open_vault("file", paths, settings.install_id, program.environment)
    stored = await vault.load("recovery-key")
    await vault.close()
    assert stored
    assert isinstance(stored.credential, ApiKey)
    nonce, login = secrets.token_bytes(NONCE_BYTES), {"access": "a", "refresh": "r", "expires_at": 1.0}
    entries = json.dumps({id_: {"generation": 1, "tokens": login, "sent": "0badcafe"}})
    sealed = AESGCM(b64decode(stored.credential.key)).encrypt(nonce, entries.encode(), RECOVERY_MAGIC)
    paths.recovery.write_bytes(RECOVERY_MAGIC + nonce + sealed)


def kept(root: Path, name: str, damaged: bytes) -> bool:
    """The damaged bytes are still there: in their place, or moved aside."""
    found = [root / name, *root.glob(f"{name}.broken-*")]
    return any(path.is_file() and path.read_bytes() == damaged for path in found)


def sound(root: Path) -> bool:
    """SQLite can use the history as it is: then it is in use, and changes. Asked of a copy, as asking repairs it."""
    with tempfile.TemporaryDirectory() as folder:
        for path in root.glob("history.db*"):
            shutil.copy(path, folder)
        with closing(sqlite3.connect(Path(folder) / "history.db")) as opened:
            try:
                return opened.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
            except sqlite3.DatabaseError:
                return False


def expected(case: Case, root: Path) -> list[str]:
    """The accounts that must be listed: a damaged config that can still be read counts as it reads."""
    labels = list(LABELS)
    if case.file == "config.json":
        try:
            peeked = config.peek(root / "config.json")
        except TidegateError:
            return labels  # from the copy
        return [account.label for account in peeked.accounts] if peeked else labels
    return labels


async def judge(case: Case, template: Path, root: Path, chance: random.Random) -> tuple[str, list[str]]:
    """Start once on this damage. Returns what came of it, and everything that is wrong with that."""
    shutil.copytree(template, root)
    path = root / case.file
    damaged = case.change(path.read_bytes(), chance)
    path.write_bytes(damaged)
    labels, usable = expected(case, root), case.file == "history.db" and sound(root)
    async with installed(root) as program:
        process = await program.start()
        wrong = await (_wrong_at_work(process, labels) if await process.ready() else _wrong_at_end(process, path))
    outcome = "started" if process.address else "named the file"
    if any(root.glob(f"{path.name}.broken-*")):
        outcome += ", moved it aside"
    if "Traceback" in process.said:
        wrong.append(f"a traceback: {process.said}")
    if case.file in PRECIOUS and not usable and not kept(root, case.file, damaged):
        wrong.append("the damaged file is gone")
    shutil.rmtree(root)
    return outcome, [f"{case}: {text}" for text in wrong]


async def _wrong_at_work(process: Process, labels: list[str]) -> list[str]:
    listed = [view.label for view in await process.accounts()]
    process.ask_to_end()
    code = await process.ended()
    wrong = [] if listed == labels else [f"lists {listed} instead of {labels}"]
    return wrong if code == 0 else [*wrong, f"ended with {code}: {process.said}"]


async def _wrong_at_end(process: Process, path: Path) -> list[str]:
    code = await process.ended()
    is_named = code == 1 and process.said.startswith("Error: ") and path.name in process.said
    return [] if is_named else [f"it neither started nor named {path.name} (exit code {code}): {process.said!r}"]


async def damaged_starts(folder: Path, number: int, seed: int, tell: Tell, test: str) -> None:
    chance, began_at = random.Random(seed), time.monotonic()
    template = await healthy(folder / "template")
    queue = iter(list(enumerate(cases(template, number, chance))))
    outcomes, wrong = Counter[str](), list[str]()

    async def worker() -> None:
        for n, case in queue:
            outcome, found = await judge(case, template, folder / f"case-{n}", random.Random(seed * 10_000 + n))
            outcomes[outcome] += 1
            wrong.extend(found)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    seconds = time.monotonic() - began_at
    tell(
        figures.line(
            test, n=outcomes.total(), violations=len(wrong), seconds=seconds, seed=seed, outcomes=dict(outcomes)
        )
    )
    assert not wrong, "\n".join(wrong)
    assert outcomes.total() == number


async def test_a_dozen_damaged_files_stop_no_start_without_being_named(tmp_path: Path, tell: Tell, seed: int) -> None:
    await damaged_starts(tmp_path, 12, seed, tell, "T10 damage, short")


@pytest.mark.crash
@pytest.mark.timeout(900)
async def test_200_damaged_files_stop_no_start_without_being_named(tmp_path: Path, tell: Tell, seed: int) -> None:
    await damaged_starts(tmp_path, 200, seed, tell, "T10 damage")
