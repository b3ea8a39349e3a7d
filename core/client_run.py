"""A program run with Tidegate in its environment and in no file; whether Tidegate takes a program's key."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence

from core import jsonc, programs
from core.clients import CLIENTS, Offered, printed
from core.clients.base import environment
from core.errors import TidegateError

TRY_S = 2.0
"""It is on this machine: it answers at once or not at all."""


def tried(offered: Offered) -> str:
    """What keeps the address from answering to this key, in words; empty when it does."""
    import httpx  # noqa: PLC0415 - most callers have no need of them

    from core import trust  # noqa: PLC0415

    key, verify = {"x-api-key": offered.key}, trust.unused()
    try:
        answer = httpx.head(f"{offered.address}/", headers=key, timeout=TRY_S, trust_env=False, verify=verify)
    except (httpx.HTTPError, httpx.InvalidURL):
        return f"Nothing answers at {offered.address} yet. Start Tidegate: `tidegate`, or `tidegate serve`."
    return "" if answer.is_success else f"{offered.address} does not take the key: another Tidegate listens there."


def run(command: Sequence[str], offered: Offered) -> int:
    """Run a program to its end with Tidegate in its environment, and in no file. Returns its exit code.

    Raises TidegateError when it cannot be started.
    """
    environ = programs.environment()
    environ.pop("ANTHROPIC_API_KEY", None)  # two credentials would be one too many
    environ |= environment(offered)
    opencode = jsonc.read(printed(CLIENTS["opencode"], offered))
    environ["OPENCODE_CONFIG_CONTENT"] = json.dumps({"provider": opencode["provider"]})
    try:
        with _theirs_to_interrupt():
            return subprocess.run(command, env=environ, check=False).returncode  # noqa: S603 - what the person typed
    except OSError as exc:
        raise TidegateError(f"Cannot start {command[0]}: {exc.strerror or exc}", "Is it installed?") from exc


@contextlib.contextmanager
def _theirs_to_interrupt() -> Iterator[None]:
    """Ctrl-C is for the program: it may ask first, or only end what it is doing."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if os.name == "nt" else lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
