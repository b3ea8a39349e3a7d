import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core import config
from core.admission import MAX_KEY_BYTES
from core.errors import NothingToDo, SignInFailed, TidegateError, UsageError, VaultError
from core.model import (
    AccountId,
    AccountKind,
    Changed,
    CredentialRejected,
    IconStyle,
    LoginRequired,
    Pause,
    Serves,
    SessionMoved,
    SignIn,
    Strategy,
)
from tests.fakes import SimulatedProvider, allow, code_shown
from tests.instance import LOCAL_KEY, Instance, instance

pytestmark = pytest.mark.anyio

KEY = "sk-ant-api03-EXAMPLE-0001"
OTHER_KEY = "sk-ant-api03-EXAMPLE-0002"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Instance]:
    async with instance(tmp_path) as made:
        yield made


@pytest.fixture
async def three(here: Instance) -> Instance:
    """Work and Home share a provider; Go has its own."""
    for label, kind, key in (("Work", "api-key", KEY), ("Home", "api-key", OTHER_KEY), ("Go", "go", "sk-go-1")):
        await here.commands.run("add_key", {"kind": kind, "key": key, "label": label})
    return here


@pytest.fixture
async def sim() -> AsyncIterator[SimulatedProvider]:
    async with SimulatedProvider.running() as provider:
        yield provider


@pytest.fixture
async def online(tmp_path: Path, sim: SimulatedProvider) -> AsyncIterator[Instance]:
    async with instance(tmp_path, sim.endpoints(), sim.clock) as made:
        yield made


def _saved(here: Instance) -> config.Config:
    return config.load(here.config._path).config


def _id(here: Instance, label: str) -> AccountId:
    return next(a.id for a in here.config.current.accounts if a.label == label)


# --- the order itself ---


async def test_an_unknown_command_is_refused_with_the_names(here: Instance) -> None:
    with pytest.raises(UsageError, match="no command 'dance'") as caught:
        await here.commands.run("dance", {})

    assert "rename" in caught.value.hint


@pytest.mark.parametrize("arguments", [{}, {"account": 1}, {"account": "Work", "force": True}])
async def test_arguments_that_do_not_fit_are_refused(three: Instance, arguments: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="remove does not take these arguments"):
        await three.commands.run("remove", arguments)

    assert three.labels == ["Work", "Home", "Go"]


async def test_a_caller_that_hangs_up_does_not_stop_the_command(here: Instance) -> None:
    order = asyncio.create_task(here.commands.run("add_key", {"kind": "api-key", "key": KEY}))
    await asyncio.sleep(0)
    order.cancel()
    with pytest.raises(asyncio.CancelledError):
        await order

    await here.commands.finish()

    assert here.labels == ["Anthropic API key"]
    assert await here.tokens.secret(here.config.current.accounts[0].id) == KEY


async def test_questions_are_answered_with_what_json_can_say(three: Instance) -> None:
    assert json.dumps(await three.commands.run("snapshot", {}))
    assert json.dumps(await three.commands.run("info", {"account": "Work"}))
    assert json.dumps(await three.commands.run("config_get", {}))


# --- keys ---


async def test_a_key_goes_to_the_vault_and_an_account_to_config_and_pool(here: Instance) -> None:
    done = await here.commands.run(
        "add_key", {"kind": "api-key", "key": f" {KEY}\n", "label": "Work", "serves": "claude-code"}
    )

    (account,) = here.config.current.accounts
    assert done["account"] == account.id
    assert done["text"].startswith("Added Work")
    assert (account.label, account.kind, account.serves.value) == ("Work", AccountKind.API_KEY, "claude-code")
    assert account.added_at == 1_000_000.0
    assert _saved(here).accounts == (account,)
    assert here.engine.pool.accounts[0].account == account
    assert await here.tokens.secret(account.id) == KEY


async def test_no_file_and_no_answer_holds_the_key(three: Instance, caplog: pytest.LogCaptureFixture) -> None:
    answers = [await three.commands.run(name, {}) for name in ("snapshot", "config_get")]
    files = [path.read_text() for path in three.config._path.parent.rglob("*.json*")]

    assert files
    assert KEY not in json.dumps(answers) + "".join(files) + caplog.text


