import subprocess
import sys
import threading

import pytest

from core.errors import VaultLocked, VaultTimeout
from core.vault import Stored, Vault
from tests.fakes_vault import MemoryBackend, login, once_it_answers
from tests.vault_contract import OpenBackend, VaultContract


class TestMemoryVault(VaultContract):
    @pytest.fixture
    def open_backend(self) -> OpenBackend:
        backend = MemoryBackend()
        return lambda: backend


@pytest.mark.anyio
async def test_a_back_ends_failure_reaches_the_caller_and_deletes_nothing() -> None:
    backend = MemoryBackend()
    vault = Vault(backend)
    await vault.save("anna", login(1), 1)

    backend.reading_fails = VaultLocked("locked")
    with pytest.raises(VaultLocked):
        await vault.load("anna")
    with pytest.raises(VaultLocked):
        await vault.save("anna", login(2), 2)
    backend.reading_fails = None

    assert await vault.load("anna") == Stored(1, login(1))
    assert "delete" not in {call for call, _ in backend.calls}
    await vault.close()


@pytest.mark.anyio
async def test_reading_and_writing_have_deadlines_of_their_own() -> None:
    class Slow(MemoryBackend):
        go_on = threading.Event()

        def set(self, key: str, secret: str) -> None:
            self.go_on.wait()
            super().set(key, secret)

    backend = Slow()
    vault = Vault(backend, read_within_s=30.0, write_within_s=0.05)

    with pytest.raises(VaultTimeout):
        await vault.save("anna", login(1), 1)
    backend.go_on.set()

    stored = await once_it_answers(lambda: vault.load("anna"))
    assert stored == Stored(1, login(1))  # it was written after all
    await vault.close()


def test_the_vault_loads_neither_keyring_nor_cryptography_before_one_is_opened() -> None:
    program = (
        "import sys, core.vault\n"
        "print([n for n in ('keyring', 'secretstorage', 'cryptography', 'jeepney') if n in sys.modules])"
    )

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert ended.stdout == "[]\n"
