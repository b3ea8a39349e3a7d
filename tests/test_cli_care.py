"""Commands for who looks after an installation, and what all listings have to bear."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from prometheus_client.parser import text_string_to_metric_families

from core import app, remote
from core.files import Paths
from core.history import History, RequestRow
from core.history_samples import SampleRow, WindowKey
from core.logs import LOG_BYTES, Entry, as_json, as_text
from core.model import AccountId, ProviderName, Usage
from tests.test_cli import KEY, Tidegate

ARROW = "Work → Home: 5 h window full"


@pytest.fixture
def tidegate(tmp_path: Path) -> Tidegate:
    """An installation with two accounts, of which one has a name that no ASCII console can show."""
    made = Tidegate(tmp_path / "tidegate")
    made("add", "api-key", "--label", "Wörk → 1", input=KEY)
    made("add", "go", "--label", "Home", input="go-EXAMPLE-0001")
    return made


@contextmanager
def running(tidegate: Tidegate) -> Iterator[app.Core]:
    options = app.Options(vault="file", port=0, environ=tidegate.environ)
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(app.running(tidegate.paths, options)) as core,
    ):
        yield core


def remember(paths: Paths, *rows: RequestRow | SampleRow) -> None:
    """Put requests and quota readings into the history."""
    with start_blocking_portal("asyncio") as portal:
        history = History.open(paths.history)
        for row in rows:
            if isinstance(row, SampleRow):
                history.sample(row)
            else:
                history.record(row)
        portal.call(history.close)


def write_log(paths: Paths, *entries: Entry) -> None:
    with paths.log.open("a", encoding="utf-8") as log:
        log.writelines(f"{as_text(entry)}\n" for entry in entries)


@contextmanager
def started(tidegate: Tidegate, *words: str, **environ: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A command in a process of its own, ended with Ctrl-C's signal if the test did not end it."""
    program = subprocess.Popen(
        [sys.executable, "-m", "core.cli", *tidegate.options, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **tidegate.environ, **environ},
    )
    try:
        yield program
    finally:
        if program.poll() is None:
            program.kill()
        program.communicate()


def line_of(stream: IO[bytes] | None) -> str:
    assert stream
    return stream.readline().decode().rstrip("\n")


# --- doctor ----------------------------------------------------------------------------------------


def test_doctor_finds_what_is_wrong_and_says_what_to_do(tidegate: Tidegate) -> None:
    tidegate.paths.config.chmod(0o644)

    shown = tidegate("doctor")

    assert shown.exit_code == 1
    assert "chmod 600" in shown.stdout
    answer = tidegate.json("doctor")
    assert not answer["healthy"]
    problems = {check["check"] for check in answer["checks"] if check["verdict"] == "problem"}
    assert problems == {"files", "provider"}  # no provider can be reached in these tests


def test_doctor_asks_the_instance_that_runs(tidegate: Tidegate) -> None:
    with running(tidegate) as core:
        answer = tidegate.json("doctor")
        port = core.engine.address.rpartition(":")[2]
    said = {check["check"]: check for check in answer["checks"]}
    assert said["instance"]["verdict"] == "ok"
    assert f"at port {port}" in said["instance"]["text"]
    assert "port" not in said


def test_report_of_the_real_doctor_names_nobody(tidegate: Tidegate) -> None:
    text = tidegate("doctor", "--report").stdout
    assert "Account 1 (Anthropic API key)" in text
    assert "Account 2 (OpenCode Go)" in text
    for canary in ("Wörk", "Home:", "Home (", KEY, tidegate.environ["TIDEGATE_VAULT_KEY"]):
        assert canary not in text


# --- logs ------------------------------------------------------------------------------------------


def test_logs_are_shown_as_text_and_as_json(tidegate: Tidegate) -> None:
    entries = [Entry(1_763_000_000.0 + number, "INFO", f"fact {number}", "0a1b2c3d") for number in range(30)]
    write_log(tidegate.paths, *entries)

    assert tidegate("logs", "-n", "2").stdout.splitlines() == [as_text(entry) for entry in entries[-2:]]
    assert tidegate("logs", "-n", "2", "--json").stdout.splitlines() == [as_json(entry) for entry in entries[-2:]]
    assert len(tidegate("logs").stdout.splitlines()) == 20


