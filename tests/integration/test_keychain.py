"""The Linux keychain against a real gnome-keyring: there, locked, absent, hanging, killed, with foreign items."""

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import secretstorage
from jeepney.low_level import HeaderFields

from core.errors import VaultAbsent, VaultError, VaultLocked, VaultTimeout
from core.files import Paths
from core.model import AccountId, ApiKey
from core.tokens import Tokens
from core.vault import Stored, Vault, open_vault
from core.vault_secret_service import SecretService
from tests.fakes_vault import login, once_it_answers
from tests.integration.secret_service import TROUBLES, Desktop, befall, desktop, recover
from tests.loop_gap import watched_loop
from tests.token_server import token_server
from tests.vault_contract import OpenBackend, VaultContract

LONG_S = 30.0
LIMIT_S = 5.0
"""What a call may take here: far more than a healthy keychain needs on a busy machine, and a hung one costs it once."""


@pytest.fixture(scope="module")
def session() -> Iterator[Desktop]:
    with tempfile.TemporaryDirectory(prefix="tg-") as root, desktop(Path(root)) as session:
        yield session


@pytest.fixture
def bus(session: Desktop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desktop]:
    """A session without a keychain, which this process is part of."""
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", session.environment["DBUS_SESSION_BUS_ADDRESS"])
    yield session
    session.stop_keychain(signal.SIGKILL)
    session.wipe_keychain()


@pytest.fixture
def keychain(bus: Desktop) -> Desktop:
    """A session with an unlocked keychain."""
    bus.start_keychain(unlocked=True)
    return bus


@pytest.mark.usefixtures("keychain")
class TestSecretServiceVault(VaultContract):
    @pytest.fixture
    def open_backend(self) -> OpenBackend:
        return lambda: SecretService("contract")


@pytest.mark.usefixtures("keychain")
def test_an_item_is_named_for_its_installation() -> None:
    SecretService("install-1").set("anna/0.0", "secret")

    with closing(secretstorage.dbus_init()) as connection:
        (item,) = secretstorage.search_items(connection, {"service": "tidegate-install-1-anna/0.0"})
        assert item.get_attributes()["application"] == "tidegate"
        assert item.get_label() == "Tidegate: anna/0.0"
    assert SecretService("install-2").get("anna/0.0") == ()


@dataclass
class Line:
    """A connection to the keychain, and what was said on it, as the names of methods."""

    bus: Any
    said: list[str] = field(default_factory=list)

    @property
    def open(self) -> bool:
        return bool(self.bus.sock.fileno() != -1)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[Line]:
    """The connections that are made, in their order."""
    made: list[Line] = []
    connect = secretstorage.dbus_init

    def connected() -> Any:
        bus = connect()
        ask = bus.send_and_get_reply
        made.append(Line(bus))

        def asked(message: Any, **options: Any) -> Any:
            made[-1].said.append(message.header.fields[HeaderFields.member])
            return ask(message, **options)

        bus.send_and_get_reply = asked
        return bus

    monkeypatch.setattr(secretstorage, "dbus_init", connected)
    return made


@pytest.mark.usefixtures("keychain")
def test_a_keychain_is_asked_on_one_connection_and_first_what_it_answers_to_strangers(lines: list[Line]) -> None:
    keychain = SecretService("calm")
    for number in range(3):
        keychain.set(f"anna/{number}.0", "secret")
        assert keychain.get(f"anna/{number}.0") == ("secret",)
        keychain.delete(f"anna/{number}.0")

    (line,) = lines
    assert line.said[:2] == ["Ping", "OpenSession"]
    assert line.said.count("OpenSession") == 1
    assert line.open
    del keychain
    assert not line.open


def test_a_keychain_that_was_started_anew_is_asked_again_at_once(keychain: Desktop, lines: list[Line]) -> None:
    ours = SecretService("anew")
    ours.set("anna/0.0", "secret")

    keychain.stop_keychain()
    keychain.start_keychain(unlocked=True)

    assert ours.get("anna/0.0") == ("secret",)
    assert [line.open for line in lines] == [False, True]


@pytest.mark.usefixtures("keychain")
@pytest.mark.anyio
@pytest.mark.parametrize("foreign", [b"", b"not ours", b"\xff\xfe\x00", "copy"])
async def test_an_item_with_the_same_attributes_neither_is_read_nor_hides_ours(foreign: bytes | str) -> None:
    vault = Vault(SecretService(f"duplicate-{foreign!r}"))
    for generation in (1, 2):
        await vault.save("anna", login(generation), generation)
    with closing(secretstorage.dbus_init()) as connection:
        collection = secretstorage.get_default_collection(connection)
        for item in list(collection.search_items({"username": "tidegate"})):
            copied = item.get_secret() if foreign == "copy" else foreign
            assert isinstance(copied, bytes)
            collection.create_item("foreign", item.get_attributes(), copied, replace=False)

    assert await vault.load("anna") == Stored(2, login(2))
    for generation in (3, 4):
        await vault.save("anna", login(generation), generation)
        assert await vault.load("anna") == Stored(generation, login(generation))
    await vault.delete("anna")
    assert await vault.load("anna") is None
    await vault.close()