async def test_the_same_key_twice_is_nothing_to_do(three: Instance) -> None:
    with pytest.raises(NothingToDo, match="Work"):
        await three.commands.run("add_key", {"kind": "api-key", "key": KEY, "label": "Again"})

    assert three.labels == ["Work", "Home", "Go"]


async def test_the_same_key_at_the_same_time_makes_one_account(here: Instance) -> None:
    orders = [here.commands.run("add_key", {"kind": "go", "key": "sk-go"}) for _ in range(3)]
    answers = await asyncio.gather(*orders, return_exceptions=True)

    assert sorted(type(answer).__name__ for answer in answers) == ["NothingToDo", "NothingToDo", "dict"]
    assert here.labels == ["OpenCode Go"]
    assert all(here.config.current.accounts[0].id in name for name in here.vault.items)


@pytest.mark.parametrize("key", ["", "   ", "two words", "line\nline", "schlüssel", "x\x00", "k" * (MAX_KEY_BYTES + 1)])
async def test_what_does_not_look_like_a_key_is_refused(here: Instance, key: str) -> None:
    with pytest.raises(UsageError, match="does not look like a key") as caught:
        await here.commands.run("add_key", {"kind": "api-key", "key": key})

    assert not here.vault.items
    assert key.strip() == "" or key.strip() not in caught.value.hint


async def test_a_subscription_is_not_added_with_a_key(here: Instance) -> None:
    with pytest.raises(UsageError) as caught:
        await here.commands.run("add_key", {"kind": "claude", "key": KEY})

    assert "add claude" in caught.value.hint


async def test_a_locked_vault_adds_nothing(here: Instance) -> None:
    here.lock()

    with pytest.raises(VaultError):
        await here.commands.run("add_key", {"kind": "api-key", "key": KEY})

    assert here.labels == []


async def test_when_the_config_cannot_be_saved_the_key_goes_again(here: Instance) -> None:
    here.config._path.mkdir()

    with pytest.raises(TidegateError, match="Cannot"):
        await here.commands.run("add_key", {"kind": "api-key", "key": KEY})

    assert here.labels == []
    assert not here.vault.items


async def test_without_a_label_accounts_are_numbered(here: Instance) -> None:
    for key in (KEY, OTHER_KEY):
        await here.commands.run("add_key", {"kind": "api-key", "key": key})

    assert here.labels == ["Anthropic API key", "Anthropic API key 2"]


async def test_a_label_that_is_taken_is_refused_and_leaves_no_key(three: Instance) -> None:
    before = dict(three.vault.items)

    with pytest.raises(UsageError, match="Another account is called work"):
        await three.commands.run("add_key", {"kind": "go", "key": "sk-go-2", "label": "work"})

    assert three.vault.items == before


# --- logins ---


async def _sign_in(here: Instance, sim: SimulatedProvider, who: str, **more: str) -> dict[str, str]:
    account = next((a for a in sim.accounts if a.label == who), None) or sim.add_login(who)
    offer = await here.commands.run("begin_login", {"browser": False, **more})
    page = await allow(offer["paste_url"], account)
    done: dict[str, str] = await here.commands.run("paste_login", {"id": offer["id"], "text": code_shown(page.text)})
    return done


async def test_a_login_is_added_and_named_by_its_email(online: Instance, sim: SimulatedProvider) -> None:
    await _sign_in(online, sim, "Ada")

    (account,) = online.config.current.accounts
    (simulated,) = sim.accounts
    assert account.kind is AccountKind.CLAUDE
    assert account.label == "ada@example.org"
    assert (account.identity.account_uuid, account.identity.email) == (simulated.account_uuid, simulated.email)
    assert await online.tokens.secret(account.id) == simulated.access


