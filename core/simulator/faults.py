"""What a simulated account can be told to do instead of a plain good answer.

Each class is one thing that happens with the real providers. `SimulatedAccount.script` takes them one per coming
request, `SimulatedAccount.always` until further notice, `SimulatedProvider.script` for any other path. Where a client
asked for no stream, a fault of a stream hits the JSON answer in the nearest way: an error keeps its status, a cut
ends the body half-way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal


@dataclass(frozen=True, slots=True)
class QuotaRejected:
    """429: a quota window is full for `resets_in_s` more seconds (a subscription's `5h` or `7d`, Go's limits)."""

    window: str = "5h"
    resets_in_s: float = 7835


@dataclass(frozen=True, slots=True)
class ModelQuotaRejected:
    """429: the weekly window of one class of models (`7d_oi`) is full, the account serves the others."""

    resets_in_s: float = 86_400


@dataclass(frozen=True, slots=True)
class ShortThrottle:
    """429: too fast, with a `retry-after` and no full quota window."""

    retry_after_s: float = 2


@dataclass(frozen=True, slots=True)
class BareThrottle:
    """429 without retry-after and without any rate-limit header: says nothing of the account."""


@dataclass(frozen=True, slots=True)
class EndpointThrottle:
    """429 of the token or the usage endpoint, which have budgets of their own."""

    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Unauthorized:
    """401, although the credential is known."""

    message: str = "Invalid bearer token"


@dataclass(frozen=True, slots=True)
class Forbidden:
    """403: the token is revoked, or the organisation does not allow subscription logins."""

    reason: Literal["revoked", "organization"] = "revoked"


@dataclass(frozen=True, slots=True)
class OrganizationDisabled:
    """400 (403 was seen too): the account is dead until a person acts."""

    status: Literal[400, 403] = 400


@dataclass(frozen=True, slots=True)
class CreditTooLow:
    """400 at Anthropic, 401 at OpenCode Go: nothing left to pay with."""


@dataclass(frozen=True, slots=True)
class ThirdPartyRefused:
    """400: this subscription login does not serve this program."""


@dataclass(frozen=True, slots=True)
class NotFound:
    """404, as the token endpoint's old address answers."""


@dataclass(frozen=True, slots=True)
class BadRequest:
    """400 that the request itself is to blame for."""

    message: str = "messages.0.content: Input should be a valid string"


@dataclass(frozen=True, slots=True)
class ServerError:
    """500, 503 or 504 in the provider's envelope; 502 is the edge's HTML page."""

    status: Literal[500, 502, 503, 504] = 500


@dataclass(frozen=True, slots=True)
class Overloaded:
    """529: the model is overloaded for everybody."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """A 3xx, which no API call should follow."""

    status: Literal[301, 302, 303, 307, 308] = 302
    location: str = "http://127.0.0.1:9/elsewhere"


@dataclass(frozen=True, slots=True)
class ErrorFirst:
    """200, then an `error` event as the first one, or as the second one right behind `message_start`."""

    type: str = "overloaded_error"
    after_start: bool = False


@dataclass(frozen=True, slots=True)
class ErrorMidStream:
    """`after_events` good events, then an `error` event, then the end."""

    after_events: int = 5
    type: str = "overloaded_error"


@dataclass(frozen=True, slots=True)
class CutClean:
    """`after_events` good events, then a proper end of the HTTP message: only the last event is missing."""

    after_events: int = 5


@dataclass(frozen=True, slots=True)
class CutHard:
    """`after_events` good events, then the connection is reset (or just closed) in the middle of the body."""

    after_events: int = 5
    reset: bool = True


@dataclass(frozen=True, slots=True)
class EmptyStream:
    """200 and the head of an event stream, then a proper end without any event."""


@dataclass(frozen=True, slots=True)
class ResetBeforeAnswer:
    """The connection is reset when the whole request has arrived. No work is done."""


@dataclass(frozen=True, slots=True)
class CloseBeforeAnswer:
    """The work is done (a refresh token is rotated, quota is spent), then the connection closes without an answer."""


@dataclass(frozen=True, slots=True)
class HalfHead:
    """The connection closes in the middle of the response head."""


@dataclass(frozen=True, slots=True)
class GarbageHead:
    """What comes is not HTTP."""


class Phase(Enum):
    """Where an answer can stall."""

    BEFORE_HEAD = "before head"
    AFTER_HEAD = "after head"
    MID_STREAM = "mid stream"


@dataclass(frozen=True, slots=True)
class Stall:
    """Silence of `seconds`, then the answer goes on as if nothing had been."""

    phase: Phase = Phase.BEFORE_HEAD
    seconds: float = 8


@dataclass(frozen=True, slots=True)
class Slow:
    """A pause of `gap_s` before every event."""

    gap_s: float = 0.05


@dataclass(frozen=True, slots=True)
class UseTool:
    """Not a fault: the answer calls this tool, whatever the prompt says."""

    name: str
    input: Mapping[str, object]


Refusal = (
    QuotaRejected
    | ModelQuotaRejected
    | ShortThrottle
    | BareThrottle
    | EndpointThrottle
    | Unauthorized
    | Forbidden
    | OrganizationDisabled
    | CreditTooLow
    | ThirdPartyRefused
    | NotFound
    | BadRequest
    | ServerError
    | Overloaded
    | Redirect
)
"""A complete answer with another status than 200."""

StreamFault = ErrorFirst | ErrorMidStream | CutClean | CutHard | EmptyStream | Stall | Slow
"""An answer that begins well, or goes well but slowly."""

ConnectionFault = ResetBeforeAnswer | CloseBeforeAnswer | HalfHead | GarbageHead
"""No answer that could be read."""

Fault = Refusal | StreamFault | ConnectionFault
Step = Fault | UseTool
