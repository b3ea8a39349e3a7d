import contextvars
import json
import logging
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import UsageError
from core.files import Paths
from core.logs import LOG_BYTES, LOGS_KEPT, Entry, as_json, as_text, begin_request, read, start_logging


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


def test_lines_of_one_request_carry_its_id_and_others_none(tmp_path: Path) -> None:
    def serve(number: int) -> None:
        begin_request()
        for part in ("chosen", "served"):
            logging.getLogger("core.proxy").info("%s %d", part, number)

    start_logging(Paths(tmp_path), "info", to_terminal=False)
    for number in (1, 2):
        contextvars.copy_context().run(serve, number)
    logging.getLogger("core.poller").info("asked")

    with Paths(tmp_path).log.open(encoding="utf-8") as lines:
        ids = {entry.text: entry.request for entry in read(lines)}
    assert ids["chosen 1"] == ids["served 1"] != ids["chosen 2"] == ids["served 2"]
    assert all(len(ids[text]) == 8 for text in ("chosen 1", "chosen 2"))
    assert ids["asked"] == ""


def test_log_can_be_json_for_programs(tmp_path: Path) -> None:
    start_logging(Paths(tmp_path), "info", to_terminal=False, form="json")
    logging.getLogger("core.engine").info("Work → Home")
    (line,) = Paths(tmp_path).log.read_text(encoding="utf-8").splitlines()
    assert json.loads(line).keys() == {"at", "level", "text", "request"}
    assert json.loads(line)["text"] == "Work → Home"


def test_form_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="TIDEGATE_LOG_FORMAT cannot be 'xml'"):
        start_logging(Paths(tmp_path), "info", to_terminal=False, form="xml")


@pytest.mark.parametrize("form", ["text", "json"])
def test_credential_in_a_line_or_its_traceback_is_hidden(tmp_path: Path, form: str) -> None:
    start_logging(Paths(tmp_path), "info", to_terminal=False, form=form)
    try:
        int("sk-ant-oat01-CANARYCANARY")
    except ValueError:
        logging.getLogger("core.link").exception("authorization: Bearer CANARY-of-another-shape")
    text = Paths(tmp_path).log.read_text(encoding="utf-8")
    assert "CANARY" not in text
    assert "[hidden]" in text
    assert "Traceback" in text


def test_line_break_in_a_message_forges_no_entry(tmp_path: Path) -> None:
    start_logging(Paths(tmp_path), "info", to_terminal=False)
    logging.getLogger("core.proxy").info("model %s", "x\n2026-01-01 00:00:00,000 ERROR   forged")
    with Paths(tmp_path).log.open(encoding="utf-8") as lines:
        (entry,) = read(lines)
    assert entry.level == "INFO"


@pytest.mark.parametrize(
    "entry",
    [
        Entry(1_763_000_000.25, "INFO", "Work → Home: 5 h window full"),
        Entry(1_763_000_000.999, "WARNING", "with an id", "0a1b2c3d"),
        Entry(1_763_000_000.0, "ERROR", "it failed\nTraceback (most recent call last):\n  ValueError: no", "0a1b2c3d"),
        Entry(1_763_000_000.0, "INFO", ""),
        Entry(1_763_000_000.0, "INFO", "[brackets] of its own"),
    ],
)
def test_both_forms_read_back_as_they_were(entry: Entry) -> None:
    assert list(read(as_text(entry).splitlines())) == [entry]
    assert list(read([as_json(entry)])) == [entry]


def test_both_forms_may_be_in_one_file_and_what_begins_no_entry_is_left_out() -> None:
    one, other = Entry(1.0, "INFO", "one"), Entry(2.0, "INFO", "other")
    assert list(read(["cut off by the rotation", as_text(one), as_json(other)])) == [one, other]
    assert list(read([as_text(one), "{no JSON}"])) == [Entry(1.0, "INFO", "one\n{no JSON}")]
