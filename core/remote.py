"""The running instance, seen from another process: where it is, and how to pass it an order.

The running instance leaves its port and the control token of this run in `running.json`, which only its user can
read. The file proves nothing: whoever reads it asks `/-/health` whether that process still answers there.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from core import __version__
from core.doorbell import Shown
from core.errors import UNREADABLE, NothingToDo, TidegateError, UsageError
from core.files import Paths, write_atomic
from core.model import Snapshot

if TYPE_CHECKING:
    import httpx

CONNECT_S = 2.0
"""It is on this machine: it answers at once or not at all."""
ANSWER_S = 60.0
"""A sign-in asks the provider, a keychain may ask the person."""
MODELS_S = 10.0
"""Somebody waits for a program to be connected, and without an answer there is a list of old."""
HEARTBEAT_S = 30.0
_ERRORS = {kind.exit_code: kind for kind in (TidegateError, UsageError, NothingToDo)}


class _Model(msgspec.Struct):
    id: str
    display_name: str = ""


class _Models(msgspec.Struct):
    data: list[_Model] = []


class Running(msgspec.Struct, frozen=True):
    """How to reach a running instance."""

    pid: int
    port: int
    control_token: str
    version: str = __version__

    def __repr__(self) -> str:
        return f"Running(pid={self.pid}, port={self.port}, version={self.version!r})"

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"


def announce(paths: Paths, running: Running) -> None:
    """Say where this instance is. Call it when the port is open. Raises TidegateError."""
    try:
        write_atomic(paths.running, msgspec.json.encode(running))
    except OSError as exc:
        raise TidegateError(
            f"Cannot write {paths.running}: {exc.strerror or exc}",
            "Make room on the disk or make the folder writable, then start again.",
        ) from exc


def withdraw(paths: Paths) -> None:
    """This instance ends."""
    with contextlib.suppress(OSError):  # what stays is not believed: nobody answers there
        paths.running.unlink(missing_ok=True)


def find(paths: Paths) -> Running | None:
    """The instance that uses `paths`, None when there is none. What a crashed one left behind is not believed."""
    try:
        running = msgspec.json.decode(paths.running.read_bytes(), type=Running)
    except (OSError, *UNREADABLE):
        return None
    import httpx  # noqa: PLC0415 - the running instance imports this module and needs none of it

    try:
        with _client(running, token=False) as client:
            health = client.get("/-/health", timeout=CONNECT_S).json()
    except (httpx.HTTPError, httpx.InvalidURL, *UNREADABLE):
        return None
    return running if isinstance(health, dict) and health.get("pid") == running.pid else None


def call(running: Running, name: str, arguments: Mapping[str, Any]) -> Any:
    """Pass an order on and return its answer. Raises the TidegateError that the command raised there."""
    with _reachable(), _client(running) as client:
        answer = client.post(f"/-/commands/{name}", json=dict(arguments))
    return _read(answer)


def show(running: Running) -> Shown:
    """Have the running instance seen by its person."""
    return msgspec.convert(call(running, "show", {}), Shown)


def models(paths: Paths, key: str) -> dict[str, str]:
    """The names of Anthropic's models that the accounts can serve, by id. As they were told last when nobody can tell.

    Empty when nobody ever could.
    """
    running = find(paths)
    listed = _listed(running, key) if running else {}
    try:
        if listed:
            write_atomic(paths.models, msgspec.json.encode(listed))
            return listed
        return msgspec.json.decode(paths.models.read_bytes(), type=dict[str, str])
    except (OSError, *UNREADABLE):
        return listed


def _listed(running: Running, key: str) -> dict[str, str]:
    import httpx  # noqa: PLC0415

    try:
        with _client(running, token=False) as client:
            headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
            answer = client.get("/v1/models?limit=1000", headers=headers, timeout=MODELS_S)
        listed = msgspec.json.decode(answer.content, type=_Models) if answer.is_success else _Models()
    except (httpx.HTTPError, *UNREADABLE):
        return {}
    return {model.id: model.display_name or model.id for model in listed.data}


def snapshot(running: Running) -> Snapshot:
    """The picture as it is now."""
    with _reachable(), _client(running) as client:
        answer = client.get("/-/snapshot")
    return msgspec.convert(_read(answer), Snapshot)


def events(running: Running) -> Iterator[Snapshot]:
    """The picture now and after every change, until the instance ends (then TidegateError)."""
    with (
        _reachable(),
        _client(running, silence_s=2 * HEARTBEAT_S) as client,
        client.stream("GET", "/-/events") as answer,
    ):
        if not answer.is_success:
            answer.read()
            _read(answer)
        for line in answer.iter_lines():
            if line.startswith("data: "):
                yield msgspec.json.decode(line.removeprefix("data: "), type=Snapshot)
    raise TidegateError("Tidegate has ended", "Start it again: `tidegate`, or `tidegate serve` without a desktop.")


def _client(running: Running, *, token: bool = True, silence_s: float = ANSWER_S) -> "httpx.Client":
    import httpx  # noqa: PLC0415

    from core import trust  # noqa: PLC0415

    return httpx.Client(
        base_url=running.address,
        verify=trust.unused(),
        headers={"authorization": f"Bearer {running.control_token}"} if token else {},
        timeout=httpx.Timeout(CONNECT_S, read=silence_s),
        trust_env=False,  # no proxy stands between two programs of one machine
        follow_redirects=False,
    )


@contextlib.contextmanager
def _reachable() -> Iterator[None]:
    import httpx  # noqa: PLC0415

    try:
        yield
    except httpx.HTTPError as exc:
        raise TidegateError(
            f"The running Tidegate does not answer: {exc or type(exc).__name__}", "Look at its log, or start it again."
        ) from exc


def _read(answer: "httpx.Response") -> Any:
    try:
        value = answer.json()
    except ValueError:
        value = None
    if answer.is_success and value is not None:
        return value
    error = value if isinstance(value, dict) else {}
    kind = _ERRORS.get(error.get("exit_code", 1), TidegateError)
    title = error.get("title") or f"The running Tidegate answered with status {answer.status_code}"
    raise kind(title, error.get("hint") or "Perhaps it has another version: start it again.")
