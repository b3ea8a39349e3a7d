import pytest
from msgspec.structs import replace

from core.errors import UsageError
from core.model import Account, AccountId, AccountKind, AccountState, Identity, Pool
from core.naming import MAX_LABEL, free_label, labels, listed, refuse_taken, resolve, valid_label


def _account(id_: str, label: str, email: str = "") -> Account:
    return Account(AccountId(id_), label, AccountKind.CLAUDE, Identity(email=email))


ACCOUNTS = (
    _account("a1", "Work", "ada@example.org"),
    _account("b2", "Home", "ada@example.org"),
    _account("c3", "3rd floor", "eve@example.org"),
    _account("d4", "a1"),
)
POOL = Pool.of(AccountState(account) for account in ACCOUNTS)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("b2", "b2"),
        ("Work", "a1"),
        ("wORK ", "a1"),
        ("eve@example.org", "c3"),
        ("EVE@example.org", "c3"),
        ("2", "b2"),
        ("4", "d4"),
        ("a1", "a1"),
    ],
)
def test_an_account_is_found_by_id_then_label_or_email_then_number(said: str, meant: str) -> None:
    assert resolve(POOL, said) == meant


@pytest.mark.parametrize("said", ["Garage", "0", "5", "-1", "", "²", "wor"])
def test_an_unknown_account_is_refused_with_the_candidates(said: str) -> None:
    with pytest.raises(UsageError, match="There is no account") as caught:
        resolve(POOL, said)

    for account in ACCOUNTS:
        assert f"{account.label} ({account.id})" in caught.value.hint


def test_a_name_that_fits_several_is_refused_with_those() -> None:
    with pytest.raises(UsageError, match="fits several") as caught:
        resolve(POOL, "ada@example.org")

    assert "Work (a1)" in caught.value.hint
    assert "Home (b2)" in caught.value.hint
    assert "3rd floor" not in caught.value.hint


def test_the_same_label_twice_in_a_file_edited_by_hand_is_ambiguous_and_the_id_helps() -> None:
    twice = Pool.of((AccountState(ACCOUNTS[0]), AccountState(replace(ACCOUNTS[1], label="work"))))

    with pytest.raises(UsageError, match="fits several"):
        resolve(twice, "Work")
    assert resolve(twice, "b2") == "b2"


def test_without_accounts_the_hint_says_how_to_add_one() -> None:
    with pytest.raises(UsageError) as caught:
        resolve(Pool(), "Work")

    assert "tidegate add" in caught.value.hint


@pytest.mark.parametrize("text", ["", "  ", "a\nb", "a\x1b[31m", "x" * (MAX_LABEL + 1), "all", "ALL", "7"])
def test_what_cannot_be_a_label(text: str) -> None:
    with pytest.raises(UsageError, match="cannot be a label"):
        valid_label(text)


def test_a_label_loses_the_space_around_it() -> None:
    assert valid_label("  Übung 7 ") == "Übung 7"


def test_a_label_is_taken_whatever_its_case() -> None:
    refuse_taken(ACCOUNTS, "Workshop")
    with pytest.raises(UsageError, match="Another account is called WORK"):
        refuse_taken(ACCOUNTS, "WORK")


@pytest.mark.parametrize(("wish", "label"), [("New", "New"), ("work", "work 2"), ("a\x1bb\n", "ab")])
def test_a_free_label_is_numbered_when_it_is_taken(wish: str, label: str) -> None:
    assert free_label(ACCOUNTS, wish) == label


def test_a_free_label_of_any_length_is_a_valid_one() -> None:
    first = free_label((), "x" * 500)
    second = free_label((_account("a", first),), "x" * 500)

    assert valid_label(first) == first
    assert valid_label(second) == second
    assert first != second


def test_a_free_label_that_is_cut_to_digits_is_no_number() -> None:
    label = free_label((), "0" * 60 + ":")

    assert valid_label(label) == label


@pytest.mark.parametrize(
    ("names", "text"), [((), ""), (("A",), "A"), (("A", "B"), "A and B"), (("A", "B", "C"), "A, B and C")]
)
def test_names_are_listed_as_people_do(names: tuple[str, ...], text: str) -> None:
    assert listed(names) == text


def test_labels_in_one_line() -> None:
    assert labels(ACCOUNTS[:2]) == "Work, Home"
