"""The tray with a core in memory: what to show comes in as lines of JSON, what was clicked goes out the same way."""

import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import msgspec
from msgspec.structs import replace

from core.errors import TidegateError
from core.import_glance import Glance
from core.model import Notification, Snapshot, Strategy
from tests.desktop.pictures import picture
from tray import backend
from tray.app import run


class MemoryCore:
    """A core that holds one snapshot and tells every command it gets."""

    def __init__(self, shown: str, now: float) -> None:
        self._now = now
        self._snapshot = picture(shown, now)
        self._changed: Callable[[], None] = lambda: None
        self._notify: Callable[[Notification], None] = lambda _: None
        self.stopped = threading.Event()

    def snapshot(self) -> Snapshot:
        return self._snapshot

    def show(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._changed()

    def do(self, name: str, /, **arguments: object) -> None:
        # The name of a strategy must not be taken for the name of the order.
        say("do", **{"strategy" if key == "name" else key: str(value) for key, value in arguments.items()}, name=name)
        accounts = self._snapshot.accounts
        if name == "pin":
            chosen = arguments["account"]
            views = tuple(replace(v, active=v.id == chosen, pinned=v.id == chosen, reason="") for v in accounts)
            views = tuple(replace(v, reason="you pinned it") if v.pinned else v for v in views)
            self.show(replace(self._snapshot, accounts=views))
        elif name == "unpin":
            self.show(replace(self._snapshot, accounts=tuple(replace(v, pinned=False) for v in accounts)))
        elif name == "strategy":
            self.show(replace(self._snapshot, strategy=Strategy(str(arguments["name"]))))

    @contextmanager
    def subscribed(
        self, changed: Callable[[], None], notify: Callable[[Notification], None], _ended: Callable[[str], None]
    ) -> Iterator[None]:
        self._changed, self._notify = changed, notify
        yield

    def answering(self, _shows: Callable[[], None]) -> AbstractContextManager[None]:
        return nullcontext()

    def finish(self) -> None:
        self.stopped.set()

    def local_key(self) -> str:
        return "local-key-of-the-test"

    def sign_in(self, kind: str) -> str:
        say("sign in", to=kind)
        return f"http://127.0.0.1:9/{kind}"

    def look_around(self, found: Callable[[Glance], None]) -> None:
        found(Glance(2, ("Claude Code", "OpenCode")))

    def take_over(self) -> None:
        say("took over")

    def dashboard_url(self) -> str:
        return ""

    def stop(self) -> None:
        self.stopped.set()

    def obey(self) -> None:
        """Read commands until the input ends."""
        for line in sys.stdin:
            command = json.loads(line)
            if "picture" in command:
                self.show(picture(command["picture"], self._now))
            if "notify" in command:
                self._notify(msgspec.convert(command["notify"], Notification))


def say(kind: str, **facts: str) -> None:
    print(json.dumps({"said": kind, **facts}), flush=True)


class Lines(logging.Handler):
    """The log as lines of JSON among the others."""

    def emit(self, record: logging.LogRecord) -> None:
        say("log", level=record.levelname, text=record.getMessage())


def main() -> int:
    logging.basicConfig(level=logging.INFO, handlers=[Lines()])
    shown, now, patience_s = sys.argv[1:]
    core = MemoryCore(shown, float(now))
    try:
        tray = backend.choose()
    except TidegateError as exc:
        say("error", title=exc.title, hint=exc.hint)
        return 1
    threading.Thread(target=core.obey, daemon=True).start()
    run(core, tray, host_patience_s=float(patience_s))
    say("ended", stopped=str(core.stopped.is_set()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
