"""Claude Code's settings. Its `env` block beats exported variables, base URL and token alike (measured 2026-08)."""

import json


def settings(address: str, key: str) -> str:
    """What `settings.json` needs. The base URL has no `/v1` here; AUTH_TOKEN, unlike API_KEY, asks no question."""
    return json.dumps({"env": {"ANTHROPIC_BASE_URL": address, "ANTHROPIC_AUTH_TOKEN": key}}, indent=2)
