"""A client's request as far as choosing an account needs it. The body is looked into, never changed.

Nothing a client sends can fail here: what cannot be read is simply not known.
"""

import re
from typing import Any

import msgspec

from core.errors import UNREADABLE
from core.model import ClientKind, ModelFamily, ProviderName, Request, SessionId
from core.providers.headers import Headers

_SESSION_HEADERS_LAST = (b"x-opencode-session", b"x-session-affinity", b"x-session-id")
_MAX_SESSION_CHARS = 200
"""Longer ids are taken for none: sessions are remembered, and real ids have 30 to 40 characters."""

# `user_<64 hex>_account_<uuid or empty>_session_<uuid>`, sent by Claude Code before 2.1.78.
_OLD_USER_ID = re.compile(r"_session_([0-9a-f-]{36})$")
# claude-opus-5-5, claude-3-5-sonnet-20241022: the first word of letters alone.
_FAMILY = re.compile(r"claude-(?:[\d.]+-)*([a-z]+)")
# Tools that the client runs itself, and the search in its own list of tools. Any other type runs at the provider or is
# new, and a request that may act there must not run twice (types: anthropic SDK 2.12, OpenAI's Responses API).
_CLIENT_TOOL = re.compile(
    r"custom|function|(?:bash|text_editor|computer|memory)_(?:use_)?\d+|(?:computer|browser)_toolset_\d+"
    r"|computer_use_preview|local_shell|apply_patch|tool_search_tool\w*"
)


class _Metadata(msgspec.Struct):
    user_id: Any = None


class _Tool(msgspec.Struct):
    type: Any = None


class _Body(msgspec.Struct):
    """The four fields that are read; the decoder skips over the rest without building it."""

    model: Any = None
    metadata: _Metadata | None = None
    tools: list[_Tool] | None = None
    mcp_servers: Any = None


class _UserId(msgspec.Struct):
    session_id: str = ""


_body_decoder = msgspec.json.Decoder(_Body)
_user_id_decoder = msgspec.json.Decoder(_UserId)


def describe(provider: ProviderName, headers: Headers, body: bytes) -> Request:
    """What is known of a request; a body that is no such JSON leaves model, family and tools unknown."""
    try:
        content = _body_decoder.decode(body) if body else _Body()
    except UNREADABLE:
        content = _Body()
    model = content.model if isinstance(content.model, str) else ""
    return Request(
        provider,
        session=_session(headers, content.metadata),
        client=_client_kind(headers),
        model=model,
        family=family_of(model),
        # A body in a content coding is not looked into, so it may hold anything.
        server_tools=b"content-encoding" in headers
        or bool(content.mcp_servers)
        or any(map(_runs_at_provider, content.tools or ())),
    )


def family_of(model: str) -> ModelFamily | None:
    """The family that quota windows count a model under, None when its name does not say."""
    found = _FAMILY.search(model)
    return ModelFamily(found[1]) if found else None


def client_key(headers: Headers) -> tuple[bytes, ...]:
    """What may be the local key: the values of `x-api-key` and of the bearer token.

    Both, because a client with a key in its environment sends it beside the token of its settings file.
    """
    found = []
    if api_key := headers.get(b"x-api-key"):
        found.append(api_key.strip())
    scheme, _, token = (headers.get(b"authorization") or b"").partition(b" ")
    if scheme.lower() == b"bearer" and token.strip():
        found.append(token.strip())
    return tuple(found)


def _client_kind(headers: Headers) -> ClientKind:
    is_claude_code = (headers.get(b"user-agent") or b"").startswith(b"claude-cli/")
    return ClientKind.CLAUDE_CODE if is_claude_code else ClientKind.OTHER


def _session(headers: Headers, metadata: _Metadata | None) -> SessionId | None:
    """The conversation's id, from the most telling place that has one."""
    found = _text(headers.get(b"x-claude-code-session-id"))
    if not found and metadata is not None and isinstance(metadata.user_id, str):
        found = _session_of_user_id(metadata.user_id)
    for name in _SESSION_HEADERS_LAST:
        found = found or _text(headers.get(name))
    return SessionId(found) if found and len(found) <= _MAX_SESSION_CHARS else None


def _session_of_user_id(user_id: str) -> str:
    """The session in `metadata.user_id`, in its older form or in the JSON that Claude Code sends since 2.1.78."""
    if match := _OLD_USER_ID.search(user_id):
        return match[1]
    try:
        return _user_id_decoder.decode(user_id).session_id
    except UNREADABLE:
        return ""


def _runs_at_provider(tool: _Tool) -> bool:
    return isinstance(tool.type, str) and _CLIENT_TOOL.fullmatch(tool.type) is None


def _text(value: bytes | None) -> str:
    return value.decode("latin-1").strip() if value else ""
