"""What every client's settings must be; a new client is one more row of `CLIENTS`."""

import json

import pytest

from core.clients import CLIENTS

ADDRESS = "http://127.0.0.1:8433"
KEY = "tg-local-EXAMPLE"


@pytest.mark.parametrize("name", CLIENTS)
def test_settings_are_a_json_object_with_address_and_key(name: str) -> None:
    client = CLIENTS[name]
    text = client.settings(ADDRESS, KEY)

    assert isinstance(json.loads(text), dict)
    assert ADDRESS in text
    assert KEY in text
    assert client.file.startswith("~/")
    assert client.file.endswith(".json")


def test_claude_code_gets_the_base_url_without_v1() -> None:
    assert json.loads(CLIENTS["claude-code"].settings(ADDRESS, KEY)) == {
        "env": {"ANTHROPIC_BASE_URL": ADDRESS, "ANTHROPIC_AUTH_TOKEN": KEY}
    }


def test_opencode_keeps_its_providers_ids_and_gets_the_base_urls_with_v1() -> None:
    assert json.loads(CLIENTS["opencode"].settings(ADDRESS, KEY))["provider"] == {
        "anthropic": {"options": {"baseURL": f"{ADDRESS}/v1", "apiKey": KEY}},
        "opencode-go": {"options": {"baseURL": f"{ADDRESS}/zen/go/v1", "apiKey": KEY}},
    }
