"""What befalls a login: its renewal fails at every step, the keychain does not take it, somebody else has it too."""

from collections.abc import Mapping

from tests.faults import wire
from tests.faults.scenarios_network import CLOSE, RESET, WAIT
from tests.faults.script import (
    Act,
    Answered,
    Ask,
    Clock,
    Done,
    Fate,
    Go,
    Gone,
    Grant,
    Line,
    Mark,
    Order,
    Read,
    Ready,
    Renewing,
    Scenario,
    Sees,
    Slept,
    Stands,
    Tell,
    Turn,
    UnderWay,
    When,
    turn,
)

ENDED: Mapping[str, float] = {"First": -10.0}
LIVES: Mapping[str, float] = {"First": 2_500.0}
"""Not due yet, so that only an order renews it."""
SECOND = ("Second",)
SIGN_IN = Stands.SIGN_IN
REFRESH = Order("refresh", {"account": "First"})
NO_REFRESH = Order("refresh", {"account": "First"}, fails=True)
LOST: tuple[Act, ...] = (Grant(answer=False),)


def _put_off(row: str, what: str, *turns: Turn, renewals: int = 1, line: Line = Line.OPEN, **given: object) -> Scenario:
    """The login has ended and is not renewed: the next account serves, and nobody is signed out."""
    return Scenario(
        f"renewing a login: {what}",
        ((row, "f"),),
        tokens=turns,
        token_line=line,
        ends_in_s=ENDED,
        asked=SECOND,
        renewals=renewals,
        tells=("RenewalFailed",),
        **given,  # type: ignore[arg-type]
    )


def _sent_again(row: str, moment: str, what: str, *acts: Act | bytes, **given: object) -> Scenario:
    """No answer tells what became of the refresh token: it is sent once more at once."""
    kept = acts[:1] != LOST
    return Scenario(
        f"renewing a login: {what}",
        ((row, moment),),
        tokens=(turn(*acts),),
        ends_in_s=ENDED,
        asked=("First",) if kept else SECOND,
        renewals=2,
        stands={} if kept else {"First": SIGN_IN},
        tells=("LoginRenewed",) if kept else ("LoginRequired",),
        **given,  # type: ignore[arg-type]
    )


RENEWING = (
    _put_off("refused", "nobody listens", renewals=0, line=Line.REFUSED),
    _put_off("timeout", "connections are not taken", renewals=0, line=Line.DEAF, hurried=True, slow=True),
    _put_off("certificate", "the certificate is nobody's", renewals=0, line=Line.FALSE_TLS),
    _put_off("reset", "the connection is reset, twice", turn(RESET), turn(RESET), renewals=2),
    _sent_again("reset", "f", "the connection is reset", RESET),
    _sent_again("reset", "g", "exchanged, and the connection is reset", *LOST, RESET),
    Scenario(
        "renewing a login early: exchanged, and the answer is lost; what lives goes on serving",
        (("reset", "g"),),
        client=(When(Done("refresh")), Ask(), Read()),
        tokens=(turn(*LOST, RESET),),
        ends_in_s=LIVES,
        meanwhile=(NO_REFRESH,),
        renewals=2,
        tells=("LoginRequired",),
    ),
    _sent_again("stall", "f", "no answer", WAIT, hurried=True, slow=True),
    _sent_again("stall", "g", "exchanged, and no answer", *LOST, WAIT, hurried=True, slow=True),
    Scenario(
        "renewing a login: the refresh token is refused",
        (("401", "f"),),
        tokens=(turn(wire.INVALID_GRANT),),
        ends_in_s=ENDED,
        asked=SECOND,
        renewals=1,
        stands={"First": SIGN_IN},
        tells=("LoginRequired",),
    ),
    _put_off("403", "403 that is about something else", turn(wire.oauth_refused("access_denied", 403))),
    _put_off("400", "400 that is about our request", turn(wire.oauth_refused("invalid_request"))),
    _put_off("429", "429", turn(wire.throttled(60))),
    _put_off("5xx", "503", turn(wire.failed(503))),
    _sent_again("5xx", "f", "500", wire.failed(500)),
    _sent_again("5xx", "g", "exchanged, then 500", *LOST, wire.failed(500)),
    _put_off("3xx", "a redirect", turn(wire.redirect(307, "{elsewhere}"))),
    _sent_again("malformed", "f", "the answer is no HTTP", b"220 mail.invalid ESMTP\r\n\r\n", CLOSE),
    _sent_again("malformed", "g", "exchanged, and the answer is no JSON", *LOST, wire.said(200, b"<html>")),
    Scenario(
        "a client leaves while its login is renewed: the renewal goes on",
        (("leaves", "f"),),
        client=(Ask(), When(Renewing()), Go.RESET, Mark("left")),
        tokens=(turn(When(Done("left")), Grant()),),
        ends_in_s=ENDED,
        sees=(Gone(),),
        asked=(),
        renewals=1,
        outcome="ClientLeft",
        tells=("LoginRenewed",),
        meanwhile=(When(Done("left")), When(Renewing())),
    ),
    Scenario(
        "a client leaves between the exchange and its answer",
        (("leaves", "g"),),
        client=(Ask(), When(Renewing()), Go.RESET, Mark("left")),
        tokens=(turn(Grant(answer=False), When(Done("left")), Tell()),),
        ends_in_s=ENDED,
        sees=(Gone(),),
        asked=(),
        renewals=1,
        outcome="ClientLeft",
        tells=("LoginRenewed",),
    ),
    Scenario(
        "Tidegate stops while a login is renewed",
        (("keychain", "j"), ("disk", "j")),
        tokens=(turn(When(Done("stopping")), Grant()),),
        ends_in_s=ENDED,
        meanwhile=(When(UnderWay()), Fate.STOP),
        renewals=1,
        tells=("LoginRenewed",),
    ),
)

