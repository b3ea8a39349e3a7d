import pytest
from keyring.backend import KeyringBackend
from keyring.errors import InitError, KeyringError, KeyringLocked, NoKeyringError, PasswordDeleteError

from core.errors import VaultAbsent, VaultError, VaultLocked
from core.vault_keyring import KeyringItems
from tests.vault_contract import OpenBackend, VaultContract

WINDOWS_UNITS = 1_280


class Ring(KeyringBackend):
    """A keyring that takes as much as Windows does, and fails when told to."""

    priority = 1

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], str] = {}
        self.fails: Exception | None = None

    def get_password(self, service: str, username: str) -> str | None:
        if self.fails:
            raise self.fails
        return self.items.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.fails:
            raise self.fails
        if len(password.encode("utf-16-le")) > 2 * WINDOWS_UNITS:
            raise OSError(1783, "CredWrite", "The stub received bad data")
        self.items[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if (service, username) not in self.items:
            raise PasswordDeleteError(service)
        del self.items[service, username]


class TestKeyringVault(VaultContract):
    @pytest.fixture
    def open_backend(self) -> OpenBackend:
        ring = Ring()
        return lambda: KeyringItems(ring, "install")


def test_every_item_has_a_service_of_its_own_with_the_install_in_its_name() -> None:
    ring = Ring()

    for key in ("anna/0.0", "anna/1.0"):
        KeyringItems(ring, "one").set(key, "secret")
    KeyringItems(ring, "two").set("anna/0.0", "other")

    assert [service for service, _ in ring.items] == [
        "tidegate-one-anna/0.0",
        "tidegate-one-anna/1.0",
        "tidegate-two-anna/0.0",
    ]
    assert KeyringItems(ring, "one").get("anna/0.0") == ("secret",)


@pytest.mark.parametrize(
    ("foreign", "ours"),
    [
        (KeyringLocked("denied"), VaultLocked),
        (NoKeyringError("none"), VaultAbsent),
        (InitError("none"), VaultAbsent),
        (KeyringError("(-25293, 'Unknown Error')"), VaultError),
        (OSError(1783, "CredWrite", "The stub received bad data"), VaultError),
        (UnicodeDecodeError("utf-8", b"secret", 0, 1, "odd"), VaultError),
    ],
)
def test_foreign_failures_become_ours(foreign: Exception, ours: type[VaultError]) -> None:
    ring = Ring()
    ring.fails = foreign
    backend = KeyringItems(ring, "install")

    for act in (lambda: backend.get("anna"), lambda: backend.set("anna", "x"), lambda: backend.delete("anna")):
        with pytest.raises(VaultError) as failure:
            act()
        assert type(failure.value) is ours
        assert "secret" not in failure.value.title
