import pytest
from msgspec.structs import replace

from core.model import (
    AccountId,
    AccountKind,
    AccountState,
    AccountView,
    Choice,
    ClientKind,
    ExtraUsage,
    Identity,
    Level,
    ModelFamily,
    Pin,
    Pool,
    ProviderName,
    QuotaWindow,
    Serves,
    SignIn,
    Standing,
    Strategy,
    WindowView,
)
from core.policy.picture import active, snapshot
from tests.pools import GO, NOW, A, B, C, pool, resting, state

HERE = ProviderName.ANTHROPIC
USED = QuotaWindow("5h", 0.62, NOW + 3600, seen_at=NOW)


def last(id_: AccountId, reason: str = "it was its turn") -> dict[ProviderName, Choice]:
    return {HERE: Choice(id_, reason)}


def view(p: Pool, id_: AccountId = A) -> AccountView:
    return next(shown for shown in snapshot(p, NOW).accounts if shown.id == id_)


@pytest.mark.parametrize(
    ("p", "serving"),
    [
        (pool(), None),
        (pool(state("go", AccountKind.GO)), None),
        (pool(resting("a")), None),
        # Nobody served yet: who would be chosen.
        (pool(state("a", windows=(USED,)), "b"), Choice(B, "not used yet")),
        # Who served last, as long as it can.
        (pool(state("a", windows=(USED,)), "b", active=last(A)), Choice(A, "it was its turn")),
        (pool(resting("a"), "b", active=last(A)), Choice(B, "not used yet")),
        (pool("b", active=last(A)), Choice(B, "not used yet")),
        # The pin comes first, and says so from the moment it is set to the moment it ends.
        (pool("a", "b", active=last(A), pins={HERE: Pin(B)}), Choice(B, "pinned by you")),
        (pool("a", "b", active=last(A), pins={HERE: Pin(A)}), Choice(A, "pinned by you")),
        (pool("a", "b", active=last(A, "pinned by you")), Choice(A, "it served last")),
        (pool("a", "b", active=last(A), pins={HERE: Pin(B, NOW)}), Choice(A, "it was its turn")),
        (pool("a", resting("b"), "c", active=last(C), pins={HERE: Pin(B)}), Choice(C, "it was its turn")),
        # An account that is kept for Claude Code serves all the same.
        (pool(state("a", serves=Serves.CLAUDE_CODE), "b", active=last(A)), Choice(A, "it was its turn")),
        (pool(state("a", refuses=frozenset({ClientKind.OTHER}))), Choice(A, "not used yet")),
    ],
)
def test_the_active_account_is_the_one_that_serves_now(p: Pool, serving: Choice | None) -> None:
    now = active(p, HERE, NOW)
    assert (replace(now, placed=False) if now else None) == serving


def test_each_provider_has_its_active_account_with_its_reason() -> None:
    p = pool("a", "b", state("go", AccountKind.GO), active=last(B, "next in turn"), strategy=Strategy.ROUND_ROBIN)

    shown = snapshot(p, NOW)

    assert [(v.id, v.reason) for v in shown.accounts if v.active] == [(B, "next in turn"), (GO, "next in turn")]
    assert (shown.at, shown.strategy) == (NOW, Strategy.ROUND_ROBIN)
    assert view(p, A).reason == ""


def test_the_icon_shows_the_active_account_that_was_used_last() -> None:
    p = pool(state("a", last_used_at=NOW - 60), state("go", AccountKind.GO, last_used_at=NOW))

    shown = snapshot(p, NOW).active

    assert shown is not None
    assert shown.id == GO


@pytest.mark.parametrize(
    ("account", "standing", "detail", "until_at"),
    [
        (state("a"), Standing.READY, "", None),
        (resting("a"), Standing.COOLING, "5 h window full", NOW + 600),
        (resting("a", family=ModelFamily("opus")), Standing.READY, "", None),
        (resting("a", for_s=0), Standing.READY, "", None),
        (state("a", enabled=False), Standing.DISABLED, "disabled", None),
        (state("a", sign_in=SignIn.LOCKED), Standing.LOCKED, "keychain locked", None),
        (state("a", sign_in=SignIn.NEEDED, sign_in_text="login revoked"), Standing.SIGN_IN, "login revoked", None),
        (
            state("a", sign_in=SignIn.NEEDED, cooldowns=resting("a").cooldowns),
            Standing.SIGN_IN,
            "sign in again",
            None,
        ),
        (state("a", serves=Serves.CLAUDE_CODE), Standing.READY, "serves Claude Code only", None),
    ],
)
def test_an_account_shows_its_standing_and_why(
    account: AccountState, standing: Standing, detail: str, until_at: float | None
) -> None:
    shown = view(pool(account))

    assert (shown.standing, shown.detail, shown.until_at) == (standing, detail, until_at)