async def test_the_same_login_signs_in_again_in_place(online: Instance, sim: SimulatedProvider) -> None:
    await _sign_in(online, sim, "Ada", label="Work")
    await _sign_in(online, sim, "Eve", label="Home")
    ada = _id(online, "Work")
    online.engine.observe(ada, CredentialRejected("revoked", renewable=False))

    done = await _sign_in(online, sim, "Ada", label="Ignored")

    assert done == {"text": "Work is signed in again", "account": ada}
    assert online.labels == ["Work", "Home"]
    state = online.engine.pool.state(ada)
    assert state is not None
    assert state.sign_in is SignIn.OK
    assert await online.tokens.secret(ada) == sim.accounts[0].access


async def test_a_code_that_is_refused_adds_nothing(online: Instance, sim: SimulatedProvider) -> None:
    sim.add_login("Ada")
    offer = await online.commands.run("begin_login", {"browser": False})

    with pytest.raises(SignInFailed):
        await online.commands.run("paste_login", {"id": offer["id"], "text": "ac_made_up"})

    assert online.labels == []


async def test_refresh_renews_a_login(online: Instance, sim: SimulatedProvider) -> None:
    await _sign_in(online, sim, "Ada")
    before = sim.accounts[0].access

    done = await online.commands.run("refresh", {"account": "all"})

    assert done["text"] == "Renewed ada@example.org"
    assert sim.accounts[0].access != before
    assert await online.tokens.secret(online.config.current.accounts[0].id) == sim.accounts[0].access


async def test_refresh_says_which_login_failed(online: Instance, sim: SimulatedProvider) -> None:
    await _sign_in(online, sim, "Ada")
    await _sign_in(online, sim, "Eve")
    sim.accounts[0].revoke()

    with pytest.raises(TidegateError, match=r"ada@example\.org: "):
        await online.commands.run("refresh", {"account": "all"})

    states = {state.account.label: state.sign_in for state in online.engine.pool.accounts}
    assert states["eve@example.org"] is SignIn.OK


async def test_keys_need_no_refresh(three: Instance) -> None:
    with pytest.raises(NothingToDo):
        await three.commands.run("refresh", {"account": "Work"})


# --- remove, rename, switch ---


async def test_remove_deletes_account_and_credential(three: Instance) -> None:
    gone = _id(three, "Home")

    done = await three.commands.run("remove", {"account": "home"})

    assert done["text"] == "Removed Home. The key itself stays valid: delete it in the Anthropic Console"
    assert three.labels == ["Work", "Go"]
    assert not any(gone in name for name in three.vault.items)
    assert [account.label for account in _saved(three).accounts] == ["Work", "Go"]


async def test_remove_says_when_the_credential_stays(three: Instance) -> None:
    three.lock()

    done = await three.commands.run("remove", {"account": "Home"})

    assert "could not be deleted" in done["text"]
    assert three.labels == ["Work", "Go"]


async def test_rename_changes_the_label_and_nothing_else(three: Instance) -> None:
    before = three.config.current.accounts[0]

    done = await three.commands.run("rename", {"account": "1", "label": " Job "})

    after = three.config.current.accounts[0]
    assert done["text"] == "Work is now called Job"
    assert (after.id, after.label, after.identity) == (before.id, "Job", before.identity)
    assert three.labels == ["Job", "Home", "Go"]


async def test_rename_refuses_a_taken_label_and_does_nothing_for_the_same(three: Instance) -> None:
    with pytest.raises(UsageError, match="Another account is called HOME"):
        await three.commands.run("rename", {"account": "Work", "label": "HOME"})
    with pytest.raises(NothingToDo):
        await three.commands.run("rename", {"account": "Work", "label": "Work"})
    await three.commands.run("rename", {"account": "Work", "label": "WORK"})

    assert three.labels == ["WORK", "Home", "Go"]


async def test_two_that_want_the_same_label_at_the_same_time_do_not_both_get_it(three: Instance) -> None:
    orders = [three.commands.run("rename", {"account": name, "label": "Job"}) for name in ("Work", "Home")]
    answers = await asyncio.gather(*orders, return_exceptions=True)

    assert [type(answer) for answer in answers] == [dict, UsageError]
    assert three.labels == ["Job", "Home", "Go"]


