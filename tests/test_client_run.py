"""One program is run with Tidegate in its environment, and in no file."""

import json
import sys
from pathlib import Path

import pytest

from core.client_run import run, tried
from core.clients import Offered
from core.errors import TidegateError
from tests.desk import ADDRESS, OFFERED


def test_a_program_is_run_with_tidegate_in_its_environment_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-mine")
    monkeypatch.setenv("TIDEGATE_VAULT_KEY", "secret")
    told = tmp_path / "told"
    names = ["ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY", "TIDEGATE_VAULT_KEY"]
    told_by = f"open({str(told)!r}, 'w').write(json.dumps([os.environ.get(name) for name in {names}]))"
    program = f"import json, os, sys; {told_by}; sys.exit(7)"

    assert run([sys.executable, "-c", program], OFFERED) == 7

    assert json.loads(told.read_text()) == [ADDRESS, "tg-EXAMPLE-1", None, None]


def test_a_program_that_cannot_be_started_says_so() -> None:
    with pytest.raises(TidegateError, match="Cannot start no-such-program-anywhere"):
        run(["no-such-program-anywhere"], OFFERED)


def test_an_address_where_nobody_answers_is_told() -> None:
    assert "Nothing answers" in tried(Offered("http://127.0.0.1:1", "tg-EXAMPLE"))
