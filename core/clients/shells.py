"""Programs that read the environment: from a shell's start file, or from a project's `.env`."""

from collections.abc import Mapping, Sequence

from core.clients.base import Client, IsSet, Offered, Setting, environment
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


def _settings(offered: Offered) -> Sequence[Setting]:
    return [
        Setting((name,), value, secret=name == "ANTHROPIC_AUTH_TOKEN") for name, value in environment(offered).items()
    ]


def _of_shell(_: IsSet, environ: Mapping[str, str]) -> Sequence[str]:
    new = "It counts in shells that start from now on, for every program in them."
    if "ANTHROPIC_API_KEY" in environ:
        return new, "ANTHROPIC_API_KEY is set here as well: some programs use that one. Take it out of your shell."
    return (new,)


def _of_project(_: IsSet, __: Mapping[str, str]) -> Sequence[str]:
    return ("The file now holds a key: keep it out of version control.",)


SHELL = Client("Shell (bash, zsh, fish)", _start_file, _settings, _of_shell, form_of)
SDK = Client("Anthropic's SDKs, in this folder", _dotenv, _settings, _of_project, form_of)
