from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from core.import_plan import LONGEST_LIFE_S, Held, Import, Skip, Step, Update, plan
from core.imports.found import Choices, Found, Preferences, Problem
from core.known import SETUP_TOKEN_LIFE_S, identity_of
from core.model import Account, AccountId, AccountKind, ApiKey, Credential, Identity, OAuthTokens, Serves

NOW = 1_767_225_600.0
HOUR_S = 3_600.0
ADA = Identity("ada", "org", "ada@example.org", "max")
ADA_AT_WORK = Identity("ada", "work", "ada@example.org")
CLAUDE, API, GO = AccountKind.CLAUDE, AccountKind.API_KEY, AccountKind.GO


def login(secret: str = "access", *, program: str = "Claude Code", ends_s: float = HOUR_S, **more: object) -> Found:
    found = Found(program, CLAUDE, secret, expires_at=NOW + ends_s, lineage=f"line of {secret}")
    return replace(found, **more)


def key(secret: str = "sk-1", kind: AccountKind = API, **more: object) -> Found:
    return replace(Found("OpenCode", kind, secret), **more)


def held(identity: Identity, kind: AccountKind = CLAUDE, *, borrowed_from: str = "", ends_s: float = 60.0) -> Held:
    account = Account(AccountId("here"), "Here", kind, identity, borrowed_from=borrowed_from)
    return Held(account, NOW + ends_s if borrowed_from else None)


def one(found: Found, *here: Held) -> Step:
    (step,) = plan([found], here, NOW)
    return step


def test_login_is_borrowed_without_what_could_renew_it() -> None:
    step = one(login(identity=ADA, scopes=("user:inference",)))

    assert step == Import(
        label="ada@example.org",
        kind=CLAUDE,
        identity=ADA,
        credential=OAuthTokens("access", "", NOW + HOUR_S, ("user:inference",)),
        enabled=True,
        program="Claude Code",
        borrowed_from="Claude Code",
    )


@pytest.mark.parametrize("kind", [API, GO])
def test_key_is_an_account_of_its_own(kind: AccountKind) -> None:
    step = one(key(kind=kind, label="Work", enabled=False))

    assert isinstance(step, Import)
    assert (step.label, step.kind, step.credential, step.enabled) == ("Work", kind, ApiKey("sk-1"), False)
    assert not step.borrowed_from
    assert step.identity == identity_of("sk-1")


def test_setup_token_belongs_to_nobody_else_and_lasts_a_year() -> None:
    step = one(login(lineage="", expires_at=None))

    assert isinstance(step, Import)
    assert isinstance(step.credential, OAuthTokens)
    assert step.credential.expires_at == NOW + SETUP_TOKEN_LIFE_S
    assert not step.borrowed_from


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (login(""), "no access token at the moment; open Claude Code"),
        (login(ends_s=-HOUR_S), "it ended at "),
        (login(ends_s=59), "it ended at "),
        (login(expires_at=0.0), "it has ended; open Claude Code, which renews it"),
        (login(expires_at=None), "does not say until when it works"),
        (login(ends_s=LONGEST_LIFE_S + HOUR_S), "longer than any login does"),
    ],
)
def test_login_that_cannot_serve_stays_and_the_person_is_told(found: Found, why: str) -> None:
    step = one(found)

    assert isinstance(step, Skip)
    assert why in step.why


# --- what is here already ---


@pytest.mark.parametrize(
    ("found", "here"),
    [
        (login(identity=ADA), held(ADA)),
        (login(identity=structs.replace(ADA, email="new@example.org")), held(ADA)),
        (login(identity=ADA, ends_s=-1), held(ADA)),
        (login(""), held(ADA)),
        (login(), held(identity_of("access"))),
        (login(identity=ADA), held(ADA, borrowed_from="OpenCode", ends_s=HOUR_S)),
        (login(identity=ADA), held(ADA, borrowed_from="Claude Code", ends_s=2 * HOUR_S)),
        (login(identity=ADA, ends_s=-1), held(ADA, borrowed_from="Claude Code", ends_s=-2)),
        (key("sk-1"), held(structs.replace(identity_of("sk-1"), organization_uuid="learned"), API)),
        (key("sk-1", GO), held(identity_of("sk-1"), GO)),
    ],
)
def test_account_that_is_here_is_skipped(found: Found, here: Held) -> None:
    if not found.secret:
        found = replace(found, identity=ADA)

    assert one(found, here) == Skip("Here", found.program, "it is here already")


