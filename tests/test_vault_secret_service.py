"""How the Secret Service's failures are told. What it keeps is tried in tests/integration/test_keychain.py."""

import sys

import pytest

if sys.platform != "linux":
    pytest.skip("the Secret Service is the keychain of Linux desktops", allow_module_level=True)

from jeepney import DBusErrorResponse
from jeepney.low_level import HeaderFields
from secretstorage.exceptions import LockedException, PromptDismissedException, SecretServiceNotAvailableException

from core import vault_secret_service
from core.errors import VaultAbsent, VaultError, VaultLocked, VaultTimeout


class Message:
    """An error message of the bus, as far as its exception looks."""

    def __init__(self, name: str) -> None:
        self.header = self
        self.fields = {HeaderFields.error_name: name}
        self.body: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (LockedException("x"), VaultLocked),
        (PromptDismissedException("x"), VaultLocked),
        (DBusErrorResponse(Message("org.freedesktop.Secret.Error.IsLocked")), VaultLocked),
        (SecretServiceNotAvailableException("x"), VaultAbsent),
        (FileNotFoundError("no bus"), VaultAbsent),
        (DBusErrorResponse(Message("org.freedesktop.DBus.Error.ServiceUnknown")), VaultError),
        (DBusErrorResponse(Message("org.freedesktop.DBus.Error.Spawn.ExecFailed")), VaultAbsent),
        (DBusErrorResponse(Message("org.freedesktop.DBus.Error.NameHasNoOwner")), VaultAbsent),
        (TimeoutError(), VaultTimeout),
        (DBusErrorResponse(Message("org.example.Odd")), VaultError),
        (AssertionError("unpacked something else"), VaultError),
    ],
    ids=repr,
)
def test_failure_is_told_by_its_kind_with_a_sentence(raised: Exception, told: type[VaultError]) -> None:
    with pytest.raises(told) as caught, vault_secret_service._translated():
        raise raised
    assert caught.value.title
    assert caught.value.__cause__ is raised


def test_names_of_two_installations_do_not_meet() -> None:
    one, other = (vault_secret_service.SecretService(install) for install in ("one", "other"))
    assert one._attributes("work/0.0") != other._attributes("work/0.0")
