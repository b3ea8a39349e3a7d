from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from core import model
from core.model import (
    AccountKind,
    AccountView,
    Affinity,
    ApiKey,
    Choice,
    Event,
    FailedOver,
    Identity,
    Level,
    ModelFamily,
    Move,
    OAuthTokens,
    Outcome,
    Pin,
    Pool,
    ProviderName,
    QuotaWindow,
    Serves,
    SessionId,
    Snapshot,
    Standing,
    Strategy,
    WindowStatus,
    WindowView,
)
from core.policy.picture import snapshot
from core.vault import Stored
from tests.pools import GO, NOW, A, B, pool, rest, state

WINDOW = QuotaWindow("7d", 0.9, NOW + 60, WindowStatus.WARNING, ModelFamily("opus"), NOW)
FULL = pool(
    state(
        "a",
        identity=Identity("account-1", "organisation-1", "work@example.org", "max"),
        serves=Serves.CLAUDE_CODE,
        windows=(WINDOW, QuotaWindow("new")),
        cooldowns=(rest(60, family=ModelFamily("opus"), moved_to=B),),
        refuses=frozenset(model.ClientKind),
        in_flight=1,
    ),
    state("b", AccountKind.API_KEY),
    state("go", AccountKind.GO),
    strategy=Strategy.STICKY,
    pins={ProviderName.ANTHROPIC: Pin(A, NOW + 60), ProviderName.OPENCODE_GO: Pin(GO)},
    sessions={SessionId("anthropic/s"): Affinity(A, NOW)},
    active={ProviderName.ANTHROPIC: Choice(A, "next in turn")},
    retrying=2,
)
SHOWN = replace(snapshot(FULL, NOW), moves=(Move(NOW, "Work", "Home", "5 h window full", NOW + 60),))


@pytest.mark.parametrize("value", [FULL, Pool(), SHOWN, Snapshot(NOW)], ids=["pool", "empty", "snapshot", "nothing"])
def test_what_is_kept_and_what_is_shown_survives_its_json(value: Pool | Snapshot) -> None:
    assert msgspec.json.decode(msgspec.json.encode(value), type=type(value)) == value


@pytest.mark.parametrize("union", [Outcome, Event])
def test_outcomes_and_events_are_values(union: Any) -> None:
    for kind in union.__args__:
        assert issubclass(kind, msgspec.Struct)
        assert kind.__struct_config__.frozen
        assert kind.__struct_config__.eq


def test_values_cannot_be_changed() -> None:
    for field in ("source", "until_at"):
        with pytest.raises(AttributeError, match="immutable"):
            setattr(FailedOver(A, B, "full"), field, B)


@pytest.mark.parametrize(
    "credential",
    [ApiKey("sk-ant-CANARY"), OAuthTokens("access-CANARY", "refresh-CANARY", NOW, ("user:profile",))],
    ids=["key", "login"],
)
@pytest.mark.parametrize("show", [repr, str, "{}".format, lambda value: repr(Stored(1, value)), lambda v: repr([v])])
def test_a_secret_is_hidden_when_it_is_shown(credential: ApiKey | OAuthTokens, show: Any) -> None:
    assert "CANARY" not in show(credential)


@pytest.mark.parametrize("kind", AccountKind)
def test_only_go_accounts_serve_the_other_provider(kind: AccountKind) -> None:
    assert (kind.provider is ProviderName.OPENCODE_GO) == (kind is AccountKind.GO)


def test_a_pool_knows_the_state_of_its_own_accounts() -> None:
    found = FULL.state(B)

    assert found is not None
    assert found.account.id == B
    assert FULL.state(model.AccountId("gone")) is None


def view(id_: str, **changes: Any) -> AccountView:
    kind = AccountKind.CLAUDE
    return AccountView(model.AccountId(id_), id_, kind, kind.provider, Standing.READY, Level.OK, **changes)


@pytest.mark.parametrize(
    ("windows", "name"),
    [
        ((), None),
        ((WindowView("5h", None, None, Level.UNKNOWN),), None),
        ((WindowView("5h", 0.0, None, Level.OK),), "5h"),
        ((WindowView("5h", 0.5, None, Level.OK), WindowView("7d", 0.8, None, Level.WARN)), "7d"),
        ((WindowView("5h", 0.5, None, Level.OK), WindowView("7d", 0.8, None, Level.WARN, ModelFamily("opus"))), "5h"),
    ],
)
def test_the_tightest_window_of_a_view_counts_all_models(windows: tuple[WindowView, ...], name: str | None) -> None:
    tightest = view("a", windows=windows).tightest

    assert (tightest.name if tightest else None) == name


@pytest.mark.parametrize(
    ("accounts", "shown"),
    [
        ((), None),
        ((view("a"), view("b", last_used_at=NOW)), None),
        ((view("a", active=True), view("b", last_used_at=NOW)), "a"),
        ((view("a", active=True, last_used_at=NOW - 1), view("b", active=True, last_used_at=NOW)), "b"),
        ((view("a", active=True), view("b", active=True)), "a"),
    ],
)
def test_a_snapshot_shows_the_active_account_that_was_used_last(
    accounts: tuple[AccountView, ...], shown: str | None
) -> None:
    active = Snapshot(NOW, accounts=accounts).active

    assert (active.id if active else None) == shown
