"""What is known of a client's request."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.model import ClientKind, ModelFamily, ProviderName, Request, SessionId
from core.providers.headers import Headers
from core.providers.incoming import client_key, describe

NOTHING = Headers([])
UUID = "11111111-2222-4333-8444-555555555555"
OLD_USER_ID = f"user_{'0' * 64}_account__session_{UUID}"
NEW_USER_ID = json.dumps({"device_id": "d", "account_uuid": "", "session_id": UUID})


def described(body: object = None, *lines: tuple[bytes, bytes]) -> Request:
    return describe(ProviderName.ANTHROPIC, Headers(lines), json.dumps(body).encode() if body is not None else b"")


def test_a_request_of_claude_code_is_known_in_full() -> None:
    request = described(
        {"model": "claude-opus-5-5", "messages": [], "tools": [{"name": "Bash", "input_schema": {}}]},
        (b"User-Agent", b"claude-cli/2.1.329 (external, cli)"),
        (b"X-Claude-Code-Session-Id", UUID.encode()),
    )
    assert request == Request(
        ProviderName.ANTHROPIC,
        session=SessionId(UUID),
        client=ClientKind.CLAUDE_CODE,
        model="claude-opus-5-5",
        family=ModelFamily("opus"),
        server_tools=False,
    )


@pytest.mark.parametrize(
    ("lines", "user_id", "expected"),
    [
        ({b"x-claude-code-session-id": b"a", b"x-session-id": b"e"}, OLD_USER_ID, "a"),
        ({b"x-opencode-session": b"c"}, OLD_USER_ID, UUID),
        ({b"x-opencode-session": b"c"}, NEW_USER_ID, UUID),
        ({b"x-opencode-session": b"c", b"x-session-affinity": b"d", b"x-session-id": b"e"}, None, "c"),
        ({b"x-session-affinity": b"d", b"x-session-id": b"e"}, "somebody", "d"),
        ({b"x-session-id": b"e"}, "{}", "e"),
        ({b"x-session-id": b"e"}, '{"session_id": 5}', "e"),
        ({b"x-claude-code-session-id": b"", b"x-session-id": b" e "}, 5, "e"),
        ({b"x-session-id": b"e" * 5000}, None, None),
        ({}, None, None),
    ],
)
def test_a_session_is_taken_from_the_most_telling_place(
    lines: dict[bytes, bytes], user_id: object, expected: str | None
) -> None:
    assert described({"metadata": {"user_id": user_id}}, *lines.items()).session == expected


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("claude-opus-5-5", "opus"),
        ("claude-sonnet-5", "sonnet"),
        ("claude-haiku-4-5-20251001", "haiku"),
        ("claude-fable-5", "fable"),
        ("claude-3-5-sonnet-20241022", "sonnet"),
        ("claude-3-opus-latest", "opus"),
        ("claude-opus-4-6[1m]", "opus"),
        ("us.anthropic.claude-sonnet-4-5-v1:0", "sonnet"),
        ("claude-2.1", None),
        ("glm-5.3", None),
        ("", None),
    ],
)
def test_a_family_is_taken_from_the_models_name(model: str, family: str | None) -> None:
    request = described({"model": model})
    assert (request.model, request.family) == (model, family)


@pytest.mark.parametrize(
    ("agent", "kind"),
    [
        (b"claude-cli/2.1.329 (external, sdk-py, agent-sdk/0.2.186)", ClientKind.CLAUDE_CODE),
        (b"opencode/1.18.33 claude-cli/2", ClientKind.OTHER),
        (b"Anthropic/Python 2.12.0", ClientKind.OTHER),
        (b"", ClientKind.OTHER),
    ],
)
def test_claude_code_is_known_by_its_user_agent(agent: bytes, kind: ClientKind) -> None:
    assert described(None, (b"user-agent", agent)).client is kind


@pytest.mark.parametrize(
    "tool",
    [
        {"name": "x"},
        {"name": "x", "type": None},
        {"name": "x", "type": "custom"},
        {"type": "function", "function": {"name": "x"}},
        {"type": "bash_20250124"},
        {"type": "text_editor_20250728"},
        {"type": "computer_20251124"},
        {"type": "computer_toolset_20260801"},
        {"type": "browser_toolset_20260801"},
        {"type": "memory_20250818"},
        {"type": "tool_search_tool_bm25_20251119"},
        {"type": "local_shell"},
    ],
    ids=lambda tool: str(tool.get("type")),
)
def test_a_tool_that_the_client_runs_may_be_asked_for_twice(tool: dict[str, Any]) -> None:
    assert not described({"tools": [tool]}).server_tools


@pytest.mark.parametrize(
    "body",
    [
        {"tools": [{"name": "x"}, {"type": "web_search_20260318"}]},
        {"tools": [{"type": "web_fetch_20260318"}]},
        {"tools": [{"type": "code_execution_20260521"}]},
        {"tools": [{"type": "bash_code_execution_20260101"}]},
        {"tools": [{"type": "text_editor_code_execution_20260101"}]},
        {"tools": [{"type": "mcp_toolset", "mcp_server_name": "x"}]},
        {"tools": [{"type": "advisor_20260301"}]},
        {"tools": [{"type": "something_new_20270101"}]},
        {"tools": [{"type": "code_interpreter"}]},
        {"mcp_servers": [{"type": "url", "url": "https://example.org"}]},
    ],
    ids=lambda body: str(next(iter(body.values()))),
)
def test_a_request_that_may_act_at_the_provider_is_marked(body: dict[str, Any]) -> None:
    assert described(body).server_tools


def test_no_tools_and_no_servers_are_no_server_tools() -> None:
    assert not described({"tools": [], "mcp_servers": []}).server_tools
    assert not described({"tools": None, "mcp_servers": None}).server_tools


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x28\xb5\x2f\xfd zstd",
        b"[]",
        b"null",
        b'{"model": "claude-opus-5", "tools": {}}',
        b'{"model": "claude-opus-5", "metadata": "x"}',
        b'{"model": "claude-\xff"}',
        b'{"model":',
        b"[" * 100_000,
        b'{"messages":' + b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:40]),
)
def test_a_body_that_cannot_be_read_leaves_the_rest_known(body: bytes) -> None:
    headers = Headers([(b"user-agent", b"claude-cli/2"), (b"x-session-id", b"s")])
    assert describe(ProviderName.OPENCODE_GO, headers, body) == Request(
        ProviderName.OPENCODE_GO, session=SessionId("s"), client=ClientKind.CLAUDE_CODE
    )


def test_odd_types_of_small_fields_are_not_known() -> None:
    assert described({"model": 5, "metadata": {"user_id": []}, "tools": [{"type": 7}]}) == Request(
        ProviderName.ANTHROPIC
    )


@settings(deadline=None)
@given(st.binary() | st.binary().map(lambda noise: b'{"model":"' + noise + b'","tools":[' + noise + b"]}"))
def test_no_body_raises(body: bytes) -> None:
    assert describe(ProviderName.ANTHROPIC, NOTHING, body).provider is ProviderName.ANTHROPIC


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], ()),
        ([(b"X-Api-Key", b"k1")], (b"k1",)),
        ([(b"Authorization", b"Bearer k2")], (b"k2",)),
        ([(b"authorization", b"bearer  k2 ")], (b"k2",)),
        ([(b"authorization", b"Bearer k2"), (b"x-api-key", b"k1")], (b"k1", b"k2")),
        ([(b"authorization", b"Basic k2")], ()),
        ([(b"authorization", b"Bearer "), (b"x-api-key", b"")], ()),
    ],
)
def test_the_local_key_may_come_in_either_header(lines: list[tuple[bytes, bytes]], expected: tuple[bytes, ...]) -> None:
    assert client_key(Headers(lines)) == expected
