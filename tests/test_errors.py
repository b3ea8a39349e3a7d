import pytest

from core import errors
from core.errors import NothingToDo, TidegateError, UsageError, VaultError

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_what_failed_and_what_to_do(kind: type[TidegateError]) -> None:
    error = kind("The keychain is locked", "Unlock it.")

    assert isinstance(error, TidegateError)
    assert (error.title, error.hint, str(error)) == ("The keychain is locked", "Unlock it.", "The keychain is locked")


@pytest.mark.parametrize("kind", KINDS)
def test_the_exit_code_tells_an_error_from_wrong_words_and_from_nothing_to_do(kind: type[TidegateError]) -> None:
    assert kind("Failed").exit_code == {UsageError: 2, NothingToDo: 3}.get(kind, 1)


@pytest.mark.parametrize("kind", [errors.VaultLocked, errors.VaultAbsent, errors.VaultTimeout])
def test_whatever_keeps_the_vault_shut_is_a_vault_error(kind: type[TidegateError]) -> None:
    assert issubclass(kind, VaultError)
