"""What the provider says: refusals and errors, whole, before the content of a stream and in the middle of it."""

from tests.faults import wire
from tests.faults.scenarios_network import OVERLOADED, PLAIN, STOP_WHEN_ASKED, STOPPING
from tests.faults.script import (
    Answered,
    Ask,
    Done,
    Read,
    Scenario,
    Sees,
    Slept,
    Stands,
    When,
    turn,
)

COOLING, SIGN_IN = Stands.COOLING, Stands.SIGN_IN
NO_RETRY = Sees(429, error="rate_limit_error", retry_after=True, should_retry="false")


def _first(kind: str) -> bytes:
    """An error as the first event of a stream."""
    return wire.streamed(wire.error_event(kind))


def _middle(kind: str) -> bytes:
    """An error in the content of a stream."""
    return wire.streamed(wire.HALF + wire.error_event(kind))


def _passes(row: str, kind: str, **given: object) -> Scenario:
    """An error in the content goes to the client as it came."""
    return Scenario(
        f"`{kind}` in the content of a stream",
        ((row, "e"),),
        upstream=(turn(_middle(kind)),),
        sees=(Sees(200, error=kind),),
        sdk="APIStatusError",
        **given,  # type: ignore[arg-type]
    )


REFUSED = (
    Scenario(
        "401 once: renewed, and the same account again",
        (("401", "c"),),
        upstream=(turn(wire.UNAUTHORIZED),),
        asked=("First", "First"),
        renewals=1,
    ),
    Scenario(
        "401 again after the renewal: signed out, and the next account",
        (("401", "c"),),
        upstream=(turn(wire.UNAUTHORIZED), turn(wire.UNAUTHORIZED)),
        asked=("First", "First", "Second"),
        renewals=1,
        stands={"First": SIGN_IN},
        tells=("LoginRequired",),
    ),
    Scenario(
        "a key is refused: signed out, and the next account",
        (("401", "c"),),
        accounts=("KeyOne", "Second"),
        upstream=(turn(wire.UNAUTHORIZED),),
        asked=("KeyOne", "Second"),
        stands={"KeyOne": SIGN_IN},
        tells=("LoginRequired",),
    ),
    Scenario(
        "`authentication_error` before the content",
        (("401", "d"),),
        upstream=(turn(_first("authentication_error")),),
        asked=("First", "First"),
        renewals=1,
    ),
    _passes("401", "authentication_error"),
    Scenario(
        "401 while Tidegate stops",
        (("401", "j"),),
        upstream=(turn(STOPPING, wire.UNAUTHORIZED),),
        meanwhile=STOP_WHEN_ASKED,
        asked=("First", "First"),
        renewals=1,
    ),
    Scenario(
        "the second account answers 401",
        (("401", "k"),),
        upstream=(OVERLOADED, turn(wire.UNAUTHORIZED)),
        asked=("First", "Second", "Second"),
        renewals=1,
    ),
    Scenario(
        "a login has ended during a sleep",
        (("401", "l"),),
        client=(Ask(), Read(), When(Done("slept")), Ask(), Read()),
        meanwhile=(When(Answered()), Slept(28_900)),
        sees=(Sees(), Sees()),
        accounts=("First",),
        asked=("First", "First"),
        renewals=1,
    ),
    Scenario(
        "the organisation is disabled",
        (("403", "c"),),
        upstream=(turn(wire.DISABLED),),
        asked=("First", "Second"),
        stands={"First": SIGN_IN},
        tells=("LoginRequired",),
    ),
    Scenario(
        "the token is revoked",
        (("403", "c"),),
        upstream=(turn(wire.REVOKED),),
        asked=("First", "First"),
        renewals=1,
    ),
    Scenario(
        "nothing left to pay with",
        (("403", "c"),),
        upstream=(turn(wire.NO_CREDIT),),
        asked=("First", "Second"),
        stands={"First": COOLING},
        tells=("CooldownStarted",),
    ),
    Scenario(
        "`permission_error` before the content",
        (("403", "d"),),
        upstream=(turn(_first("permission_error")),),
        asked=("First", "Second"),
    ),
    _passes("403", "billing_error", stands={"First": COOLING}),
    Scenario(
        "the organisation is disabled while Tidegate stops",
        (("403", "j"),),
        upstream=(turn(STOPPING, wire.DISABLED),),
        meanwhile=STOP_WHEN_ASKED,
        asked=("First", "Second"),
        stands={"First": SIGN_IN},
        tells=("LoginRequired",),
    ),
    Scenario(
        "one account is spent, the other's organisation is disabled",
        (("403", "k"),),
        upstream=(turn(wire.quota_full()), turn(wire.DISABLED)),
        sees=(NO_RETRY,),
        asked=("First", "Second"),
        outcome="AccountRefused",
        stands={"First": COOLING, "Second": SIGN_IN},
    ),
    *(
        Scenario(
            f"{status}: the request is the cause",
            (("400", "c"),),
            upstream=(turn(answer),),
            sees=(Sees(status, body=answer.partition(b"\r\n\r\n")[2]),),
            outcome="RequestRefused",
            sdk=exception,
        )
        for status, answer, exception in (
            (400, wire.BAD_REQUEST, "BadRequestError"),
            (413, wire.TOO_LARGE, "ContentTooLargeError"),
            (422, wire.UNPROCESSABLE, "UnprocessableEntityError"),
        )
    ),
    Scenario(
        "`invalid_request_error` before the content",
        (("400", "d"),),
        upstream=(turn(_first("invalid_request_error")),),
        sees=(Sees(400, error="invalid_request_error"),),
        outcome="RequestRefused",
        sdk="BadRequestError",
    ),
    Scenario(
        "400 while Tidegate stops",
        (("400", "j"),),
        upstream=(turn(STOPPING, wire.BAD_REQUEST),),
        meanwhile=STOP_WHEN_ASKED,
        sees=(Sees(400, error="invalid_request_error"),),
        outcome="RequestRefused",
    ),
    Scenario(
        "the second account answers 400",
        (("400", "k"),),
        upstream=(OVERLOADED, turn(wire.BAD_REQUEST)),
        sees=(Sees(400, error="invalid_request_error"),),
        asked=("First", "Second"),
        outcome="RequestRefused",
    ),
)

