from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from core import __version__, errors
from core.bus import Bus
from core.engine import MOVES_KEPT, Engine
from core.errors import TidegateError, UsageError
from core.model import (
    Account,
    AccountId,
    AccountKind,
    AccountRefused,
    AccountState,
    Affinity,
    Changed,
    Choice,
    ClientKind,
    CooldownStarted,
    Event,
    Exhausted,
    FailedOver,
    Identity,
    LoginHealth,
    LoginRenewed,
    LoginRequired,
    LoginState,
    Move,
    Outcome,
    Pin,
    Polling,
    Pool,
    ProviderName,
    QuotaSpent,
    QuotaWindow,
    RenewalFailed,
    RequestRefused,
    Served,
    SessionId,
    Settings,
    SignIn,
    Strategy,
    Traffic,
)
from core.policy.polling import Read
from core.wording import clock_time
from tests.pools import ANTHROPIC, GO, NOW, A, B, C, pool, resting, said, state

HERE = ProviderName.ANTHROPIC
GONE = AccountId("gone")
SPENT = QuotaSpent("5 h window full", NOW + 600)


class Stand:
    """An engine with a clock that stands still, and everything it says."""

    def __init__(self, *members: str | AccountState, moves: Iterable[Move] = ()) -> None:
        self.now = NOW
        self.events: list[Event] = []
        self.saved: list[Pool] = []
        self.moved: list[Move] = []
        self.read: list[list[AccountId]] = []
        bus = Bus()
        bus.subscribe(self.events.append)
        self.engine = Engine(
            bus,
            lambda: self.now,
            self.saved.append,
            self.moved.append,
            moves,
            read=lambda states: self.read.append([state.account.id for state in states]),
        )
        self.engine.pool = pool(*members)

    def state(self, id_: AccountId = A) -> AccountState:
        found = self.engine.pool.state(id_)
        assert found is not None
        return found

    def serve(self, id_: AccountId = A, outcome: Outcome | None = None, tried: tuple[AccountId, ...] = ()) -> None:
        """One attempt with what became of it."""
        with self.engine.lease(ANTHROPIC, Choice(id_, "test"), tried):
            self.engine.observe(id_, outcome or Served())


# --- questions -------------------------------------------------------------------------------------


def test_the_snapshot_is_the_picture_with_what_the_engine_knows() -> None:
    stand = Stand("a", resting("b"))
    stand.engine.address = "http://127.0.0.1:8433"
    stand.engine.notifications = False
    stand.serve(A, tried=(B,))

    shown = stand.engine.snapshot()

    assert (shown.at, shown.version, shown.address) == (NOW, __version__, "http://127.0.0.1:8433")
    assert (shown.notifications, shown.demo) == (False, False)
    assert [view.id for view in shown.accounts] == [A, B]
    assert shown.moves == (Move(NOW, "B", "A", "5 h window full", NOW + 600),)


def test_an_account_is_chosen_by_the_engines_clock() -> None:
    stand = Stand(resting("a", 60))

    early, able_early = stand.engine.choose(ANTHROPIC), stand.engine.serves(A, ANTHROPIC)
    stand.now += 60

    assert isinstance(early, Exhausted)
    assert not able_early
    assert stand.engine.choose(ANTHROPIC) == Choice(A, "not used yet", placed=True)
    assert stand.engine.serves(A, ANTHROPIC)
    assert isinstance(stand.engine.choose(ANTHROPIC, [A]), Exhausted)
    assert not stand.engine.serves(GONE, ANTHROPIC)


def test_it_knows_when_somebody_last_asked_in_vain() -> None:
    stand = Stand(resting("a", 60))

    stand.engine.choose(ANTHROPIC)
    stand.now += 60
    stand.engine.choose(ANTHROPIC)

    assert stand.engine.wanted_at == NOW


# --- serving ---------------------------------------------------------------------------------------


def test_a_lease_ends_with_its_block_also_when_that_breaks() -> None:
    stand = Stand("a")

    with pytest.raises(RuntimeError), stand.engine.lease(ANTHROPIC, Choice(A, "test"), retried=True):
        assert (stand.state().in_flight, stand.engine.pool.retrying) == (1, 1)
        raise RuntimeError

    assert (stand.state().in_flight, stand.engine.pool.retrying) == (0, 0)
    assert stand.saved[-1] == stand.engine.pool


