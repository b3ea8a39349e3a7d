"""Whether an account can serve a request, and if not, why and until when. Pure questions about one account."""

from msgspec.structs import replace

from core.model import (
    AccountState,
    Cause,
    ClientKind,
    Cooldown,
    ModelFamily,
    ProviderName,
    Request,
    Serves,
    SignIn,
    Standing,
)
from core.policy import plan, quota


def resting(state: AccountState, request: Request, now: float) -> Cooldown | None:
    """The cooldown that keeps this account from serving `request`, the longest if there are several.

    One that keeps it to its plan need not have been begun: what is known of the plan is enough.
    """
    if not state.cooldowns and not state.account.plan_limits_only:
        return None
    current = (c for c in live(state, now) if c.family in (None, request.family))
    longest = max(current, key=lambda c: c.until_at, default=None)
    planned = plan.rest(state, request.family, now)
    if planned is None or (longest and planned.until_at < longest.until_at + quota.RESET_JITTER_S):
        return longest
    return replace(planned, moved_to=longest.moved_to if longest else None)


def live(state: AccountState, now: float) -> tuple[Cooldown, ...]:
    """The cooldowns that hold: those of a plan do only while the person keeps the account to it."""
    kept = state.account.plan_limits_only
    return tuple(c for c in state.cooldowns if c.until_at > now and (kept or c.cause is not Cause.PLAN))


def obstacle(state: AccountState, request: Request, now: float) -> str:
    """Why this account cannot serve `request` now, in plain words; empty when it is ready."""
    rest = resting(state, request, now)
    return bar(state, request) or ((rest.text or "resting") if rest else "")


def bar(state: AccountState, request: Request) -> str:
    """What no time will mend; empty when at most a rest keeps the account from serving `request`."""
    account = state.account
    if not account.enabled:
        return "disabled"
    if state.sign_in is not SignIn.OK:
        return state.sign_in_text or ("keychain locked" if state.sign_in is SignIn.LOCKED else "sign in again")
    if account.serves is Serves.CLAUDE_CODE and request.client is not ClientKind.CLAUDE_CODE:
        return "serves Claude Code only"
    return "the provider does not let it serve this program" if request.client in state.refuses else ""


def any_client(provider: ProviderName, family: ModelFamily | None = None) -> Request:
    """A request to judge a provider's accounts by: from Claude Code, which no account is set up to turn away."""
    return Request(provider, client=ClientKind.CLAUDE_CODE, family=family)


def standing(state: AccountState, now: float) -> Standing:
    """The account's state in one word, for a request of any model."""
    if not state.account.enabled:
        return Standing.DISABLED
    if state.sign_in is SignIn.LOCKED:
        return Standing.LOCKED
    if state.sign_in is SignIn.NEEDED:
        return Standing.SIGN_IN
    return Standing.COOLING if resting(state, Request(state.account.kind.provider), now) else Standing.READY
