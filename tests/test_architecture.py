"""What keeps the layout true: a test file for each module, quick starts, no host names in the locks."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(path.relative_to(ROOT) for package in ("core", "tray") for path in (ROOT / package).rglob("*.py"))
WITHOUT_BEHAVIOUR = {
    Path("core/doctor/facts.py"),
    Path("core/simulator/faults.py"),
    Path("tray/items.py"),
    Path("tray/seams.py"),
}
"""Only names and fields: nothing that could be wrong."""


CONTRACTS = {Path("core/autostart"), Path("core/cli"), Path("core/clients"), Path("core/imports")}
"""One test file for all modules of a folder: they keep the same promises."""


def test_file_of(module: Path) -> Path:
    """core/policy/pool.py is tested by test_policy_pool.py, tray/menu.py by test_tray_menu.py."""
    if module.parent in CONTRACTS:
        return ROOT / "tests" / f"test_{module.parent.name}.py"
    parts = [part for part in module.with_suffix("").parts if part != "core"]
    name = "_".join(part.strip("_") for part in parts)
    return ROOT / "tests" / f"test_{name}.py"


test_file_of.__test__ = False  # type: ignore[attr-defined]


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_every_module_with_code_has_a_test_file_of_its_name(module: Path) -> None:
    if module.name == "__init__.py" or module in WITHOUT_BEHAVIOUR:
        return
    assert test_file_of(module).exists(), f"{module} wants {test_file_of(module).name}"


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_every_module_says_what_it_is_for(module: Path) -> None:
    assert (ROOT / module).read_text(encoding="utf-8").startswith('"""')


def loaded_by(statement: str) -> set[str]:
    """The modules that are loaded after a statement in a fresh interpreter."""
    program = f"{statement}; import sys; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def test_command_line_starts_without_the_web_stack_and_the_keychain() -> None:
    assert not loaded_by("import core.cli") & {"starlette", "httpx", "keyring", "secretstorage", "asyncio", "rich"}


def test_core_starts_without_the_web_stack_and_without_a_toolkit() -> None:
    assert not loaded_by("import core.app") & {"starlette", "pystray", "PIL", "truststore", "cryptography"}


@pytest.mark.parametrize("lock", sorted((ROOT / "packaging" / "requirements").glob("*.txt")), ids=lambda p: p.name)
def test_locks_have_a_hash_for_everything_and_name_no_host(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    pinned = re.findall(r"^[a-zA-Z0-9._-]+(?:\[[^\]]*\])?==.*$", text, re.MULTILINE)
    assert len(pinned) > 30
    assert all(line.endswith("\\") for line in pinned), "a line without hashes"
    assert "://" not in text
    assert "index" not in re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
