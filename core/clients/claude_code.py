"""Claude Code. Its `env` block beats exported variables, base URL and token alike (measured 2026-08)."""

from collections.abc import Iterator, Mapping, Sequence

from core.clients.base import Client, Get, Offered, Setting, environment

_CLOUDS = {
    "CLAUDE_CODE_USE_BEDROCK": "Amazon Bedrock",
    "CLAUDE_CODE_USE_VERTEX": "Google Vertex AI",
    "CLAUDE_CODE_USE_FOUNDRY": "Microsoft Foundry",
}
_OFF = ("", "0", "false", "no", "off")
_LATER = ("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN")
"""Credentials that Claude Code passes over when it has ANTHROPIC_AUTH_TOKEN (documented order, 2026-08)."""


def other_credentials(variables: Mapping[str, str]) -> Iterator[str]:
    """What Claude Code does about the other credentials that its environment holds, and what is to be done."""
    for name, cloud in _CLOUDS.items():
        if variables.get(name, "0").casefold() not in _OFF:
            yield f"{name} is set and goes before Tidegate: {cloud} would be asked. Take it out."
    for name in _LATER:
        if variables.get(name):
            yield f"It also has {name}. Tidegate's key goes first, so that one is not used."


def _places(_: Mapping[str, str]) -> Sequence[str]:
    return ("{claude}/settings.json",)


def _settings(offered: Offered) -> Sequence[Setting]:
    # AUTH_TOKEN, unlike API_KEY, asks the person nothing and goes before a login of Claude Code's own.
    return [
        Setting(("env", name), value, secret=name == "ANTHROPIC_AUTH_TOKEN")
        for name, value in environment(offered).items()
    ]


def _notes(get: Get, environ: Mapping[str, str]) -> Iterator[str]:
    variables = {**environ, **{name: str(value) for name, value in (get("env") or {}).items()}}
    yield from other_credentials(variables)
    if get("apiKeyHelper"):
        yield "It also has apiKeyHelper. Tidegate's key goes first, so that is not asked."
    yield "Its own login rests meanwhile: no /usage for the plan, and no Remote Control."


CLAUDE_CODE = Client("Claude Code", _places, _settings, _notes)