@pytest.mark.usefixtures("bus")
@pytest.mark.anyio
async def test_a_desktop_without_a_keychain_is_absent() -> None:
    vault = Vault(SecretService("install"))

    for act in (vault.load("anna"), vault.save("anna", login(1), 1), vault.delete("anna")):
        with pytest.raises(VaultAbsent):
            await act
    await vault.close()


@pytest.mark.anyio
@pytest.mark.parametrize("address", [None, "unix:path=/nowhere/bus", "nonsense"])
async def test_a_machine_without_a_session_bus_is_absent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str | None
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    if address is None:
        monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    else:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
    vault = Vault(SecretService("install"))

    with pytest.raises(VaultAbsent):
        await vault.load("anna")
    await vault.close()


@pytest.mark.anyio
async def test_a_locked_keychain_says_so_within_its_deadline_and_leaks_no_connection(keychain: Desktop) -> None:
    vault = Vault(SecretService("locked"))
    await vault.save("anna", login(1), 1)
    keychain.stop_keychain()
    keychain.start_keychain(unlocked=False)
    await _locked(vault)
    before = _open_files()

    for _ in range(20):
        await _locked(vault)

    assert _open_files() <= before
    keychain.stop_keychain()
    keychain.start_keychain(unlocked=True)
    assert await vault.load("anna") == Stored(1, login(1))
    await vault.close()


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def _locked(vault: Vault) -> None:
    for act in (vault.load("anna"), vault.save("anna", login(2), 2), vault.delete("anna")):
        with pytest.raises(VaultLocked):
            await act


class Watched(SecretService):
    """Remembers in which thread it is called."""

    def __init__(self, install_id: str) -> None:
        super().__init__(install_id)
        self.threads: set[int] = set()

    def get(self, key: str) -> tuple[str, ...]:
        self.threads.add(threading.get_ident())
        return super().get(key)

    def set(self, key: str, secret: str) -> None:
        self.threads.add(threading.get_ident())
        super().set(key, secret)

    def delete(self, key: str) -> None:
        self.threads.add(threading.get_ident())
        super().delete(key)


@pytest.mark.anyio
@pytest.mark.parametrize(("trouble", "kind"), TROUBLES.items())
async def test_whatever_befalls_the_keychain_each_call_ends_with_a_typed_error_and_none_is_made_on_the_loop(
    keychain: Desktop, trouble: str, kind: type[VaultError]
) -> None:
    backend = Watched("befallen")
    vault = Vault(backend, read_within_s=LIMIT_S, write_within_s=LIMIT_S)
    await vault.save("anna", login(1), 1)

    befall(keychain, trouble)
    async with asyncio.timeout(LONG_S), watched_loop() as gap:
        for _ in range(5):
            for act in (vault.load("anna"), vault.save("anna", login(2), 2), vault.delete("anna")):
                with pytest.raises(VaultError) as error:
                    await act
                assert type(error.value) is kind
                assert error.value.title
        crowd = await asyncio.gather(*(vault.load("anna") for _ in range(50)), return_exceptions=True)
    # They are asked one after the other, so on a busy machine the last ones' time is over before it is their turn.
    assert kind in {type(failure) for failure in crowd} <= {kind, VaultTimeout}

    print(json.dumps({"test": "T06", "trouble": trouble, "loop_gap_ms": gap.longest_ms}))
    assert threading.get_ident() not in backend.threads
    assert len(backend.threads) == 1
    recover(keychain, trouble)
    async with asyncio.timeout(LONG_S):
        assert await once_it_answers(lambda: vault.load("anna")) == Stored(1, login(1))
    await vault.close()


