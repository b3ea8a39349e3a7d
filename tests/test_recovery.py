import asyncio
import stat
from collections.abc import Callable
from pathlib import Path

import anyio.to_thread
import pytest

from core.errors import VaultError, VaultLocked
from core.files import Paths
from core.model import AccountId, ApiKey, OAuthTokens
from core.recovery import KEY_NAME, Entry, Recovery
from core.token_locks import Locks, kernel_lock
from core.vault import Vault, open_vault
from tests.fakes_vault import MemoryBackend

pytestmark = pytest.mark.anyio
ANNA, BERT = AccountId("anna"), AccountId("bert")
ENTRY = Entry(3, OAuthTokens("access-secret", "refresh-secret", 1_800_000_000.125, ("user:profile",)), "0123abcd")
OTHER = Entry(9, OAuthTokens("access-other", "refresh-other", 1.0), "")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path / "data")
    paths.create()
    return paths


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend()


def process(paths: Paths, backend: MemoryBackend) -> Recovery:
    """The recovery file as a new process has it."""
    return Recovery(Vault(backend), paths, Locks(paths, 20.0, kernel_lock), anyio.to_thread.run_sync)


@pytest.fixture
async def recovery(paths: Paths, backend: MemoryBackend) -> Recovery:
    made = process(paths, backend)
    await made.open()
    return made


async def test_what_was_sealed_is_there_for_the_next_process(
    recovery: Recovery, paths: Paths, backend: MemoryBackend
) -> None:
    assert await recovery.seal(ANNA, ENTRY)
    assert await recovery.seal(BERT, OTHER)

    following = process(paths, backend)

    assert (await following.entry(ANNA), await following.entry(BERT)) == (ENTRY, OTHER)
    assert await following.entry(AccountId("nobody")) is None
    assert following.problem is None


async def test_the_file_is_its_owners_only_and_holds_nothing_that_can_be_read(recovery: Recovery, paths: Paths) -> None:
    await recovery.seal(ANNA, ENTRY)

    content = paths.recovery.read_bytes()

    assert stat.S_IMODE(paths.recovery.stat().st_mode) == 0o600
    assert not [word for word in (b"anna", b"secret", b"0123abcd", b"user:") if word in content]


async def test_a_newer_entry_replaces_the_one_before(recovery: Recovery) -> None:
    await recovery.seal(ANNA, ENTRY)
    await recovery.seal(ANNA, OTHER)

    assert await recovery.entry(ANNA) == OTHER


async def test_the_file_goes_with_its_last_entry(recovery: Recovery, paths: Paths) -> None:
    await recovery.seal(ANNA, ENTRY)
    await recovery.seal(BERT, OTHER)

    await recovery.drop(ANNA)
    await recovery.drop(AccountId("nobody"))
    assert (await recovery.entry(ANNA), await recovery.entry(BERT)) == (None, OTHER)
    await recovery.drop(BERT)

    assert not paths.recovery.exists()
    await recovery.drop(BERT)


async def test_the_key_is_made_once_and_rests_in_the_vault_only(
    recovery: Recovery, paths: Paths, backend: MemoryBackend
) -> None:
    keys = {name: secret for name, secret in backend.items.items() if name.startswith(KEY_NAME)}
    await recovery.seal(ANNA, ENTRY)

    await process(paths, backend).open()

    assert len(keys) == 1
    assert backend.items == keys
    assert [path.name for path in paths.root.iterdir() if path.is_file()] == ["recovery.bin"]


async def test_processes_that_start_together_make_one_key(paths: Paths, backend: MemoryBackend) -> None:
    processes = [process(paths, backend) for _ in range(5)]
    await asyncio.gather(*(one.open() for one in processes))

    for number, one in enumerate(processes):
        assert await one.seal(AccountId(f"account-{number}"), ENTRY)

    assert await processes[0].entry(AccountId("account-4")) == ENTRY


async def test_a_key_that_is_there_is_read_whoever_has_the_lock(
    recovery: Recovery, paths: Paths, backend: MemoryBackend
) -> None:
    await recovery.seal(ANNA, ENTRY)
    other, locks = process(paths, backend), Locks(paths, 0.0, kernel_lock)

    async with locks.alone(AccountId("recovery")), asyncio.timeout(10):
        assert await other.entry(ANNA) == ENTRY


async def test_without_the_key_nothing_is_written_and_the_log_says_so(
    paths: Paths, backend: MemoryBackend, caplog: pytest.LogCaptureFixture
) -> None:
    backend.reading_fails = VaultLocked("The keychain is locked")
    recovery = process(paths, backend)
    for _ in range(3):
        await recovery.open()

    assert not await recovery.seal(ANNA, ENTRY)

    assert not paths.recovery.exists()
    assert caplog.text.count("no login can be sealed for recovery: The keychain is locked") == 1
    assert "anna: the renewed login is not sealed" in caplog.text


