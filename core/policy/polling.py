"""When to ask a usage endpoint about an account, and what its answer does. Headers of ordinary answers come first.

Anthropic answers a program that is not its own about 28 times in any hour; one question every 180 s was never refused
(measured by claude-swap, 2026-07). So nothing is asked that an answer's headers have just told, nothing while nobody
works, and a refusal is followed by a long rest. It says nothing about the account: windows, sign-in and cooldowns stay.
"""

import math
from typing import assert_never

import msgspec
from msgspec.structs import replace

from core.model import (
    AccountId,
    AccountKind,
    AccountState,
    Cause,
    Cooldown,
    ExtraUsage,
    Polling,
    Pool,
    QuotaWindow,
    SignIn,
    WindowStatus,
)
from core.policy import plan, sharing, timing
from core.wording import SPENT_FROM

MIN_GAP_S = 180.0
"""Between two questions about one account, whatever happens."""
SERVING_EVERY_S = 300.0
"""An account that serves now."""
OTHERS_EVERY_S = 600.0
"""One that rests or waits: enough to notice that the provider has given quota back early."""
IN_USE_S = 3600.0
"""Nothing was asked of Tidegate for this long: then nothing is asked of the providers either."""
STALE_S = 3600.0
"""A reading that was older than this at the start is renewed once, although nobody works yet."""
START_TRIES = 3
"""How often that is tried: at a start after boot the network comes a little later."""
AFTER_RESET_S = 30.0
"""A window is read once it has begun anew; its reset was seen to move by two seconds."""
SPREAD = 0.1
"""Waits are longer or shorter by up to this share."""

THROTTLED_REST_S = 360.0
THROTTLED_GROWTH = 1.5
LONGEST_THROTTLED_REST_S = 1800.0
ASKED_MARGIN_S = 900.0
"""Coming back exactly when `retry-after` says was seen to be too early."""
LONGEST_ASKED_REST_S = 4500.0
FAILED_REST_S = 30.0
LONGEST_FAILED_REST_S = 600.0
MAX_COUNT = 16
"""Beyond this the rests are at their longest anyway."""


# --- what an answer was ----------------------------------------------------------------------------


class Read(msgspec.Struct, frozen=True):
    """The endpoint told the windows, as they were at their `seen_at`, and what it knows of extra usage."""

    windows: tuple[QuotaWindow, ...]
    extra_usage: ExtraUsage | None = None


class TurnedAway(msgspec.Struct, frozen=True):
    """A 429 of the endpoint's own budget, which is nothing of the account's quota. `asked_s`: its `retry-after`."""

    asked_s: float | None = None


class Unreadable(msgspec.Struct, frozen=True):
    """This login lacks the scope, and always will."""


class Failed(msgspec.Struct, frozen=True):
    """No reading this time. `rejected`: a 401, which a renewal may cure."""

    text: str
    rejected: bool = False


Reading = Read | TurnedAway | Unreadable | Failed


# --- when to ask -----------------------------------------------------------------------------------


def schedule(pool: Pool, now: float, *, started_at: float, wanted_at: float) -> list[tuple[float, AccountId]]:
    """When to ask about which account, soonest first; accounts that are not to be asked about are not in it.

    `wanted_at` is when a request last found nobody to serve it: somebody works, although nothing is served.
    """
    used = (wanted_at, *(state.last_used_at for state in pool.accounts))
    in_use = any(state.in_flight for state in pool.accounts) or any(_within(at, now, IN_USE_S) for at in used)
    times = (
        (_due_at(state, now) if in_use else _due_at_start(state, started_at), state.account.id)
        for state in pool.accounts
        if _askable(state)
    )
    return sorted((at, id_) for at, id_ in times if at is not None)


def may_be_asked(state: AccountState, now: float) -> bool:
    """Whether the endpoint would not mind a question about this account that the person wants answered now."""
    return _askable(state) and _allowed_at(state.polling) <= now


def _askable(state: AccountState) -> bool:
    """API keys have no such endpoint: their headers tell all there is."""
    account = state.account
    has_endpoint = account.kind is not AccountKind.API_KEY
    return has_endpoint and account.enabled and state.sign_in is SignIn.OK and not state.polling.unreadable


def _due_at(state: AccountState, now: float) -> float:
    polling = state.polling
    serves = state.in_flight > 0 or _within(state.last_used_at, now, SERVING_EVERY_S)
    every_s = SERVING_EVERY_S if serves else OTHERS_EVERY_S
    told_at = max(_read_at(state), 0.0 if polling.rest_s else polling.asked_at)
    return max(_allowed_at(polling), min(told_at + every_s * polling.spread, _begins_anew_at(state)))


def _due_at_start(state: AccountState, started_at: float) -> float | None:
    """Nobody works: one reading, if the one we have is old. A few tries count as one."""
    polling = state.polling
    tried = polling.failures + polling.throttled
    wanted = polling.asked_at < started_at or 0 < tried < START_TRIES
    return _allowed_at(polling) if wanted and _read_at(state) < started_at - STALE_S else None


def _allowed_at(polling: Polling) -> float:
    return polling.asked_at + max(MIN_GAP_S, polling.rest_s * polling.spread)


