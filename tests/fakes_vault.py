"""A vault back end in memory, which fails when a test says so and remembers what was asked of it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from core.errors import VaultError, VaultTimeout
from core.model import OAuthTokens

T = TypeVar("T")


class MemoryBackend:
    """A dictionary. `duplicates` are foreign items, found before ours as a keychain may do."""

    def __init__(self) -> None:
        self.items: dict[str, str] = {}
        self.duplicates: dict[str, list[str]] = {}
        self.calls: list[tuple[str, str]] = []
        self.reading_fails: VaultError | None = None
        self.writing_fails: VaultError | None = None

    def get(self, key: str) -> Sequence[str]:
        self.calls.append(("get", key))
        if self.reading_fails:
            raise self.reading_fails
        return [*self.duplicates.get(key, []), *([self.items[key]] if key in self.items else [])]

    def set(self, key: str, secret: str) -> None:
        self.calls.append(("set", key))
        if self.writing_fails:
            raise self.writing_fails
        self.items[key] = secret

    def delete(self, key: str) -> None:
        self.calls.append(("delete", key))
        if self.writing_fails:
            raise self.writing_fails
        self.items.pop(key, None)
        self.duplicates.pop(key, None)


def login(number: int, *, expires_at: float = 2e9, length: int = 0) -> OAuthTokens:
    """Tokens that tell themselves apart, and are `length` characters longer than they need to be."""
    padding = "x" * length
    return OAuthTokens(f"access-{number}{padding}", f"refresh-{number}{padding}", expires_at, ("user:profile",))


async def once_it_answers(act: Callable[[], Awaitable[T]]) -> T:
    """Repeat `act` until the call that hung has come back. Bounded by the time-out of the test."""
    while True:
        try:
            return await act()
        except VaultTimeout:
            await asyncio.sleep(0.01)
