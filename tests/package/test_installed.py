"""The .deb as a person meets it: installed with apt on a clean system, used on a desktop, removed again."""

import os
import shutil
import statistics
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread
import httpx
import pytest
from PIL import ImageChops

from core.simulator import SimulatedAccount, SimulatedProvider
from tests.desktop.robot import PANEL
from tests.desktop.session import Session, desktop
from tests.desktop.test_whole import free_port, unlock_keychain
from tests.package import figures
from tests.package.clean_root import CleanRoot, clean_root
from tests.stage import for_clients

pytestmark = [pytest.mark.anyio, pytest.mark.package, pytest.mark.timeout(600)]

SECONDS = 30.0
SECRETS = "org.freedesktop.secrets"
DIST = Path(__file__).parents[2] / "dist"
STARTS = 5
CLOCK_WIDTH = 70
"""The right end of the panel changes by itself."""


@dataclass(frozen=True)
class Installed:
    """The clean system after `apt install`, and what was in it before."""

    root: CleanRoot
    before: set[str]


@pytest.fixture(scope="module")
def installed() -> Iterator[Installed]:
    packages = sorted(DIST.glob("tidegate_*.deb"))
    assert len(packages) == 1, "run `make package` first"
    with clean_root() as root:
        assert not list(root.folder.glob("usr/bin/python3*")), "the system is to have no Python of its own"
        before = root.files()
        copied = root.folder / "root/tidegate.deb"
        copied.write_bytes(packages[0].read_bytes())
        root.run("apt-get", "install", "--yes", "--no-install-recommends", "/root/tidegate.deb")
        copied.unlink()
        yield Installed(root, before)