@pytest.mark.parametrize(
    ("account", "level"),
    [
        (state("a"), Level.UNKNOWN),
        (state("a", windows=(USED,)), Level.OK),
        (state("a", windows=(USED, QuotaWindow("7d", 0.75))), Level.WARN),
        (state("a", windows=(USED, QuotaWindow("7d", 0.95, family=ModelFamily("opus")))), Level.OK),
        (state("a", windows=(QuotaWindow("5h", 0.95, NOW),)), Level.OK),
        (state("a", windows=(USED,), cooldowns=resting("a").cooldowns), Level.SPENT),
    ],
)
def test_an_accounts_level_is_that_of_its_tightest_window_for_all_models(account: AccountState, level: Level) -> None:
    assert view(pool(account)).level is level


def test_windows_are_shown_as_far_as_they_are_known_now() -> None:
    ended = QuotaWindow("7d", 0.95, NOW)
    unknown = QuotaWindow("7d_new_thing")

    assert view(pool(state("a", windows=(USED, ended, unknown)))).windows == (
        WindowView("5h", 0.62, NOW + 3600, Level.OK, seen_at=NOW, pace=0.62 / 0.8),
        WindowView("7d", 0.0, None, Level.OK),
        WindowView("7d_new_thing", None, None, Level.UNKNOWN),
    )


def test_what_the_present_rate_leads_to_is_shown() -> None:
    hour = 3600.0
    dry = QuotaWindow("5h", 0.8, NOW + 2 * hour, seen_at=NOW, rate=0.2 / hour)
    lost = QuotaWindow("7d", 0.2, NOW + 10 * hour, seen_at=NOW, rate=0.03 / hour)
    p = pool(state("a", windows=(dry, lost)), state("off", enabled=False, windows=(dry,)))

    shown = snapshot(p, NOW)

    assert shown.accounts[0].windows[0].dry_at == pytest.approx(NOW + hour)
    assert shown.accounts[0].windows[1].lost == pytest.approx(0.5)
    assert shown.headroom_s == {HERE: pytest.approx(hour)}


def test_a_pin_is_shown_until_it_ends() -> None:
    held = view(pool("a", pins={HERE: Pin(A, NOW + 60)}))
    over = view(pool("a", pins={HERE: Pin(A, NOW)}))

    assert (held.pinned, held.pinned_until_at) == (True, NOW + 60)
    assert (over.pinned, over.pinned_until_at) == (False, None)


def test_what_the_person_set_up_and_what_happened_is_shown() -> None:
    who = Identity("account-1", "organisation-1", "work@example.org", "max")
    account = state("a", label="Work", identity=who, in_flight=2, served=7, last_used_at=NOW - 5)

    shown = view(pool(account))

    assert (shown.label, shown.email, shown.plan) == ("Work", "work@example.org", "max")
    assert (shown.kind, shown.provider) == (AccountKind.CLAUDE, HERE)
    assert (shown.in_flight, shown.served, shown.last_used_at) == (2, 7, NOW - 5)


def test_keys_of_one_organisation_are_shown_as_sharing_their_limits() -> None:
    keys = [
        state(id_, AccountKind.API_KEY, identity=Identity(f"key:{id_}", organisation))
        for id_, organisation in {"a": "one", "b": "two", "c": "one"}.items()
    ]
    p = pool(*keys, state("d", identity=Identity("ada", "one")))

    assert [shown.shares_with for shown in snapshot(p, NOW).accounts] == [("C",), (), ("A",), ()]


def test_extra_usage_is_shown_as_in_use_until_the_plan_begins_anew() -> None:
    extra = ExtraUsage(enabled=True, in_use=True, utilization=0.25, seen_at=NOW - 60)
    paying, over = QuotaWindow("5h", 1.0, NOW + 60), QuotaWindow("5h", 1.0, NOW - 1)

    assert view(pool(state("a", windows=(paying,), extra_usage=extra))).extra_usage == extra
    assert view(pool(state("a", windows=(over,), extra_usage=extra))).extra_usage == replace(extra, in_use=False)
    assert view(pool("a")).extra_usage is None


def test_an_account_whose_plan_is_spent_shows_until_when_it_rests() -> None:
    account = state("a", plan_limits_only=True, windows=(QuotaWindow("5h", 1.0, NOW + 600, seen_at=NOW),))

    shown = view(pool(account))

    assert (shown.standing, shown.until_at, shown.level) == (Standing.COOLING, NOW + 600, Level.SPENT)
    assert (shown.detail, shown.plan_limits_only) == ("plan spent (you keep it to plan limits)", True)
