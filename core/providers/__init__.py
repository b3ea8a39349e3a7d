"""Whose wire format is spoken for which kind of account: one row each."""

from collections.abc import Mapping
from types import MappingProxyType

from core.model import AccountKind
from core.providers.anthropic import Anthropic
from core.providers.base import Provider
from core.providers.opencode_go import OpencodeGo

PROVIDERS: Mapping[AccountKind, Provider] = MappingProxyType(
    {
        AccountKind.CLAUDE: Anthropic(AccountKind.CLAUDE),
        AccountKind.API_KEY: Anthropic(AccountKind.API_KEY),
        AccountKind.GO: OpencodeGo(),
    }
)