def test_an_account_that_is_removed_while_it_serves_leaves_nothing_behind() -> None:
    stand = Stand("a", "b")

    with stand.engine.lease(ANTHROPIC, Choice(A, "test"), retried=True):
        stand.engine.remove(A)
        stand.engine.observe(A, SPENT)

    assert stand.engine.pool == pool("b")


def test_a_new_active_account_is_news_once() -> None:
    stand = Stand("a", "b")

    for id_ in (A, A, B, B):
        stand.serve(id_)

    assert stand.events == [Traffic("A serves: test"), Traffic("B serves: test")]


def test_a_refusal_and_the_failover_are_published_saved_and_remembered() -> None:
    stand = Stand("a", "b")

    stand.serve(A, SPENT)
    stand.serve(B, tried=(A,))

    assert [event for event in stand.events if not isinstance(event, Changed)] == [
        CooldownStarted(A, NOW + 600, SPENT.cause, "5 h window full"),
        FailedOver(A, B, "5 h window full", NOW + 600),
    ]
    assert stand.moved == [Move(NOW, "A", "B", "5 h window full", NOW + 600)]
    assert stand.saved[-1] == stand.engine.pool


def test_moves_are_shown_newest_first_and_not_for_ever() -> None:
    before = [Move(NOW - n, "old", "new", str(n)) for n in range(MOVES_KEPT)]
    stand = Stand("a", resting("b"), moves=before)

    stand.serve(A, tried=(B,))

    assert stand.engine.snapshot().moves == (*stand.moved, *before[:-1])


def test_a_quota_reading_is_news_when_it_says_something_new() -> None:
    stand = Stand("a")
    reading = QuotaWindow("5h", 0.5, NOW + 60, seen_at=NOW)

    stand.engine.observe(A, Served((reading,)))
    first, stand.events[:] = list(stand.events), []
    stand.engine.observe(A, Served((replace(reading, seen_at=NOW + 1),)))
    stand.engine.observe(A, RequestRefused(400))

    assert first == [Traffic("A: new quota reading")]
    assert stand.events == []
    assert stand.state().windows[0].seen_at == NOW + 1


def test_news_of_quota_are_handed_on_for_all_that_share_it() -> None:
    shared = Identity(organization_uuid="org")
    stand = Stand(*(state(id_, AccountKind.API_KEY, identity=shared) for id_ in "ab"), "c")
    reading = QuotaWindow("5h", 0.5, NOW + 60, seen_at=NOW)

    stand.engine.observe(A, Served((reading,)))
    stand.engine.observe(A, Served((reading,)))
    stand.engine.learn(C, Read((reading,)))

    assert stand.read == [[A, B], [C]]


def test_quota_that_was_given_back_is_handed_on() -> None:
    stand = Stand("a")
    stand.serve(A, SPENT)

    stand.engine.learn(A, Read((QuotaWindow("5h", 0.1, NOW + 60, seen_at=NOW),)))

    assert not stand.state().cooldowns
    assert stand.read == [[A]]


def test_what_is_said_of_an_account_that_is_gone_is_ignored() -> None:
    stand = Stand("a")

    stand.engine.observe(GONE, SPENT)
    stand.engine.sign_in(GONE, SignIn.LOCKED, "locked")
    stand.engine.without_secret(GONE, errors.LoginNeeded("ended"))

    assert (stand.engine.pool, stand.events) == (pool("a"), [])


# --- credentials -----------------------------------------------------------------------------------


def test_a_question_to_the_usage_endpoint_is_saved_before_it_is_sent() -> None:
    stand = Stand("a")

    stand.engine.asks(A, 0.5)
    stand.engine.asks(GONE, 0.5)

    assert [p.accounts[0].polling for p in stand.saved] == [Polling(asked_at=NOW)]
    assert stand.events == []


def test_a_reading_is_saved_and_is_news_when_it_says_something_new() -> None:
    stand = Stand("a")
    windows = (QuotaWindow("5h", 0.4, NOW + 60, seen_at=NOW),)

    for _ in range(2):
        stand.engine.learn(A, Read(windows))
    stand.engine.learn(GONE, Read(windows))

    assert stand.events == [Traffic("A: new quota reading")]
    assert said(stand.saved[-1].accounts[0]) == windows


