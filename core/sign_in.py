"""`tidegate add claude` and `add console` in a terminal: open the browser, and take a pasted code at the same time."""

import queue
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import click

from core.errors import SignInFailed
from core.programs import open_url
from core.wording import TERMS

LOOK_EVERY_S = 0.5
_MAX_INPUT = 16_384

Order = Callable[..., Any]


def run(
    orders: AbstractContextManager[Order],
    wish: Mapping[str, object],
    *,
    paste: bool,
    open_browser: Callable[[str], bool] = open_url,
) -> None:
    """Sign in and say what came of it. Raises TidegateError when it failed.

    Without a browser (`paste`, or none that opens) the code is asked for, or read from standard input.
    """
    click.echo(f"{TERMS}\n", err=True)
    with orders as order:
        offer = order("begin_login", **wish, browser=not paste)
        try:
            way = _by_browser if not paste and open_browser(offer["url"]) else _by_code
            text = way(order, offer)
        except (KeyboardInterrupt, click.Abort):
            order("cancel_login", id=offer["id"])
            raise
    click.echo(text)


def _by_browser(order: Order, offer: Mapping[str, str]) -> str:
    click.echo("Your browser shows the provider's page: sign in there.", err=True)
    typed: queue.SimpleQueue[str] = queue.SimpleQueue()
    if sys.stdin.isatty():
        click.echo(f"If it cannot come back here, open this and paste the code:\n\n{offer['paste_url']}\n", err=True)
        # A daemon: a line that nobody types must not keep the program from ending.
        threading.Thread(target=lambda: typed.put(sys.stdin.readline()), daemon=True).start()
    while True:
        answer = order("await_login", id=offer["id"], for_s=LOOK_EVERY_S)
        if "text" in answer:
            return str(answer["text"])
        if not typed.empty() and (line := typed.get().strip()):
            return str(order("paste_login", id=offer["id"], text=line)["text"])


def _by_code(order: Order, offer: Mapping[str, str]) -> str:
    click.echo(f"Open this address, sign in, and copy the code it shows:\n\n{offer['paste_url']}\n", err=True)
    if not sys.stdin.isatty():
        return str(order("paste_login", id=offer["id"], text=sys.stdin.read(_MAX_INPUT))["text"])
    while True:
        line = click.prompt("Code", err=True)
        try:
            return str(order("paste_login", id=offer["id"], text=line)["text"])
        except SignInFailed as exc:  # perhaps only half of it was copied: the sign-in may still be open
            click.echo(f"{exc.title}. {exc.hint}", err=True)
            order("await_login", id=offer["id"])  # raises when it is over
