"""What the client does, and what the machine does: clients that leave or do not read, and a disk that takes nothing."""

from msgspec.structs import replace

from tests.faults import wire
from tests.faults.scenarios_logins import NO_REFRESH
from tests.faults.scenarios_network import OVERLOADED, SAID_HALF, SAID_START, STOP_WHEN_ASKED, WAIT
from tests.faults.script import (
    USUAL,
    Answered,
    Arrived,
    Ask,
    Begun,
    Done,
    Fate,
    Go,
    Gone,
    Grant,
    Hear,
    Left,
    Line,
    Mark,
    Order,
    Pause,
    Read,
    Scenario,
    Sees,
    Sends,
    Slept,
    Stands,
    Tell,
    UnderWay,
    When,
    turn,
)

LONG = wire.STARTED + wire.HALF[len(wire.STARTED) :] * 6_000 + wire.WHOLE[len(wire.STARTED) :]
"""A stream of three megabytes: more than the buffers on its way."""

LEAVING = (
    Scenario(
        "a client leaves in the middle of its request",
        (("leaves", "a"),),
        client=(Ask(sends=Sends.HALF), Go.RESET),
        sees=(Gone(),),
        asked=(),
        outcome=None,
    ),
    Scenario(
        "a client leaves while a connection is made",
        (("leaves", "a"),),
        client=(Ask(), When(UnderWay()), Go.RESET),
        line=Line.DEAF,
        sees=(Gone(),),
        asked=(),
        outcome="ClientLeft",
    ),
    *(
        Scenario(
            f"a client {how} while the provider thinks",
            (("leaves", "b"),),
            client=(Ask(), When(Arrived()), go, When(Left())),
            upstream=(turn(WAIT),),
            sees=(Gone(),),
            outcome="ClientLeft",
        )
        for how, go in (("resets its connection", Go.RESET), ("closes its connection", Go.CLOSE))
    ),
    Scenario(
        "a client that sends no more has left",
        (("leaves", "b"),),
        client=(Ask(), When(Arrived()), Go.HALF_CLOSE, When(Left())),
        upstream=(turn(WAIT),),
        sees=(Gone(),),
        outcome="ClientLeft",
    ),
    Scenario(
        "a client leaves behind the head",
        (("leaves", "c"),),
        client=(Ask(), When(Done("said")), Go.RESET, When(Left())),
        upstream=(turn(wire.CHUNKED, Mark("said"), WAIT),),
        sees=(Gone(),),
        outcome="ClientLeft",
    ),
    Scenario(
        "a client leaves before the content of its stream",
        (("leaves", "d"),),
        client=(Ask(), When(Done("said")), Go.RESET, When(Left())),
        upstream=(turn(SAID_START, Mark("said"), WAIT),),
        sees=(Gone(),),
        outcome="ClientLeft",
    ),
    Scenario(
        "a client leaves in the content of its stream",
        (("leaves", "e"),),
        client=(Ask(), Hear(200), Go.RESET, When(Left())),
        upstream=(turn(SAID_HALF, WAIT),),
        sees=(Gone(),),
        outcome="ClientLeft",
    ),
    Scenario(
        "a client leaves while Tidegate stops",
        (("leaves", "j"),),
        client=(Ask(), Hear(200), When(Done("stopping")), Go.RESET, When(Left())),
        upstream=(turn(SAID_HALF, WAIT),),
        meanwhile=STOP_WHEN_ASKED,
        sees=(Gone(),),
        outcome="ClientLeft",
    ),
    Scenario(
        "a client leaves while the second account is asked",
        (("leaves", "k"),),
        client=(Ask(), When(Arrived(2)), Go.RESET, When(Left())),
        upstream=(OVERLOADED, turn(WAIT)),
        accounts=("First", "Second", "Third"),
        sees=(Gone(),),
        asked=("First", "Second"),
        outcome="ClientLeft",
    ),
    Scenario(
        "a client leaves after a sleep",
        (("leaves", "l"),),
        client=(Ask(), Hear(200), When(Done("slept")), Go.RESET, When(Left())),
        upstream=(turn(SAID_HALF, WAIT),),
        meanwhile=(When(Begun()), Slept(600)),
        sees=(Gone(),),
        outcome="ClientLeft",
    ),
    Scenario(
        "a second request waits behind the first on one connection",
        (("leaves", "b"),),
        client=(Ask(), Ask(stream=False), Read(), Read()),
        sees=(Sees(), Sees()),
        asked=("First", "First"),
    ),
    Scenario(
        "a client leaves with a second request behind the first",
        (("leaves", "e"),),
        client=(Ask(), Ask(), Hear(200), Go.RESET, When(Left())),
        upstream=(turn(SAID_HALF, WAIT),),
        sees=(Gone(), Gone()),
        outcome="ClientLeft",
    ),
    Scenario(
        "a request in small pieces",
        (("slow", "c"),),
        client=(Ask(sends=Sends.SLOWLY, body_bytes=2_000), Read()),
    ),
)

