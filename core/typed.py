"""What a person types and nobody should see: at a prompt that shows nothing, else from standard input."""

import sys

import click

_MAX_INPUT = 16_384


def secret(name: str) -> str:
    """A key or passphrase, as it was typed; from standard input without its last line break."""
    if sys.stdin.isatty():
        return str(click.prompt(name, hide_input=True, err=True))
    return _piped()


def new_secret(name: str) -> str:
    """A passphrase that is being chosen: a person types it twice."""
    if sys.stdin.isatty():
        return str(click.prompt(name, hide_input=True, confirmation_prompt=True, err=True))
    return _piped()


def _piped() -> str:
    return sys.stdin.read(_MAX_INPUT).rstrip("\r\n")