class Person:
    """Somebody at a desktop that the installed program is started on."""

    def __init__(self, root: CleanRoot, session: Session, sim: SimulatedProvider) -> None:
        self.root = root
        self.session = session
        self.sim = sim
        self.url = f"http://127.0.0.1:{free_port()}"
        self.environment = session.environment
        self.environment |= {
            "PATH": "/usr/bin:/bin",
            "TIDEGATE_PORT": self.url.rpartition(":")[2],
            "TIDEGATE_ANTHROPIC_API_URL": sim.endpoints().anthropic_api_url,
        }
        self.data = Path(self.environment["XDG_DATA_HOME"]) / "tidegate"

    async def tidegate(self, *arguments: str, stdin: str = "") -> str:
        """Run a command to its end. Returns what it printed."""
        return await anyio.to_thread.run_sync(
            lambda: self.root.run("tidegate", *arguments, environment=self.environment, stdin=stdin)
        )

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start the program in the session; with no argument, the tray."""
        return self.session.start(self.root.command("/usr/bin/tidegate", *arguments))

    async def add_api_key(self, label: str) -> SimulatedAccount:
        """Add an account through the running program."""
        account = self.sim.add_api_key(label)
        await self.tidegate("add", "api-key", "--label", label, stdin=secret_of(account))
        return account

    async def ask(self) -> httpx.Response:
        """Ask one prompt as a client does."""
        key = (await self.tidegate("token")).strip()
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=SECONDS) as client:
            return await client.post("/v1/messages", json=figures.PROMPT, headers=figures.headers(key))


@asynccontextmanager
async def at_a_desktop(installed: Installed, folder: Path) -> AsyncIterator[Person]:
    async with SimulatedProvider.running() as sim, desktop(folder) as session:
        unlock_keychain(session)
        await session.robot.until_owned(SECRETS, SECONDS)
        await session.robot.until(lambda: _keychain_is_open(session), SECONDS)
        yield Person(installed.root, session, sim)


async def _keychain_is_open(session: Session) -> bool:
    where = (SECRETS, "/org/freedesktop/secrets", "org.freedesktop.Secret.Service")
    return bool(await session.robot.call(where, "ReadAlias", "s", "default") != "/")


def secret_of(account: SimulatedAccount) -> str:
    return account.credential.key


def test_demo_is_served_without_any_python_on_the_system(installed: Installed) -> None:
    printed = installed.root.run("tidegate", "demo", "--headless", "--once")
    assert "24 requests, 24 whole answers" in printed


async def test_tray_is_shown_and_serves_with_a_key_from_the_keychain(installed: Installed, tmp_path: Path) -> None:
    async with at_a_desktop(installed, tmp_path) as person:
        robot, before = person.session.robot, person.session.robot.look()
        tray = person.start()
        service = await robot.until_item(SECONDS)
        left = (PANEL[0], PANEL[1], PANEL[2] - CLOCK_WIDTH, PANEL[3])
        await robot.until_seen(
            lambda now: ImageChops.difference(before.crop(left), now.crop(left)).getbbox(), SECONDS, "the icon"
        )
        account = await person.add_api_key("Work")

        answer = await person.ask()

        assert answer.status_code == httpx.codes.OK, answer.text
        assert answer.headers["x-tidegate-account"] == "Work"
        assert [received.account for received in for_clients(person.sim)][-1] == account.label
        rows = [row.label for row in (await robot.menu(service)).walk()]
        assert any(row.startswith("Work") for row in rows), rows
        robot.screenshot("installed")
        given = await person.tidegate("run", "--", "env")
        assert "ANTHROPIC_BASE_URL=" in given
        assert "LD_LIBRARY_PATH" not in given, "another program must not find the libraries of ours"

        await robot.click_row(service, "Quit")
        await anyio.to_thread.run_sync(lambda: tray.wait(SECONDS))
        assert tray.returncode == 0
        stored = b"".join(path.read_bytes() for path in person.data.rglob("*") if path.is_file())
        assert secret_of(account).encode() not in stored, "the key is in the keychain and in no file"

        person.start("serve")
        await robot.until(lambda: _answers(person), SECONDS)
        assert (await person.ask()).headers["x-tidegate-account"] == "Work", "the keychain has kept the key"


async def _answers(person: Person) -> bool:
    while True:
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                return (await client.get(f"{person.url}/-/health")).is_success
        except httpx.ConnectError:
            await anyio.sleep(0.05)


async def test_it_starts_fast_and_rests_quietly(
    installed: Installed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with at_a_desktop(installed, tmp_path) as person:
        await person.add_api_key("Work")
        key = (await person.tidegate("token")).strip()

        def first_answer() -> figures.Start:
            return figures.first_answer(person.start, person.url, key)

        starts = [await anyio.to_thread.run_sync(first_answer) for _ in range(STARTS + 1)][1:]  # the first one warms up
        tray = person.start()
        await person.session.robot.until_item(SECONDS)
        assert (await person.ask()).is_success
        woken = await anyio.to_thread.run_sync(figures.wakeups_per_s, tray.pid)
        held = figures.memory(tray.pid)
        size = figures.installed_mb(installed.root.folder)
        wall, cpu = (statistics.median(values) for values in zip(*((s.wall, s.cpu) for s in starts), strict=True))
        with capsys.disabled():
            print(
                f"\ninstalled {size:.1f} MB · first answer {wall:.2f} s, of it {cpu:.2f} s computing · "
                f"idle RSS {held.rss:.1f} MB, PSS {held.pss:.1f} MB · wakeups {sum(woken.values()):.2f}/s · "
                f"load {os.getloadavg()[0]:.1f}"
            )

    assert size <= 60
    assert min(start.cpu for start in starts) <= 1.0, "seconds on the clock depend on what else runs here"
    assert held.rss <= 90
    assert sum(woken.values()) <= 2.0


def test_remove_leaves_nothing_but_the_persons_files(installed: Installed, tmp_path: Path) -> None:
    """The last test of this module: there is no program afterwards. Connected programs have their settings back."""
    with somebody(installed.root, "ada") as (home, ada):
        settings = home / ".claude/settings.json"
        ada("mkdir", "/home/ada/.claude")
        ada("sh", "-c", 'umask 022; echo "$1" >/home/ada/.claude/settings.json', "-", '{"model": "opus"} // mine')
        ada("tidegate", "--vault", "file", "connect", "claude-code", "--yes", "--mcp", "--statusline")
        assert '"ANTHROPIC_AUTH_TOKEN": "tg-' in settings.read_text()

        _remove_and_look(installed, tmp_path)

        assert settings.read_text() == '{"model": "opus"} // mine\n'
        assert settings.stat().st_mode & 0o777 == 0o644
        assert not (home / ".claude.json").exists()
        assert {path.lstat().st_uid for path in home.rglob("*")} == {home.stat().st_uid}, "root has left nothing there"


@contextmanager
def somebody(root: CleanRoot, name: str) -> Iterator[tuple[Path, Callable[..., str]]]:
    """A user of that system: the home, and what runs a command as that user. Gone when the block ends."""
    home = root.folder / "home" / name
    books = {file: (root.folder / "etc" / file).read_text() for file in ("passwd", "group")}
    (root.folder / "etc/passwd").write_text(f"{books['passwd']}{name}:x:1000:1000::/home/{name}:/bin/sh\n")
    (root.folder / "etc/group").write_text(f"{books['group']}{name}:x:1000:\n")
    home.mkdir()
    environment = {"HOME": f"/home/{name}", "TIDEGATE_VAULT_KEY": "a passphrase of the tests"}

    def run(*words: str) -> str:
        return root.run("runuser", "-u", name, "--", *words, environment=environment)

    root.run("chown", f"{name}:", f"/home/{name}")
    try:
        yield home, run
    finally:
        for file, text in books.items():
            (root.folder / "etc" / file).write_text(text)
        shutil.rmtree(home)


def _remove_and_look(installed: Installed, tmp_path: Path) -> None:
    environment = {"XDG_DATA_HOME": str(tmp_path / "data"), "TIDEGATE_VAULT_KEY": "a passphrase of the tests"}
    installed.root.run("tidegate", "--vault", "file", "config", "set", "port", "9433", environment=environment)
    kept = {path.name for path in (tmp_path / "data/tidegate").iterdir()}
    assert "config.json" in kept

    installed.root.run("apt-get", "remove", "--yes", "tidegate")

    left = {path for path in installed.root.files() - installed.before if not path.startswith("home/ada")}
    assert left == set()
    assert installed.before - installed.root.files() == set()
    assert {path.name for path in (tmp_path / "data/tidegate").iterdir()} == kept