def test_a_reading_that_ends_a_rest_is_said() -> None:
    stand = Stand(resting("a"))

    stand.engine.learn(A, Read((QuotaWindow("5h", 0.4, NOW + 60, seen_at=NOW),)))

    assert stand.events == [Changed("A has quota again")]
    assert stand.engine.choose(ANTHROPIC) == Choice(A, "least used: 5 h at 40 %", placed=True)


def test_a_new_login_may_be_asked_about_again() -> None:
    before = Polling(asked_at=NOW, unreadable=True)
    stand = Stand(state("a", polling=before))

    stand.engine.sign_in(A, SignIn.LOCKED)
    locked = stand.state().polling
    stand.engine.sign_in(A, SignIn.OK)

    assert locked == before
    assert stand.state().polling == Polling(asked_at=NOW)


def test_a_clock_that_was_set_back_is_heeded() -> None:
    stand = Stand(state("a", polling=Polling(asked_at=NOW + 9999)))

    stand.engine.heed_clock()

    assert stand.state().polling.asked_at == NOW


def test_a_change_of_the_sign_in_is_said_once() -> None:
    stand = Stand("a")

    for _ in range(2):
        stand.engine.sign_in(A, SignIn.LOCKED, "The keychain is locked")
    for _ in range(2):
        stand.engine.sign_in(A, SignIn.OK)

    assert stand.events == [Changed("A: The keychain is locked"), Changed("A: signed in")]
    assert (stand.state().sign_in, stand.state().sign_in_text) == (SignIn.OK, "")


@pytest.mark.parametrize(
    ("error", "sign_in", "event"),
    [
        (errors.LoginNeeded("Ended"), SignIn.NEEDED, LoginRequired(A, "Ended")),
        (errors.VaultLocked("Locked"), SignIn.LOCKED, Changed("A: Locked")),
        (errors.VaultAbsent("Absent"), SignIn.LOCKED, Changed("A: Absent")),
        (errors.VaultTimeout("Silent"), SignIn.LOCKED, Changed("A: Silent")),
        (errors.RefreshFailed("Busy"), SignIn.OK, RenewalFailed(A, "Busy")),
        (TidegateError("Something else"), SignIn.OK, None),
    ],
)
def test_an_account_without_its_secret_says_why_once_unless_that_passes_by_itself(
    error: TidegateError, sign_in: SignIn, event: Event | None, caplog: pytest.LogCaptureFixture
) -> None:
    stand = Stand("a")

    for _ in range(2):
        stand.engine.without_secret(A, error)

    assert stand.events == ([event] if event else [])
    assert (stand.state().sign_in, stand.state().sign_in_text) == (sign_in, "" if sign_in is SignIn.OK else error.title)
    assert f"A: {error.title}" in caplog.text


def test_trouble_with_a_renewal_is_said_again_after_it_had_worked() -> None:
    stand = Stand("a")

    stand.engine.without_secret(A, errors.RefreshFailed("Busy"))
    stand.engine.without_secret(A, errors.RefreshFailed("Throttled"))
    stand.engine.renewed(A)
    stand.engine.without_secret(A, errors.RefreshFailed("Throttled"))

    assert stand.events == [
        RenewalFailed(A, "Busy"),
        RenewalFailed(A, "Throttled"),
        LoginRenewed(A),
        RenewalFailed(A, "Throttled"),
    ]


# --- beginning -------------------------------------------------------------------------------------


def remembered() -> Pool:
    """What the last run left: an account that is gone now, and requests that ended with their process."""
    return pool(
        state("a", in_flight=3, served=7, cooldowns=resting("a").cooldowns),
        state("gone", in_flight=1),
        state("go", AccountKind.GO),
        strategy=Strategy.ROUND_ROBIN,
        pins={HERE: Pin(GONE), ProviderName.OPENCODE_GO: Pin(GO)},
        sessions={SessionId("one"): Affinity(A, NOW), SessionId("two"): Affinity(GONE, NOW)},
        active={HERE: Choice(GONE, "next in turn"), ProviderName.OPENCODE_GO: Choice(GO, "next in turn")},
        retrying=2,
    )


