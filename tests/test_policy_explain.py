"""Who is next and who is not, in the words and the order of the real choice."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.model import (
    AccountId,
    AccountKind,
    AccountState,
    Affinity,
    Choice,
    Identity,
    ModelFamily,
    Pause,
    Pin,
    Pool,
    ProviderName,
    QuotaWindow,
    Request,
    ResourceId,
    SessionId,
    SignIn,
    Strategy,
)
from core.policy.explain import IN_ORDER, MORE, Turn, explain
from core.policy.pool import choose
from core.policy.readiness import obstacle
from tests.pools import ANTHROPIC, NOW, A, B, C, pool, rest, resting, state

OPUS = ModelFamily("opus")
BATCH = ResourceId("msgbatch_1")


def said(turns: tuple[Turn, ...]) -> list[tuple[str, bool, str, float | None]]:
    return [(turn.label, turn.serves, turn.reason, turn.until_at) for turn in turns]


def test_the_line_is_the_order_of_trying_and_then_who_comes_back_first() -> None:
    members = (
        state("d", enabled=False),
        resting("c", 900),
        resting("b", 300),
        state("a", windows=(QuotaWindow("5h", 0.2, NOW + 900),)),
        state("e", windows=(QuotaWindow("5h", 0.1, NOW + 900),)),
        state("go", AccountKind.GO),
    )

    assert said(explain(pool(*members), ANTHROPIC, NOW)) == [
        ("E", True, "least used: 5 h at 10 %", None),
        ("A", True, "least used: 5 h at 20 %", None),
        ("B", False, "5 h window full", NOW + 300),
        ("C", False, "5 h window full", NOW + 900),
        ("D", False, "disabled", None),
    ]


def test_a_pin_and_a_warm_prompt_cache_come_first_and_say_so() -> None:
    session = SessionId("anthropic/s1")
    world = pool("a", "b", "c", pins={ProviderName.ANTHROPIC: Pin(C)}, sessions={session: Affinity(B, NOW - 60, 1_000)})

    turns = explain(world, replace(ANTHROPIC, session=SessionId("s1")), NOW)

    assert [(turn.account, turn.reason) for turn in turns[:2]] == [
        (C, "pinned by you"),
        (B, "keeps this conversation's prompt cache warm"),
    ]


def test_with_failover_off_the_others_are_left_out_for_it() -> None:
    world = pool("a", "b", resting("c", 300), failover=False, active={ProviderName.ANTHROPIC: Choice(B, "served last")})

    assert [(turn.account, turn.serves, turn.reason) for turn in explain(world, ANTHROPIC, NOW)] == [
        (B, True, "not used yet"),
        (C, False, "5 h window full"),
        (A, False, "failover is off"),
    ]


def test_of_many_accounts_the_first_ten_are_named_in_order_and_the_others_are_not_forgotten() -> None:
    ready = [state(f"r{n}", windows=(QuotaWindow("5h", 0.9 - n / 100, NOW + 900),)) for n in range(14)]
    turns = explain(pool(resting("b", 300), *ready), ANTHROPIC, NOW)

    assert [turn.label for turn in turns[:IN_ORDER]] == [f"R{n}" for n in range(13, 3, -1)]
    assert said(turns[IN_ORDER:]) == [
        *((f"R{n}", True, MORE, None) for n in range(4)),
        ("B", False, "5 h window full", NOW + 300),
    ]


def test_a_pause_does_not_hide_who_is_next() -> None:
    world = pool("a", "b")

    assert explain(replace(world, pause=Pause()), ANTHROPIC, NOW) == explain(world, ANTHROPIC, NOW)


def test_a_rest_of_one_model_family_counts_for_its_requests_only() -> None:
    world = pool(state("a", cooldowns=(rest(600, "opus week full", family=OPUS),)), "b")

    assert [turn.serves for turn in explain(world, replace(ANTHROPIC, family=OPUS), NOW)] == [True, False]
    assert [turn.serves for turn in explain(world, ANTHROPIC, NOW)] == [True, True]


def test_a_rest_that_may_be_asked_about_stands_after_those_that_are_ready() -> None:
    asked = state("a", cooldowns=(rest(3_600, ask_at=NOW - 1),))

    assert said(explain(pool(asked, "b"), ANTHROPIC, NOW))[1] == ("A", True, "asks whether it has quota again", None)


def test_what_only_one_account_has_is_served_by_nobody_else() -> None:
    world = pool("a", "b", resources={BATCH: B})

    assert said(explain(world, replace(ANTHROPIC, resources=(BATCH,)), NOW)) == [
        ("B", True, "has what the request names", None),
        ("A", False, "another account has what the request names", None),
    ]


def test_a_key_whose_limits_are_spent_with_the_first_says_with_whom_it_shares_them() -> None:
    spent = (QuotaWindow("requests", 1.0, NOW + 30),)
    same = Identity(account_uuid="key:1", organization_uuid="org")
    keys = [state(id_, AccountKind.API_KEY, identity=same, windows=spent) for id_ in ("a", "b")]

    first, second = explain(pool(*keys), ANTHROPIC, NOW)

    assert first.serves
    assert (second.serves, second.reason) == (
        False,
        f"shares its limits with {first.label}, and nothing is left of them",
    )


def test_without_accounts_there_is_no_line() -> None:
    assert explain(pool(state("go", AccountKind.GO)), ANTHROPIC, NOW) == ()


# --- whatever the pool -----------------------------------------------------------------------------


shares = st.none() | st.floats(0, 1.2)
windows = st.builds(
    QuotaWindow,
    st.sampled_from(["5h", "7d", "requests"]),
    shares,
    st.none() | st.floats(NOW - 100, NOW + 700_000),
    family=st.sampled_from([None, OPUS]),
    seen_at=st.just(NOW - 10),
)
rests = st.builds(
    rest,
    st.floats(-100, 20_000),
    ask_at=st.sampled_from([None, NOW - 1, NOW + 60]),
    family=st.sampled_from([None, OPUS]),
)


def member_of(draw: st.DrawFn, id_: str) -> AccountState:
    return state(
        id_,
        draw(st.sampled_from(AccountKind)),
        enabled=draw(st.integers(0, 4)) > 0,
        plan_limits_only=draw(st.booleans()),
        identity=Identity(account_uuid=id_, organization_uuid=draw(st.sampled_from(["", "one", "two"]))),
        sign_in=draw(st.sampled_from([SignIn.OK, SignIn.OK, SignIn.NEEDED, SignIn.LOCKED])),
        windows=tuple(draw(st.lists(windows, max_size=3, unique_by=lambda w: (w.name, w.family)))),
        cooldowns=tuple(draw(st.lists(rests, max_size=2, unique_by=lambda c: c.family))),
        in_flight=draw(st.integers(0, 3)),
        last_used_at=draw(st.floats(0, NOW)),
    )


@st.composite
def worlds(draw: st.DrawFn) -> Pool:
    """Some accounts in every state there is, under every strategy."""
    members = [member_of(draw, id_) for id_ in draw(st.lists(st.sampled_from("abcdef"), unique=True, max_size=6))]
    ids = [member.account.id for member in members] or [A]
    some = st.sampled_from(ids)
    made = Pool.of(members, strategy=draw(st.sampled_from(Strategy)))
    return replace(
        made,
        pins=draw(st.dictionaries(st.sampled_from(ProviderName), st.builds(Pin, some), max_size=1)),
        sessions=draw(
            st.dictionaries(st.just(SessionId("anthropic/s")), st.builds(Affinity, some, st.floats(NOW - 9_000, NOW)))
        ),
        active=draw(st.dictionaries(st.sampled_from(ProviderName), st.builds(Choice, some, st.just("it served last")))),
        turns=draw(st.dictionaries(st.sampled_from(ProviderName), some)),
        resources=draw(st.dictionaries(st.just(BATCH), some)),
    )


requests = st.builds(
    Request,
    st.sampled_from(ProviderName),
    session=st.sampled_from([None, SessionId("s")]),
    family=st.sampled_from([None, OPUS]),
    resources=st.sampled_from([(), (BATCH,)]),
)


@given(worlds(), requests)
def test_the_first_is_the_choice(world: Pool, request: Request) -> None:
    turns, choice = explain(world, request, NOW), choose(world, request, NOW)

    if isinstance(choice, Choice):
        assert (turns[0].account, turns[0].reason, turns[0].serves) == (choice.account, choice.reason, True)
    else:
        assert not any(turn.serves for turn in turns)


@given(worlds(), requests)
def test_every_account_of_the_provider_stands_in_the_line_once(world: Pool, request: Request) -> None:
    mine = [s.account.id for s in world.accounts if s.account.kind.provider is request.provider]

    assert sorted(turn.account for turn in explain(world, request, NOW)) == sorted(mine)


@given(worlds(), requests)
def test_nobody_who_cannot_serve_stands_before_one_who_can(world: Pool, request: Request) -> None:
    turns = explain(world, request, NOW)

    serving = [turn.serves for turn in turns]
    assert serving == sorted(serving, reverse=True)
    assert all(turn.reason for turn in turns)
    assert all(turn.until_at is None for turn in turns if turn.serves)
    left_out = [turn.until_at for turn in turns if not turn.serves]
    assert left_out == sorted(left_out, key=lambda at: float("inf") if at is None else at)


@given(worlds(), requests)
def test_each_place_is_what_choosing_gives_without_those_before(world: Pool, request: Request) -> None:
    tried: set[AccountId] = set()
    for turn in explain(world, request, NOW):
        choice = choose(world, request, NOW, tried)
        if not turn.serves:
            assert not isinstance(choice, Choice)
            break
        assert isinstance(choice, Choice)
        assert (choice.account, choice.reason) == (turn.account, turn.reason)
        tried.add(turn.account)


@given(worlds(), requests)
def test_whoever_is_left_out_has_a_reason_of_its_own(world: Pool, request: Request) -> None:
    for turn in explain(world, request, NOW):
        why = obstacle(world.states[turn.account], request, NOW)
        if not turn.serves and why:
            assert turn.reason == why
        elif not turn.serves:
            assert request.resources or turn.reason.startswith("shares its limits with")


def test_what_an_account_of_another_provider_has_is_nothing_to_this_one() -> None:
    world = pool("a", state("go", AccountKind.GO), resources={BATCH: A})

    (only,) = explain(world, Request(ProviderName.OPENCODE_GO, resources=(BATCH,)), NOW)

    assert (only.label, only.serves) == ("GO", True)
