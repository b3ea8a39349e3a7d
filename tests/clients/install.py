"""The real clients: fetched once, by the versions and hashes of `package-lock.json`, and kept in a cache folder."""

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

HERE = Path(__file__).parent
DEFAULT_CACHE = HERE.parents[1] / ".cache" / "clients"
FETCH_S = 600
"""540 MB of programs; it took 10 s over a good line."""
TOLD_LINES = 8


@dataclass(frozen=True, slots=True)
class Programs:
    """What was installed."""

    claude: Path
    opencode: Path


class NotInstalled(Exception):
    """The clients cannot be had; the text says what the person can do."""


def cache_folder() -> Path:
    """Where the clients are kept."""
    return Path(os.environ.get("TIDEGATE_CLIENTS_CACHE") or DEFAULT_CACHE).absolute()


def installed(cache: Path) -> Programs:
    """Install what is not there yet. Raises NotInstalled."""
    cache.mkdir(parents=True, exist_ok=True)
    stamp = cache / "node_modules" / "installed-from"  # npm empties the folder before it installs
    wanted = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    with FileLock(cache / "lock", timeout=FETCH_S):
        if not stamp.is_file() or stamp.read_text() != wanted:
            _install(cache)
            stamp.write_text(wanted)
    packages = cache / "node_modules"
    return Programs(
        claude=packages / "@anthropic-ai" / "claude-code-linux-x64" / "claude",
        opencode=packages / "opencode-linux-x64" / "bin" / "opencode",
    )


def _install(cache: Path) -> None:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise NotInstalled("Node.js is missing: install the packages nodejs and npm (apt-get install nodejs npm).")
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(HERE / name, cache / name)
    # `ci` takes exactly what is locked; the packages hold native programs and need none of their scripts.
    order = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(cache)]
    try:
        done = subprocess.run(order, cwd=cache, capture_output=True, text=True, timeout=FETCH_S, check=False)
    except subprocess.TimeoutExpired as exc:
        raise NotInstalled(f"npm did not fetch the clients in {FETCH_S // 60} minutes: is the network slow?") from exc
    if done.returncode:
        told = "\n".join(done.stderr.splitlines()[-TOLD_LINES:])
        raise NotInstalled(f"npm could not fetch the clients (Linux on x86-64 is needed):\n{told}")
