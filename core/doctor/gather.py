"""Look at everything that Tidegate stands on. Changes nothing but one throw-away item in the keychain.

Credentials are never read here, and nothing is sent to a provider but one question for the time, without a credential.
"""

import asyncio
import contextlib
import platform
import shutil
import socket
import ssl
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from core import __version__, config, connected, connection_care, remote, trust
from core.answers import AccountInfo
from core.doctor import desktop
from core.doctor.facts import Facts, Instance, OpenFile, Program, Reached, Trouble
from core.errors import InstanceRunning, TidegateError, VaultError
from core.files import Paths
from core.model import AccountKind, ApiKey, Endpoints, Settings
from core.ports import owner_of
from core.settings import changed_settings, effective
from core.upstream import origin_of
from core.vault import Vault, open_vault

Order = Callable[..., Any]
Orders = Callable[[], AbstractContextManager[Order]]

REACH_S = 5.0
_ITEM = "doctor"
_CREDENTIAL = "not-a-credential"
_SHARED = 0o077


def gather(paths: Paths, vault_kind: Literal["keyring", "file"], orders: Orders, environ: Mapping[str, str]) -> Facts:
    """The facts. `orders` opens a way to the running instance, or obeys here when there is none."""
    other: list[Trouble] = []
    saved, settings = _settings(paths, environ, other)
    running = remote.find(paths)
    accounts = _Accounts()
    if saved:
        accounts.ask(orders, has_key=bool(saved.local_key_sha256))
    endpoints = settings.endpoints
    kinds = {account.kind for account in saved.accounts} if saved else set()
    trouble, took_s = _round_trip(paths, vault_kind, saved.install_id if saved else _ITEM, environ)
    return Facts(
        at=time.time(),
        version=__version__,
        system=f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        folder=str(paths.root),
        port=settings.port,
        desktop=desktop.look(environ),
        free_bytes=_free_bytes(paths.root),
        instance=Instance(running.pid, running.port, running.version) if running else None,
        hung=accounts.hung,
        taken_by=None if running or accounts.hung else _taken_by(settings.port),
        installed=saved is not None,
        has_key=bool(saved and saved.local_key_sha256),
        local_key=accounts.local_key,
        vault=trouble,
        vault_kind=vault_kind,
        vault_took_s=took_s,
        skew_s=_skew_s(endpoints),
        programs=_programs(paths, other),
        accounts=tuple(accounts.infos),
        accounts_trouble=accounts.trouble,
        upstreams=_reached(endpoints, kinds),
        open_files=tuple(_open_files(paths)),
        changed_settings=tuple(changed_settings(settings)),
        other=tuple(other),
    )


def _told(exc: TidegateError) -> Trouble:
    return Trouble(exc.title, exc.hint)


def _settings(paths: Paths, environ: Mapping[str, str], other: list[Trouble]) -> tuple[config.Config | None, Settings]:
    """What is saved, and the settings in force. What does not read is told, and the defaults stand in."""
    saved = None
    try:
        saved = config.peek(paths.config)
        return saved, effective(saved.settings if saved else Settings(), environ)
    except TidegateError as exc:
        other.append(_told(exc))
        return saved, Settings()


class _Accounts:
    """What the instance, or the installation without one, tells of local key and accounts."""

    def __init__(self) -> None:
        self.infos: list[AccountInfo] = []
        self.trouble: Trouble | None = None
        self.local_key: Trouble | None = None
        self.hung = False

    def ask(self, orders: Orders, *, has_key: bool) -> None:
        """Ask for all of it. Asking for a key that is not there would make it."""
        try:
            with orders() as order:
                try:
                    if has_key:
                        order("token")
                except TidegateError as exc:
                    self.local_key = _told(exc)
                ids = [view["id"] for view in order("snapshot")["accounts"]]
                self.infos = [msgspec.convert(order("info", account=id_), AccountInfo) for id_ in ids]
        except InstanceRunning:
            self.hung = True
        except TidegateError as exc:
            self.trouble = _told(exc)


# --- keychain --------------------------------------------------------------------------------------


def _round_trip(
    paths: Paths, kind: Literal["keyring", "file"], install_id: str, environ: Mapping[str, str]
) -> tuple[Trouble | None, float]:
    """Whether an item can be written, read and removed, and how long that took. A sealed file is not made for it."""
    began_at = time.monotonic()
    try:
        if kind == "keyring" or paths.vault.exists():
            asyncio.run(_tried(open_vault(kind, paths, install_id, environ)))
        else:
            with tempfile.TemporaryDirectory(prefix="tidegate-doctor-") as folder:
                asyncio.run(_tried(open_vault(kind, Paths(Path(folder)), install_id, environ)))
    except VaultError as exc:
        return _told(exc), 0.0
    return None, time.monotonic() - began_at


