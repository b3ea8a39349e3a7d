"""What is measured: no proxy, nginx, a bare proxy, the real `tidegate serve`; each started anew, with its own state."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec

from core.files import Paths
from core.remote import Running
from tests.bench.speed.native import BUILD, ROOT, SUBJECT_CPU, Target, on

START_S = 120.0
END_S = 30.0
ASK_EVERY_S = 0.002
PASSPHRASE = {"TIDEGATE_VAULT_KEY": "a passphrase of the benchmark"}
NOBODY = "http://127.0.0.1:9"
STARTING = b"HTTP/1.1 503"


def keys(number: int) -> tuple[str, ...]:
    """So many API keys, each of an organisation of its own."""
    return tuple(f"sk-ant-api03-bench-{n}" for n in range(number))


KEYS = keys(3)


class NotStarted(Exception):
    """A subject that is not here or does not start, in one line."""


@dataclass
class Subject:
    """One that runs. `pid` is None when nothing stands between the load and the upstream."""

    target: Target
    pid: int | None = None
    started_s: float = 0.0
    """From its process to its first answer."""
    tidegate: "Tidegate | None" = None


Start = Callable[[Path, int], AbstractContextManager[Subject]]
"""Starts a subject: its folder, the upstream's port. Raises NotStarted."""


@contextmanager
def direct(_: Path, upstream: int) -> Iterator[Subject]:
    """Nothing between."""
    yield Subject(Target(upstream, [f"x-api-key: {KEYS[0]}"]))


NGINX = """
{user}
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    client_max_body_size 0;
    client_body_buffer_size 64k;
    keepalive_requests 100000000;
    upstream provider {{ server 127.0.0.1:{upstream}; keepalive 2048; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://provider;
            proxy_http_version 1.1;
            proxy_buffering off;
            proxy_set_header Connection "";
            proxy_set_header x-api-key {key};
        }}
    }}
}}
"""


def nginx_program() -> str | None:
    """The one that was unpacked for the benchmark, or the machine's."""
    return shutil.which("nginx", path=f"{BUILD}/nginx/usr/sbin:{os.environ['PATH']}:/usr/sbin")


@contextmanager
def nginx(folder: Path, upstream: int) -> Iterator[Subject]:
    """One worker that puts another key into the head and buffers no answer."""
    program = nginx_program()
    if program is None:
        raise NotStarted("nginx is not here; packaging/bench-packages says why")
    port = free_port()
    user = "user root;" if os.getuid() == 0 else ""
    config = folder / "nginx.conf"
    config.write_text(
        NGINX.format(folder=folder, port=port, upstream=upstream, key=KEYS[0], user=user), encoding="utf-8"
    )
    target = Target(port, ["x-api-key: local"])
    with process([program, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(config)], folder) as started:
        yield Subject(target, started.pid, until_answered(started, target, folder))


@contextmanager
def bare(folder: Path, upstream: int) -> Iterator[Subject]:
    """asyncio and llhttp with nothing else: what no proxy that stands on them can be faster than."""
    port = free_port()
    words = [sys.executable, str(Path(__file__).with_name("bare.py")), str(port), str(upstream), KEYS[0]]
    target = Target(port, ["x-api-key: local"])
    with process(words, folder) as started:
        yield Subject(target, started.pid, until_answered(started, target, folder))