def test_a_start_goes_on_where_the_last_run_ended() -> None:
    stand = Stand()
    accounts = [Account(C, "New", AccountKind.API_KEY), state("go", AccountKind.GO).account, state("a").account]

    stand.engine.restore(
        [replace(account, label=account.label + "!") for account in accounts], remembered(), Strategy.STICKY
    )

    assert stand.engine.pool == Pool.of(
        (
            AccountState(Account(C, "New!", AccountKind.API_KEY)),
            state("go", AccountKind.GO, label="GO!"),
            state("a", label="A!", served=7, cooldowns=resting("a").cooldowns),
        ),
        strategy=Strategy.STICKY,
        pins={ProviderName.OPENCODE_GO: Pin(GO)},
        sessions={SessionId("one"): Affinity(A, NOW)},
        active={ProviderName.OPENCODE_GO: Choice(GO, "next in turn")},
    )


def test_the_first_start_begins_with_fresh_accounts() -> None:
    stand = Stand()

    stand.engine.restore([state("a").account], None, Strategy.LEAST_UTILIZED)

    assert stand.engine.pool == pool("a")


# --- the person's orders ---------------------------------------------------------------------------


def test_every_order_is_saved_and_published() -> None:
    stand = Stand("a", "b")
    engine = stand.engine
    orders = [
        lambda: engine.add(state("c").account),
        lambda: engine.replace(replace(state("a").account, label="Work")),
        lambda: engine.reorder([C, A, B]),
        lambda: engine.pin(C, NOW + 60),
        lambda: engine.configure(Settings(strategy=Strategy.STICKY)),
        lambda: engine.remove(B),
        engine.unpin,
        lambda: engine.pause(NOW + 60),
        engine.resume,
    ]

    for order in orders:
        order()
        assert stand.saved[-1] == engine.pool

    assert engine.pool == pool("c", state("a", label="Work"), strategy=Strategy.STICKY)
    assert stand.events == [
        Changed("C added"),
        Changed("Work changed"),
        Changed("order changed"),
        Changed("C pinned"),
        Changed("settings changed"),
        Changed("B removed"),
        Changed("unpinned"),
        Changed("paused"),
        Changed("resumed"),
    ]


def test_what_pointed_to_a_removed_account_goes_with_it() -> None:
    stand = Stand("a", "b", state("go", AccountKind.GO))
    stand.engine.pin(A)
    with stand.engine.lease(replace(ANTHROPIC, session=SessionId("s")), Choice(A, "pinned by you")):
        pass

    stand.engine.remove(A)

    assert stand.engine.pool == pool("b", state("go", AccountKind.GO))


def test_a_pin_concerns_its_own_provider() -> None:
    stand = Stand("a", "b", state("go", AccountKind.GO))
    stand.engine.pin(GO)
    stand.engine.pin(A)
    stand.engine.pin(B, NOW + 60)
    both = stand.engine.pool.pins

    stand.engine.unpin(ProviderName.OPENCODE_GO)

    assert both == {ProviderName.OPENCODE_GO: Pin(GO), HERE: Pin(B, NOW + 60)}
    assert stand.engine.pool.pins == {HERE: Pin(B, NOW + 60)}


NEW_OWNER = Identity("another account")


@pytest.mark.parametrize(
    ("was_enabled", "changes", "lifted"),
    [
        (True, {"label": "Work"}, False),
        (True, {"enabled": False}, False),
        (False, {"enabled": True}, True),
        (True, {"identity": NEW_OWNER}, True),
        (False, {"identity": NEW_OWNER}, False),
        (False, {"label": "Work"}, False),
    ],
)
def test_switching_on_and_signing_in_lift_what_kept_an_account_from_serving_except_its_quota(
    was_enabled: bool, changes: dict[str, object], lifted: bool
) -> None:
    kept = frozenset({ClientKind.OTHER})
    cooldowns = resting("a").cooldowns
    stand = Stand(state("a", enabled=was_enabled, cooldowns=cooldowns, refuses=kept))
    stand.engine.observe(A, AccountRefused("organization disabled"))

    stand.engine.replace(replace(stand.state().account, **changes))

    after = stand.state()
    assert after.cooldowns == cooldowns
    assert (after.sign_in, after.refuses) == ((SignIn.OK, frozenset()) if lifted else (SignIn.NEEDED, kept))


