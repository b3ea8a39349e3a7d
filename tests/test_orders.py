import msgspec
import pytest

from core.model import AccountKind
from core.orders import AddKey, ImportFrom, PasteLogin

SECRET = "sk-ant-api03-SECRET"


@pytest.mark.parametrize(
    "value",
    [
        AddKey(AccountKind.API_KEY, SECRET),
        PasteLogin("1", SECRET),
        ImportFrom("/home/ada", passphrase=SECRET),
    ],
)
def test_what_holds_a_secret_does_not_show_it(value: object) -> None:
    assert SECRET not in repr(value)
    assert SECRET not in str(value)


def test_an_argument_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(msgspec.ValidationError, match="labl"):
        msgspec.convert({"kind": "go", "key": "x", "labl": "Go"}, AddKey)
