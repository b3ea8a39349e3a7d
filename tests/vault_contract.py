"""What every vault promises, whatever keeps its strings. Each back end's tests inherit this."""

from collections.abc import AsyncIterator, Callable

import pytest

from core.errors import VaultError
from core.model import ApiKey, Credential, OAuthTokens
from core.vault import Backend, Stored, Vault
from tests.fakes_vault import login

OpenBackend = Callable[[], Backend]


class VaultContract:
    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def open_backend(self) -> OpenBackend:
        """How to open the same store, any number of times."""
        raise NotImplementedError

    @pytest.fixture
    async def vault(self, open_backend: OpenBackend) -> AsyncIterator[Vault]:
        vault = Vault(open_backend())
        yield vault
        await vault.close()

    async def test_what_was_never_stored_is_none(self, vault: Vault) -> None:
        assert await vault.load("nobody") is None

    @pytest.mark.parametrize(
        "credential",
        [
            ApiKey("sk-ant-api03-example"),
            OAuthTokens("access", "refresh", 1_800_000_000.125, ("user:profile", "user:inference")),
            OAuthTokens("access", "", 0.0),
            ApiKey('quote " backslash \\ line\nend nul\x00 umlaut ä snowman ☃ clef 𝄞'),
        ],
    )
    async def test_a_credential_comes_back_as_it_was(self, vault: Vault, credential: Credential) -> None:
        await vault.save("anna", credential, 1)

        assert await vault.load("anna") == Stored(1, credential)

    @pytest.mark.parametrize("length", [600, 2_500])
    async def test_a_long_secret_comes_back_and_a_short_one_replaces_it(self, vault: Vault, length: int) -> None:
        for generation in (1, 2):
            await vault.save("anna", login(generation, length=length), generation)
        assert await vault.load("anna") == Stored(2, login(2, length=length))

        for generation in (3, 4):
            await vault.save("anna", login(generation), generation)
        assert await vault.load("anna") == Stored(4, login(4))

    async def test_the_newest_generation_counts(self, vault: Vault) -> None:
        for generation in range(1, 6):
            await vault.save("anna", login(generation), generation)

            assert await vault.load("anna") == Stored(generation, login(generation))

    async def test_a_newer_generation_is_never_overwritten_by_an_older_one(self, vault: Vault) -> None:
        await vault.save("anna", login(2), 2)

        for generation in (1, 2):
            with pytest.raises(VaultError):
                await vault.save("anna", login(7), generation)

        assert await vault.load("anna") == Stored(2, login(2))

    async def test_saving_the_same_twice_is_saving_it_once(self, vault: Vault) -> None:
        await vault.save("anna", login(1), 1)
        await vault.save("anna", login(1), 1)

        assert await vault.load("anna") == Stored(1, login(1))

    async def test_names_do_not_meet(self, vault: Vault) -> None:
        await vault.save("anna", login(1), 1)
        await vault.save("ann", login(2), 9)
        await vault.delete("ann")

        assert await vault.load("anna") == Stored(1, login(1))
        assert await vault.load("ann") is None

    async def test_deleting_removes_every_generation_and_part(self, vault: Vault, open_backend: OpenBackend) -> None:
        for generation, length in ((1, 2_500), (2, 0)):
            await vault.save("anna", login(generation, length=length), generation)

        await vault.delete("anna")
        await vault.delete("anna")

        assert await vault.load("anna") is None
        keys = [f"anna/{slot}.{index}" for slot in (0, 1) for index in range(8)]
        backend = open_backend()
        assert [key for key in keys if backend.get(key)] == []

    async def test_another_vault_over_the_same_store_sees_it(self, vault: Vault, open_backend: OpenBackend) -> None:
        await vault.save("anna", login(1), 1)
        other = Vault(open_backend())
        await other.save("anna", login(2), 2)
        await other.close()

        assert await vault.load("anna") == Stored(2, login(2))