def _begins_anew_at(state: AccountState) -> float:
    """Shortly after the next reset of a window about which nobody has asked since."""
    times = (w.resets_at + AFTER_RESET_S for w in state.windows if w.resets_at is not None)
    return min((at for at in times if at > state.polling.asked_at), default=math.inf)


def _read_at(state: AccountState) -> float:
    return max((window.seen_at for window in state.windows), default=0.0)


def _within(at: float, now: float, span_s: float) -> bool:
    return 0 <= now - at < span_s


# --- what asking does ------------------------------------------------------------------------------


def asked(state: AccountState, now: float, jitter: float) -> AccountState:
    """The account that is being asked about from now on. `jitter` is a number from 0 to 1, by chance."""
    return replace(state, polling=replace(state.polling, asked_at=now, spread=1 + SPREAD * (2 * jitter - 1)))


def learned(pool: Pool, id_: AccountId, reading: Reading, now: float) -> Pool:
    """The pool with what the answer told of an account, and of all that share its limits.

    One that tells nothing changes nothing but when to ask again. An account that is gone changes nothing at all.
    """
    changed: dict[AccountId, AccountState] = {}
    for state in sharing.group(pool, id_):
        asked_about = state.account.id == id_
        told = replace(state, polling=_after(state.polling, reading)) if asked_about else state
        changed[state.account.id] = _told(told, reading, now) if isinstance(reading, Read) else told
    return replace(pool, states={**pool.states, **changed})


def _told(state: AccountState, reading: Read, now: float) -> AccountState:
    state = plan.read(state, reading.windows, reading.extra_usage, now)
    kept = tuple(rest for rest in state.cooldowns if not _contradicted(rest, state.windows, reading.windows, now))
    return replace(state, cooldowns=kept)


def _after(polling: Polling, reading: Reading) -> Polling:
    throttled, failures, asked_s = polling.throttled, polling.failures, 0.0
    match reading:
        case Read():
            throttled, failures = max(0, throttled - 1), 0
        case TurnedAway():
            throttled, failures = min(throttled + 1, MAX_COUNT), 0
            if reading.asked_s:  # 0 comes as often as a number, and says as little as none
                asked_s = min(reading.asked_s + ASKED_MARGIN_S, LONGEST_ASKED_REST_S)
        case Failed():
            failures = min(failures + 1, MAX_COUNT)
        case Unreadable():
            return replace(polling, unreadable=True)
        case _:
            assert_never(reading)
    rest_s = max(
        asked_s,
        _grown(THROTTLED_REST_S, THROTTLED_GROWTH, throttled, LONGEST_THROTTLED_REST_S),
        _grown(FAILED_REST_S, 2.0, failures, LONGEST_FAILED_REST_S),
    )
    return replace(polling, rest_s=rest_s, throttled=throttled, failures=failures)


def _grown(first_s: float, growth: float, count: int, longest_s: float) -> float:
    return min(first_s * growth ** (count - 1), longest_s) if count else 0.0


def _contradicted(rest: Cooldown, windows: tuple[QuotaWindow, ...], seen: tuple[QuotaWindow, ...], now: float) -> bool:
    """Whether the windows show room where the rest says that there is none: quota was given back before its reset.

    A window of the rest's scope must have been read just now, and no window that might have caused the rest may still
    be full. A model's rest can come from a window that goes by another family's name, so all of those count.
    """
    if rest.cause not in (Cause.QUOTA, Cause.PLAN) or rest.until_at <= now:
        return False
    scoped = rest.family is not None
    suspects = [timing.current(window, now) for window in windows if (window.family is not None) is scoped]
    told = any(window.family == rest.family and window.utilization is not None for window in seen)
    return told and all(_has_room(window) for window in suspects)


def _has_room(window: QuotaWindow) -> bool:
    """Clearly not full. An endpoint that rounds or lags must not end a rest that a refusal has just begun."""
    return window.status is not WindowStatus.REJECTED and (window.utilization or 0.0) < SPENT_FROM


# --- a clock that was set back ---------------------------------------------------------------------


def not_in_future(pool: Pool, now: float) -> Pool:
    """The pool with what was asked and read in the future moved to now: then the clock has been set back.

    Else nothing would be asked, and no reading taken for newer, until the clock has caught up.
    """
    if all(_known_at(state) <= now for state in pool.accounts):
        return pool
    return replace(pool, states={id_: _not_in_future(state, now) for id_, state in pool.states.items()})


def _known_at(state: AccountState) -> float:
    extra = state.extra_usage
    return max(state.polling.asked_at, _read_at(state), extra.seen_at if extra else 0.0)


def _not_in_future(state: AccountState, now: float) -> AccountState:
    if _known_at(state) <= now:
        return state
    extra = state.extra_usage
    return replace(
        state,
        windows=tuple(replace(window, seen_at=min(window.seen_at, now)) for window in state.windows),
        extra_usage=replace(extra, seen_at=min(extra.seen_at, now)) if extra else None,
        polling=replace(state.polling, asked_at=min(state.polling.asked_at, now)),
    )
