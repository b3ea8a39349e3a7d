"""Claude Code. Its `env` block beats exported variables, base URL and token alike (measured 2026-08)."""

from collections.abc import Iterator, Mapping, Sequence

from core.clients.base import Client, IsSet, Offered, Setting, environment


def _places(_: Mapping[str, str]) -> Sequence[str]:
    return ("{claude}/settings.json",)


def _settings(offered: Offered) -> Sequence[Setting]:
    # AUTH_TOKEN, unlike API_KEY, asks the person nothing and goes before a login of Claude Code's own.
    return [
        Setting(("env", name), value, secret=name == "ANTHROPIC_AUTH_TOKEN")
        for name, value in environment(offered).items()
    ]


def _notes(is_set: IsSet, environ: Mapping[str, str]) -> Iterator[str]:
    if "ANTHROPIC_API_KEY" in environ or is_set("env", "ANTHROPIC_API_KEY"):
        yield "It also has ANTHROPIC_API_KEY. Tidegate's key goes first, so that key is not used."
    if is_set("apiKeyHelper"):
        yield "It also has apiKeyHelper. Tidegate's key goes first, so that is not asked."
    yield "Its own login rests meanwhile: no /usage for the plan, and no Remote Control."


CLAUDE_CODE = Client("Claude Code", _places, _settings, lambda *known: tuple(_notes(*known)))