KEEPING = (
    Scenario(
        "the keychain is locked: accounts in memory serve, and nothing is renewed",
        tuple(("keychain", moment) for moment in "abcdef"),
        client=(When(Done("refresh")), Ask(), Read()),
        ends_in_s=LIVES,
        meanwhile=(Fate.LOCK_VAULT, NO_REFRESH),
    ),
    Scenario(
        "the keychain hangs: accounts in memory serve, and nothing is renewed",
        tuple(("keychain", moment) for moment in "abcdef"),
        client=(When(Done("refresh")), Ask(), Read()),
        ends_in_s=LIVES,
        meanwhile=(Fate.HANG_VAULT, NO_REFRESH, Fate.FREE_VAULT),
        hurried=True,
    ),
    Scenario(
        "the keychain is locked at the start, and opened later",
        (("keychain", "a"), ("keychain", "l")),
        client=(When(Done("restart")), Ask(), Read(), When(Ready("First")), Ask(), Read()),
        accounts=("First",),
        meanwhile=(
            Fate.LOCK_VAULT,
            Fate.RESTART,
            When(Answered()),
            Fate.FREE_VAULT,
            Slept(600),
        ),
        sees=(Sees(403, error="permission_error", text="locked", should_retry="false"), Sees()),
    ),
    *(
        Scenario(
            f"the keychain {how} when a renewed login comes: held in memory and sealed, saved later",
            (("keychain", moment),),
            client=(Ask(), Read()),
            tokens=(turn(Mark("sent"), When(Done(fate.value)), Grant()),),
            ends_in_s=ENDED,
            meanwhile=(When(Done("sent")), fate, When(Answered()), Fate.FREE_VAULT),
            renewals=1,
            tells=("LoginRenewed",),
            hurried=True,
        )
        for how, moment, fate in (("is locked", "g", Fate.LOCK_VAULT), ("hangs", "h", Fate.HANG_VAULT))
    ),
    Scenario(
        "Tidegate stops with a login that the keychain has not taken: sealed, and taken up by the next start",
        (("keychain", "j"),),
        tokens=(turn(Mark("sent"), When(Done("lock the vault")), Grant()),),
        client=(Ask(), Read(), When(Done("slept")), Go.RETURN, Ask(), Read()),
        ends_in_s=ENDED,
        meanwhile=(When(Done("sent")), Fate.LOCK_VAULT, When(Answered()), Fate.RESTART, Fate.FREE_VAULT, Slept(600)),
        sees=(Sees(), Sees()),
        asked=("First", "First"),
        renewals=1,
        slow=True,
        hurried=True,
    ),
    Scenario(
        "writing a credential takes too long, and a client leaves",
        (("stall", "h"), ("leaves", "h")),
        client=(Ask(), When(Done("hang the vault")), Go.RESET, Mark("left")),
        tokens=(turn(Mark("sent"), When(Done("left")), Grant()),),
        ends_in_s=ENDED,
        meanwhile=(When(Done("sent")), Fate.HANG_VAULT, When(Done("left")), Fate.FREE_VAULT),
        sees=(Gone(),),
        asked=(),
        renewals=1,
        outcome="ClientLeft",
    ),
)

