import pytest
from msgspec.structs import replace

from core import deeds
from core.deeds import Deed, Remedy
from core.model import AccountId, AccountKind, AccountView, Level, LoginHealth, LoginState, Serves, Standing

WORK = AccountId("a1")
HERE = {"account": WORK}


def account(kind: AccountKind = AccountKind.CLAUDE, **options: object) -> AccountView:
    return replace(AccountView(WORK, "Work", kind, kind.provider, Standing.READY, Level.OK), **options)


ENDING = LoginHealth(LoginState.ENDING, 1_000.0)


@pytest.mark.parametrize(
    ("view", "needs"),
    [
        (account(), None),
        (account(login=LoginHealth(LoginState.IN_DOUBT)), None),
        (account(login=ENDING), Remedy.SIGN_IN),
        (account(standing=Standing.SIGN_IN), Remedy.SIGN_IN),
        (account(borrowed_from="Claude Code"), Remedy.OWN_LOGIN),
        (account(borrowed_from="Claude Code", standing=Standing.SIGN_IN), Remedy.OWN_LOGIN),
        (account(standing=Standing.LOCKED), None),
        (account(AccountKind.API_KEY), None),
        (account(AccountKind.API_KEY, standing=Standing.SIGN_IN), Remedy.KEY),
        (account(AccountKind.GO, standing=Standing.SIGN_IN), Remedy.KEY),
    ],
)
def test_what_only_the_person_can_give_is_known(view: AccountView, needs: Remedy | None) -> None:
    assert deeds.remedy(view) is needs


def test_an_account_can_be_pinned_for_an_hour_or_for_good_and_unpinned_again() -> None:
    assert deeds.pinning(account()) == (
        Deed("Pin for 1 h", "pin", {**HERE, "for_s": 3600.0}),
        Deed("Pin until unpinned", "pin", HERE),
    )
    assert deeds.pinning(account(pinned=True)) == (Deed("Unpin", "unpin", HERE),)


def test_a_disabled_account_cannot_be_pinned() -> None:
    assert deeds.pinning(account(enabled=False)) == ()


def test_a_switch_turns_over_what_it_shows() -> None:
    off, on = account(), account(enabled=True, plan_limits_only=True, serves=Serves.CLAUDE_CODE, muted=True)

    def clicks(view: AccountView) -> dict[str, tuple[bool, str, object]]:
        return {s.label: (s.on, s.turn_over.order, dict(s.turn_over.arguments)) for s in deeds.switches(view)}

    assert clicks(replace(off, enabled=False)) == {
        "Enabled": (False, "enable", HERE),
        "Plan limits only": (False, "plan_limits", {**HERE, "on": True}),
        "Serve Claude Code only": (False, "serves", {**HERE, "serves": "claude-code"}),
        "No notifications about it": (False, "mute", {**HERE, "on": True}),
    }
    assert clicks(on) == {
        "Enabled": (True, "disable", HERE),
        "Plan limits only": (True, "plan_limits", {**HERE, "on": False}),
        "Serve Claude Code only": (True, "serves", {**HERE, "serves": "any"}),
        "No notifications about it": (True, "mute", {**HERE, "on": False}),
    }


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        (AccountKind.CLAUDE, ["Enabled", "Plan limits only", "Serve Claude Code only"]),
        (AccountKind.API_KEY, ["Enabled", "Serve Claude Code only"]),
        (AccountKind.GO, ["Enabled"]),
    ],
)
def test_an_account_has_the_switches_that_mean_something_for_it(kind: AccountKind, labels: list[str]) -> None:
    assert [switch.label for switch in deeds.switches(account(kind))] == [*labels, "No notifications about it"]


def test_only_a_login_of_our_own_can_be_renewed_and_ended_at_the_provider() -> None:
    def orders(view: AccountView) -> tuple[list[str], list[object]]:
        removals = [deed.arguments["revoke"] for deed in deeds.removals(view)]
        return [deed.order for deed in deeds.repairs(view)], removals

    assert orders(account()) == (["refresh", "reset"], [False, True])
    assert orders(account(borrowed_from="OpenCode")) == (["reset"], [False])
    assert orders(account(AccountKind.API_KEY)) == (["reset"], [False])


def test_a_removal_names_the_account_it_removes() -> None:
    assert all("Work" in deed.label and deed.order == "remove" for deed in deeds.removals(account()))


def test_an_account_moves_one_place_where_there_is_one() -> None:
    ids = tuple(map(AccountId, "abc"))

    def orders(id_: str) -> dict[str, object]:
        return {deed.label: "".join(deed.arguments["accounts"]) for deed in deeds.moves(ids, AccountId(id_))}

    assert orders("a") == {"Move down": "bac"}
    assert orders("b") == {"Move up": "bac", "Move down": "acb"}
    assert orders("c") == {"Move up": "acb"}
    assert deeds.moves((AccountId("a"),), AccountId("a")) == ()