def test_reset_forgets_what_is_held_against_an_account() -> None:
    stand = Stand(resting("a"), resting("b"))
    stand.engine.observe(A, AccountRefused("organization disabled"))
    stand.events.clear()

    stand.engine.reset(A)

    assert (stand.state(A).sign_in, stand.state(A).cooldowns) == (SignIn.OK, ())
    assert stand.state(B).cooldowns
    assert stand.events == [Changed("A reset")]
    assert stand.saved[-1] is stand.engine.pool


@pytest.mark.parametrize(
    "order",
    [
        lambda engine: engine.replace(state("gone").account),
        lambda engine: engine.remove(GONE),
        lambda engine: engine.reorder([A, GONE]),
        lambda engine: engine.pin(GONE),
        lambda engine: engine.reset(GONE),
    ],
    ids=["replace", "remove", "reorder", "pin", "reset"],
)
def test_an_order_for_an_account_that_is_not_there_changes_nothing(order: object) -> None:
    stand = Stand("a")

    with pytest.raises(UsageError, match="There is no account gone") as caught:
        order(stand.engine)  # type: ignore[operator]

    assert "tidegate list" in caught.value.hint
    assert (stand.engine.pool, stand.events, stand.saved) == (pool("a"), [], [])


def test_an_account_is_named_by_its_label_and_by_its_id_when_it_is_gone() -> None:
    stand = Stand(state("a", label="Work"))

    assert (stand.engine.label(A), stand.engine.label(GONE)) == ("Work", "gone")


# --- logins ----------------------------------------------------------------------------------------


def lent(name: str) -> AccountState:
    """An account whose login belongs to another program."""
    known = state(name)
    return replace(known, account=replace(known.account, borrowed_from="Claude Code"))


def test_how_a_login_is_doing_is_shown_and_told_when_its_state_changes() -> None:
    stand = Stand("a")

    for health in (
        LoginHealth(LoginState.FINE, NOW + 60),
        LoginHealth(LoginState.RENEWING, NOW + 60),
        LoginHealth(LoginState.RENEWING, NOW + 90),
        LoginHealth(LoginState.FINE, NOW + 90),
    ):
        stand.engine.login_health(A, health)
        assert stand.engine.snapshot().accounts[0].login == health

    assert stand.events == [Changed("A: login refreshing"), Changed("A: login fine")]


def test_a_login_that_cannot_be_renewed_calls_for_the_person_once_and_goes_on_serving() -> None:
    stand = Stand("a")
    ends_at = NOW + 3_600

    for health in (LoginHealth(LoginState.ENDING, ends_at), LoginHealth(LoginState.ENDING, ends_at + 1)):
        stand.engine.login_health(A, health)

    until = clock_time(ends_at, NOW)
    assert stand.events == [
        Changed("A: login ending"),
        LoginRequired(A, f"Sign in again by {until}: this login serves until then and cannot be renewed."),
    ]
    assert stand.engine.serves(A, ANTHROPIC)


def test_the_end_of_a_borrowed_login_names_its_lender() -> None:
    stand = Stand(lent("a"))

    stand.engine.login_health(A, LoginHealth(LoginState.ENDING, NOW + 3_600))

    until = clock_time(NOW + 3_600, NOW)
    said = f"Claude Code owns this login, and it ends at {until}."
    assert stand.events[-1] == LoginRequired(A, f"{said} Open it there, or sign in to make it Tidegate's own.")


def test_a_login_that_has_ended_already_is_not_announced_as_ending() -> None:
    stand = Stand("a")

    stand.engine.login_health(A, LoginHealth(LoginState.ENDING, NOW - 1))

    assert stand.events == [Changed("A: login ending")]


def test_a_login_may_speak_before_its_account_is_here() -> None:
    stand = Stand()
    health = LoginHealth(LoginState.FINE, NOW + 60)

    stand.engine.login_health(A, health)
    stand.engine.add(state("a").account)

    assert stand.state().login == health
    stand.engine.remove(A)
    stand.engine.add(state("a").account)
    assert stand.state().login == LoginHealth()


def test_what_an_earlier_process_knew_of_a_login_is_not_believed() -> None:
    stand = Stand()
    earlier = replace(state("a"), login=LoginHealth(LoginState.UNSAVED, NOW))

    stand.engine.restore([earlier.account], pool(earlier), Strategy.STICKY)

    assert stand.state().login == LoginHealth()
