"""The numbers that pages name are those of the code."""

import pytest

from core import export, logs, serve, sessions
from core.doctor import judge
from core.history import KEEP_REQUESTS
from core.model import Settings
from core.policy import polling, pool, rests, retry
from core.problems import SHORT_WAIT_S
from tests.pages import ROOT, Page

IN_WORDS = {1: "a", 3: "three", 4: "four", 5: "five", 8: "eight", 10: "ten", 12: "twelve"}
MINUTE_S, HOUR_S, DAY_S, MIB = 60, 3_600, 86_400, 1024 * 1024


def words(number: float) -> str:
    return IN_WORDS[int(number)]


FIGURES = {
    "docs/choosing.md": [
        f"its last request is less than {'an hour' if pool.CACHE_WARM_S == HOUR_S else '?'} ago",
        f"sent {words(retry.MAX_ATTEMPTS)} times at most and waits {retry.MAX_WAIT_S:.0f} s at most",
        f"up to {pool.SHORT_THROTTLE_S:.0f} s are waited for on the same account, once",
        f"fails {words(rests.UPSTREAM_FAILURES)} times in a row on one account",
        f"the others wait up to {retry.MAX_WAIT_S:.0f} s",
        f"one by one, {words(1 / pool.RAMP_STEP_S)} a second",
        f"after {rests.UNKNOWN_RESET_S / MINUTE_S:.0f} minute, then 2, 4",
        f"and so on up to {rests.UNKNOWN_RESET_MAX_S / MINUTE_S:.0f}",
        f"No rest is longer than {words(rests.LONGEST_REST_S / DAY_S)} days",
        f"one request in {words(rests.ASK_EVERY_S / MINUTE_S)} minutes",
        f"waits up to {Settings().hold_s:.0f} s (`hold_s`",
    ],
    "docs/clients.md": [
        f"within {words(SHORT_WAIT_S / MINUTE_S)} minute, Claude Code asks again",
        f"when the first reset is more than {words(SHORT_WAIT_S / MINUTE_S)} minute away",
        f"base URL `http://127.0.0.1:{Settings().port}`",
    ],
    "docs/headless.md": [
        f"not saved yet another {serve.SAVE_WITHIN_S:.0f} s",
    ],
    "docs/security.md": [
        f"works once, within {words(sessions.CODE_LIFE_S / MINUTE_S)} minute",
        f"good for {words(sessions.SESSION_LIFE_S / HOUR_S)} hours at most",
        f"{KEEP_REQUESTS:,} requests at most",
        f"{logs.LOG_BYTES / MIB:.0f} MB, {words(logs.LOGS_KEPT)} older files are kept",
        f"a passphrase of {words(export.LEAST_PASSPHRASE)} characters or more",
        f"every {words(polling.MIN_GAP_S / MINUTE_S)} minutes at most",
        f"not after {'an hour' if polling.IN_USE_S == HOUR_S else '?'} in which nothing was asked",
    ],
    "docs/troubleshooting.md": [
        f"less than {judge.LITTLE_BYTES / MIB:.0f} MB are free (note)",
        f"less than {judge.HARDLY_BYTES / MIB:.0f} MB (problem)",
        f"off by {'half a minute' if judge.SKEW_NOTED_S == MINUTE_S / 2 else '?'} (note)",
        f"or {words(judge.SKEW_WRONG_S / MINUTE_S)} minutes (problem)",
    ],
}


@pytest.mark.parametrize(("name", "figure"), [(name, figure) for name, them in FIGURES.items() for figure in them])
def test_page_has_the_number_of_the_code(name: str, figure: str) -> None:
    assert figure in " ".join(Page.read(ROOT / name).text.split())