LIMITED = (
    Scenario(
        "one account's window is full",
        (("429", "c"),),
        upstream=(turn(wire.quota_full()),),
        asked=("First", "Second"),
        stands={"First": COOLING},
        tells=("CooldownStarted", "FailedOver"),
        sdk="ok",
    ),
    Scenario(
        "every account's window is full",
        (("429", "c"), ("429", "k")),
        upstream=(turn(wire.quota_full()), turn(wire.quota_full())),
        sees=(NO_RETRY,),
        asked=("First", "Second"),
        outcome="QuotaSpent",
        stands={"First": COOLING, "Second": COOLING},
        tells=("AllSpent",),
        sdk="RateLimitError",
    ),
    Scenario(
        "a short throttle is waited for",
        (("429", "c"),),
        upstream=(turn(wire.throttled(2)),),
        asked=("First", "First"),
        hurried=True,
    ),
    Scenario(
        "a long throttle is not",
        (("429", "c"),),
        upstream=(turn(wire.throttled(60)),),
        asked=("First", "Second"),
        stands={"First": COOLING},
    ),
    Scenario(
        "a 429 that says nothing of the account",
        (("429", "c"),),
        upstream=(turn(wire.BARE_429),),
        asked=("First", "Second"),
    ),
    Scenario(
        "`rate_limit_error` before the content",
        (("429", "d"),),
        upstream=(turn(_first("rate_limit_error")),),
        asked=("First", "Second"),
    ),
    _passes("429", "rate_limit_error"),
    Scenario(
        "a window is full while Tidegate stops",
        (("429", "j"),),
        upstream=(turn(STOPPING, wire.quota_full()),),
        meanwhile=STOP_WHEN_ASKED,
        asked=("First", "Second"),
        stands={"First": COOLING},
    ),
    Scenario(
        "a window that was full has begun anew after a sleep",
        (("429", "l"),),
        client=(Ask(), Read(), When(Done("slept")), Ask(session="two"), Read()),
        upstream=(turn(wire.quota_full(3_600)),),
        meanwhile=(When(Answered()), Slept(7_200)),
        sees=(Sees(), Sees()),
        asked=("First", "Second", "Second"),
        tells=("CooldownStarted",),
    ),
)

FAILED = (
    *(
        Scenario(
            f"{what}: the next account, once",
            (("5xx", "c"),),
            client=client,
            upstream=(turn(answer),),
            asked=("First", "Second"),
            sdk="ok",
        )
        for what, answer, client in (
            ("500", wire.failed(500), PLAIN),
            ("502 of an edge server", wire.EDGE_PAGE, PLAIN),
            ("503", wire.failed(503), PLAIN),
            ("504", wire.failed(504), PLAIN),
            ("529", wire.OVERLOADED, (Ask(), Read())),
        )
    ),
    *(
        Scenario(
            f"{status} from two accounts goes to the client as it came",
            (("5xx", "c"), ("5xx", "k")),
            accounts=("First", "Second", "Third"),
            upstream=(turn(answer), turn(answer)),
            sees=(Sees(status, body=answer.partition(b"\r\n\r\n")[2]),),
            asked=("First", "Second"),
            outcome="UpstreamFailed",
            sdk=exception,
        )
        for status, answer, exception in (
            (500, wire.failed(500), "InternalServerError"),
            (529, wire.OVERLOADED, "OverloadedError"),
        )
    ),
    Scenario(
        "`overloaded_error` before the content",
        (("5xx", "d"),),
        upstream=(turn(_first("overloaded_error")),),
        asked=("First", "Second"),
    ),
    Scenario(
        "`api_error` behind `message_start`",
        (("5xx", "d"),),
        upstream=(turn(wire.streamed(wire.STARTED + wire.error_event("api_error"))),),
        asked=("First", "Second"),
    ),
    _passes("5xx", "overloaded_error"),
    Scenario(
        "529 while Tidegate stops",
        (("5xx", "j"),),
        upstream=(turn(STOPPING, wire.OVERLOADED),),
        meanwhile=STOP_WHEN_ASKED,
        asked=("First", "Second"),
    ),
    Scenario(
        "a redirect is not followed: the next account",
        (("3xx", "c"),),
        upstream=(turn(wire.redirect(307, "{elsewhere}")),),
        asked=("First", "Second"),
    ),
    *(
        Scenario(
            f"{status} from two accounts",
            (("3xx", "c"), ("3xx", "k")),
            upstream=(turn(wire.redirect(status, "{elsewhere}")), turn(wire.redirect(status, "{elsewhere}"))),
            sees=(Sees(502, error="api_error", text="redirect"),),
            asked=("First", "Second"),
            outcome="UpstreamFailed",
        )
        for status in (301, 302, 303, 307, 308)
    ),
    Scenario(
        "a redirect while Tidegate stops",
        (("3xx", "j"),),
        upstream=(turn(STOPPING, wire.redirect(308, "{elsewhere}")),),
        meanwhile=STOP_WHEN_ASKED,
        asked=("First", "Second"),
    ),
)

SCENARIOS = (*REFUSED, *LIMITED, *FAILED)
