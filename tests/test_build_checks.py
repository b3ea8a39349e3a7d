"""T18: what is built is what was locked, and the product does nothing that opens it to others. Each check can fail."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for package in ("core", "tray") for path in (ROOT / package).rglob("*.py"))
LOCKS = sorted((ROOT / "packaging/requirements").glob("*.txt"))


# --- what product code may not do ------------------------------------------------------------------

NEVER_IMPORTED = {
    "pickle": "it runs what it reads",
    "marshal": "it runs what it reads",
    "shelve": "it runs what it reads",
    "yaml": "it may run what it reads",
    "cgitb": "it prints local variables",
}
NEVER_CALLED = {
    "eval": "it runs a text",
    "exec": "it runs a text",
    "os.system": "it asks a shell",
    "os.popen": "it asks a shell",
    "subprocess.getoutput": "it asks a shell",
    "subprocess.getstatusoutput": "it asks a shell",
    "tempfile.mktemp": "another program can be there first",
    "ssl._create_unverified_context": "it believes every certificate",
    "httpx.get": "it listens to proxies of the environment",
    "httpx.post": "it listens to proxies of the environment",
    "httpx.request": "it listens to proxies of the environment",
    "httpx.stream": "it listens to proxies of the environment",
}
NEVER_GIVEN = {
    ("shell", True): "a shell takes the words apart",
    ("verify", False): "every certificate is believed",
    ("check_hostname", False): "a certificate of anybody is believed",
    ("trust_env", True): "the environment chooses the proxy",
    ("follow_redirects", True): "a credential follows to another host",
    ("show_locals", True): "tracebacks hold local variables",
    ("capture_locals", True): "tracebacks hold local variables",
}
WILDCARDS = {"", "0", "::", None}
CLIENTS = {"httpx.Client", "httpx.AsyncClient"}


def unsafe(source: str) -> list[str]:
    """What a module does that it must not, with the line."""
    return [f"line {line}: {what}" for line, what in _unsafe(ast.parse(source))]


def _unsafe(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for name in names:
                    yield from _told(node.lineno, name.name.partition(".")[0], NEVER_IMPORTED)
            case ast.ImportFrom(module=str(module), names=names):
                yield from _told(node.lineno, module.partition(".")[0], NEVER_IMPORTED)
                for name in names:
                    yield from _told(node.lineno, f"{module}.{name.name}", NEVER_CALLED)
            case ast.Call():
                yield from _call(node)
            case ast.Assign(targets=[ast.Attribute(attr=attr)], value=ast.Constant(value=value)):
                yield from _told(node.lineno, (attr, value), NEVER_GIVEN)
            case ast.Attribute(attr="CERT_NONE"):
                yield node.lineno, "CERT_NONE: every certificate is believed"
            case ast.Constant(value="0.0.0.0"):
                yield node.lineno, "0.0.0.0: everybody on the network is listened to"


def _call(node: ast.Call) -> Iterator[tuple[int, str]]:
    name = ast.unparse(node.func)
    given = {word.arg: word.value.value for word in node.keywords if isinstance(word.value, ast.Constant)}
    yield from _told(node.lineno, name, NEVER_CALLED)
    for pair in given.items():
        yield from _told(node.lineno, pair, NEVER_GIVEN)
    if name in CLIENTS and given.get("trust_env") is not False:
        yield node.lineno, f"{name}: without trust_env=False the environment chooses the proxy"
    if name.rpartition(".")[2] in {"bind", "create_server", "start_server"}:
        addresses = {part.value for one in node.args for part in ast.walk(one) if isinstance(part, ast.Constant)}
        for address in addresses & WILDCARDS:
            yield node.lineno, f"{name}({address!r}): everybody on the network is listened to"


def _told(line: int, what: object, table: "dict[str, str] | dict[tuple[str, bool], str]") -> Iterator[tuple[int, str]]:
    if what in table:
        yield line, f"{what}: {table[what]}"  # type: ignore[index]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_product_code_runs_no_text_asks_no_shell_and_believes_no_stranger(path: Path) -> None:
    assert unsafe(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "planted",
    [
        "import pickle",
        "from yaml import safe_load",
        "eval(text)",
        "from os import system",
        "os.system('ls')",
        "subprocess.run(words, shell=True)",
        "httpx.get(url)",
        "httpx.AsyncClient(timeout=3)",
        "httpx.Client(trust_env=True)",
        "client.get(url, follow_redirects=True)",
        "httpx.Client(trust_env=False, verify=False)",
        "context.check_hostname = False",
        "context.verify_mode = ssl.CERT_NONE",
        "HOST = '0.0.0.0'",
        "sock.bind(('', 80))",
        "loop.create_server(protocol, '::', 80)",
        "loop.create_server(protocol, None, 80)",
        "rich.traceback.install(show_locals=True)",
    ],
)
def test_what_may_not_be_done_is_found(planted: str) -> None:
    assert unsafe(planted), planted


# --- importing does nothing ------------------------------------------------------------------------

_LOUD = (
    "socket.connect",
    "socket.bind",
    "socket.sendto",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "subprocess.Popen",
    "os.system",
    "os.exec",
)
_IMPORTS = """
import importlib, json, sys
loud, modules = json.loads(sys.argv[1])
told = []
sys.addaudithook(lambda event, args: told.append(f"{event} {args}"[:200]) if event in loud else None)
for name in modules:
    try:
        importlib.import_module(name)
    except ImportError as exc:
        told.append(f"missing {name}: {exc}")
print(json.dumps(told))
"""
_OF_OTHER_SYSTEMS = frozenset({"tray.windows", "tray.macos"})


def done_by_importing(*modules: str, folder: Path = ROOT) -> list[str]:
    """What a fresh interpreter did while it imported them, of what can be heard outside."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), "HOME": "/nonexistent"}
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTS, json.dumps([_LOUD, modules])],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        timeout=60,
    )
    return list(json.loads(done.stdout))


