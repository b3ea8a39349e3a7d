"""The pool as a person sees it: a `Snapshot` for tray, command line and status page."""

from msgspec.structs import replace

from core.model import (
    AccountState,
    AccountView,
    Choice,
    Exhausted,
    ExtraUsage,
    Level,
    Pool,
    ProviderName,
    QuotaWindow,
    Request,
    SignIn,
    Snapshot,
    Standing,
    WindowView,
)
from core.policy import outage, plan, quota, sharing, timing
from core.policy.forecast import forecast, headroom_s
from core.policy.pool import PINNED, find, paused, pinned
from core.policy.readiness import any_client, obstacle, resting, standing
from core.wording import level


def active(pool: Pool, provider: ProviderName, now: float) -> Choice | None:
    """Who serves this provider now, and why: the pinned account, else who served last, else who would be chosen."""
    request = any_client(provider)
    choice = find(pool, request, now)
    if isinstance(choice, Exhausted):
        return None
    last = pool.active.get(provider)
    state = pool.state(last.account) if last else None
    if choice.reason == PINNED or last is None or state is None or obstacle(state, request, now):
        return choice
    return last if last.reason != PINNED else Choice(last.account, "it served last")


def snapshot(pool: Pool, now: float) -> Snapshot:
    """The picture of the pool; version, address, moves and the like are the engine's to add."""
    active_ones = {choice.account: choice for p in ProviderName if (choice := active(pool, p, now))}
    views = tuple(_view(pool, state, active_ones.get(state.account.id), now) for state in pool.accounts)
    headroom = {p: lasting for p in ProviderName if (lasting := _headroom_s(pool, p, now)) is not None}
    return Snapshot(
        at=now,
        accounts=views,
        strategy=pool.strategy,
        headroom_s=headroom,
        failover=pool.failover,
        pause=paused(pool, now),
        unreachable=tuple(p for p in pool.outages if outage.lasts(pool, p)),
    )


def _headroom_s(pool: Pool, provider: ProviderName, now: float) -> float | None:
    serving = (s for s in pool.accounts if s.account.enabled and s.sign_in is SignIn.OK)
    mine = (s for s in serving if s.account.kind.provider is provider)
    return headroom_s(((s, plan.weight(s.account)) for s in mine), now)


def _view(pool: Pool, state: AccountState, serving: Choice | None, now: float) -> AccountView:
    account = state.account
    request = Request(account.kind.provider)
    rest = resting(state, request, now)
    pin = pinned(pool, account.kind.provider, now)
    is_pinned = pin is not None and pin.account == account.id
    windows = tuple(_window(timing.current(window, now), now) for window in state.windows)
    shown = standing(state, now)
    tightest = quota.tightest(state.windows, None, now)
    return AccountView(
        id=account.id,
        label=account.label,
        kind=account.kind,
        provider=account.kind.provider,
        standing=shown,
        level=Level.SPENT if shown is Standing.COOLING else level(tightest.utilization if tightest else None),
        detail=obstacle(state, request, now),
        until_at=rest.until_at if rest and shown is Standing.COOLING else None,
        windows=windows,
        enabled=account.enabled,
        serves=account.serves,
        pinned=is_pinned,
        pinned_until_at=pin.until_at if pin and is_pinned else None,
        active=serving is not None,
        reason=serving.reason if serving else "",
        email=account.identity.email,
        plan=account.identity.plan,
        borrowed_from=account.borrowed_from,
        login=state.login,
        plan_limits_only=account.plan_limits_only,
        muted=account.muted,
        extra_usage=_extra_usage(state, now),
        shares_with=tuple(s.account.label for s in sharing.group(pool, account.id) if s is not state),
        in_flight=state.in_flight,
        served=state.served,
        last_used_at=state.last_used_at,
    )


def _extra_usage(state: AccountState, now: float) -> ExtraUsage | None:
    """What is known of extra usage; what it paid for ends with the window that had been spent."""
    extra = state.extra_usage
    return replace(extra, in_use=plan.in_use(state, now)) if extra and extra.in_use else extra


def _window(window: QuotaWindow, now: float) -> WindowView:
    shown, ahead = level(window.utilization), forecast(window, now)
    return WindowView(
        window.name,
        window.utilization,
        window.resets_at,
        shown,
        window.family,
        window.seen_at,
        timing.pace(window, now),
        ahead.dry_at,
        ahead.lost,
    )
