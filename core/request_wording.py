"""How a request went, in a few words: the same for page and terminal. Pure."""

from core.words import N_, Table
from core.words import translate as _

SERVED = "Served"
_LEFT = "ClientLeft"
_CLIENT_LEFT = 499
"""Nginx's status for a client that hung up: nothing was answered."""

OUTCOME_WORDS = Table(
    {
        SERVED: N_("answered"),
        "QuotaSpent": N_("the limit was reached"),
        "Throttled": N_("asked too fast"),
        "RequestThrottled": N_("refused for the moment"),
        "CredentialRejected": N_("the login was rejected"),
        "AccountRefused": N_("the account was refused"),
        "ClientRefused": N_("the program was refused"),
        "UpstreamFailed": N_("the provider failed"),
        "RequestRefused": N_("the request was refused"),
        "NotDelivered": N_("the provider could not be reached"),
        "Unknown": N_("no answer came"),
        "Cut": N_("the answer broke off"),
        _LEFT: N_("the program hung up"),
    }
)
"""By the name that history keeps."""


def outcome_text(outcome: str, status: int) -> str:
    """`answered`, `the limit was reached`. `status` is what the client got."""
    if outcome == _LEFT and status != _CLIENT_LEFT:
        return _("no account could serve")
    return OUTCOME_WORDS.get(outcome, outcome)


def went_wrong(outcome: str, status: int) -> bool:
    """Whether the client has no whole answer, and not because it hung up."""
    return outcome != SERVED and not (outcome == _LEFT and status == _CLIENT_LEFT)