def test_importing_every_module_speaks_to_nobody_and_starts_nothing() -> None:
    names = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in SOURCES
        if path.name != "__main__.py"
    }
    assert len(names) > 150
    assert done_by_importing(*sorted(names - _OF_OTHER_SYSTEMS)) == []


@pytest.mark.parametrize(
    ("planted", "event"),
    [
        ("import socket; socket.socket().connect_ex(('127.0.0.1', 9))", "socket.connect"),
        ("import subprocess; subprocess.run(['true'])", "subprocess.Popen"),
    ],
)
def test_module_that_does_something_when_it_is_imported_is_found(tmp_path: Path, planted: str, event: str) -> None:
    (tmp_path / "planted.py").write_text(planted)
    assert any(told.startswith(event) for told in done_by_importing("planted", folder=tmp_path))


# --- what is installed -----------------------------------------------------------------------------


def loose(lock: str) -> list[str]:
    """Lines of a lock that let something in which nobody has seen: no exact version, no hash, another place."""
    entries = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*$", "", lock, flags=re.MULTILINE)).splitlines()
    exact = re.compile(r"[A-Za-z0-9._-]+(\[[\w,-]+\])?==[\w.+!]+( ; [^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*")
    return [entry for entry in entries if entry.strip() and not exact.fullmatch(entry)]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_lock_lets_nothing_in_but_exact_versions_with_their_hashes(lock: Path) -> None:
    assert loose(lock.read_text(encoding="utf-8")) == []


HASH = f"--hash=sha256:{'0' * 64}"


@pytest.mark.parametrize(
    "planted",
    [
        f"click>=8 \\\n    {HASH}",
        "click==8.2.0",
        "click==8.2.0 \\\n    --hash=md5:00",
        f"click @ https://example.org/click.whl \\\n    {HASH}",
        "--extra-index-url https://example.org/simple",
        "-e .",
    ],
)
def test_line_that_lets_something_in_is_found(planted: str) -> None:
    assert loose(f"anyio==4.16.0 \\\n    {HASH}\n    # via click\n{planted}\n")


def test_every_dependency_is_locked_in_the_same_version_everywhere() -> None:
    pinned = {
        lock.stem: dict(re.findall(r"^([\w.-]+)(?:\[.*?\])?==(\S+)", lock.read_text("utf-8"), re.MULTILINE))
        for lock in LOCKS
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {re.split(r"[^\w.-]", line)[0].replace(".", "-") for line in project["dependencies"]}
    assert wanted <= pinned["run"].keys()
    for lock, versions in pinned.items():
        differing = {name for name in versions.keys() & pinned["test"].keys() if versions[name] != pinned["test"][name]}
        assert not differing, lock


def test_environment_is_made_from_hashes_alone() -> None:
    commands = (ROOT / "packaging/make-venv").read_text("utf-8").splitlines()
    installs = [line for line in commands if "pip install" in line]
    assert len(installs) == 2
    assert all("--require-hashes" in line or "--no-deps --no-build-isolation" in line for line in installs)


KNOWN_PTH = {"distutils-precedence.pth", "_editable_impl_tidegate.pth"}
"""Of setuptools, which comes with Python 3.11, and of this checkout. Every other one runs at each start of Python."""


def strange_pth(folder: Path) -> list[str]:
    """Files that Python runs at its start and nobody knows."""
    return sorted(path.name for path in folder.glob("*.pth") if path.name not in KNOWN_PTH)


def test_nothing_runs_by_itself_when_python_starts(tmp_path: Path) -> None:
    site = next(Path(place) for place in sys.path if place.endswith("site-packages"))
    assert strange_pth(site) == []
    ours = (site / "_editable_impl_tidegate.pth").read_text("utf-8").split()
    assert set(ours) == {str(ROOT)}
    (tmp_path / "litellm_init.pth").touch()
    assert strange_pth(tmp_path) == ["litellm_init.pth"]


# --- what is shipped -------------------------------------------------------------------------------

SHIPPED = {".py", ".css", ".js", ".html", ".svg", ".mo", ".pot", ".po", ".typed", ".md"}


def stowaways(names: list[str]) -> list[str]:
    """Files of a wheel that do not belong there."""
    found = []
    for name in names:
        path = PurePosixPath(name)
        is_shipped = path.suffix in SHIPPED or path.name == "LICENSE"
        is_ours = path.parts[0] in {"core", "tray"} and is_shipped and "__pycache__" not in path.parts
        if not is_ours and not re.fullmatch(r"tidegate-[\w.]+\.dist-info", path.parts[0]):
            found.append(name)
    return found


@pytest.mark.timeout(300)
def test_wheel_has_the_two_packages_and_nothing_else_and_is_the_same_twice(tmp_path: Path) -> None:
    built = []
    for name in ("one", "two"):
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / name],
            cwd=ROOT,
            check=True,
            capture_output=True,
            timeout=120,
        )
        (wheel,) = (tmp_path / name).glob("*.whl")
        built.append(wheel.read_bytes())
    names = zipfile.ZipFile(wheel).namelist()
    assert len(names) > 200
    assert stowaways(names) == []
    assert built[0] == built[1]


@pytest.mark.parametrize(
    "planted", ["tests/fakes.py", "core/history.db", "evil.pth", "tray/__pycache__/app.py", "core/.env"]
)
def test_file_that_does_not_belong_into_a_wheel_is_found(planted: str) -> None:
    assert stowaways(["core/app.py", "tidegate-1.0.dist-info/RECORD", planted]) == [planted]
