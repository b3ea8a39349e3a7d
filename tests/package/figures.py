"""What the installed program costs: how soon it answers, what it holds, how often it wakes. Linux only."""

import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

IDLE_S = 30.0
ANSWER_WITHIN_S = 20.0
LOOK_AGAIN_S = 0.002
STARTING = 503
PROMPT = {"model": "claude-sonnet-5", "max_tokens": 64, "messages": [{"role": "user", "content": "hello"}]}


@dataclass(frozen=True, slots=True)
class Memory:
    """Of a process and its children, in MB."""

    rss: float
    pss: float


def installed_mb(root: Path) -> float:
    """What the package takes on the disk, as dpkg counted it."""
    status = (root / "var/lib/dpkg/status").read_text("utf-8")
    paragraph = next(part for part in status.split("\n\n") if part.startswith("Package: tidegate\n"))
    found = re.search(r"^Installed-Size: (\d+)$", paragraph, re.MULTILINE)
    assert found
    return int(found[1]) * 1024 / 1e6


@dataclass(frozen=True, slots=True)
class Start:
    """From the start of a program to its first answer, in seconds."""

    wall: float
    cpu: float
    """What the program itself has computed. It hardly depends on what else this machine does."""


def first_answer(start: Callable[[], "subprocess.Popen[bytes]"], url: str, key: str) -> Start:
    """Start it, ask until a prompt is answered, end it."""
    program = start()
    try:
        began = _executed_at(program)
        with httpx.Client(base_url=url, headers=headers(key), trust_env=False, timeout=ANSWER_WITHIN_S) as client:
            while not _answered(client):
                assert program.poll() is None, "it ended before it answered"
                assert time.monotonic() < began + ANSWER_WITHIN_S, "no answer"
                time.sleep(LOOK_AGAIN_S)  # a port does not tell when it opens
        return Start(time.monotonic() - began, _computed_s(program.pid))
    finally:
        program.terminate()
        program.wait(ANSWER_WITHIN_S)


def _executed_at(program: "subprocess.Popen[bytes]") -> float:
    """When the process became Tidegate: what went before has put it into the clean system."""
    while Path(f"/proc/{program.pid}/comm").read_text("utf-8") != "tidegate\n":
        assert program.poll() is None, "it was not started"
        time.sleep(LOOK_AGAIN_S / 2)
    return time.monotonic()


def _computed_s(pid: int) -> float:
    tasks = (task for process in family(pid) for task in Path(f"/proc/{process}/task").iterdir())
    return sum(int((task / "schedstat").read_text("utf-8").split()[0]) for task in tasks) / 1e9


def headers(key: str) -> dict[str, str]:
    """What a client sends with each prompt."""
    return {"x-api-key": key, "anthropic-version": "2023-06-01"}


def _answered(client: httpx.Client) -> bool:
    try:
        answer = client.post("/v1/messages", json=PROMPT)
    except httpx.ConnectError:
        return False
    if answer.status_code == STARTING:
        return False
    assert answer.is_success, answer.text
    return True


def memory(pid: int) -> Memory:
    """What a process and its children hold now."""
    sizes = [_rollup(process) for process in family(pid)]
    return Memory(sum(rss for rss, _ in sizes) / 1e3, sum(pss for _, pss in sizes) / 1e3)


def _rollup(pid: int) -> tuple[float, float]:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8")
    rss, pss = (float(re.search(rf"^{name}: +(\d+) kB", text, re.MULTILINE)[1]) for name in ("Rss", "Pss"))
    return rss * 1.024, pss * 1.024


def wakeups_per_s(pid: int, seconds: float = IDLE_S) -> dict[str, float]:
    """How often each thread of a process and its children went to sleep of itself, which it does after each waking."""
    before = _switches(pid)
    time.sleep(seconds)
    after = _switches(pid)
    return {name: (count - before.get(name, 0)) / seconds for name, count in after.items()}


def _switches(pid: int) -> dict[str, int]:
    """By name and id of the thread."""
    counts = {}
    for process in family(pid):
        for task in Path(f"/proc/{process}/task").iterdir():
            text = (task / "status").read_text("utf-8")
            found = re.search(r"^voluntary_ctxt_switches:\s+(\d+)$", text, re.MULTILINE)
            assert found
            counts[f"{(task / 'comm').read_text('utf-8').strip()} {task.name}"] = int(found[1])
    return counts


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text("utf-8").split():
            found += family(int(child))
    return found
