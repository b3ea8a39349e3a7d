from datetime import datetime

import pytest
from msgspec.structs import replace

from core.model import (
    AccountId,
    Alert,
    AllSpent,
    Cause,
    Changed,
    Choice,
    ClientKind,
    ClientNotServed,
    CooldownStarted,
    Event,
    ExtraUsageBegan,
    FailedOver,
    LoginRequired,
    ModelFamily,
    Notification,
    NotificationAction,
    ProviderName,
    QuietHours,
    QuotaSpent,
    QuotaWindow,
    WindowFilled,
    WindowReset,
)
from core.policy.alerts import is_quiet, label, notification
from core.policy.pool import lease, observe
from tests.pools import ANTHROPIC, A, B, pool, state

NOW = datetime(2026, 11, 21, 12, 0).astimezone().timestamp()
AT_ONE = NOW + 3600
AT_TWO = NOW + 7200
FIVE_HOURS = QuotaWindow("5h", 0.72, AT_TWO, seen_at=NOW)
POOL = pool(state("a", label="Work"), state("b", label="Home"))
DETAILS = NotificationAction("Details")


def failed_over(title: str, body: str, source: AccountId = A) -> Notification:
    back = NotificationAction("Switch back", "pin", {"account": source})
    return Notification(title, body, "failover", actions=(back, DETAILS))


def stays(body: str) -> Notification:
    on = NotificationAction("Switch failover on", "failover", {"on": True})
    title = "Work is spent, and failover is off"
    return Notification(title, body, "all-spent", urgent=True, actions=(on, DETAILS))


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (FailedOver(A, B, "5 h window full", AT_TWO), failed_over("Work → Home", "5 h window full until 14:00.")),
        (FailedOver(A, B, "rate limit"), failed_over("Work → Home", "Rate limit.")),
        (FailedOver(AccountId("gone"), B, "x"), failed_over("gone → Home", "X.", AccountId("gone"))),
        (
            AllSpent(ProviderName.ANTHROPIC, AT_TWO, account=A),
            stays("Nothing is served until 14:00, unless you choose another account."),
        ),
        (
            AllSpent(ProviderName.ANTHROPIC, None, account=A),
            stays("Nothing is served, unless you choose another account."),
        ),
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
        (
            WindowFilled(A, FIVE_HOURS, Alert.WARN),
            Notification("Work: 5 h at 72 %", "Resets at 14:00.", "window-a-5h"),
        ),
        (
            WindowFilled(A, FIVE_HOURS, Alert.WARN, AT_ONE),
            Notification("Work: 5 h at 72 %", "At this pace it is full at 13:00; resets at 14:00.", "window-a-5h"),
        ),
        (
            WindowFilled(A, FIVE_HOURS, Alert.DRY, AT_ONE),
            Notification("Work runs dry at 13:00", "5 h at 72 %; resets at 14:00.", "window-a-5h"),
        ),
        (
            WindowReset(A, FIVE_HOURS),
            Notification("Work has quota again", "The 5 h window has begun anew.", "reset-a"),
        ),
        (
            ExtraUsageBegan(A),
            Notification(
                "Work uses paid extra usage",
                "Its plan is spent, and what is asked now is paid beyond it.",
                "paid-a",
                actions=(NotificationAction("Keep to the plan", "plan_limits", {"account": A, "on": True}), DETAILS),
            ),
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

    assert told == [failed_over("Work → Home", "5 h window full until 14:00.")]


def test_an_account_that_is_gone_is_named_by_its_id() -> None:
    assert label(POOL, A) == "Work"
    assert label(POOL, AccountId("gone")) == "gone"


@pytest.mark.parametrize(
    "event",
    [
        FailedOver(A, B, "5 h window full", AT_TWO),
        WindowFilled(A, FIVE_HOURS, Alert.SPENT),
        WindowReset(A, FIVE_HOURS),
        ClientNotServed(A, ClientKind.OTHER, "only for Claude Code"),
    ],
)
def test_a_muted_account_is_silent(event: Event) -> None:
    work = state("a", label="Work")
    muted = pool(replace(work, account=replace(work.account, muted=True)), state("b", label="Home"))
    assert notification(event, POOL, NOW) is not None
    assert notification(event, muted, NOW) is None


def test_a_muted_account_still_asks_for_its_sign_in() -> None:
    work = state("a", label="Work")
    muted = pool(replace(work, account=replace(work.account, muted=True)))
    assert notification(LoginRequired(A, "login revoked"), muted, NOW) is not None


@pytest.mark.parametrize(
    ("hours", "quiet"),
    [
        (None, False),
        (QuietHours(11 * 60, 13 * 60), True),
        (QuietHours(12 * 60, 13 * 60), True),
        (QuietHours(11 * 60, 12 * 60), False),
        (QuietHours(22 * 60, 7 * 60), False),
        (QuietHours(22 * 60, 12 * 60 + 1), True),
        (QuietHours(13 * 60, 11 * 60), False),
    ],
)
def test_quiet_hours_may_go_over_midnight(hours: QuietHours | None, quiet: bool) -> None:
    assert is_quiet(hours, NOW) is quiet