async def test_disable_and_enable_one_and_all(three: Instance) -> None:
    await three.commands.run("disable", {"account": "Work"})
    assert [state.account.enabled for state in three.engine.pool.accounts] == [False, True, True]

    done = await three.commands.run("disable", {"account": "all"})
    assert done["text"] == "Home, Go are disabled"
    with pytest.raises(NothingToDo, match="Every account is disabled already"):
        await three.commands.run("disable", {"account": "ALL"})

    await three.commands.run("enable", {"account": "all"})
    assert all(account.enabled for account in _saved(three).accounts)


async def test_when_a_change_cannot_be_saved_nothing_has_changed(three: Instance) -> None:
    three.config._path.unlink()
    three.config._path.mkdir()
    before = three.engine.pool
    orders = [
        ("rename", {"account": "Work", "label": "Job"}),
        ("disable", {"account": "all"}),
        ("remove", {"account": "Work"}),
        ("order", {"accounts": ["Go"]}),
        ("config_set", {"key": "strategy", "text": "sticky"}),
    ]

    for name, arguments in orders:
        with pytest.raises(TidegateError, match="Cannot"):
            await three.commands.run(name, arguments)

    assert three.engine.pool == before
    assert three.labels == ["Work", "Home", "Go"]


async def test_serves_changes_for_whom_an_account_is(three: Instance) -> None:
    done = await three.commands.run("serves", {"account": "Work", "serves": "claude-code"})

    assert done["text"] == "Work serves Claude Code only"
    assert three.config.current.accounts[0].serves is Serves.CLAUDE_CODE
    assert three.engine.snapshot().accounts[0].serves is Serves.CLAUDE_CODE
    assert _saved(three).accounts[0].serves is Serves.CLAUDE_CODE
    with pytest.raises(NothingToDo):
        await three.commands.run("serves", {"account": "Work", "serves": "claude-code"})
    with pytest.raises(UsageError):
        await three.commands.run("serves", {"account": "Work", "serves": "emacs"})


async def test_plan_limits_are_switched_for_subscriptions_only(online: Instance, sim: SimulatedProvider) -> None:
    await _sign_in(online, sim, "Ada", label="Work")
    await online.commands.run("add_key", {"kind": "api-key", "key": sim.add_api_key("Team").key, "label": "Team"})

    on = await online.commands.run("plan_limits", {"account": "Work", "on": True})
    assert online.engine.snapshot().accounts[0].plan_limits_only
    assert _saved(online).accounts[0].plan_limits_only
    with pytest.raises(NothingToDo):
        await online.commands.run("plan_limits", {"account": "Work", "on": True})
    off = await online.commands.run("plan_limits", {"account": "Work", "on": False})

    assert on["text"] == "Work rests when its plan is spent"
    assert off["text"] == "Work may go on into paid extra usage"
    assert not online.config.current.accounts[0].plan_limits_only
    with pytest.raises(UsageError, match="no plan"):
        await online.commands.run("plan_limits", {"account": "Team", "on": True})


async def test_a_muted_account_is_saved_so_and_shown_so(three: Instance) -> None:
    on = await three.commands.run("mute", {"account": "Work", "on": True})
    assert on["text"] == "Work is muted: you are told only what you must do"
    assert _saved(three).accounts[0].muted
    assert three.engine.snapshot().accounts[0].muted
    with pytest.raises(NothingToDo, match="muted already"):
        await three.commands.run("mute", {"account": "Work", "on": True})

    assert (await three.commands.run("mute", {"account": "Work", "on": False}))["text"] == "Work is told about again"
    assert not three.config.current.accounts[0].muted


# --- who serves ---


