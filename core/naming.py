"""How people name accounts: what a label may be, and which account they mean."""

from collections.abc import Collection, Iterable, Sequence

from core.errors import UsageError
from core.model import Account, AccountId, Pool

ALL = "all"
MAX_LABEL = 64
"""Characters; a menu shows about forty."""
_ROOM_FOR_NUMBER = 4


def resolve(pool: Pool, text: str) -> AccountId:
    """The account that a person means: by id, else by label or e-mail, else by its number in the list.

    Raises UsageError with the candidates when nothing fits or several do.
    """
    accounts = [state.account for state in pool.accounts]
    said = text.strip().casefold()
    found = (
        [account for account in accounts if account.id == text.strip()]
        or [account for account in accounts if said and said in _names(account)]
        or [account for number, account in enumerate(accounts, 1) if said == str(number)]
    )
    if len(found) == 1:
        return found[0].id
    if not accounts:
        raise UsageError("There is no account yet", "Add one: tidegate add api-key, add go, or add claude.")
    listed = ", ".join(f"{n} {a.label} ({a.id})" for n, a in enumerate(accounts, 1) if not found or a in found)
    if found:
        raise UsageError(f"{text!r} fits several accounts", f"Say which by id: {listed}.")
    raise UsageError(f"There is no account {text!r}", f"Accounts: {listed}.")


def _names(account: Account) -> tuple[str, str]:
    return account.label.casefold(), account.identity.email.casefold()


def valid_label(text: str) -> str:
    """The label without space around it. Raises UsageError when it cannot be one."""
    label = text.strip()
    if not label or len(label) > MAX_LABEL or not label.isprintable():
        raise UsageError(f"{text!r} cannot be a label", f"A label has 1 to {MAX_LABEL} visible characters.")
    if label.casefold() == ALL or label.isdigit():
        raise UsageError(f"{text!r} cannot be a label", f"Numbers and {ALL!r} have a meaning of their own in commands.")
    return label


def refuse_taken(accounts: Iterable[Account], label: str) -> None:
    """Raises UsageError when an account has this label."""
    if any(account.label.casefold() == label.casefold() for account in accounts):
        raise UsageError(f"Another account is called {label}", "Give each account a label of its own.")


def free_label(accounts: Collection[Account], wish: str) -> str:
    """`wish` as a label, or `wish 2` and so on when it is taken. `wish` may come from the wire: an e-mail."""
    longest = MAX_LABEL - _ROOM_FOR_NUMBER
    wish = "".join(filter(str.isprintable, wish)).strip()[:longest].strip()
    if not wish or wish.isdigit() or wish.casefold() == ALL:  # what no label may be
        wish = f"Account {wish}"[:longest].strip()
    taken = {account.label.casefold() for account in accounts}
    numbered = (f"{wish} {number}" for number in range(2, len(taken) + 3))
    return next(label for label in (wish, *numbered) if label.casefold() not in taken)


def labels(accounts: Iterable[Account]) -> str:
    """Their labels in one line."""
    return ", ".join(account.label for account in accounts)


def listed(names: Sequence[str]) -> str:
    """`A`, `A and B`, `A, B and C`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