async def _tried(vault: Vault) -> None:
    try:
        last = await vault.load(_ITEM)  # of a doctor who was killed
        await vault.save(_ITEM, ApiKey(_CREDENTIAL), last.generation + 1 if last else 1)
        try:
            there = await vault.load(_ITEM)
        finally:
            await vault.delete(_ITEM)
        if there is None or there.credential != ApiKey(_CREDENTIAL):
            raise VaultError("The keychain gave back something else than was written", "Is it damaged, or full?")
    finally:
        await vault.close()


# --- network ---------------------------------------------------------------------------------------


def _taken_by(port: int) -> str | None:
    with socket.socket() as probe:
        if sys.platform != "win32":  # there it means something else
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return owner_of(port)
    return None


def _reached(endpoints: Endpoints, kinds: set[AccountKind]) -> tuple[Reached, ...]:
    """Connect to every address that is configured, and hang up."""
    asked_for = (
        (endpoints.anthropic_api_url, {AccountKind.CLAUDE, AccountKind.API_KEY}),
        (endpoints.anthropic_token_url, {AccountKind.CLAUDE}),
        (endpoints.opencode_go_url, {AccountKind.GO}),
    )
    wanted: dict[tuple[str, str, int], bool] = {}
    for url, by in asked_for:
        origin = origin_of(url)
        key = (origin.scheme, origin.host, origin.port)
        wanted[key] = wanted.get(key, False) or bool(by & kinds)
    with ThreadPoolExecutor(len(wanted)) as pool:
        return tuple(pool.map(lambda item: _reach(*item[0], wanted=item[1]), wanted.items()))


def _reach(scheme: str, host: str, port: int, *, wanted: bool) -> Reached:
    where, began_at = f"{host}:{port}", time.monotonic()
    try:
        with socket.create_connection((host, port), REACH_S) as connection:
            if scheme == "https":
                trust.context().wrap_socket(connection, server_hostname=host).close()
    except OSError as exc:  # also what TLS does not like
        return Reached(where, wanted, trouble=_why(exc))
    return Reached(where, wanted, time.monotonic() - began_at)


def _why(exc: OSError) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({exc.verify_message})"
    return str(exc.strerror or exc or type(exc).__name__)


def _skew_s(endpoints: Endpoints) -> float | None:
    """How far our clock is ahead of the first provider's that tells. The question Claude Code asks to warm up."""
    import httpx  # noqa: PLC0415 - slow to load

    for url in (f"{endpoints.anthropic_api_url}/api/hello", endpoints.opencode_go_url):
        verify = trust.context() if url.startswith("https:") else trust.unused()
        try:
            answer = httpx.head(url, verify=verify, timeout=REACH_S, trust_env=False)
            return time.time() - parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
        except (httpx.HTTPError, ValueError):
            continue
    return None


# --- files -----------------------------------------------------------------------------------------


def _programs(paths: Paths, other: list[Trouble]) -> tuple[Program, ...]:
    try:
        records = connected.records(paths)
    except TidegateError as exc:
        other.append(_told(exc))
        return ()
    found = []
    for name, record in records.items():
        try:
            found.append(Program(name, record.file, record.address, connection_care.still_ours(name, record)))
        except TidegateError as exc:
            found.append(Program(name, record.file, record.address, ours=False, trouble=_told(exc)))
    return tuple(found)


def _open_files(paths: Paths) -> Iterator[OpenFile]:
    """What in the installation's folder others may read. Windows keeps a user's folder to its user."""
    if sys.platform == "win32":
        return
    for folder in (paths.root, paths.root / "locks", paths.originals):
        with contextlib.suppress(OSError):  # it is not there, or went this moment
            for file in sorted(folder.iterdir()):
                status = file.lstat()
                if stat.S_ISREG(status.st_mode) and status.st_mode & _SHARED:
                    yield OpenFile(str(file), stat.S_IMODE(status.st_mode))


def _free_bytes(folder: Path) -> int:
    """On the disk where the folder is, or will be."""
    return shutil.disk_usage(next(place for place in (folder, *folder.parents) if place.exists())).free