@pytest.mark.anyio
@pytest.mark.parametrize("trouble", TROUBLES)
async def test_logins_in_memory_serve_and_are_renewed_whatever_befalls_the_keychain(
    keychain: Desktop, tmp_path: Path, trouble: str
) -> None:
    anna = AccountId("anna")
    async with token_server() as server, httpx.AsyncClient(trust_env=False) as http:
        server.life_s = 30.0  # less than the margin: each `secret` renews
        vault = Vault(SecretService("serving"), read_within_s=LIMIT_S, write_within_s=LIMIT_S)
        tokens = Tokens(vault, Paths(tmp_path), server.endpoints, lambda: http, lambda: server.now, save_again_s=0.05)
        await tokens.open()
        await tokens.store(anna, server.newest())
        server.before.clear()
        renewal = asyncio.create_task(tokens.secret(anna))
        await server.arrived.wait()

        befall(keychain, trouble)
        server.before.set()
        async with asyncio.timeout(LONG_S), watched_loop() as gap:
            assert await renewal == "access-1"
            server.now += 60.0
            assert await tokens.secret(anna) == "access-2"
        print(json.dumps({"test": "T06", "trouble": trouble, "renewing_loop_gap_ms": gap.longest_ms}))

        assert (tokens.unsaved(), tokens.at_risk()) == ((anna,), ())
        recover(keychain, trouble)
        async with asyncio.timeout(LONG_S):
            await tokens.save(LONG_S)
        assert tokens.unsaved() == ()
        assert await vault.load(anna) == Stored(3, server.newest())
        assert server.sent() == ["refresh-0", "refresh-1"]
        await tokens.close()
        await vault.close()


def test_a_process_ends_while_its_keychain_hangs(keychain: Desktop) -> None:
    program = """
import asyncio
from core.errors import VaultTimeout
from core.vault import Vault
from core.vault_secret_service import SecretService
async def main():
    vault = Vault(SecretService("ending"), read_within_s=0.2)
    print("asking", flush=True)
    try:
        await vault.load("anna")
    except VaultTimeout as exc:
        print(exc.title)
    await vault.close()
asyncio.run(main())
"""
    keychain.pause_keychain()

    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=keychain.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert ended.stdout == "asking\nThe vault does not answer\n"
    assert ended.stderr == ""


@pytest.mark.anyio
async def test_a_killed_keychain_is_absent_and_what_it_acknowledged_is_there_again(keychain: Desktop) -> None:
    vault = Vault(SecretService("killed"))
    await vault.save("anna", login(1), 1)

    keychain.stop_keychain(signal.SIGKILL)
    with pytest.raises(VaultAbsent):
        await vault.load("anna")
    keychain.start_keychain(unlocked=True)

    assert await vault.load("anna") == Stored(1, login(1))
    await vault.close()


@pytest.mark.anyio
async def test_a_keychain_killed_while_it_hangs_frees_the_worker(keychain: Desktop) -> None:
    vault = Vault(SecretService("killed"), read_within_s=0.2)
    keychain.pause_keychain()
    with pytest.raises(VaultTimeout):
        await vault.load("anna")

    keychain.stop_keychain(signal.SIGKILL)

    async with asyncio.timeout(LONG_S):
        with pytest.raises(VaultAbsent):
            await once_it_answers(lambda: vault.load("anna"))
    await vault.close()


@pytest.mark.usefixtures("keychain")
@pytest.mark.anyio
async def test_a_hundred_callers_at_once_all_get_their_own() -> None:
    vault = Vault(SecretService("crowd"))
    names = [f"account-{number}" for number in range(25)]

    await asyncio.gather(*(vault.save(name, ApiKey(name), 1) for name in names))
    answers = await asyncio.gather(*(vault.load(name) for name in names * 3))

    assert answers == [Stored(1, ApiKey(name)) for name in names * 3]
    await vault.close()


def test_the_environment_has_no_say_in_where_secrets_go(keychain: Desktop, tmp_path: Path) -> None:
    program = """
import asyncio, os
from core.files import Paths
from core.model import AccountId, ApiKey
from core.tokens import Tokens
from core.vault import open_vault
from pathlib import Path
async def main():
    vault = open_vault("keyring", Paths(Path(os.environ["HOME"])), "hostile", os.environ)
    await vault.save("anna", ApiKey("secret"), 1)
    await vault.close()
asyncio.run(main())
"""
    (tmp_path / "keyringrc.cfg").write_text("[backend]\ndefault-keyring=keyring.backends.null.Keyring\n")
    hostile = {
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        "KEYRING_PROPERTY_PREFERRED_COLLECTION": "/org/freedesktop/secrets/collection/session",
        "XDG_CONFIG_HOME": str(tmp_path),
    }

    subprocess.run([sys.executable, "-c", program], env=keychain.environment | hostile, timeout=60, check=True)

    assert len(SecretService("hostile").get("anna/1.0")) == 1


@pytest.mark.anyio
async def test_the_keychain_is_first_asked_when_it_is_used(bus: Desktop, tmp_path: Path) -> None:
    vault = open_vault("keyring", Paths(tmp_path), "late", {})
    with pytest.raises(VaultError):
        await vault.load("anna")
    bus.start_keychain(unlocked=True)

    assert await vault.load("anna") is None
    await vault.close()