@dataclass
class Tidegate:
    """An installation of the real program, and how it is started."""

    folder: Path
    upstream: int
    source: Path = ROOT
    """The checkout that it is run from."""
    launcher: Sequence[str] = (sys.executable, "-m", "core")
    environment: Mapping[str, str] = field(default_factory=dict)
    local_key: str = ""

    @property
    def environ(self) -> dict[str, str]:
        """Its own files, a vault without a keychain, and no way to anybody but the mock upstream.

        Python as it is used: a variable that keeps it from saving bytecode would have it compile all of Tidegate.
        """
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TIDEGATE"))},
            **PASSPHRASE,
            "TIDEGATE_ANTHROPIC_API_URL": f"http://127.0.0.1:{self.upstream}",
            **dict.fromkeys(("TIDEGATE_ANTHROPIC_AUTHORIZE_URL", "TIDEGATE_ANTHROPIC_TOKEN_URL"), NOBODY),
            **dict.fromkeys(("TIDEGATE_ANTHROPIC_CONSOLE_AUTHORIZE_URL", "TIDEGATE_OPENCODE_GO_URL"), NOBODY),
            **self.environment,
        }

    def words(self, *words: str) -> list[str]:
        """A command of this installation."""
        return [*self.launcher, "--data-dir", str(self.folder), "--vault", "file", *words]

    @contextmanager
    def serve(self) -> Iterator[Subject]:
        """`tidegate serve`, while the block lasts."""
        port = free_port()
        words = self.words("serve", "--port", str(port))
        with process(words, self.folder, cwd=self.source, environ=self.environ) as started:
            target = Target(port, [f"x-api-key: {self.local_key}"])
            yield Subject(target, started.pid, until_answered(started, target, self.folder), self)

    @contextmanager
    def ordering(self) -> Iterator[Callable[..., Any]]:
        """Passes orders to the running instance: `order(name, **arguments)`."""
        running = msgspec.json.decode(Paths(self.folder).running.read_bytes(), type=Running)
        headers = {"authorization": f"Bearer {running.control_token}"}
        # verify=False: a client loads the system's certificates otherwise, which takes longer than the order.
        with httpx.Client(
            base_url=running.address, headers=headers, timeout=START_S, trust_env=False, verify=False
        ) as client:

            def order(name: str, /, **arguments: object) -> Any:
                answer = client.post(f"/-/commands/{name}", json=arguments)
                answer.raise_for_status()
                return answer.json()

            yield order

    def set_up(self, keys: Sequence[str] = KEYS) -> None:
        """Make the installation: its accounts, and the local key."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.serve(), self.ordering() as order:
            for number, key in enumerate(keys):
                order("add_key", kind="api-key", key=key, label=f"Bench {number}")
        asked = subprocess.run(
            self.words("token"), cwd=self.source, env=self.environ, stdout=subprocess.PIPE, text=True, check=True
        )
        self.local_key = asked.stdout.strip()


@contextmanager
def tidegate(folder: Path, upstream: int, source: Path = ROOT) -> Iterator[Subject]:
    """The real program with three API keys."""
    installation = Tidegate(folder / "data", upstream, source)
    installation.set_up()
    with installation.serve() as subject:
        yield subject


def subjects(against: Path | None = None) -> dict[str, Start]:
    """By name, in the order of the report; `against` is another checkout of Tidegate to stand beside this one."""
    chosen: dict[str, Start] = {"direct": direct, "nginx": nginx, "bare": bare, "tidegate": tidegate}
    if against:
        chosen["against"] = partial(tidegate, source=against)
    return chosen


@contextmanager
def process(
    words: Sequence[str], folder: Path, *, cwd: Path | None = None, environ: Mapping[str, str] | None = None
) -> "Iterator[subprocess.Popen[bytes]]":
    """A process on the subjects' processor while the block lasts; what it says goes to `said` in its folder."""
    with (folder / "said").open("wb") as said:
        started = subprocess.Popen(
            on(SUBJECT_CPU, words), cwd=cwd, env=environ, stdout=said, stderr=said, stdin=subprocess.DEVNULL
        )
        try:
            yield started
        finally:
            started.terminate()
            try:
                started.wait(END_S)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()


def until_answered(process: "subprocess.Popen[bytes]", target: Target, folder: Path) -> float:
    """Ask until there is an answer that is more than "not yet"; the seconds since now. Raises NotStarted."""
    began = time.perf_counter()
    head = "".join(f"{header}\r\n" for header in target.headers)
    body = b'{"model":"claude-sonnet-4-5","max_tokens":64,"messages":[{"role":"user","content":"[[events=0]]"}]}'
    request = (
        f"POST {target.path} HTTP/1.1\r\nhost: 127.0.0.1:{target.port}\r\ncontent-type: application/json\r\n"
        f"anthropic-version: 2023-06-01\r\n{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    ).encode() + body
    while True:
        with (
            suppress(ConnectionRefusedError, ConnectionResetError),
            socket.create_connection(("127.0.0.1", target.port), timeout=START_S) as asking,
        ):
            asking.sendall(request)
            if (status := asking.recv(12)) and status != STARTING:
                return time.perf_counter() - began
        if process.poll() is not None:
            said = (folder / "said").read_text(encoding="utf-8", errors="replace").strip()
            raise NotStarted(f"it ended: {said.splitlines()[-1] if said else 'without a word'}")
        if time.perf_counter() - began > START_S:
            raise NotStarted(f"it did not answer in {START_S:.0f} s")
        time.sleep(ASK_EVERY_S)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