async def test_pin_lasts_for_a_while_or_until_unpinned(three: Instance) -> None:
    provider = AccountKind.API_KEY.provider

    await three.commands.run("pin", {"account": "Home", "for_s": 3600})
    assert three.engine.pool.pins[provider].until_at == 1_003_600.0

    done = await three.commands.run("pin", {"account": "Work"})
    assert done["text"] == "Work serves until unpinned"
    assert three.engine.pool.pins[provider].until_at is None

    await three.commands.run("pin", {"account": "Go"})
    await three.commands.run("unpin", {"account": "Work"})
    assert set(three.engine.pool.pins) == {AccountKind.GO.provider}

    await three.commands.run("unpin", {})
    assert not three.engine.pool.pins


async def test_unpin_of_what_is_not_pinned_is_nothing_to_do(three: Instance) -> None:
    await three.commands.run("pin", {"account": "Work"})

    for arguments in ({"account": "Home"}, {"account": "Go"}, {"provider": "opencode-go"}):
        with pytest.raises(NothingToDo):
            await three.commands.run("unpin", arguments)
    await three.commands.run("unpin", {"provider": "anthropic"})
    with pytest.raises(NothingToDo):
        await three.commands.run("unpin", {})


@pytest.mark.parametrize("for_s", [0, -1])
async def test_a_pin_lasts_longer_than_no_time(three: Instance, for_s: float) -> None:
    with pytest.raises(UsageError):
        await three.commands.run("pin", {"account": "Work", "for_s": for_s})


async def test_a_pause_lasts_for_a_while_or_until_resumed(three: Instance) -> None:
    with pytest.raises(NothingToDo):
        await three.commands.run("resume", {})

    done = await three.commands.run("pause", {"for_s": 3600})
    assert done["text"] == "Paused for 1 h 00 min: nothing is let through"
    assert three.engine.snapshot().pause == Pause(1_003_600.0)
    assert (await three.commands.run("explain", {}))["pause"] == {"until_at": 1_003_600.0}

    done = await three.commands.run("pause", {})
    assert done["text"] == "Paused until resumed: nothing is let through"

    await three.commands.run("resume", {})
    assert three.engine.snapshot().pause is None
    with pytest.raises(UsageError):
        await three.commands.run("pause", {"for_s": 0})


async def test_failover_is_switched_at_once(three: Instance) -> None:
    await three.commands.run("failover", {"on": False})

    assert not three.engine.pool.failover
    assert not three.engine.snapshot().failover


async def test_how_the_icon_is_drawn_is_told_at_once(three: Instance) -> None:
    await three.commands.run("config_set", {"key": "icon.number", "text": "off"})

    assert three.engine.snapshot().icon == IconStyle(colours=True, number=False)


async def test_a_disabled_account_is_not_pinned(three: Instance) -> None:
    await three.commands.run("disable", {"account": "Work"})

    with pytest.raises(UsageError, match="Work is disabled"):
        await three.commands.run("pin", {"account": "Work"})


async def test_order_puts_the_named_first_and_keeps_the_rest(three: Instance) -> None:
    done = await three.commands.run("order", {"accounts": ["Go"]})
    assert done["text"] == "The order is now Go, Work, Home"
    assert three.labels == ["Go", "Work", "Home"]

    await three.commands.run("order", {"accounts": ["3", "Go"]})
    assert three.labels == ["Home", "Go", "Work"]
    assert [account.label for account in _saved(three).accounts] == ["Home", "Go", "Work"]
    with pytest.raises(NothingToDo):
        await three.commands.run("order", {"accounts": ["Home", "Go"]})


@pytest.mark.parametrize("accounts", [[], ["Work", "1"]])
async def test_order_names_each_account_once(three: Instance, accounts: list[str]) -> None:
    with pytest.raises(UsageError, match="Name each account once"):
        await three.commands.run("order", {"accounts": accounts})


async def test_strategy_is_told_and_chosen(three: Instance) -> None:
    assert (await three.commands.run("strategy", {}))["text"] == str(three.engine.pool.strategy)

    await three.commands.run("strategy", {"name": "sticky"})

    assert three.engine.pool.strategy is Strategy.STICKY
    assert _saved(three).settings.strategy is Strategy.STICKY
    with pytest.raises(NothingToDo):
        await three.commands.run("strategy", {"name": "sticky"})
    with pytest.raises(UsageError):
        await three.commands.run("strategy", {"name": "best"})


