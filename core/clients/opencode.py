"""OpenCode. `options.apiKey` beats its own `auth.json` and the environment (measured 2026-08)."""

from collections.abc import Mapping, Sequence

from core.clients.base import Client, Get, Offered, Setting

_PATHS = {"anthropic": "/v1", "opencode-go": "/zen/go/v1"}
"""The providers keep their ids, which bring the models and Go's session header."""
MODELS = {
    "claude-opus-5-5": "Claude Opus 5.5",
    "claude-sonnet-5-5": "Claude Sonnet 5.5",
    "claude-haiku-4-5": "Claude Haiku 4.5",
}
"""What is offered when Tidegate cannot be asked for the models."""


def _places(_: Mapping[str, str]) -> Sequence[str]:
    # It makes an empty .jsonc at its first run, and that beats the .json beside it.
    return ("{config}/opencode/opencode.jsonc", "{config}/opencode/opencode.json")


def _settings(offered: Offered) -> Sequence[Setting]:
    pool = ("provider", "tidegate")
    models = {id_: {"name": f"{name} (Tidegate)"} for id_, name in (offered.models or MODELS).items()}
    options = {"baseURL": f"{offered.address}/v1", "apiKey": offered.key}
    return [
        *(
            Setting(("provider", name, "options", key), value, secret=key == "apiKey")
            for name, path in _PATHS.items()
            for key, value in {"baseURL": offered.address + path, "apiKey": offered.key}.items()
        ),
        Setting((*pool, "npm"), "@ai-sdk/anthropic"),
        Setting((*pool, "name"), "Tidegate"),
        *(Setting((*pool, "options", key), value, secret=key == "apiKey") for key, value in options.items()),
        Setting((*pool, "models"), models),
    ]


def _notes(_: Get, environ: Mapping[str, str]) -> Sequence[str]:
    own = "Logins and keys of its own for Anthropic and OpenCode Go rest meanwhile."
    before = [name for name in ("OPENCODE_CONFIG", "OPENCODE_CONFIG_CONTENT") if environ.get(name)]
    return own, *(f"{name} is set here and goes before this file." for name in before)


OPENCODE = Client("OpenCode", _places, _settings, _notes)
