from datetime import datetime

import pytest

from core.model import (
    AccountId,
    AllSpent,
    Cause,
    Changed,
    Choice,
    ClientKind,
    ClientNotServed,
    CooldownStarted,
    Event,
    FailedOver,
    LoginRequired,
    ModelFamily,
    Notification,
    ProviderName,
    QuotaSpent,
)
from core.policy.alerts import label, notification
from core.policy.pool import lease, observe
from tests.pools import ANTHROPIC, A, B, pool, state

NOW = datetime(2026, 11, 21, 12, 0).astimezone().timestamp()
AT_TWO = NOW + 7200
POOL = pool(state("a", label="Work"), state("b", label="Home"))


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (
            FailedOver(A, B, "5 h window full", AT_TWO),
            Notification("Work → Home", "5 h window full until 14:00.", "failover"),
        ),
        (FailedOver(A, B, "rate limit"), Notification("Work → Home", "Rate limit.", "failover")),
        (FailedOver(AccountId("gone"), B, "x"), Notification("gone → Home", "X.", "failover")),
        (
            AllSpent(ProviderName.ANTHROPIC, AT_TWO),
            Notification("All accounts are spent", "The first is ready at 14:00.", "all-spent", urgent=True),
        ),
        (
            AllSpent(ProviderName.ANTHROPIC, None),
            Notification("All accounts are spent", "None of them can serve now.", "all-spent", urgent=True),
        ),
        (
            AllSpent(ProviderName.ANTHROPIC, AT_TWO, ModelFamily("opus")),
            Notification("All accounts are spent for opus", "The first is ready at 14:00.", "all-spent", urgent=True),
        ),
        (
            LoginRequired(A, "login revoked"),
            Notification("Sign in again: Work", "login revoked", "login-a", urgent=True),
        ),
        (
            ClientNotServed(A, ClientKind.OTHER, "only for Claude Code"),
            Notification("Work does not serve this program", "only for Claude Code", "client-a"),
        ),
        (CooldownStarted(A, AT_TWO, Cause.QUOTA, "5 h window full"), None),
        (Changed("Work: new quota reading"), None),
    ],
)
def test_each_event_is_told_in_plain_words_or_not_at_all(event: Event, message: Notification | None) -> None:
    assert notification(event, POOL, NOW) == message


def test_messages_about_different_accounts_stand_side_by_side() -> None:
    messages = [notification(LoginRequired(id_, "gone"), POOL, NOW) for id_ in (A, B)]

    assert len({message.key for message in messages if message}) == 2


def test_a_burst_of_refusals_interrupts_the_person_once() -> None:
    p, told = POOL, []
    for _ in range(5):
        p, refused = observe(p, A, QuotaSpent("5 h window full", AT_TWO), NOW)
        p, moved = lease(p, ANTHROPIC, Choice(B, "not used yet"), NOW, (A,))
        told += [message for event in (*refused, *moved) if (message := notification(event, p, NOW))]

    assert told == [Notification("Work → Home", "5 h window full until 14:00.", "failover")]


def test_an_account_that_is_gone_is_named_by_its_id() -> None:
    assert label(POOL, A) == "Work"
    assert label(POOL, AccountId("gone")) == "gone"
