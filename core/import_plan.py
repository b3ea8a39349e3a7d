"""What importing comes to, decided before anything is done: what was found, against the accounts that are here. Pure.

A login belongs to the program it comes from. Tidegate borrows it: holds its access token and nothing to renew it with,
and takes a newer one when it imports again. Whoever cannot be told apart by the provider's ids, by a key or by a common
refresh token is never the same by guess.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from msgspec import structs

from core.errors import UsageError
from core.imports.found import PLAIN, Choices, Finding, Found, Preferences, Problem
from core.known import SETUP_TOKEN_LIFE_S, identity_of, same, who
from core.model import Account, AccountId, AccountKind, ApiKey, Credential, Identity, OAuthTokens
from core.naming import MAX_LABEL, free_label, valid_label
from core.wording import KIND_NAMES, clock_time

LEAST_LIFE_S = 60.0
"""A login that ends sooner is not worth borrowing: Tidegate would not send it."""
LONGEST_LIFE_S = 400 * 86_400.0
"""The longest-lived token there is lives a year; one that lives longer has its time in the wrong unit."""
NEWER_BY_S = 1.0


@dataclass(frozen=True, slots=True)
class Held:
    """An account that is here. `expires_at`: when its login ends, for a borrowed one. `empty`: it has no credential."""

    account: Account
    expires_at: float | None = None
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Import:
    """A new account. Without a `credential` the person signs in, or gives its key, to let it serve."""

    label: str
    kind: AccountKind
    identity: Identity
    credential: Credential | None
    enabled: bool
    program: str
    borrowed_from: str = ""
    choices: Choices = PLAIN


@dataclass(frozen=True, slots=True)
class Update:
    """A newer access token for a login that is borrowed already, or a credential for an account that has none."""

    account: Account
    credential: Credential
    program: str
    borrowed_from: str = ""


@dataclass(frozen=True, slots=True)
class Skip:
    """An account that stays where it is, and why."""

    label: str
    program: str
    why: str


Step = Import | Update | Preferences | Skip | Problem


def plan(found: Iterable[Finding], held: Sequence[Held], now: float) -> tuple[Step, ...]:
    """What to do with everything that was found, in its order; then what was found twice, settings, problems."""
    found = tuple(found)
    once, twice = _once([one for one in found if isinstance(one, Found)])
    steps: list[Step] = []
    taken = [one.account for one in held]
    for one in once:
        step = _step(one, held, taken, now)
        if isinstance(step, Import):
            taken.append(Account(AccountId(""), step.label, step.kind))
        steps.append(step)
    settings = (one for one in found if isinstance(one, Preferences))
    return (*steps, *twice, *settings, *(one for one in found if isinstance(one, Problem)))


# --- the same account in several places ------------------------------------------------------------


def _once(found: Sequence[Found]) -> tuple[list[Found], list[Skip]]:
    """Each account once, in the place of its first mention, with the token that lives longest; and the others."""
    kept: list[Found] = []
    others: list[Skip] = []
    for one in found:
        place = next((i for i, known in enumerate(kept) if _is_same(known, one)), None)
        if place is None:
            kept.append(one)
            continue
        better, worse = _better(kept[place], one), _worse(kept[place], one)
        others.append(Skip(_name(worse), worse.program, f"the same account comes from {better.program}"))
        kept[place] = _merged(kept[place], one)
    return kept, others


def _is_same(one: Found, other: Found) -> bool:
    if one.kind is not other.kind:
        return False
    if one.secret and one.secret == other.secret:
        return True
    if one.identity.account_uuid and other.identity.account_uuid:
        return who(one.identity) == who(other.identity)
    return bool(one.lineage) and one.lineage == other.lineage


def _better(one: Found, other: Found) -> Found:
    """The one whose token lives longer; with equal ones the first."""
    return max((one, other), key=lambda found: (bool(found.secret), found.expires_at or 0.0))


def _worse(one: Found, other: Found) -> Found:
    return other if _better(one, other) is one else one


def _merged(first: Found, second: Found) -> Found:
    """The better token, under the first one's name and switch."""
    known = first.identity if first.identity.account_uuid else second.identity
    identity = structs.replace(
        known,
        email=first.identity.email or second.identity.email,
        plan=first.identity.plan or second.identity.plan,
    )
    label, choices = first.label or second.label, first.choices or second.choices
    return replace(_better(first, second), label=label, identity=identity, enabled=first.enabled, choices=choices)


# --- one account -----------------------------------------------------------------------------------


def _step(found: Found, held: Sequence[Held], taken: Sequence[Account], now: float) -> Step:
    identity = _identity(found)
    here = same((one.account for one in held), found.kind, identity)
    credential = _credential(found, now)
    owner = _owner(found)
    if here is not None:
        known = next(one for one in held if one.account is here)
        if not isinstance(credential, str) and _is_wanted(credential, known, now):
            return Update(here, credential, found.program, owner)
        return Skip(here.label, found.program, "it is here already")
    if isinstance(credential, str) and (found.choices is None or not identity.account_uuid):
        return Skip(_name(found), found.program, credential)
    kept = None if isinstance(credential, str) else credential
    return Import(
        label=free_label(taken, _label(found)),
        kind=found.kind,
        identity=identity,
        credential=kept,
        enabled=found.enabled,
        program=found.program,
        borrowed_from=owner if kept else "",
        choices=found.choices or PLAIN,
    )


def _owner(found: Found) -> str:
    """The program that renews the login. Without a refresh token nobody does: then it is the person's, like a key."""
    return found.borrowed_from or (found.program if found.lineage else "")


def _is_wanted(credential: Credential, held: Held, now: float) -> bool:
    if held.empty:
        return True
    if not held.account.borrowed_from or not isinstance(credential, OAuthTokens):
        return False
    return credential.expires_at > _later(held.expires_at, now)


def _later(ends_at: float | None, now: float) -> float:
    """What a newer token must outlive: never an older one over a newer one."""
    return max(ends_at or 0.0, now) + NEWER_BY_S


def _identity(found: Found) -> Identity:
    """By the provider's ids, else by the secret itself."""
    if found.identity.account_uuid or not found.secret:
        return found.identity
    return structs.replace(identity_of(found.secret), email=found.identity.email, plan=found.identity.plan)


def _credential(found: Found, now: float) -> Credential | str:
    """What to keep, or why there is nothing to keep."""
    if found.kind is not AccountKind.CLAUDE:
        return ApiKey(found.secret) if found.secret else "it comes without its key"
    owner = _owner(found)
    again = f"open {owner}, which renews it, and import again"
    if not found.secret:
        return f"it has no access token at the moment; {again}" if owner else "it comes without its login"
    expires_at = found.expires_at
    if expires_at is None and not owner:
        expires_at = now + SETUP_TOKEN_LIFE_S
    if expires_at is None:
        return f"it does not say until when it works; {again}"
    if expires_at <= now + LEAST_LIFE_S:
        ended = f"it ended at {clock_time(expires_at, now)}" if expires_at else "it has ended"
        return f"{ended}; {again}" if owner else ended
    if expires_at > now + LONGEST_LIFE_S:
        return "it claims to work for longer than any login does"
    return OAuthTokens(found.secret, "", expires_at, found.scopes)


def _name(found: Found) -> str:
    return found.label or found.identity.email or KIND_NAMES[found.kind]


def _label(found: Found) -> str:
    """What the person called it there, if it can be a label here."""
    for wish in (found.label, found.identity.email):
        try:
            return valid_label(wish[:MAX_LABEL])
        except UsageError:
            continue
    return KIND_NAMES[found.kind]
