import logging
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.files import Paths
from core.logs import LOG_BYTES, LOGS_KEPT, start_logging


@pytest.fixture(autouse=True)
def root_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(before):
        root.removeHandler(handler)
        handler.close()
    root.handlers, root.level = before, level


def test_our_lines_are_kept_at_the_chosen_level(tmp_path: Path) -> None:
    start_logging(Paths(tmp_path), "info", to_terminal=False)
    logging.getLogger("core.engine").info("Work → Home: %s", "5 h window full")
    logging.getLogger("core.engine").debug("details")
    text = Paths(tmp_path).log.read_text(encoding="utf-8")
    assert "INFO    Work → Home: 5 h window full" in text
    assert "details" not in text


def test_libraries_may_warn_and_nothing_else(tmp_path: Path) -> None:
    """They log whole headers and bodies when asked for details."""
    start_logging(Paths(tmp_path), "debug", to_terminal=False)
    logging.getLogger("httpx").debug("authorization: Bearer sk-ant-oat01-EXAMPLE")
    logging.getLogger("httpx").info("POST /v1/oauth/token")
    logging.getLogger("httpx").warning("something is odd")
    text = Paths(tmp_path).log.read_text(encoding="utf-8")
    assert "something is odd" in text
    assert "POST" not in text
    assert "sk-ant" not in text


def test_terminal_gets_the_lines_too_when_somebody_sits_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start_logging(Paths(tmp_path), "info", to_terminal=True)
    logging.getLogger("core.app").info("listening")
    assert "listening" in capsys.readouterr().err


def test_logs_rotate_and_stay_their_owners_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        start_logging(Paths(tmp_path), "info", to_terminal=False)
        log = logging.getLogger("core.app")
        for _ in range((LOGS_KEPT + 2) * LOG_BYTES // 100_000):
            log.info("%s", "x" * 100_000)
    finally:
        os.umask(before)
    files = sorted(tmp_path.glob("tidegate.log*"))
    assert len(files) == LOGS_KEPT + 1
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o600"}
    assert max(path.stat().st_size for path in files) <= LOG_BYTES + 200_000


def test_a_full_disk_is_told_once_and_the_log_goes_on_when_there_is_room(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start_logging(Paths(tmp_path), "info", to_terminal=False)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))  # no file may grow: as good as a full disk
    try:
        for number in range(3):
            logging.getLogger("core.app").info("line %d", number)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    logging.getLogger("core.app").info("line 3")

    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "tidegate.log cannot be written: File too large" in said
    assert "line 3" in Paths(tmp_path).log.read_text(encoding="utf-8")


def test_a_mistake_in_a_log_line_is_not_hidden(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start_logging(Paths(tmp_path), "info", to_terminal=False)
    logging.getLogger("core.app").info("%d", "no number")

    assert "Traceback" in capsys.readouterr().err
