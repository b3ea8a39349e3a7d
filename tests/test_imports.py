"""One contract for all formats: the file of each program comes out as these accounts, and wrong ones as a problem."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.imports import IMPORTERS, recognised, tidegate
from core.imports.entry import Malformed, decoded, epoch_s, fingerprint, token
from core.imports.found import Choices, Database, Document, Found, KeychainItem, Preferences, Problem
from core.model import Account, AccountKind, ApiKey, Credential, Identity, OAuthTokens, Serves
from tests import account_files
from tests.account_files import ADA, ENDS_AT, GRACE, SIGN, content, found_in, put

CLAUDE, API, GO = AccountKind.CLAUDE, AccountKind.API_KEY, AccountKind.GO
Seen = tuple[str, AccountKind, str, str, bool]

FILES: dict[str, tuple[str, list[Seen]]] = {
    # (program, kind, label, end of the secret, enabled)
    "claude-code.json": ("claude-code", [("Claude Code", CLAUDE, "", "claude-code", True)]),
    "claude-code-mcp-only.json": ("claude-code", []),
    "claude-code-setup-token.json": ("claude-code", [("Claude Code", CLAUDE, "", "setup", True)]),
    "claude-code-config.json": ("claude-code", [("Claude Code", API, "", "primary", True)]),
    "opencode-auth.json": (
        "opencode",
        [("OpenCode", CLAUDE, "", "opencode", True), ("OpenCode", GO, "", "go-opencode", True)],
    ),
    "opencode-2.sql": (
        "opencode-2",
        [
            ("OpenCode", CLAUDE, "", "oc2", True),
            ("OpenCode", GO, "", "go-oc2", True),
            ("OpenCode", API, "Spare", "oc2", True),
        ],
    ),
    "opencode-2-connector.sql": ("opencode-2", [("OpenCode", GO, "Go at work", "go-connector", True)]),
    "anthropic-accounts-auth.json": (
        "anthropic-accounts",
        [("opencode-anthropic-auth", CLAUDE, "", "auth-1", True), ("opencode-anthropic-auth", CLAUDE, "", "", False)],
    ),
    "anthropic-accounts-multi-auth.json": (
        "anthropic-accounts",
        [("opencode-anthropic-multi-auth", CLAUDE, "Work", "multi-1", True)],
    ),
    "anthropic-accounts-mixed.json": (
        "anthropic-accounts",
        [
            ("opencode-anthropic-multi-auth", CLAUDE, "One", "mixed-1", True),
            ("opencode-anthropic-auth", CLAUDE, "Two", "mixed-2", True),
        ],
    ),
    "multi-auth.json": (
        "multi-auth",
        [
            ("OpenCode multi-auth", CLAUDE, "Personal", "personal", True),
            ("OpenCode multi-auth", API, "Console", "console", True),
        ],
    ),
    "oauth-pool.json": (
        "oauth-pool",
        [("aidevops", CLAUDE, "", "pool-2", True), ("aidevops", CLAUDE, "", "pool-1", True)],
    ),
    "opencode-go-accounts.json": (
        "opencode-go",
        [("opencode-go-multi-auth", GO, "Home", "go-2", False), ("opencode-go-multi-auth", GO, "Work", "go-1", True)],
    ),
    "ccflare.sql": (
        "ccflare",
        [("ccflare", CLAUDE, "max", "ccflare", False), ("ccflare", API, "console", "ccflare", True)],
    ),
    "better-ccflare.sql": (
        "ccflare",
        [("better-ccflare", API, "first", "bccf", True), ("better-ccflare", CLAUDE, "second", "bccf", True)],
    ),
    "cliproxy-claude.json": ("cliproxy", [("CLIProxyAPI", CLAUDE, "", "cliproxy", False)]),
    "cliproxy-codex.json": ("cliproxy", []),
    "claude-swap-export.json": ("claude-swap-export", [("claude-swap", CLAUDE, "work", "export", True)]),
    "claude-swap-export-encrypted.json": ("claude-swap-export", []),
    "tidegate-export.json": (
        "tidegate",
        [
            ("Tidegate's export", CLAUDE, "Work", "tidegate", True),
            ("Tidegate's export", API, "Team", "team", False),
            ("Tidegate's export", GO, "Go", "", True),
        ],
    ),
    "tidegate-export-malformed.json": ("tidegate", [("Tidegate's export", CLAUDE, "Bare", "", True)]),
    "tidegate-export-newer.json": ("tidegate", []),
}
PROBLEMS = {
    "opencode-2.sql": ["account 'Broken': it is not valid JSON"],
    "anthropic-accounts-mixed.json": [
        "account 'Microseconds': its end is a time that cannot be",
        "account 'Smuggled': its token cannot be one",
        "account 'Number': its token cannot be one",
        "account 'nobody@example.org': it has no token",
        "account 7: it is not an object",
    ],
    "opencode-go-accounts.json": ["account 'Nothing': it has no key"],
    "better-ccflare.sql": [
        "account 'elsewhere': it belongs to an address of its own, not to Anthropic",
        "account 'keyless': it has no key",
    ],
    "claude-swap-export-encrypted.json": ["it is encrypted; export it without a passphrase"],
    "tidegate-export-malformed.json": [
        "account 1: it is not an object",
        "account 'Future': it is of a kind that this Tidegate does not know",
        "account 'Choosy': it is of a kind that this Tidegate does not know",
        "account 'Smuggled': its token cannot be one",
        "account 'Microseconds': its end is a time that cannot be",
    ],
    "tidegate-export-newer.json": ["it is an export of a newer Tidegate"],
}


@pytest.fixture
def golden(tmp_path: Path) -> Callable[[str], Path]:
    def laid_out(name: str) -> Path:
        put(tmp_path / "opencode-go-rotation.json", "opencode-go-rotation.json")
        return put(tmp_path / name, name)

    return laid_out


def accounts(path: Path) -> list[Found]:
    return [one for one in found_in(path) if isinstance(one, Found)]


@pytest.mark.parametrize("name", FILES)
def test_file_of_a_program_comes_out_as_its_accounts(golden: Callable[[str], Path], name: str) -> None:
    _, expected = FILES[name]
    seen = [(a.program, a.kind, a.label, a.secret.partition(f"{SIGN}-")[2], a.enabled) for a in accounts(golden(name))]

    assert seen == expected


@pytest.mark.parametrize("name", FILES)
def test_what_is_malformed_is_told_in_a_line_and_keeps_nothing_else_out(
    golden: Callable[[str], Path], name: str
) -> None:
    path = golden(name)
    problems = [one for one in found_in(path) if isinstance(one, Problem)]

    assert [problem.why for problem in problems] == PROBLEMS.get(name, [])
    assert {problem.path for problem in problems} <= {str(path)}


@pytest.mark.parametrize("name", FILES)
def test_refresh_token_is_not_kept_and_no_secret_is_shown(golden: Callable[[str], Path], name: str) -> None:
    found = found_in(golden(name))

    assert SIGN not in repr(found)
    assert "ort01" not in "".join(one.secret for one in found if isinstance(one, Found))


@pytest.mark.parametrize("name", FILES)
def test_every_end_is_the_same_moment_whatever_its_unit(golden: Callable[[str], Path], name: str) -> None:
    ends = {int(a.expires_at) for a in accounts(golden(name)) if a.expires_at is not None}

    assert ends <= {int(ENDS_AT)}


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".json")])
def test_form_is_known_by_its_shape(name: str) -> None:
    importer, _ = FILES[name]
    shape = decoded(content(name))

    assert recognised(shape) is IMPORTERS[importer]
    assert [other for other, row in IMPORTERS.items() if row.fits(shape)] == [importer]


@pytest.mark.parametrize(
    "shape",
    [
        None,
        True,
        17,
        "",
        "words",
        [],
        {},
        [{"apiKey": "x"}],
        {"accounts": {}},
        {"accounts": []},
        {"accounts": "many"},
        {"accounts": [1, None, "x"]},
        {"anthropic": "yes"},
        {"anthropic": {"type": "song"}},
        {"type": "claude"},
        {"sequence": [1], "accounts": []},
        {"name": "left-pad", "version": "1.0.0"},
        Database({}),
        Database({"accounts": ({"name": "Ada", "balance": 3},)}),
    ],
    ids=repr,
)
def test_other_shapes_are_nobodys(shape: object) -> None:
    assert recognised(shape) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
WORDS = [
    *(
        "accounts",
        "access",
        "refresh",
        "refreshToken",
        "expires",
        "type",
        "key",
        "apiKey",
        "credentials",
        "oauth",
        "api",
    ),
    *(
        "anthropic",
        "opencode-go",
        "claudeAiOauth",
        "accessToken",
        "expiresAt",
        "sequence",
        "claude",
        "email",
        "enabled",
    ),
    *("access_token", "refresh_token", "expired", "multi-oauth", "activeIndex", "rotationIndex", "swapVersion"),
    *("tidegate_export", "settings", "kind", "go", "serves", "expires_at"),
]
SHAPED = st.recursive(
    JSON | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)


@given(SHAPED)
def test_no_importer_breaks_whatever_it_is_given(shape: object) -> None:
    for importer in IMPORTERS.values():
        if importer.fits(shape):
            beside = {name: json.dumps(shape).encode() for name in importer.beside}
            assert all(
                isinstance(one, Found | Preferences | Problem) for one in importer.read(Document("f", shape, beside))
            )


# --- who it is ---


def test_claude_code_is_who_its_config_says(tmp_path: Path) -> None:
    put(tmp_path / ".claude.json", "claude-code-config.json")
    (found,) = accounts(put(tmp_path / ".claude" / ".credentials.json", "claude-code.json"))

    assert (found.identity.account_uuid, found.identity.organization_uuid) == ADA
    assert (found.identity.email, found.identity.plan) == ("ada@example.org", "max 5x")
    assert found.lineage
    assert "user:profile" in found.scopes


def test_copy_of_claude_codes_file_is_not_taken_for_who_is_signed_in_now(tmp_path: Path) -> None:
    put(tmp_path / ".claude.json", "claude-code-config.json")
    (found,) = accounts(put(tmp_path / "backup" / ".credentials.json", "claude-code.json"))

    assert found.identity.account_uuid == ""


def test_config_that_does_not_read_leaves_the_login_without_a_name(tmp_path: Path) -> None:
    (tmp_path / ".claude.json").write_text("{ oops")
    (found,) = accounts(put(tmp_path / ".credentials.json", "claude-code.json"))

    assert found.identity.account_uuid == ""


def test_identity_needs_account_and_organisation(golden: Callable[[str], Path]) -> None:
    (proxy,) = accounts(golden("cliproxy-claude.json"))
    pool = accounts(golden("oauth-pool.json"))

    assert (proxy.identity.account_uuid, proxy.identity.organization_uuid) == GRACE
    assert [account.identity.account_uuid for account in pool] == ["", ""]
    assert [account.identity.email for account in pool] == ["ada@example.org", ""]


# --- Tidegate's own export ---


def test_export_tells_what_the_person_chose(golden: Callable[[str], Path]) -> None:
    work, team, go = accounts(golden("tidegate-export.json"))

    assert (work.choices, team.choices, go.choices) == (
        Choices(Serves.CLAUDE_CODE, plan_limits_only=True),
        Choices(muted=True),
        Choices(),
    )
    assert (work.borrowed_from, work.identity.account_uuid, work.identity.plan) == ("another Tidegate", ADA[0], "max")
    assert (team.identity.account_uuid, go.identity.account_uuid) == ("", "key:fedcba9876543210")


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("tidegate-export.json", {"strategy": "sticky", "hold_s": "30.0"}),
        ("tidegate-export-malformed.json", {"strategy": "sticky", "hold_s": ""}),
    ],
)
def test_settings_of_an_export_are_those_of_no_machine(
    golden: Callable[[str], Path], name: str, texts: dict[str, str]
) -> None:
    (settings,) = [one for one in found_in(golden(name)) if isinstance(one, Preferences)]

    assert settings.texts == texts


CREDENTIALS = st.one_of(
    st.none(),
    st.builds(ApiKey, st.from_regex(r"sk-[a-zA-Z0-9]{1,40}", fullmatch=True)),
    st.builds(
        OAuthTokens,
        st.from_regex(r"sk-ant-oat01-[a-zA-Z0-9]{1,40}", fullmatch=True),
        st.sampled_from(["", "sk-ant-ort01-SECRET"]),
        st.floats(1_600_000_000, 4_000_000_000).map(lambda at: round(at, 3)),
        st.sampled_from([(), ("user:inference",)]),
    ),
)
NAMES = st.text(st.characters(categories=["L", "N"]), max_size=10)
ACCOUNTS = st.builds(
    Account,
    id=st.just("a1"),
    label=NAMES.filter(bool),
    kind=st.sampled_from(AccountKind),
    identity=st.builds(Identity, NAMES, NAMES, NAMES, NAMES),
    enabled=st.booleans(),
    serves=st.sampled_from(Serves),
    borrowed_from=st.sampled_from(["", "Claude Code"]),
    plan_limits_only=st.booleans(),
    muted=st.booleans(),
)


@given(st.lists(st.tuples(ACCOUNTS, CREDENTIALS), max_size=4), st.floats(0, 2e9))
def test_what_is_written_is_read_again_without_what_could_renew_it(
    held: list[tuple[Account, Credential | None]], made_at: float
) -> None:
    held = [(a, c) for a, c in held if c is None or isinstance(c, OAuthTokens) == (a.kind is AccountKind.CLAUDE)]
    raw = json.dumps(tidegate.document(held, {"strategy": "sticky", "port": "9000"}, made_at))

    assert "ort01" not in raw
    *found, settings = tidegate.read(Document("export.json", decoded(raw.encode())))
    assert settings == Preferences("export.json", {"strategy": "sticky"})
    for (account, credential), one in zip(held, found, strict=True):
        assert isinstance(one, Found)
        assert (one.label, one.kind, one.enabled) == (account.label, account.kind, account.enabled)
        assert one.choices == Choices(account.serves, account.plan_limits_only, account.muted)
        assert one.identity == account.identity
        match credential:
            case None:
                assert (one.secret, one.borrowed_from) == ("", account.borrowed_from)
            case ApiKey(key=key):
                assert one.secret == key
            case OAuthTokens():
                owner = "another Tidegate" if credential.refresh else account.borrowed_from
                assert (one.secret, one.expires_at, one.scopes, one.borrowed_from) == (
                    credential.access,
                    credential.expires_at,
                    credential.scopes,
                    owner,
                )


# --- claude-swap's store ---


def test_claude_swap_reads_the_files_of_its_accounts_in_the_persons_order(tmp_path: Path) -> None:
    path = account_files.put_claude_swap(tmp_path)
    grace, ada, key = accounts(path)
    (problem,) = [one for one in found_in(path) if isinstance(one, Problem)]

    assert (grace.identity.email, grace.enabled, grace.identity.account_uuid) == ("grace@example.org", False, "")
    assert (ada.label, ada.secret, ada.identity.account_uuid) == ("work", "sk-ant-oat01-EXAMPLE-claude-code", ADA[0])
    assert (key.kind, key.identity.email) == (API, "key@example.org")
    assert problem.why == "account 4: its credential is missing"


@pytest.mark.parametrize(("speaks_of", "known"), [("grace@example.org", True), ("ada@example.org", False)])
def test_claude_swap_takes_ids_from_the_config_copied_for_the_same_account(
    tmp_path: Path, speaks_of: str, known: bool
) -> None:
    config = put(tmp_path / "configs" / ".claude-config-2-grace@example.org.json", "claude-code-config.json")
    config.write_bytes(config.read_bytes().replace(b"ada@example.org", speaks_of.encode()))
    grace = accounts(account_files.put_claude_swap(tmp_path))[0]

    assert (grace.identity.account_uuid == ADA[0]) is known


@pytest.mark.parametrize(
    ("raw", "why"), [(b"%%%", "not base64"), (b"", "missing"), (b"bm90IGpzb24=", "not valid JSON")]
)
def test_claude_swaps_broken_file_is_told(tmp_path: Path, raw: bytes, why: str) -> None:
    path = account_files.put_claude_swap(tmp_path)
    (tmp_path / "credentials" / ".creds-1-ada@example.org.enc").write_bytes(raw)

    problems = [one for one in found_in(path) if isinstance(one, Problem)]

    assert why in problems[0].why
    assert len(accounts(path)) == 2


# --- places ---


def test_claude_codes_keychain_item_depends_on_its_folder() -> None:
    items = IMPORTERS["claude-code"].items

    assert items({"USER": "ada"})[0] == KeychainItem("Claude Code-credentials", "ada")
    moved = items({"USER": "ada", "CLAUDE_CONFIG_DIR": "/Users/ada/Caf\u0065\u0301"})[0]
    assert moved == items({"USER": "ada", "CLAUDE_CONFIG_DIR": "/Users/ada/Caf\u00e9"})[0]
    assert len(moved.service) == len("Claude Code-credentials-") + 8


# --- the pieces ---


@pytest.mark.parametrize(
    ("value", "at"),
    [
        (None, None),
        ("", None),
        (0, 0.0),
        (1767225600, ENDS_AT),
        (1767225600000, ENDS_AT),
        (1767225600000.0, ENDS_AT),
        ("1767225600000", ENDS_AT),
        ("2026-01-01T00:00:00Z", ENDS_AT),
        ("2026-01-01T00:00:00.000Z", ENDS_AT),
        ("2026-01-01T00:00:00.000000000Z", ENDS_AT),
        ("2025-12-31T19:00:00-05:00", ENDS_AT),
    ],
)
def test_time_is_read_in_every_unit(value: object, at: float | None) -> None:
    assert epoch_s(value) == at


@pytest.mark.parametrize(
    "value",
    [
        *(True, [], {}, -1, 1, 1767225600000000, 1e300, float("nan"), float("inf"), 10**400),
        *("soon", "0001-01-01T00:00:00Z", "2026-01-01T00:00:00", "9" * 5000),
    ],
)
def test_time_that_cannot_be_is_refused(value: object) -> None:
    with pytest.raises(Malformed):
        epoch_s(value)


@pytest.mark.parametrize("value", [17, ["x"], "two words", "line\nline", "schlüssel", "x" * 1025, "a\x00b"])
def test_what_could_not_travel_in_a_header_is_no_token(value: object) -> None:
    with pytest.raises(Malformed) as caught:
        token(value)

    assert str(value) not in str(caught.value)


def test_token_may_have_space_around_it_or_be_absent() -> None:
    assert token(" sk-x\n") == "sk-x"
    assert token(None) == token("") == ""
    assert fingerprint("") == ""
    assert fingerprint("a") != fingerprint("b")


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe{}", b"[" * 100_000, b'{"a":1}x'])
def test_what_is_not_json_is_refused(raw: bytes) -> None:
    with pytest.raises(Malformed):
        decoded(raw)


def test_byte_order_mark_does_no_harm() -> None:
    assert decoded(b'\xef\xbb\xbf{"a":1}') == {"a": 1}
