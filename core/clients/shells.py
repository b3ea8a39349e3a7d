"""Programs that read the environment: from a shell's start file, or from a project's `.env`."""

from collections.abc import Iterator, Mapping, Sequence

from core.clients.base import Client, Get, Offered, Setting, environment
from core.clients.env_lines import form_of


def _start_file(environ: Mapping[str, str]) -> Sequence[str]:
    match environ.get("SHELL", "").rpartition("/")[2]:
        case "zsh":
            return ("{home}/.zshrc",)
        case "fish":
            return ("{config}/fish/conf.d/tidegate.fish",)
        case _:
            return ("{home}/.bashrc",)


def _dotenv(_: Mapping[str, str]) -> Sequence[str]:
    return ("{PWD}/.env",)


def _for_all(offered: Offered) -> Sequence[Setting]:
    return [
        Setting((name,), value, secret=name == "ANTHROPIC_AUTH_TOKEN") for name, value in environment(offered).items()
    ]


def _for_sdks(offered: Offered) -> Sequence[Setting]:
    # Of two credentials the SDK for Python (2.12) sends ANTHROPIC_API_KEY, so a key of the person's own makes way.
    return [
        Setting(("ANTHROPIC_BASE_URL",), offered.address),
        Setting(("ANTHROPIC_API_KEY",), offered.key, secret=True),
    ]


def _of_shell(get: Get, environ: Mapping[str, str]) -> Iterator[str]:
    yield "It counts in shells that start from now on, for every program in them."
    if environ.get("ANTHROPIC_API_KEY") or get("ANTHROPIC_API_KEY"):
        yield "ANTHROPIC_API_KEY is set here as well: Anthropic's SDKs send that one, which is refused. Take it out."


def _of_project(get: Get, environ: Mapping[str, str]) -> Iterator[str]:
    yield "The file now holds a key: keep it out of version control."
    if get("ANTHROPIC_API_KEY"):
        yield "Its own ANTHROPIC_API_KEY rests meanwhile."
    for name in ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"):
        if environ.get(name):
            yield f"{name} is set here: programs take that before what the file says."


SHELL = Client("Shell (bash, zsh, fish)", _start_file, _for_all, _of_shell, form_of)
SDK = Client("Anthropic's SDKs, in this folder", _dotenv, _for_sdks, _of_project, form_of)