async def test_who_is_next_is_explained_for_each_provider(three: Instance) -> None:
    await three.commands.run("disable", {"account": "Work"})

    told = await three.commands.run("explain", {"model": "claude-opus-5-5"})

    turns = {line["provider"]: [(turn["label"], turn["serves"]) for turn in line["turns"]] for line in told["lines"]}
    assert turns == {"anthropic": [("Home", True), ("Work", False)], "opencode-go": [("Go", True)]}
    assert told["strategy"] == "balanced"
    assert len((await three.commands.run("explain", {"provider": "opencode-go"}))["lines"]) == 1


async def test_what_happened_is_told_with_what_it_cost(three: Instance) -> None:
    work, home = _id(three, "Work"), _id(three, "Home")
    for event in (LoginRequired(work, "revoked"), SessionMoved(work, home, "5 h window full", 1_500)):
        three.bus.publish(event)

    told = await three.commands.run("history", {})

    assert [entry["text"] for entry in told["entries"]] == [
        "A conversation moved from Work to Home: 5 h window full; about 2 k tokens to read anew",
        "Work needs you: revoked",
    ]
    assert (told["moves"], told["tokens"]) == (1, 1_500)
    assert len((await three.commands.run("history", {"limit": 1}))["entries"]) == 1
    with pytest.raises(UsageError):
        await three.commands.run("history", {"limit": 0})


# --- settings and the local key ---


async def test_settings_are_read_and_set_by_name(here: Instance) -> None:
    done = await here.commands.run("config_set", {"key": "port", "text": "9000"})

    assert done["text"] == "port is now 9000; it counts from the next start"
    assert await here.commands.run("config_get", {"key": "port"}) == {"port": "9000"}
    assert (await here.commands.run("config_get", {}))["notifications"] == "on"
    assert _saved(here).settings.port == 9000


async def test_notifications_are_off_at_once(here: Instance) -> None:
    done = await here.commands.run("config_set", {"key": "notifications", "text": "off"})

    assert done["text"] == "notifications is now off"
    assert here.engine.snapshot().notifications is False


async def test_a_number_that_was_cut_is_said(here: Instance) -> None:
    done = await here.commands.run("config_set", {"key": "health_score.initial", "text": "250"})

    assert done["text"] == "health_score.initial is now 100.0; the nearest from 0 to 100"
    assert here.engine.pool.health_score.initial == 100.0
    assert _saved(here).settings.health_score.initial == 100.0


async def test_what_the_environment_overrides_is_said_and_stays_in_force(tmp_path: Path) -> None:
    environ = {"TIDEGATE_STRATEGY": "sticky"}
    async with instance(tmp_path, environ=environ) as here:
        done = await here.commands.run("strategy", {"name": "priority"})

        assert done["text"] == "strategy is now priority; the environment overrides it with sticky"
        assert here.engine.pool.strategy is Strategy.STICKY
        assert _saved(here).settings.strategy is Strategy.PRIORITY


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("config_get", {"key": "prot"}),
        ("config_set", {"key": "prot", "text": "1"}),
        ("config_set", {"key": "port", "text": "many"}),
    ],
)
async def test_an_unknown_setting_or_a_bad_value_is_refused(
    here: Instance, name: str, arguments: dict[str, str]
) -> None:
    with pytest.raises(UsageError):
        await here.commands.run(name, arguments)


async def test_token_is_the_local_key(here: Instance) -> None:
    assert await here.commands.run("token", {}) == {"key": LOCAL_KEY}


async def test_info_of_an_unknown_account_is_a_usage_error(three: Instance) -> None:
    assert (await three.commands.run("info", {"account": "go"}))["label"] == "Go"
    with pytest.raises(UsageError):
        await three.commands.run("info", {"account": "Garage"})


async def test_every_change_is_published(three: Instance) -> None:
    three.events.clear()

    await three.commands.run("disable", {"account": "Work"})

    assert [type(event) for event in three.events] == [Changed]