def test_borrowed_login_takes_a_newer_token() -> None:
    here = held(ADA, borrowed_from="Claude Code", ends_s=-HOUR_S)

    assert one(login("newer", identity=ADA), here) == Update(
        here.account, OAuthTokens("newer", "", NOW + HOUR_S), "Claude Code", "Claude Code"
    )


@pytest.mark.parametrize(
    ("found", "here"),
    [
        (login(identity=ADA_AT_WORK), held(ADA)),  # one person, two organisations
        (login(identity=Identity(email="ada@example.org")), held(ADA)),  # an e-mail is no proof
        (login(), held(Identity())),
        (key("sk-1"), held(identity_of("sk-1"), GO)),
        (key("sk-1"), held(identity_of("sk-2"), API)),
    ],
)
def test_who_is_not_known_to_be_the_same_is_another(found: Found, here: Held) -> None:
    assert isinstance(one(found, here), Import)


# --- accounts of an export, which may come without a credential ---


CHOICES = Choices(Serves.CLAUDE_CODE, plan_limits_only=True, muted=True)


def exported(secret: str = "", **more: object) -> Found:
    return replace(Found("Tidegate's export", CLAUDE, secret, "Work", ADA, choices=CHOICES), **more)


@pytest.mark.parametrize(
    "found",
    [
        exported(),
        exported("access", expires_at=NOW - HOUR_S, borrowed_from="another Tidegate"),
        exported("access", borrowed_from="another Tidegate"),
        exported(kind=API, identity=identity_of("sk-1")),
    ],
    ids=["without", "ended", "without-end", "key"],
)
def test_account_without_its_credential_keeps_its_place_and_choices(found: Found) -> None:
    step = one(found)

    assert step == Import("Work", found.kind, found.identity, None, True, "Tidegate's export", choices=CHOICES)


def test_exported_login_is_borrowed_from_who_renews_it() -> None:
    step = one(exported("access", expires_at=NOW + HOUR_S, borrowed_from="another Tidegate"))

    assert isinstance(step, Import)
    assert (step.borrowed_from, step.choices) == ("another Tidegate", CHOICES)
    assert step.credential == OAuthTokens("access", "", NOW + HOUR_S)


def test_exported_setup_token_is_nobody_elses() -> None:
    step = one(exported("access", expires_at=NOW + HOUR_S, identity=Identity()))

    assert isinstance(step, Import)
    assert (step.borrowed_from, step.identity) == ("", identity_of("access"))


def test_account_that_nothing_tells_apart_is_not_taken_without_its_login() -> None:
    assert one(exported(identity=Identity(email="ada@example.org"))) == Skip(
        "Work", "Tidegate's export", "it comes without its login"
    )


@pytest.mark.parametrize(
    ("found", "identity", "kind", "credential"),
    [
        (exported("access", expires_at=NOW + HOUR_S), ADA, CLAUDE, OAuthTokens("access", "", NOW + HOUR_S)),
        (login(identity=ADA), ADA, CLAUDE, OAuthTokens("access", "", NOW + HOUR_S)),
        (key("sk-1"), identity_of("sk-1"), API, ApiKey("sk-1")),
    ],
)
def test_account_that_is_here_without_a_credential_takes_one(
    found: Found, identity: Identity, kind: AccountKind, credential: Credential
) -> None:
    here = replace(held(identity, kind), empty=True)

    step = one(found, here)

    assert isinstance(step, Update)
    assert (step.account, step.credential) == (here.account, credential)


def test_account_that_is_here_is_left_alone_by_one_without_a_credential() -> None:
    for empty in (True, False):
        assert one(exported(), replace(held(ADA), empty=empty)) == Skip(
            "Here", "Tidegate's export", "it is here already"
        )


def test_settings_come_after_the_accounts_and_before_the_problems() -> None:
    settings, problem = Preferences("/f", {"strategy": "sticky"}), Problem("/f", "account 2: it is not an object")

    assert plan([settings, problem, key()], [], NOW)[1:] == (settings, problem)


# --- what is found twice ---


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (login("a", identity=ADA), login("b", identity=ADA), True),
        (login("a", identity=ADA), login("b", identity=ADA_AT_WORK), False),
        (login("a", lineage="one"), login("b", lineage="one"), True),
        (login("a", lineage="one", identity=ADA), login("b", lineage="one"), True),
        (login("a", lineage="one", identity=ADA), login("b", lineage="one", identity=ADA_AT_WORK), False),
        (login("a"), login("b"), False),
        (login("a", lineage=""), login("b", lineage=""), False),
        (login("a", identity=Identity(email="x@y")), login("b", identity=Identity(email="x@y")), False),
        (login("", lineage="one"), login("", lineage="two"), False),
        (key("sk-1"), key("sk-1"), True),
        (key("sk-1"), key("sk-2"), False),
        (key("sk-1"), key("sk-1", GO), False),
    ],
)
def test_two_places_have_one_account_only_when_that_is_known(first: Found, second: Found, same: bool) -> None:
    steps = plan([first, second], [], NOW)

    assert sum(isinstance(step, Skip) and "same account" in step.why for step in steps) == same