READING = (
    Scenario(
        "a client that stops reading for a while gets its whole stream",
        (("slow", "d"), ("slow", "e")),
        client=(Ask(), Hear(1), Pause(0.3), Read()),
        upstream=(turn(wire.CHUNKED, wire.chunk(LONG), wire.END),),
    ),
    Scenario(
        "a client that stops reading for a while gets its whole answer",
        (("slow", "c"),),
        client=(Ask(stream=False), Hear(1), Pause(0.3), Read()),
        upstream=(turn(wire.said(200, b'{"content": "' + b"x" * 3_000_000 + b'"}')),),
    ),
    Scenario(
        "a client that reads nothing for too long is cut",
        (("slow", "e"),),
        client=(Ask(), Hear(1), When(Left()), Go.RESET),
        upstream=(turn(wire.CHUNKED, wire.chunk(LONG * 8), wire.END),),
        limits=replace(USUAL, stall_s=0.3),
        sees=(Gone(),),
        outcome="ClientLeft",
    ),
)

DISK = (
    Scenario(
        "the disk is full: requests are served, and history is written later",
        tuple(("disk", moment) for moment in "abcdei"),
        client=(When(Done("disk full")), Ask(), Read(), Ask(stream=False), Read()),
        meanwhile=(Fate.DISK_FULL, When(Answered(2)), Fate.DISK_BACK),
        sees=(Sees(), Sees()),
        asked=("First", "First"),
    ),
    Scenario(
        "the disk is full: a login that lives is not renewed",
        (("disk", "f"),),
        client=(When(Done("refresh")), Ask(), Read()),
        ends_in_s={"First": 2_500.0},
        meanwhile=(Fate.DISK_FULL, NO_REFRESH, When(Answered()), Fate.DISK_BACK),
    ),
    Scenario(
        "the disk is full: a login that has ended is renewed, and the keychain takes it",
        (("disk", "f"),),
        client=(When(Done("disk full")), Ask(), Read()),
        ends_in_s={"First": -10.0},
        meanwhile=(Fate.DISK_FULL, When(Answered()), Fate.DISK_BACK),
        renewals=1,
        tells=("LoginRenewed",),
    ),
    Scenario(
        "the disk is full when a renewed login comes",
        (("disk", "g"), ("disk", "h")),
        tokens=(turn(Grant(answer=False), Mark("sent"), When(Done("disk full")), Tell()),),
        ends_in_s={"First": -10.0},
        meanwhile=(When(Done("sent")), Fate.DISK_FULL, When(Answered()), Fate.DISK_BACK),
        renewals=1,
        tells=("LoginRenewed",),
    ),
    Scenario(
        "the disk is full: settings are not changed, and that is said",
        (("disk", "i"),),
        client=(When(Done("rename")), Ask(), Read()),
        meanwhile=(
            Fate.DISK_FULL,
            Order("rename", {"account": "First", "label": "Other"}, fails=True),
            When(Answered()),
            Fate.DISK_BACK,
        ),
    ),
    Scenario(
        "the disk is full when Tidegate stops",
        (("disk", "j"),),
        meanwhile=(When(Answered()), Fate.DISK_FULL, Fate.STOP),
        outcome=None,
    ),
    Scenario(
        "the disk is full while failing over",
        (("disk", "k"),),
        client=(When(Done("disk full")), Ask(), Read()),
        upstream=(turn(wire.quota_full()),),
        meanwhile=(Fate.DISK_FULL, When(Answered()), Fate.DISK_BACK),
        asked=("First", "Second"),
        stands={"First": Stands.COOLING},
    ),
    Scenario(
        "the disk is full when the machine goes to sleep",
        (("disk", "l"),),
        client=(Ask(), Read(), When(Done("slept")), Ask(), Read()),
        meanwhile=(
            When(Answered()),
            Fate.DISK_FULL,
            Fate.SUSPEND,
            Slept(600),
            When(Answered(2)),
            Fate.DISK_BACK,
        ),
        sees=(Sees(), Sees()),
        asked=("First", "First"),
    ),
)

SCENARIOS = (*LEAVING, *READING, *DISK)
