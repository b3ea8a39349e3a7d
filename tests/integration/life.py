"""The life of one installation, with every secret known: accounts come in every way, serve, fail, crash, go.

It is played with the real program against the simulated provider. What it said and what others could see of it while
it ran is kept as evidence; what it left is on the disk.
"""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
from filelock import FileLock

from core import remote
from core.commands import COMMANDS
from core.files import Paths
from core.model import ApiKey
from core.recovery import KEY_NAME
from core.simulator import SimulatedAccount, SimulatedProvider, faults
from core.simulator.faults import Phase
from core.vault import open_vault
from tests.browser.default_browser import DefaultBrowser
from tests.browser.person import endpoints_of
from tests.fakes import ASK, VERSION, allow, code_shown, simulator_in_thread, wait_until_in_thread
from tests.integration.evidence import files_below, processes_below

SECONDS = 60.0
UMASK = 0
"""The most careless one: whatever is private is so by Tidegate's own doing."""
TOKEN = "/v1/oauth/token"
CLAUDE_CODE = Path(".claude/.credentials.json")
SETTINGS = {"Claude Code": Path(".claude/settings.json"), "OpenCode": Path(".config/opencode/opencode.jsonc")}
MESSAGES = "/v1/messages"
_GO_MESSAGES = "/zen/go/v1/messages"
_PATHS = (
    *("/", "/-/", "/-/health", "/-/snapshot", "/-/metrics", "/-/nothing", "/-/open?code=x", "/elsewhere"),
    *("/-/page.js", "/-/page.css"),
)
LOOKS: tuple[tuple[str, ...], ...] = (
    ("status",),
    ("list", "--json"),
    ("info", "Own", "--json"),
    ("explain",),
    ("history",),
    ("history", "--requests", "--json"),
    ("usage", "--json"),
    ("logs", "-n", "1000"),
    ("logs", "-n", "1000", "--json"),
    ("config", "get"),
    ("doctor",),
    ("doctor", "--json"),
    ("doctor", "--report"),
    ("statusline",),
)
"""Everything that shows something and orders nothing."""


