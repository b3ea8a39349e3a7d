"""`tidegate import` and `tidegate export`, as a person and a script use them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from core import app
from core.vault import Vault
from tests.account_files import put
from tests.fakes_vault import MemoryBackend
from tests.instance import OFFLINE
from tests.test_cli import KEY, OTHER_KEY, Tidegate

PASSPHRASE = "correct horse battery"


@pytest.fixture
def tidegate(tmp_path: Path) -> Tidegate:
    return Tidegate(tmp_path / "tidegate")


@pytest.fixture
def two(tidegate: Tidegate) -> Tidegate:
    tidegate("add", "api-key", "--label", "Work", input=KEY)
    tidegate("add", "api-key", "--label", "Home", input=OTHER_KEY)
    return tidegate


@pytest.fixture
def core(tidegate: Tidegate) -> Iterator[app.Core]:
    """The same installation, running."""
    options = app.Options(vault=Vault(MemoryBackend()), port=0, environ=OFFLINE)
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(app.running(tidegate.paths, options)) as core,
    ):
        yield core


def test_import_shows_its_plan_and_asks(tidegate: Tidegate) -> None:
    put(Path(tidegate.environ["HOME"]) / ".config/opencode/opencode-go-accounts.json", "opencode-go-accounts.json")

    declined, shown = tidegate.at_terminal("import", answers=[("Do this?", "n")])
    assert tidegate.json("list") == []
    accepted, told = tidegate.at_terminal("import", answers=[("Do this?", "")])
    again, _ = tidegate.at_terminal("import")

    assert (declined, accepted, again) == (1, 0, 1)  # one of the accounts there has no key
    assert "Would add Work: OpenCode Go from opencode-go-multi-auth" in shown
    assert "Added Work" not in shown
    assert "Added Work: OpenCode Go from opencode-go-multi-auth" in told
    assert [view["label"] for view in tidegate.json("list")] == ["Work", "Home"]


def test_passphrase_of_an_export_is_typed_twice_and_not_shown(two: Tidegate, tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    answers = [("Passphrase for the export", PASSPHRASE), ("Repeat for confirmation", PASSPHRASE)]

    code, shown = two.at_terminal("export", str(path), "--with-credentials", answers=answers)

    assert code == 0, shown
    assert PASSPHRASE not in shown
    assert "Exported with their keys: Work, Home." in shown
    there = Tidegate(tmp_path / "there")
    _, moved = there.at_terminal(
        "import", str(path), answers=[("Passphrase of the export", PASSPHRASE), ("Do this?", "y")]
    )
    assert [view["label"] for view in there.json("list")] == ["Work", "Home"], moved


def test_export_goes_to_standard_output_or_a_new_file(two: Tidegate, tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    shown = two("export")
    written = two("export", str(path))
    again = two("export", str(path))

    assert [entry["label"] for entry in json.loads(shown.stdout)["accounts"]] == ["Work", "Home"]
    assert shown.stderr.startswith("Exported Work, Home without credentials.\n")
    assert (written.exit_code, written.stdout) == (0, "")
    assert again.exit_code == 2
    assert "is there already" in again.stderr
    assert two("export", str(path), "--force").exit_code == 0
    assert json.loads(path.read_text())["accounts"] == json.loads(shown.stdout)["accounts"]
    assert KEY not in shown.output + path.read_text()


def test_export_of_a_running_instance_needs_nothing_of_it(tidegate: Tidegate, core: app.Core) -> None:
    tidegate("add", "go", "--label", "Go", input="sk-go")

    assert json.loads(tidegate("export").stdout)["accounts"][0]["label"] == "Go"
    assert core.engine.pool.accounts


def test_export_without_accounts_is_nothing_to_do(tidegate: Tidegate) -> None:
    assert tidegate("export").exit_code == 3
    assert tidegate("export", "--with-credentials", input="short").exit_code == 2


def test_vault_without_any_of_the_credentials_is_told(two: Tidegate) -> None:
    two.paths.vault.unlink()

    result = two("export", "--with-credentials", input=PASSPHRASE)

    assert (result.exit_code, result.stdout) == (1, "")
    assert "--vault" in result.stderr
