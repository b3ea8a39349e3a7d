"""OpenCode's settings. `options.apiKey` beats its own `auth.json` and the environment (measured 2026-08)."""

import json


def settings(address: str, key: str) -> str:
    """What `opencode.json` needs: the providers keep their ids, which bring the models and Go's session header."""
    paths = {"anthropic": "/v1", "opencode-go": "/zen/go/v1"}
    providers = {name: {"options": {"baseURL": address + path, "apiKey": key}} for name, path in paths.items()}
    return json.dumps({"$schema": "https://opencode.ai/config.json", "provider": providers}, indent=2)