async def test_a_vault_that_opens_later_gives_the_key_then(paths: Paths, backend: MemoryBackend) -> None:
    backend.reading_fails = VaultLocked("locked")
    recovery = process(paths, backend)
    await recovery.open()
    backend.reading_fails = None

    await recovery.open()

    assert await recovery.seal(ANNA, ENTRY)


async def test_logins_are_sealed_while_the_vault_is_locked(
    recovery: Recovery, paths: Paths, backend: MemoryBackend
) -> None:
    backend.reading_fails = backend.writing_fails = VaultLocked("locked")

    assert await recovery.seal(ANNA, ENTRY)
    assert await recovery.entry(ANNA) == ENTRY
    with pytest.raises(VaultLocked):
        await process(paths, backend).entry(ANNA)
    backend.reading_fails = None
    assert await process(paths, backend).entry(ANNA) == ENTRY


async def test_where_no_file_is_the_vault_is_not_asked(paths: Paths, backend: MemoryBackend) -> None:
    backend.reading_fails = VaultLocked("locked")

    assert await process(paths, backend).entry(ANNA) is None
    assert backend.calls == []


def _changed(at: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda _: b"{}",
        lambda content: content[:10],
        lambda content: content[:40],
        lambda content: content[:-1],
        lambda content: content + b"x",
        lambda content: content.replace(b"recovery-1", b"recovery-2"),
        *map(_changed, (0, 20, 31, 32, -5)),
    ],
)
async def test_a_damaged_file_is_moved_aside_with_a_reason_and_stops_nothing(
    recovery: Recovery,
    paths: Paths,
    backend: MemoryBackend,
    damage: Callable[[bytes], bytes],
    caplog: pytest.LogCaptureFixture,
) -> None:
    await recovery.seal(ANNA, ENTRY)
    damaged = damage(paths.recovery.read_bytes())
    paths.recovery.write_bytes(damaged)
    following = process(paths, backend)

    await following.open()

    assert await following.entry(ANNA) is None
    aside = paths.root / "recovery.bin.broken-1"
    assert aside.read_bytes() == damaged
    assert following.problem == f"recovery.bin was damaged or sealed with another key and was kept as {aside}"
    assert following.problem in caplog.text
    assert await following.seal(ANNA, ENTRY)
    assert await following.entry(ANNA) == ENTRY


@pytest.mark.parametrize("lost", ["gone", "torn", "foreign"])
async def test_a_file_whose_key_the_vault_lost_is_moved_aside_and_a_new_key_is_made(
    recovery: Recovery, paths: Paths, backend: MemoryBackend, lost: str
) -> None:
    await recovery.seal(ANNA, ENTRY)
    ((name, kept),) = backend.items.items()
    backend.items.clear()
    match lost:
        case "torn":
            backend.items[name] = kept[:-9]
        case "foreign":
            await Vault(backend).save(KEY_NAME, ApiKey("another program's"), 4)
    following = process(paths, backend)

    assert await following.entry(ANNA) is None
    await following.open()

    assert (paths.root / "recovery.bin.broken-1").exists()
    assert await following.seal(ANNA, OTHER)
    assert await process(paths, backend).entry(ANNA) == OTHER


async def test_a_file_that_can_neither_be_read_nor_moved_stops_nothing_and_is_not_replaced(
    recovery: Recovery, paths: Paths, caplog: pytest.LogCaptureFixture
) -> None:
    paths.recovery.mkdir()

    assert await recovery.entry(ANNA) is None
    assert not await recovery.seal(ANNA, ENTRY)
    await recovery.drop(ANNA)

    assert "recovery.bin cannot be read" in caplog.text
    paths.recovery.rmdir()
    assert await recovery.seal(ANNA, ENTRY)


async def test_with_a_file_vault_the_key_rests_in_it(paths: Paths) -> None:
    environ = {"TIDEGATE_VAULT_KEY": "open sesame"}

    def process() -> Recovery:
        vault = open_vault("file", paths, "install", environ)
        return Recovery(vault, paths, Locks(paths, 20.0, kernel_lock), anyio.to_thread.run_sync)

    recovery = process()
    await recovery.open()
    await recovery.seal(ANNA, ENTRY)

    assert await process().entry(ANNA) == ENTRY


async def test_a_vault_that_takes_no_key_is_told_and_nothing_is_sealed(
    paths: Paths, backend: MemoryBackend, caplog: pytest.LogCaptureFixture
) -> None:
    backend.writing_fails = VaultError("full")
    recovery = process(paths, backend)

    await recovery.open()

    assert not await recovery.seal(ANNA, ENTRY)
    assert "no login can be sealed for recovery: full" in caplog.text