def test_account_in_two_places_comes_from_where_its_token_lives_longest() -> None:
    first = login("old", identity=ADA, label="Work", enabled=False, ends_s=HOUR_S, program="claude-swap")
    second = login("new", identity=structs.replace(ADA, plan=""), ends_s=2 * HOUR_S, program="Claude Code")

    added, skipped = plan([first, second], [], NOW)

    assert isinstance(added, Import)
    assert isinstance(added.credential, OAuthTokens)
    assert (added.label, added.enabled, added.program) == ("Work", False, "Claude Code")
    assert (added.credential.access, added.identity) == ("new", ADA)
    assert skipped == Skip("Work", "claude-swap", "the same account comes from Claude Code")


def test_account_of_an_export_keeps_its_choices_when_its_login_is_found_elsewhere() -> None:
    added, _ = plan([exported(), login("access", identity=ADA)], [], NOW)

    assert isinstance(added, Import)
    assert (added.label, added.choices, added.borrowed_from) == ("Work", CHOICES, "Claude Code")
    assert added.credential is not None


# --- labels and order ---


@pytest.mark.parametrize(
    ("found", "label"),
    [
        (key(label="Work"), "Work"),
        (key(), "Anthropic API key"),
        (key(label="all"), "Anthropic API key"),
        (key(label="2"), "Anthropic API key"),
        (key(label="x" * 100), "x" * 60),
        (key(label="a\x1b[31mb"), "Anthropic API key"),
        (login(label="7", identity=ADA), "ada@example.org"),
        (key(label="here"), "here 2"),
    ],
)
def test_label_is_the_persons_where_it_can_be_one(found: Found, label: str) -> None:
    step = one(found, held(ADA_AT_WORK))

    assert isinstance(step, Import)
    assert step.label == label


def test_order_is_kept_labels_are_different_and_problems_come_last() -> None:
    problem = Problem("/f", "it is not valid JSON")
    steps = plan([key("sk-1", label="Work"), problem, key("sk-2", label="work"), login("", label="Gone")], [], NOW)

    assert [getattr(step, "label", "") for step in steps] == ["Work", "work 2", "Gone", ""]
    assert steps[-1] is problem


def test_no_step_shows_a_secret() -> None:
    steps = plan([key("sk-SECRET"), login("at-SECRET")], [held(ADA, borrowed_from="x")], NOW)

    assert len(steps) == 2
    assert "SECRET" not in repr(steps)


IDENTITIES = st.sampled_from([Identity(), ADA, ADA_AT_WORK])
FOUND = st.builds(
    Found,
    st.sampled_from(["Claude Code", "OpenCode"]),
    st.sampled_from(AccountKind),
    st.sampled_from(["", "s1", "s2", "s3"]),
    st.sampled_from(["", "Work", "all"]),
    IDENTITIES,
    st.booleans(),
    st.sampled_from([None, 0.0, NOW - 1, NOW + HOUR_S, NOW + 2 * HOUR_S, 4e9]),
    st.sampled_from(["", "l1", "l2"]),
    borrowed_from=st.sampled_from(["", "another Tidegate"]),
    choices=st.sampled_from([None, CHOICES]),
).filter(lambda found: found.secret or found.kind is CLAUDE)


@given(st.lists(FOUND, max_size=6))
def test_whatever_is_found_once_imported_the_next_plan_adds_nothing(found: list[Found]) -> None:
    steps = [step for step in plan(found, [], NOW) if isinstance(step, Import)]
    here = [
        Held(
            Account(AccountId(str(n)), s.label, s.kind, s.identity, borrowed_from=s.borrowed_from),
            s.credential.expires_at if isinstance(s.credential, OAuthTokens) else None,
            empty=s.credential is None,
        )
        for n, s in enumerate(steps)
    ]

    assert len({step.label.casefold() for step in steps}) == len(steps)
    assert not any(isinstance(step, Import | Update) for step in plan(found, here, NOW))
    assert all(s.credential.refresh == "" for s in steps if isinstance(s.credential, OAuthTokens))