class Life:
    """`secrets` by name, and evidence by what it is of: all but the files, which are on the disk."""

    def __init__(self, folder: Path, sim: SimulatedProvider, browser: DefaultBrowser) -> None:
        self.sim = sim
        self.folder = folder
        self.browser = browser
        self.paths = Paths(folder / "data")
        self.home = folder / "home"
        self.outputs: dict[str, bytes] = {}
        self.answers: dict[str, bytes] = {}
        self.processes: dict[str, bytes] = {}
        self.left_by_crash: dict[str, bytes] = {}
        self.modes: dict[Path, int] = {}
        """Of every file and folder that was there after the crash, while a program was connected, and at the end."""
        self.connected: dict[str, bytes] = {}
        """What lay there while a program was connected."""
        self.secrets = {
            "vault passphrase": secrets.token_urlsafe(30),
            "export passphrase": secrets.token_urlsafe(30),
            "prompt": secrets.token_urlsafe(30),
            "key that the provider refuses": f"sk-ant-api03-{secrets.token_urlsafe(40)}",
            "key that a client sends by mistake": f"sk-ant-api03-{secrets.token_urlsafe(40)}",
            "code that the provider refuses": f"ac_{secrets.token_urlsafe(30)}",
        }
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMPDIR": str(folder / "tmp"),
            "LANG": "C.UTF-8",
            "TIDEGATE_VAULT_KEY": self.secrets["vault passphrase"],
            "TIDEGATE_LOG": "debug",
            **endpoints_of(sim),
            **browser.environment,
        }
        for name in ("home", "tmp", "exports"):
            (folder / name).mkdir()

    # --- what is known -----------------------------------------------------------------------------

    def account(self, label: str) -> SimulatedAccount:
        return next(account for account in self.sim.accounts if account.label == label)

    def all_secrets(self) -> dict[str, str]:
        """Every secret that was in play so far: the provider's, as it gave them out and received them, and ours."""
        authority = self.sim._service.authority
        found = dict(self.secrets)
        for number, token in enumerate([*authority._owners, *authority._lineages]):
            found[f"token {number} {token[:13]}"] = token
        for account in self.sim.accounts:
            if account.key:
                found[f"key of {account.label}"] = account.key
        for number, received in enumerate(self.sim.requests_for(TOKEN)):
            body = json.loads(received.body)
            for name in {"code", "code_verifier"} & body.keys():
                found[f"{name} {number}"] = body[name]
        return found

    def files(self) -> dict[str, bytes]:
        """Every file that is there because of Tidegate."""
        places = (self.paths.root, self.home, self.folder / "tmp", self.folder / "exports")
        return files_below(*places, but=[self.home / CLAUDE_CODE])

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "core", "--data-dir", str(self.paths.root), "--vault", "file", *words]

    def look_at_modes(self) -> None:
        """Remember who may read what there is now because of Tidegate."""
        theirs = {self.home, self.folder / "tmp", self.folder / "exports", self.home / CLAUDE_CODE}
        for place in (self.paths.root, *theirs):
            for path in (place, *place.rglob("*")):
                if path not in theirs | {(self.home / CLAUDE_CODE).parent}:
                    self.modes[path] = self.modes.get(path, 0) | path.lstat().st_mode & 0o777

    # --- the program -------------------------------------------------------------------------------

    def tidegate(self, *words: str, stdin: str = "", code: int | None = 0) -> str:
        """Run a command to its end. `code` is the one it must end with; None takes any."""
        done = subprocess.run(
            self.command(*words),
            input=stdin.encode(),
            env=self.environment,
            capture_output=True,
            timeout=SECONDS,
            check=False,
            umask=UMASK,
        )
        assert code in {None, done.returncode}, (words, done.stdout, done.stderr)
        self.outputs[f"{len(self.outputs)} {words}"] = done.stdout + done.stderr
        return done.stdout.decode()

    def order(self, command: str, /, **arguments: object) -> Any:
        """Have the running instance obey; the answer is no evidence."""
        return remote.call(self.running(), command, arguments)

    def running(self) -> remote.Running:
        running = remote.find(self.paths)
        assert running
        return running

    def signs_in(self, account: SimulatedAccount, *words: str) -> None:
        """Add an account by the browser, and look at the processes while that is open."""
        with self.started("add", *words) as process:
            url = anyio.run(self.browser.opened)
            self.processes |= {f"add: {name}": held for name, held in processes_below(process.pid).items()}
            back = anyio.run(allow, url, account).headers["location"]
            page = httpx.get(back, trust_env=False, verify=False)
            assert page.status_code == 200, page.text
            self._keep(f"page of {words}", page)
            assert self.ended(process, f"add {words}") == 0

    def pastes(self, account: SimulatedAccount | None, *words: str) -> None:
        """Add an account by its code; without an account the code is a wrong one."""
        with self.started("add", "claude", "--paste", *words, stdin=subprocess.PIPE) as process:
            said, found = self._until(process, rb"(http\S+/oauth/authorize\?\S+)\n")
            url = found[1].decode()
            code = f"{self.secrets['code that the provider refuses']}#{httpx.URL(url).params['state']}"
            if account:
                code = code_shown(anyio.run(allow, url, account).text)
            assert (self.ended(process, f"paste {words}", said, stdin=code) == 0) == (account is not None)

    @contextmanager
    def serving(self, name: str) -> Iterator["subprocess.Popen[bytes]"]:
        """`tidegate serve`; it must be at its end when the block is, one way or the other."""
        with self.started("serve", "--port", "0") as process:
            said, _ = self._until(process, b"Stop with")
            self.secrets[f"control token of {name}"] = self.running().control_token
            self.processes |= {f"{name}: {what}": held for what, held in processes_below(process.pid).items()}
            yield process
            self.ended(process, name, said)

    @contextmanager
    def started(self, *words: str, stdin: int = subprocess.DEVNULL) -> Iterator["subprocess.Popen[bytes]"]:
        process = subprocess.Popen(
            self.command(*words),
            env=self.environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            umask=UMASK,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def _until(self, process: "subprocess.Popen[bytes]", pattern: bytes) -> tuple[bytes, re.Match[bytes]]:
        """Read what it says until that is among it."""
        said = b""
        assert process.stdout
        while not (found := re.search(pattern, said)):
            line = process.stdout.readline()
            assert line, said
            said += line
        return said, found

    def ended(self, process: "subprocess.Popen[bytes]", name: str, said: bytes = b"", stdin: str | None = None) -> int:
        """Wait for its end, and keep what it said. Returns its code."""
        rest, _ = process.communicate(None if stdin is None else stdin.encode(), timeout=SECONDS)
        self.outputs[f"{len(self.outputs)} {name}"] = said + rest
        return process.returncode

    def ask(self, path: str = MESSAGES, key: str = "", **changes: Any) -> int:
        """Send a prompt with the local key, or another one. Returns the status."""
        body = {**ASK, "messages": [{"role": "user", "content": self.secrets["prompt"]}], **changes}
        headers = {"x-api-key": key or self.secrets["local key"], "x-opencode-session": "one", **VERSION}
        with httpx.Client(base_url=self.running().address, trust_env=False, verify=False, timeout=SECONDS) as http:
            try:
                answer = http.post(path, headers=headers, json=body)
            except httpx.HTTPError as exc:  # a stream that was cut
                self.answers[f"{len(self.answers)} {path}"] = repr(exc).encode()
                return 0
        # The simulated provider answers with the prompt's own words; what is around them is looked at.
        text = answer.text.replace(self.secrets["prompt"], "") if answer.is_success else answer.text
        self.answers[f"{len(self.answers)} {path}"] = text.encode() + repr(answer.headers.multi_items()).encode()
        return answer.status_code

    def sweep(self) -> None:
        """Ask the control API for everything, with every sort of key, well and badly."""
        running, key, go = self.running(), self.account("Key").key, self.account("Go").key
        refused = self.secrets["key that the provider refuses"]
        keys = {"nobody": "", "a client": self.secrets["local key"], "the tray": running.control_token}
        bodies: Mapping[str, bytes] = {
            "nothing": b"{}",
            "no JSON": b'{"key": "',
            "an odd name": b'{"odd": 1}',
            "an account": b'{"account": "Nobody"}',
            "two keys": json.dumps({"kind": "go", "key": f"{key} {go}"}).encode(),
            "a wrong key": json.dumps({"kind": "api-key", "key": refused}).encode(),
        }
        with httpx.Client(base_url=running.address, trust_env=False, verify=False, timeout=SECONDS) as http:
            for whose, bearer in keys.items():
                headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
                for path in _PATHS:
                    self._keep(f"GET {path} of {whose}", http.get(path, headers=headers))
                for path in ("/-/events", "/-/live"):  # they have no end of their own
                    with http.stream("GET", path, headers=headers) as answer:
                        first = next(answer.iter_bytes(), b"") + repr(answer.headers.multi_items()).encode()
                        self.answers[f"GET {path} of {whose}"] = first
                for command in COMMANDS.keys() - {"token", "remove", "refresh"}:
                    for what, body in bodies.items():
                        answer = http.post(f"/-/commands/{command}", headers=headers, content=body)
                        self._keep(f"{command} with {what} of {whose}", answer)

    def _keep(self, name: str, answer: httpx.Response) -> None:
        self.answers[name] = answer.content + repr(answer.headers.multi_items()).encode()


@contextmanager
def begun(folder: Path) -> Iterator[Life]:
    """An installation that was never started, in front of a simulated provider."""
    with simulator_in_thread() as sim, closing(DefaultBrowser(folder)) as browser:
        yield Life(folder, sim, browser)


def play(life: Life) -> None:
    """All of it."""
    for name in ("Own", "Pasted", "Console", "Borrowed"):
        life.sim.add_login(name)
    life.sim.add_login("Setup", scopes=("user:inference",))
    life.sim.add_api_key("Key")
    life.sim.add_go_key("Go")
    _come_in(life)
    with life.serving("the first run") as process:
        life.secrets["local key"] = life.order("token")["key"]
        _serve(life)
        life.tidegate("refresh", "all", code=1)  # the borrowed login and the setup token cannot be
        life.sim.script(TOKEN, faults.EndpointThrottle())
        life.tidegate("refresh", "Own", code=1)
        life.signs_in(life.account("Own"), "claude")
        life.sweep()
        for words in LOOKS:
            life.tidegate(*words, code=None)
        _connect(life)
        _crash(life, process)
    life.environment["TIDEGATE_LOG_FORMAT"] = "json"
    with life.serving("the second run") as process:
        life.tidegate("refresh", "Pasted")
        _move(life)
        life.tidegate("remove", "Pasted", "--yes", "--revoke")
        process.send_signal(signal.SIGTERM)
    life.look_at_modes()
    life.secrets["recovery key"] = anyio.run(_recovery_key, life)


def _come_in(life: Life) -> None:
    """By every way in, some of them closed."""
    life.tidegate("add", "api-key", "--label", "Key", stdin=life.account("Key").key)
    life.tidegate("add", "api-key", stdin=life.secrets["key that the provider refuses"], code=1)
    life.tidegate("add", "go", "--label", "Go", stdin=life.account("Go").key)
    life.tidegate("add", "api-key", "--label", "Setup", stdin=life.account("Setup").access)
    life.signs_in(life.account("Own"), "claude", "--label", "Own")
    life.signs_in(life.account("Console"), "console", "--label", "Console")
    life.pastes(life.account("Pasted"), "--label", "Pasted")
    life.pastes(None)
    life.sim.script(TOKEN, faults.NotFound())
    life.pastes(None)
    _leave_behind(life.home, life.account("Borrowed"))
    life.tidegate("import")


def _leave_behind(home: Path, borrowed: SimulatedAccount) -> None:
    """What Claude Code keeps of a login."""
    login = {
        "accessToken": borrowed.access,
        "refreshToken": borrowed.refresh,
        "expiresAt": int(time.time() + 7200) * 1000,
    }
    login |= {"scopes": list(borrowed.lineage.scopes) if borrowed.lineage else [], "subscriptionType": "max"}
    (home / CLAUDE_CODE).parent.mkdir()
    (home / CLAUDE_CODE).write_text(json.dumps({"claudeAiOauth": login}))


def _serve(life: Life) -> None:
    """Good answers, failover, and errors of every sort."""
    life.order("strategy", name="round-robin")
    life.ask(key=life.secrets["key that a client sends by mistake"])
    life.account("Own").script(faults.Unauthorized(), faults.QuotaRejected(), faults.ErrorMidStream())
    life.account("Pasted").script(faults.Forbidden("revoked"), faults.Overloaded(), faults.Redirect(307, life.sim.url))
    life.account("Key").script(faults.ServerError(), faults.CutHard(5), faults.Unauthorized("invalid x-api-key"))
    life.account("Go").script(faults.CreditTooLow())
    asked = [life.ask(stream=bool(number % 2)) for number in range(12)]
    asked += [life.ask(_GO_MESSAGES, model="glm-5.3") for _ in range(2)]
    assert 200 in asked


def _connect(life: Life) -> None:
    """Point programs at Tidegate, and back; each has a key of its own meanwhile."""
    for name in ("claude-code", "opencode"):
        life.tidegate("connect", name, "--yes")
    life.connected = life.files()
    life.look_at_modes()
    for name, settings in SETTINGS.items():
        (life.secrets[f"key of {name}"],) = set(re.findall(r"tg-[\w-]{30,}", (life.home / settings).read_text("utf-8")))
    for name in ("claude-code", "opencode"):
        life.tidegate("undo", name, code=None)


def _crash(life: Life, process: "subprocess.Popen[bytes]") -> None:
    """Kill it while one new login waits for the vault and the refresh token of another one is under way."""
    with FileLock(f"{life.paths.vault}.lock"), life.started("refresh", "Pasted") as waiting:
        deadline = time.monotonic() + SECONDS
        while not life.paths.recovery.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)  # a file tells nobody that it is there
        sent = len(life.sim.requests_for(TOKEN))
        life.sim.script(TOKEN, faults.Stall(Phase.BEFORE_HEAD, SECONDS))
        with life.started("refresh", "Own") as sending:
            wait_until_in_thread(life.sim, lambda: len(life.sim.requests_for(TOKEN)) > sent, SECONDS)
            process.kill()
            process.wait(SECONDS)
            life.left_by_crash = life.files()
            life.look_at_modes()
            assert life.ended(sending, "refresh during the crash") == 1
        life.ended(waiting, "refresh before the crash")


def _move(life: Life) -> None:
    """Take the accounts along, and bring them back."""
    folder, passphrase = life.folder / "exports", life.secrets["export passphrase"]
    life.tidegate("export", str(folder / "settings"))
    life.tidegate("export", str(folder / "all"), "--with-credentials", stdin=passphrase)
    life.tidegate("import", str(folder / "all"), stdin="not the passphrase", code=1)
    life.tidegate("import", str(folder / "all"), stdin=passphrase, code=3)  # all are here already


async def _recovery_key(life: Life) -> str:
    vault = open_vault("file", life.paths, "", life.environment)
    stored = await vault.load(KEY_NAME)
    await vault.close()
    assert stored
    assert isinstance(stored.credential, ApiKey)
    return stored.credential.key
