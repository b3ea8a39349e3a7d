"""What all commands of the command line share: the installation that is meant, common options, how JSON is printed.

Only click is imported here and in the modules beside it: `tidegate --help` and shell completion must be quick, so each
command imports what it uses.
"""

import contextlib
import gc
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import click

from core.errors import TidegateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from core.autostart import Autostart
    from core.files import Paths

VaultKind = Literal["keyring", "file"]
_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Session:
    """What the global options say."""

    data_dir: str | None
    vault: VaultKind

    @property
    def paths(self) -> "Paths":
        """The files of the installation that is meant."""
        from pathlib import Path  # noqa: PLC0415

        from core.files import Paths, default_paths  # noqa: PLC0415

        return Paths(Path(self.data_dir).expanduser().absolute()) if self.data_dir else default_paths()

    @property
    def options(self) -> list[str]:
        """The global options as they would be typed again elsewhere."""
        where = ["--data-dir", str(self.paths.root)] if self.data_dir else []
        return where + (["--vault", self.vault] if self.vault != "keyring" else [])

    def order(self, command: str, /, **arguments: object) -> Any:
        """Have one command obeyed, by the running instance or here. Raises TidegateError."""
        with self.orders() as order:
            return order(command, **arguments)

    @contextlib.contextmanager
    def orders(self) -> "Iterator[Callable[..., Any]]":
        """Have several commands obeyed, all by the same instance."""
        from core import remote  # noqa: PLC0415

        if running := remote.find(self.paths):
            yield lambda command, /, **arguments: remote.call(running, command, arguments)
            return
        from core import app, threaded  # noqa: PLC0415

        with threaded.alone_in_thread(self.paths, app.Options(vault=self.vault)) as run:
            yield lambda command, /, **arguments: run(command, arguments)

    def autostart(self) -> "Autostart":
        """What starts this installation at login."""
        from core.autostart import of_this_system  # noqa: PLC0415

        return of_this_system(self.options)

    def tell(self, command: str, /, **arguments: object) -> None:
        """Have one command obeyed and print what it says."""
        click.echo(self.order(command, **arguments)["text"])


@contextlib.contextmanager
def starting() -> "Iterator[None]":
    """While an instance starts nothing looks for garbage: there is none, and it takes 45 ms. `app.settle` ends that."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Duration(click.ParamType[float]):
    """`90s`, `30m`, `1h`, `1h30m`, `2d`: a duration in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it."""
        if isinstance(value, float):
            return value
        parts = re.findall(r"(\d{1,6})([smhd])", value)
        if not parts or "".join(map("".join, parts)) != value:
            self.fail(f"{value!r} is no duration: write 90s, 30m, 1h or 2d.", param, ctx)
        return float(sum(int(number) * _UNIT_S[unit] for number, unit in parts))


as_json = click.option("--json", "as_json", is_flag=True, help="For programs.")
label_option = click.option("--label", default="", help="What you want to call it.")
serves_option = click.option(
    "--serves", type=click.Choice(["any", "claude-code"]), default="any", help="Which clients it may serve."
)


def print_json(value: object) -> None:
    """Print an answer for programs."""
    import json  # noqa: PLC0415

    click.echo(json.dumps(value, indent=2))


def offer_import(*, err: bool = False) -> None:
    """Tell what other programs have that could be imported."""
    import time  # noqa: PLC0415

    from core.import_offer import offer  # noqa: PLC0415
    from core.wording import plain  # noqa: PLC0415

    if found := offer(time.time()):
        click.echo(plain(found), err=err)


def offer_at_first(session: Session) -> None:
    """Before the first account, tell a person at a terminal what could be imported."""
    if sys.stderr is None or not sys.stderr.isatty():  # a Windows program without a console has none
        return
    from core import config as config_  # noqa: PLC0415

    with contextlib.suppress(TidegateError):  # whoever needs the config tells what is wrong with it
        saved = config_.peek(session.paths.config)
        if saved is None or not saved.accounts:
            offer_import(err=True)
