import stat
import subprocess
import sys
from base64 import b64decode
from pathlib import Path

import pytest

from core.errors import VaultError
from core.files import Paths
from core.model import ApiKey
from core.vault import open_vault
from core.vault_file import FileBackend, passphrase_from
from tests.vault_contract import OpenBackend, VaultContract

FIRST = (
    b"dGlkZWdhdGUtdmF1bHQtMQqgmMbkU+MEbkRJPLrHOOPhmlS78c0hoXDR/yVVxPJFK3RZf7AIJ/wfYzguI27DTk8x6sh/GmBOiUAj+y9HOeRl"
    b"dTHA/04hTw=="
)
"""A file that `cryptography` alone made, scrypt too (2026-11)."""


class TestFileVault(VaultContract):
    @pytest.fixture
    def open_backend(self, tmp_path: Path) -> OpenBackend:
        return lambda: FileBackend(tmp_path / "vault.bin", "open sesame")


def test_the_file_is_for_its_owner_only_and_shows_neither_secret_nor_name(tmp_path: Path) -> None:
    path = tmp_path / "vault.bin"

    FileBackend(path, "open sesame").set("anna", "sk-ant-example")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"sk-ant" not in path.read_bytes()
    assert b"anna" not in path.read_bytes()


def test_a_file_that_lies_there_since_long_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "vault.bin"
    path.write_bytes(b64decode(FIRST))

    assert FileBackend(path, "of the first vault").get("account") == ("a credential",)


def test_the_same_content_is_sealed_differently_each_time(tmp_path: Path) -> None:
    path = tmp_path / "vault.bin"
    backend = FileBackend(path, "open sesame")

    backend.set("anna", "secret")
    first = path.read_bytes()
    backend.set("anna", "secret")

    assert path.read_bytes() != first


def test_a_wrong_passphrase_is_told_at_once_and_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "vault.bin"
    FileBackend(path, "open sesame").set("anna", "secret")
    before = path.read_bytes()

    with pytest.raises(VaultError, match="passphrase does not open"):
        FileBackend(path, "open barley")

    assert path.read_bytes() == before
    assert FileBackend(path, "open sesame").get("anna") == ("secret",)


@pytest.mark.parametrize("damage", [b"", b"{}", b"tidegate-vault-1\nshort", "cut", "flip"])
def test_a_damaged_file_is_an_error_and_is_left_alone(tmp_path: Path, damage: bytes | str) -> None:
    path = tmp_path / "vault.bin"
    FileBackend(path, "open sesame").set("anna", "secret")
    whole = path.read_bytes()
    match damage:
        case "cut":
            damaged = whole[:-1]
        case "flip":
            damaged = whole[:-1] + bytes([whole[-1] ^ 1])
        case _:
            damaged = damage
    path.write_bytes(damaged)

    with pytest.raises(VaultError):
        FileBackend(path, "open sesame")

    assert path.read_bytes() == damaged


def test_two_processes_that_write_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "vault.bin"
    program = (
        "import sys; from pathlib import Path; from core.vault_file import FileBackend\n"
        "backend = FileBackend(Path(sys.argv[1]), 'open sesame')\n"
        "for number in range(20): backend.set(f'{sys.argv[2]}-{number}', 'secret')\n"
    )

    writers = [subprocess.Popen([sys.executable, "-c", program, str(path), name]) for name in ("anna", "bert")]
    assert [writer.wait(60) for writer in writers] == [0, 0]

    backend = FileBackend(path, "open sesame")
    missing = [(name, n) for name in ("anna", "bert") for n in range(20) if not backend.get(f"{name}-{n}")]
    assert missing == []


def test_a_full_disk_is_a_vault_error_and_the_old_file_stays(tmp_path: Path) -> None:
    program = (
        "import resource, signal, sys; from pathlib import Path; from core.errors import VaultError\n"
        "from core.vault_file import FileBackend\n"
        "backend = FileBackend(Path(sys.argv[1]), 'open sesame'); backend.set('anna', 'secret')\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))\n"
        "try: backend.set('bert', 'x' * 5000)\n"
        "except VaultError as exc: print(exc.title)\n"
    )
    path = tmp_path / "vault.bin"

    ended = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=60, check=True
    )

    assert "cannot be written" in ended.stdout
    assert FileBackend(path, "open sesame").get("anna") == ("secret",)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["vault.bin", "vault.bin.lock"]


@pytest.mark.parametrize(
    ("environ", "passphrase"),
    [
        ({"TIDEGATE_VAULT_KEY": "here"}, "here"),
        ({"TIDEGATE_VAULT_KEY_FILE": "{file}"}, " from the file "),
        ({"TIDEGATE_VAULT_KEY": "", "TIDEGATE_VAULT_KEY_FILE": "{file}"}, " from the file "),
        ({"TIDEGATE_VAULT_KEY": "here", "TIDEGATE_VAULT_KEY_FILE": "{file}"}, "here"),
    ],
)
def test_the_passphrase_comes_from_the_variable_or_the_file(
    tmp_path: Path, environ: dict[str, str], passphrase: str
) -> None:
    file = tmp_path / "passphrase"
    file.write_text(" from the file \n")

    assert passphrase_from({name: value.format(file=file) for name, value in environ.items()}) == passphrase


@pytest.mark.parametrize(
    "environ", [{}, {"TIDEGATE_VAULT_KEY": ""}, {"TIDEGATE_VAULT_KEY_FILE": "{file}"}, {"TIDEGATE_VAULT_KEY_FILE": "/"}]
)
def test_without_a_passphrase_there_is_no_file_vault(tmp_path: Path, environ: dict[str, str]) -> None:
    file = tmp_path / "empty"
    file.write_text("\n")
    environ = {name: value.format(file=file) for name, value in environ.items()}

    with pytest.raises(VaultError) as failure:
        open_vault("file", Paths(tmp_path / "data"), "install", environ)

    assert "TIDEGATE_VAULT_KEY" in failure.value.hint
    assert not (tmp_path / "data" / "vault.bin").exists()


@pytest.mark.anyio
async def test_a_file_vault_is_opened_by_its_name_in_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "data")
    vault = open_vault("file", paths, "install", {"TIDEGATE_VAULT_KEY": "open sesame"})

    await vault.save("anna", ApiKey("secret"), 1)
    await vault.close()

    assert paths.vault.exists()