SHARED = (
    Scenario(
        "another program has renewed the login: its newer one is taken",
        (("copy", "f"), ("copy", "a")),
        ends_in_s=LIVES,
        client=(When(Done("refresh")), Ask(), Read()),
        meanwhile=(Fate.OTHER_RENEWS, REFRESH),
    ),
    Scenario(
        "another program has used the refresh token up",
        (("copy", "f"),),
        ends_in_s=LIVES,
        client=(When(Done("refresh")), Ask(), Read()),
        meanwhile=(Fate.OTHER_SPENDS, NO_REFRESH),
        renewals=1,
        tells=("LoginRequired",),
    ),
    Scenario(
        "a second copy is refused while the first writes",
        (("copy", "h"), ("copy", "i"), ("copy", "j")),
        tokens=(turn(Mark("sent"), When(Done("second copy")), Grant()),),
        ends_in_s=ENDED,
        meanwhile=(When(Done("sent")), Fate.SECOND_COPY),
        renewals=1,
    ),
    Scenario(
        "another program has renewed the login during a sleep",
        (("copy", "l"),),
        client=(Ask(), Read(), When(Done("slept")), Ask(), Read()),
        accounts=("First",),
        meanwhile=(When(Answered()), Fate.OTHER_RENEWS, Slept(3_000)),
        ends_in_s=LIVES,
        sees=(Sees(), Sees()),
        asked=("First", "First"),
    ),
)

TIMES = (
    *(
        Scenario(
            f"the wall clock jumps by {by_days} days: the login is neither ended nor renewed",
            (("clock", "a"), ("clock", "f")),
            client=(When(Done("clock")), Ask(), Read()),
            meanwhile=(Clock(by_days * 86_400.0),),
        )
        for by_days in (400, -400)
    ),
    Scenario(
        "the wall clock jumps during a request",
        (("clock", "b"),),
        upstream=(turn(When(Done("clock")), wire.streamed()),),
        meanwhile=(When(Renewing(0)), Clock(3_600.0)),
    ),
    Scenario(
        "the wall clock is set after a sleep",
        (("clock", "l"),),
        client=(Ask(), Read(), When(Done("clock")), Ask(), Read()),
        meanwhile=(When(Answered()), Slept(600), Clock(-5_000.0)),
        sees=(Sees(), Sees()),
        asked=("First", "First"),
    ),
    Scenario(
        "after a sleep nothing is renewed for a minute that still serves",
        (("sleep", "f"), ("sleep", "l")),
        client=(Ask(), Read(), When(Done("slept")), Ask(), Read()),
        ends_in_s=LIVES,
        meanwhile=(When(Answered()), Fate.SUSPEND, Slept(2_000)),
        sees=(Sees(), Sees()),
        asked=("First", "First"),
    ),
    Scenario(
        "the machine sleeps while a login is renewed",
        (("sleep", "g"), ("sleep", "h"), ("sleep", "i"), ("sleep", "j")),
        tokens=(turn(Grant(answer=False), Mark("sent"), When(Done("slept")), Tell()),),
        ends_in_s=ENDED,
        meanwhile=(When(Done("sent")), Fate.SUSPEND, Slept(600)),
        renewals=1,
        tells=("LoginRenewed",),
    ),
)

SCENARIOS = (*RENEWING, *KEEPING, *SHARED, *TIMES)
