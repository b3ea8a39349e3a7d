"""Other proxies, from their registries into build/bench/peers: how each is installed, configured and started.

Three accounts where they pool accounts, no limit on what runs at once where there is one, all else as it comes.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.bench.speed.native import BUILD, Target
from tests.bench.speed.subjects import KEYS, NotStarted, Start, Subject, free_port, process, until_answered

HOME = BUILD / "peers"
INSTALL_S = 600
LOCAL_KEY = "sk-local-key-of-the-benchmark"


def pinned() -> dict[str, tuple[str, str]]:
    """Installer and package of each peer."""
    lines = Path(__file__).with_name("peers.txt").read_text(encoding="utf-8").splitlines()
    words = [line.split() for line in lines if line and not line.startswith("#")]
    return {name: (installer, package) for installer, name, package in words}


def install(name: str) -> None:
    """Have this version of it here. Raises NotStarted."""
    installer, package = pinned()[name]
    folder = HOME / name
    mark = folder / "installed"
    if mark.exists() and mark.read_text(encoding="utf-8") == package:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if installer == "pip":
        _run([sys.executable, "-m", "venv", str(folder)])
        _run([str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package])
    else:
        _run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), package])
    mark.write_text(package, encoding="utf-8")


def _run(words: Sequence[str]) -> None:
    try:
        subprocess.run(words, check=True, capture_output=True, text=True, timeout=INSTALL_S)
    except FileNotFoundError as exc:
        raise NotStarted(f"{words[0]} is not here") from exc
    except subprocess.TimeoutExpired as exc:
        raise NotStarted(f"not installed in {INSTALL_S} s") from exc
    except subprocess.CalledProcessError as exc:
        said = (exc.stderr or exc.stdout or "").strip().splitlines()
        raise NotStarted(f"not installed: {said[-1] if said else exc}") from exc


@contextmanager
def _serving(
    folder: Path, words: Sequence[str], port: int, headers: Sequence[str], environ: Mapping[str, str] | None = None
) -> Iterator[Subject]:
    """A peer with a home of its own."""
    own = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", **(environ or {})}
    target = Target(port, headers)
    with process(words, folder, cwd=folder, environ=own) as started:
        yield Subject(target, started.pid, until_answered(started, target, folder))


TOKENBIRYANI = """
server: {{host: 127.0.0.1, port: {port}, hot_reload_seconds: 0}}
routing: {{strategy: least_loaded}}
store: {{backend: sqlite, path: {folder}/store.db}}
queue: {{max_size: 4096}}
accounts:
{accounts}
keys: [{{key: {key}, name: bench, admin: true}}]
"""


@contextmanager
def tokenbiryani(folder: Path, upstream: int) -> Iterator[Subject]:
    """Three API keys, the default limit of 16 requests for each lifted."""
    install("tokenbiryani")
    port = free_port()
    account = (
        "  - {{id: a{n}, type: anthropic_api, api_key: {key}, base_url: 'http://127.0.0.1:{up}', max_concurrency: 999}}"
    )
    accounts = "\n".join(account.format(n=n, key=key, up=upstream) for n, key in enumerate(KEYS))
    config = folder / "tokenbiryani.yaml"
    config.write_text(TOKENBIRYANI.format(port=port, folder=folder, accounts=accounts, key=LOCAL_KEY), encoding="utf-8")
    words = [str(HOME / "tokenbiryani/bin/tokenbiryani"), "-c", str(config), "serve", "--log-level", "warning"]
    with _serving(folder, words, port, [f"x-api-key: {LOCAL_KEY}"]) as subject:
        yield subject


@contextmanager
def claude_spillway(folder: Path, upstream: int) -> Iterator[Subject]:
    """One account, the client's own key; it pools nothing."""
    install("claude-spillway")
    port = free_port()
    config = folder / "config.yaml"
    config.write_text(f"anthropic: {{base_url: 'http://127.0.0.1:{upstream}'}}\n", encoding="utf-8")
    words = [str(HOME / "claude-spillway/bin/claude-spillway"), "serve", "-c", str(config), "--port", str(port)]
    with _serving(folder, [*words, "--log-level", "WARNING"], port, [f"x-api-key: {KEYS[0]}"]) as subject:
        yield subject


LITELLM = """
model_list:
{models}
router_settings: {{routing_strategy: simple-shuffle, num_retries: 2}}
litellm_settings: {{telemetry: false}}
general_settings: {{master_key: {key}}}
"""


@contextmanager
def litellm(folder: Path, upstream: int) -> Iterator[Subject]:
    """Three deployments of one model, one worker, no database."""
    install("litellm")
    port = free_port()
    model = (
        "  - {{model_name: claude-sonnet-4-5, litellm_params: {{model: anthropic/claude-sonnet-4-5,"
        " api_base: 'http://127.0.0.1:{up}', api_key: {key}}}}}"
    )
    models = "\n".join(model.format(up=upstream, key=key) for key in KEYS)
    config = folder / "config.yaml"
    config.write_text(LITELLM.format(models=models, key=LOCAL_KEY), encoding="utf-8")
    words = [str(HOME / "litellm/bin/litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    environ = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    with _serving(folder, words, port, [f"x-api-key: {LOCAL_KEY}"], environ) as subject:
        yield subject


@contextmanager
def better_ccflare(folder: Path, upstream: int) -> Iterator[Subject]:
    """Three `anthropic-compatible` accounts; it keeps every body in its database, as it comes."""
    install("better-ccflare")
    port = free_port()
    environ = {"BETTER_CCFLARE_HOST": "127.0.0.1", "BETTER_CCFLARE_DB_PATH": f"{folder}/accounts.db"}
    environ["BETTER_CCFLARE_CONFIG_PATH"] = f"{folder}/config.json"
    words = [str(HOME / "better-ccflare/node_modules/.bin/better-ccflare"), "--serve", "--port", str(port)]
    with _serving(folder, words, port, ["authorization: Bearer local"], environ) as subject:
        for number, key in enumerate(KEYS):
            account = {"name": f"bench{number}", "apiKey": key, "priority": 0}
            account["customEndpoint"] = f"http://127.0.0.1:{upstream}"
            url = f"http://127.0.0.1:{port}/api/accounts/anthropic-compatible"
            httpx.post(url, json=account, timeout=30, trust_env=False).raise_for_status()
        yield subject


PEERS: Mapping[str, Start] = {
    "tokenbiryani": tokenbiryani,
    "claude-spillway": claude_spillway,
    "litellm": litellm,
    "better-ccflare": better_ccflare,
}
