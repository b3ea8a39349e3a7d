import io
import json
import socket
import sys
from pathlib import Path

import pytest

from core import start
from core.files import default_paths


@pytest.fixture
def _told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"{}")))
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.mark.usefixtures("_told_nothing")
@pytest.mark.parametrize("named", [True, False])
def test_the_status_line_asks_the_installation_that_is_named_or_the_usual_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, named: bool
) -> None:
    for variable in ("HOME", "XDG_DATA_HOME", "LOCALAPPDATA", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    folder = tmp_path / "named" if named else default_paths().root
    folder.mkdir(parents=True)
    monkeypatch.setattr(sys, "argv", ["tidegate", *(["--data-dir", str(folder)] if named else []), "statusline"])

    with socket.create_server(("127.0.0.1", 0)) as server:
        told = {"pid": 1, "port": server.getsockname()[1], "control_token": "secret"}
        (folder / "running.json").write_text(json.dumps(told))
        start.main()
        server.settimeout(10)
        server.accept()[0].close()


@pytest.mark.usefixtures("_told_nothing")
@pytest.mark.parametrize("options", ["--data-dir={}", "--vault file --data-dir {}"])
def test_other_spellings_mean_the_same(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path, options: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["tidegate", *options.format(tmp_path).split(), "statusline"])

    with pytest.raises(SystemExit) as ended:
        start.main()

    assert (ended.value.code, capsysbinary.readouterr().out) == (0, b"Tidegate is not running\n")