def test_logs_cannot_steer_the_terminal(tidegate: Tidegate) -> None:
    write_log(tidegate.paths, Entry(1.0, "WARNING", "\x1b[2Jgone"))
    assert "\x1b[2J" not in tidegate("logs").stdout


def test_logs_are_followed_over_a_rotation_until_ctrl_c(tidegate: Tidegate) -> None:
    write_log(tidegate.paths, Entry(1.0, "INFO", "before"))
    with started(tidegate, "logs", "-f", "-n", "1", "--json") as program:
        assert json.loads(line_of(program.stdout))["text"] == "before"
        write_log(tidegate.paths, Entry(2.0, "INFO", "x" * (LOG_BYTES // 100)))
        assert json.loads(line_of(program.stdout))["at"] == 2.0
        tidegate.paths.log.replace(f"{tidegate.paths.log}.1")
        write_log(tidegate.paths, Entry(3.0, "INFO", ARROW))
        assert json.loads(line_of(program.stdout))["text"] == ARROW
        program.send_signal(signal.SIGINT)
        assert program.wait(10) == 0


# --- usage -----------------------------------------------------------------------------------------


def test_usage_is_told_by_account_and_model(tidegate: Tidegate) -> None:
    (view, _) = tidegate.json("list")
    at = tidegate.json("status")["at"]
    row = RequestRow(
        at, ProviderName.ANTHROPIC, 200, "Served", 1, 1.0, account=AccountId(view["id"]), model="claude-opus-5"
    )
    remember(tidegate.paths, row, RequestRow(at, row.provider, 200, "Served", 1, 1.0, usage=Usage(1_500)))

    (first, second) = tidegate.json("usage")["by"]
    assert (first["label"], first["input"]) == ("nobody", 1_500)
    assert (second["label"], second["model"], second["requests"]) == ("Wörk → 1", "claude-opus-5", 1)
    plotted = tidegate("usage", "--plot", "--days", "1").stdout
    assert "claude-opus-5" in plotted
    assert "█" in plotted or "#" in plotted


@pytest.mark.parametrize("days", ["1", "300"])
def test_plot_has_the_course_of_every_window(tidegate: Tidegate, days: str) -> None:
    (_, view) = tidegate.json("list")
    at = tidegate.json("status")["at"]
    remember(tidegate.paths, SampleRow(at - 60, WindowKey(AccountId(view["id"]), "weekly"), 0.62))

    plotted = tidegate("usage", "--plot", "--days", days).stdout.splitlines()
    answer = tidegate.json("usage", "--plot", "--days", days)

    (course,) = (line for line in plotted if line.startswith("Home  week"))
    assert course.rstrip().endswith("62 %")
    assert set(answer) == {"usage", "quota"}
    assert answer["usage"]["by"] == []
    assert [(curve["label"], curve["points"]) for curve in answer["quota"]["curves"]] == [("Home", [[at - 60, 0.62]])]


def test_requests_are_listed_the_newest_first(tidegate: Tidegate) -> None:
    at = tidegate.json("status")["at"]
    rows = (
        RequestRow(at - ago_s, ProviderName.ANTHROPIC, 200, "Served", 1, 1.0, model=f"m{ago_s}") for ago_s in (9, 5)
    )
    remember(tidegate.paths, *rows)

    _, first, second = tidegate("history", "--requests").stdout.splitlines()
    (only,) = tidegate.json("history", "--requests", "-n", "1")["entries"]

    assert ("m5" in first, "m9" in second, "answered" in first) == (True, True, True)
    assert (only["model"], only["label"]) == ("m5", "")


# --- status --watch --------------------------------------------------------------------------------


def test_status_is_watched_until_ctrl_c(tidegate: Tidegate) -> None:
    with running(tidegate), started(tidegate, "status", "--watch", "--json") as program:
        assert json.loads(line_of(program.stdout))["strategy"] == "balanced"
        tidegate("strategy", "sticky")
        while json.loads(line_of(program.stdout))["strategy"] != "sticky":
            pass
        program.send_signal(signal.SIGINT)
        assert program.wait(10) == 0


def test_status_is_watched_as_text_and_ends_with_the_instance(tidegate: Tidegate) -> None:
    with contextlib.ExitStack() as stack:
        core = stack.enter_context(running(tidegate))
        watching = started(tidegate, "status", "--watch", PYTHONIOENCODING="ascii")
        with watching as program:
            assert f"running at {core.engine.address}" in line_of(program.stdout)
            stack.close()
            assert program.wait(20) == 1
            assert program.stderr
            assert b"Tidegate has ended" in program.stderr.read()


def test_watching_wants_somebody_to_watch(tidegate: Tidegate) -> None:
    shown = tidegate("status", "--watch")
    assert (shown.exit_code, "not running" in shown.stderr) == (1, True)


# --- completion and dashboard ----------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_for_the_program_by_its_name(tidegate: Tidegate, shell: str) -> None:
    script = tidegate("completion", shell).stdout
    assert "_TIDEGATE_COMPLETE" in script
    assert "tidegate" in script


def test_bash_understands_the_completion(tidegate: Tidegate) -> None:
    bash = shutil.which("bash")
    assert bash
    script = tidegate("completion", "bash").stdout
    subprocess.run([bash, "-n"], input=script, text=True, check=True, timeout=20)


def test_dashboard_wants_a_running_instance(tidegate: Tidegate) -> None:
    shown = tidegate("dashboard")
    assert (shown.exit_code, "not running" in shown.stderr) == (1, True)


def test_dashboard_prints_the_link_where_there_is_no_browser(tidegate: Tidegate) -> None:
    nothing = {"PATH": "/nonexistent", "BROWSER": "/nonexistent/browser", "DISPLAY": "", "WAYLAND_DISPLAY": ""}
    with running(tidegate) as core, started(tidegate, "dashboard", **nothing) as program:
        url = line_of(program.stdout)
        assert program.wait(20) == 0
        assert url.startswith(f"{core.engine.address}/-/open?code=")
        assert httpx.get(url, trust_env=False).status_code == 200


# --- metrics ---------------------------------------------------------------------------------------


def test_metrics_of_a_running_instance_are_behind_a_key(tidegate: Tidegate) -> None:
    with running(tidegate) as core:
        found = remote.find(tidegate.paths)
        assert found
        url = f"{core.engine.address}/-/metrics"
        key = {"authorization": f"Bearer {found.control_token}"}
        assert httpx.get(url, trust_env=False).status_code == 401
        answer = httpx.get(url, headers=key, trust_env=False)

    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    read = {one.name: one.value for family in text_string_to_metric_families(answer.text) for one in family.samples}
    assert read["tidegate_accounts_ready"] == 2
    assert read["tidegate_history_pending_rows"] >= 0


# --- what all listings have to bear ----------------------------------------------------------------

LISTINGS = [
    ["list"],
    ["status"],
    ["info", "1"],
    ["explain"],
    ["history"],
    ["history", "--requests"],
    ["usage", "--plot"],
    ["strategy"],
    ["config", "get"],
    ["doctor"],
    ["doctor", "--report"],
    ["logs"],
    ["autostart", "status"],
    ["connect", "claude-code", "--print"],
    ["import", "--dry-run"],
    ["completion", "bash"],
    ["completion", "zsh"],
    ["completion", "fish"],
    ["--help"],
]


@pytest.mark.parametrize("words", LISTINGS, ids=" ".join)
def test_listing_bears_a_console_without_utf_8_and_without_colour(tidegate: Tidegate, words: list[str]) -> None:
    write_log(tidegate.paths, Entry(1.0, "WARNING", ARROW))
    (view, _) = tidegate.json("list")
    remember(
        tidegate.paths,
        RequestRow(
            tidegate.json("status")["at"],
            ProviderName.ANTHROPIC,
            200,
            "Served",
            1,
            1.0,
            account=AccountId(view["id"]),
            model="modèle",
            usage=Usage(1_500),
        ),
        SampleRow(tidegate.json("status")["at"], WindowKey(AccountId(view["id"]), "5h"), 0.5),
    )
    with started(tidegate, *words, PYTHONIOENCODING="ascii", NO_COLOR="1", FORCE_COLOR="") as program:
        out, err = program.communicate(timeout=60)

    assert b"Traceback" not in err
    assert program.returncode in {0, 1, 3}
    assert out or err  # nothing to import is told on standard error
    assert b"\x1b" not in out + err
    (out + err).decode("ascii")
