"""What the network does to a request: connections that are not made, break, fall silent or talk nonsense."""

from msgspec.structs import replace

from tests.faults import wire
from tests.faults.script import (
    SOON,
    Answered,
    Arrived,
    Ask,
    Connects,
    Done,
    End,
    Fate,
    Go,
    Gone,
    Line,
    Mark,
    Pause,
    Read,
    Reads,
    Say,
    Scenario,
    Sees,
    Slept,
    Stands,
    Told,
    When,
    turn,
)

RESET, CLOSE, WAIT = End.RESET, End.CLOSE, End.WAIT
UNREACHABLE = Sees(502, error="api_error", text="cannot be reached")
UNKNOWN = Sees(502, error="api_error", unknown=True)
CUT = Sees(200, whole=False, error="api_error", text="Tidegate")
PLAIN = (Ask(stream=False), Read())
WITH_TOOLS = (Ask(tools=True), Read())
STOPPING = When(Done("stopping"))
STOP_WHEN_ASKED = (When(Arrived()), Fate.STOP)
OVERLOADED = turn(wire.OVERLOADED)
SAID_HALF = wire.CHUNKED + wire.chunk(wire.HALF)
SAID_START = wire.CHUNKED + wire.chunk(wire.STARTED)


CONNECTING = (
    Scenario(
        "nobody listens until the provider is back",
        (("refused", "a"),),
        line=Line.REFUSED,
        meanwhile=(When(Told("ProviderLost")), Connects(Line.OPEN)),
        tells=("ProviderLost", "ProviderBack"),
        hurried=True,
    ),
    Scenario(
        "nobody listens for longer than a request waits",
        (("refused", "a"),),
        line=Line.REFUSED,
        sees=(UNREACHABLE,),
        asked=(),
        outcome="NotDelivered",
        tells=("ProviderLost",),
        hurried=True,
    ),
    Scenario(
        "the provider's name does not resolve",
        (("refused", "a"),),
        line=Line.NAMELESS,
        sees=(UNREACHABLE,),
        asked=(),
        outcome="NotDelivered",
        tells=("ProviderLost",),
        hurried=True,
    ),
    Scenario(
        "connections are not taken for longer than a request waits",
        (("timeout", "a"),),
        line=Line.DEAF,
        patience=SOON,
        sees=(Sees(502, error="api_error", text="did not take the connection in time"),),
        asked=(),
        outcome="NotDelivered",
        tells=("ProviderLost",),
        hurried=True,
    ),
    *(
        Scenario(
            f"{line.value}: the provider counts as lost, until the client leaves",
            (("timeout", "a"),),
            client=(Ask(), When(Told("ProviderLost")), Go.RESET),
            line=line,
            patience=SOON,
            sees=(Gone(),),
            asked=(),
            outcome="NotDelivered",
            tells=("ProviderLost",),
            slow=True,
        )
        for line in (Line.MUTE_TLS, Line.NO_TLS, Line.DROPPED_TLS)
    ),
    Scenario(
        "the certificate is nobody's: said at once, and no other account is tried",
        (("certificate", "a"),),
        line=Line.FALSE_TLS,
        sees=(Sees(502, error="api_error", text="certificate"),),
        asked=(),
        outcome="NotDelivered",
    ),
    Scenario(
        "Tidegate stops while the provider cannot be reached",
        (("refused", "j"), ("timeout", "j")),
        line=Line.REFUSED,
        meanwhile=(When(Told("ProviderLost")), Fate.STOP),
        sees=(Sees(503, error="overloaded_error", retry_after=True),),
        asked=(),
        outcome="NotDelivered",
        hurried=True,
    ),
    Scenario(
        "the next account's connection is refused",
        (("refused", "k"), ("timeout", "k")),
        upstream=(turn(When(Done("refused")), wire.quota_full(), CLOSE),),
        meanwhile=(When(Arrived()), Connects(Line.REFUSED)),
        sees=(UNREACHABLE,),
        asked=("First",),
        outcome="NotDelivered",
        stands={"First": Stands.COOLING},
        tells=("CooldownStarted",),
    ),
    Scenario(
        "after a sleep the network comes back late",
        (("refused", "l"), ("timeout", "l")),
        client=(Ask(), Read(), When(Done("refused")), Ask(session="two"), Read()),
        meanwhile=(
            When(Answered()),
            Slept(600),
            Connects(Line.REFUSED),
            When(Told("ProviderLost")),
            Connects(Line.OPEN),
        ),
        sees=(Sees(), Sees()),
        asked=("First", "First"),
        tells=("ProviderLost", "ProviderBack"),
        hurried=True,
    ),
)

BREAKING = (
    *(
        Scenario(
            f"the connection is {how} when the request is read, once",
            (("reset", "b"),),
            upstream=(turn(end),),
            asked=("First", "First"),
        )
        for how, end in (("reset", RESET), ("closed", CLOSE))
    ),
    Scenario(
        "the connection is reset when the request is read, twice",
        (("reset", "b"),),
        upstream=(turn(RESET), turn(RESET)),
        sees=(UNKNOWN,),
        asked=("First", "First"),
        outcome="Unknown",
        sdk="InternalServerError",
    ),
    Scenario(
        "the connection is reset under a request that acts in the world",
        (("reset", "b"),),
        client=WITH_TOOLS,
        upstream=(turn(RESET),),
        sees=(UNKNOWN,),
        outcome="Unknown",
    ),
    Scenario(
        "the connection is reset before any of the request is read",
        (("reset", "b"),),
        upstream=(turn(RESET, reads=Reads.NOTHING),),
        asked=("First",),
    ),
    Scenario(
        "the connection is reset in the middle of a large request",
        (("reset", "b"),),
        client=(Ask(body_bytes=4_000_000), Read()),
        upstream=(turn(RESET, reads=Reads.HEAD),),
        asked=("First", "First"),
    ),
    Scenario(
        "the provider closes a kept connection between two requests",
        (("reset", "b"),),
        client=(Ask(), Read(), When(Done("closed")), Ask(), Read()),
        upstream=(turn(wire.streamed(), CLOSE, Mark("closed")),),
        sees=(Sees(), Sees()),
        asked=("First", "First"),
    ),
    Scenario(
        "an informational answer, then a reset",
        (("reset", "b"), ("reset", "c")),
        upstream=(turn(wire.head(103), RESET),),
        sees=(UNKNOWN,),
        outcome="Cut",
    ),
    Scenario(
        "an informational answer before the real one",
        (("reset", "c"),),
        upstream=(turn(wire.head(103, ("link", "</x>")), wire.streamed()),),
    ),
    *(
        Scenario(
            f"half a head, then {how}",
            (("reset", "c"),),
            upstream=(turn(wire.CHUNKED[:40], end),),
            sees=(UNKNOWN,),
            outcome="Cut",
        )
        for how, end in (("a reset", RESET), ("a close", CLOSE))
    ),
    Scenario(
        "half of an answer that is not streamed, then a reset",
        (("reset", "c"),),
        client=PLAIN,
        upstream=(turn(wire.MESSAGE[:-40], RESET),),
        sees=(Sees(200, whole=False),),
        outcome="Cut",
    ),
    Scenario(
        "half of a refusal, then a close",
        (("reset", "c"),),
        upstream=(turn(wire.quota_full()[:-20], CLOSE),),
        sees=(UNKNOWN,),
        outcome="Cut",
    ),
    Scenario(
        "a stream breaks before its content",
        (("reset", "d"),),
        upstream=(turn(SAID_START, RESET),),
        sees=(UNKNOWN,),
        outcome="Cut",
    ),
    Scenario(
        "a stream breaks before its content, when its head has gone out",
        (("reset", "d"),),
        upstream=(turn(SAID_START, Pause(3.0), RESET),),
        sees=(CUT,),
        outcome="Cut",
        hurried=True,
    ),
    *(
        Scenario(
            f"a stream {how} in its content",
            (("reset", "e"),),
            upstream=(turn(*acts),),
            sees=(CUT,),
            outcome="Cut",
            sdk="APIStatusError",
        )
        for how, acts in (
            ("is reset", (SAID_HALF, RESET)),
            ("is closed", (SAID_HALF, CLOSE)),
            ("is closed before its promised length", (wire.measured(wire.HALF, 5_000), CLOSE)),
        )
    ),
    Scenario(
        "a stream breaks in the middle of an event",
        (("reset", "e"),),
        upstream=(turn(wire.CHUNKED, wire.chunk(wire.HALF[:-9]), RESET),),
        sees=(Sees(200, whole=False),),
        outcome="Cut",
    ),
    Scenario(
        "a stream breaks while Tidegate stops",
        (("reset", "j"),),
        upstream=(turn(SAID_HALF, STOPPING, RESET),),
        meanwhile=STOP_WHEN_ASKED,
        sees=(CUT,),
        outcome="Cut",
    ),
    Scenario(
        "the second account's connection is reset, once",
        (("reset", "k"),),
        upstream=(OVERLOADED, turn(RESET)),
        asked=("First", "Second", "Second"),
    ),
    Scenario(
        "the second account's connection is reset under a request that acts in the world",
        (("reset", "k"),),
        client=WITH_TOOLS,
        upstream=(OVERLOADED, turn(RESET)),
        sees=(UNKNOWN,),
        asked=("First", "Second"),
        outcome="Unknown",
    ),
    Scenario(
        "a stream is dead after a sleep",
        (("reset", "l"), ("sleep", "e")),
        upstream=(turn(SAID_HALF, When(Done("slept")), RESET),),
        meanwhile=(When(Arrived()), Slept(600)),
        sees=(CUT,),
        outcome="Cut",
    ),
)

SILENT = (
    Scenario(
        "no answer in time, once",
        (("stall", "b"),),
        upstream=(turn(WAIT),),
        patience=SOON,
        asked=("First", "First"),
    ),
    Scenario(
        "no answer in time, twice",
        (("stall", "b"),),
        upstream=(turn(WAIT), turn(WAIT)),
        patience=SOON,
        sees=(UNKNOWN,),
        asked=("First", "First"),
        outcome="Unknown",
    ),
    Scenario(
        "no answer in time to a request that acts in the world",
        (("stall", "b"),),
        client=WITH_TOOLS,
        upstream=(turn(WAIT),),
        patience=SOON,
        sees=(UNKNOWN,),
        outcome="Unknown",
    ),
    Scenario(
        "silence in the head",
        (("stall", "c"),),
        upstream=(turn(wire.CHUNKED[:40], WAIT),),
        patience=SOON,
        sees=(UNKNOWN,),
        outcome="Cut",
    ),
    Scenario(
        "silence behind the head of an answer that is not streamed",
        (("stall", "c"),),
        client=PLAIN,
        upstream=(turn(wire.MESSAGE[:-40], WAIT),),
        patience=SOON,
        sees=(Sees(200, whole=False),),
        outcome="Cut",
    ),
    Scenario(
        "silence before the content of a stream, longer than it is waited for",
        (("stall", "d"),),
        upstream=(turn(SAID_START, WAIT),),
        patience=SOON,
        sees=(UNKNOWN,),
        outcome="Cut",
    ),
    Scenario(
        "silence before the content of a stream whose head has gone out",
        (("stall", "d"),),
        upstream=(turn(SAID_START, WAIT),),
        patience=replace(SOON, idle_s=5.0),
        sees=(CUT,),
        outcome="Cut",
        hurried=True,
    ),
    Scenario(
        "silence in the content of a stream",
        (("stall", "e"),),
        upstream=(turn(SAID_HALF, WAIT),),
        patience=SOON,
        sees=(CUT,),
        outcome="Cut",
        sdk="APIStatusError",
    ),
    Scenario(
        "a long silence in a stream, with pings, and then its end",
        (("stall", "e"),),
        upstream=(turn(SAID_HALF, Pause(50.0), wire.chunk(wire.WHOLE.removeprefix(wire.HALF)), wire.END),),
        sees=(Sees(200, ping=True),),
        hurried=True,
        slow=True,
    ),
    Scenario(
        "a stream that falls silent is cut when Tidegate has waited long enough to stop",
        (("stall", "j"), ("slow", "j")),
        upstream=(turn(SAID_HALF, WAIT),),
        meanwhile=STOP_WHEN_ASKED,
        sees=(Sees(200, whole=False),),
        outcome="ClientLeft",
        hurried=True,
    ),
    Scenario(
        "the second account does not answer in time, once",
        (("stall", "k"),),
        upstream=(OVERLOADED, turn(WAIT)),
        patience=SOON,
        asked=("First", "Second", "Second"),
    ),
    Scenario(
        "a stream is silent after a sleep",
        (("stall", "l"),),
        upstream=(turn(SAID_HALF, WAIT),),
        meanwhile=(When(Arrived()), Slept(600)),
        patience=SOON,
        sees=(CUT,),
        outcome="Cut",
    ),
    Scenario(
        "nobody answers during a sleep, and after it the connection is dead",
        (("sleep", "b"),),
        upstream=(turn(When(Done("slept")), RESET),),
        meanwhile=(When(Arrived()), Slept(600)),
        asked=("First", "First"),
    ),
    Scenario(
        "half a head before a sleep, nothing after it",
        (("sleep", "c"),),
        upstream=(turn(wire.CHUNKED[:40], When(Done("slept")), CLOSE),),
        meanwhile=(When(Arrived()), Slept(600)),
        sees=(UNKNOWN,),
        outcome="Cut",
    ),
    Scenario(
        "a stream without content before a sleep, dead after it",
        (("sleep", "d"),),
        upstream=(turn(SAID_START, When(Done("slept")), RESET),),
        meanwhile=(When(Arrived()), Slept(600)),
        sees=(UNKNOWN,),
        outcome="Cut",
    ),
    Scenario(
        "a sleep between the refusal of one account and the answer of the next",
        (("sleep", "k"),),
        upstream=(turn(When(Done("slept")), wire.OVERLOADED),),
        meanwhile=(When(Arrived()), Slept(600)),
        asked=("First", "Second"),
    ),
)

MALFORMED = (
    *(
        Scenario(
            f"the answer is {what}",
            (("malformed", "c"),),
            upstream=(turn(data, WAIT),),
            sees=(UNKNOWN,),
            outcome="Cut",
        )
        for what, data in (
            ("no HTTP", b"220 mail.invalid ESMTP\r\n\r\n"),
            ("HTTP with two different lengths", wire.head(200, ("content-length", "5"), ("content-length", "6"))),
            ("HTTP with length and chunks", wire.head(200, ("content-length", "5"), ("transfer-encoding", "chunked"))),
            ("a head without end", wire.CHUNKED[:-2] + b"x-long: " + b"x" * 70_000),
        )
    ),
    Scenario(
        "a chunk without size, before the content",
        (("malformed", "d"),),
        upstream=(turn(SAID_START + b"zz\r\n", WAIT),),
        sees=(UNKNOWN,),
        outcome="Cut",
    ),
    Scenario(
        "a chunk without size, in the content",
        (("malformed", "e"),),
        upstream=(turn(SAID_HALF + b"zz\r\n", WAIT),),
        sees=(CUT,),
        outcome="Cut",
    ),
    Scenario(
        "a chunk that is longer than it says",
        (("malformed", "e"),),
        upstream=(turn(SAID_HALF + b"4\r\ntoo long\r\n", WAIT),),
        sees=(Sees(200, whole=False),),
        outcome="Cut",
    ),
    Scenario(
        "an event that is no JSON goes on as it came",
        (("malformed", "e"),),
        upstream=(turn(wire.streamed(wire.HALF + b"event: odd\ndata: {{{\n\n" + wire.WHOLE[len(wire.HALF) :])),),
    ),
    Scenario(
        "an answer that comes in pieces of seven bytes",
        (("malformed", "e"),),
        upstream=(turn(Say(wire.streamed(), by=7)),),
    ),
    Scenario(
        "bytes behind an answer do not reach the next request",
        (("malformed", "c"),),
        client=(Ask(), Read(), Ask(), Read()),
        upstream=(turn(wire.streamed() + wire.refused(401, "authentication_error", "smuggled")),),
        sees=(Sees(), Sees()),
        asked=("First", "First"),
    ),
    Scenario(
        "a chunk without size while Tidegate stops",
        (("malformed", "j"),),
        upstream=(turn(SAID_HALF, STOPPING, b"zz\r\n", WAIT),),
        meanwhile=STOP_WHEN_ASKED,
        sees=(CUT,),
        outcome="Cut",
    ),
    Scenario(
        "the second account's answer is no HTTP",
        (("malformed", "k"),),
        upstream=(OVERLOADED, turn(b"220 mail.invalid ESMTP\r\n\r\n", WAIT)),
        sees=(UNKNOWN,),
        asked=("First", "Second"),
        outcome="Cut",
    ),
)

UNENDED = (
    Scenario(
        "a stream ends properly before its content",
        (("unended", "d"),),
        upstream=(turn(wire.streamed(wire.STARTED)),),
        sees=(UNKNOWN,),
        outcome="Cut",
    ),
    Scenario(
        "an empty stream: the next account is asked, once",
        (("unended", "d"),),
        upstream=(turn(wire.streamed(b"")),),
        asked=("First", "Second"),
    ),
    *(
        Scenario(
            f"a stream without `message_stop` ends properly, {how}",
            (("unended", "e"),),
            upstream=(turn(*acts),),
            sees=(CUT,),
            outcome="Cut",
            sdk="APIStatusError",
        )
        for how, acts in (
            ("in chunks", (wire.streamed(wire.WITHOUT_STOP),)),
            ("with its length", (wire.measured(wire.WITHOUT_STOP),)),
            ("with its connection", (wire.UNTIL_CLOSE + wire.WITHOUT_STOP, CLOSE)),
        )
    ),
    Scenario(
        "a stream whose end is its connection's",
        (("unended", "e"),),
        upstream=(turn(wire.UNTIL_CLOSE + wire.WHOLE, CLOSE),),
        sdk="ok",
    ),
    Scenario(
        "a stream without `message_stop` ends while Tidegate stops",
        (("unended", "j"),),
        upstream=(turn(SAID_HALF, STOPPING, wire.END),),
        meanwhile=STOP_WHEN_ASKED,
        sees=(CUT,),
        outcome="Cut",
    ),
    Scenario(
        "the second account's stream has no end",
        (("unended", "k"),),
        upstream=(OVERLOADED, turn(wire.streamed(wire.WITHOUT_STOP))),
        sees=(CUT,),
        asked=("First", "Second"),
        outcome="Cut",
    ),
)

SCENARIOS = (*CONNECTING, *BREAKING, *SILENT, *MALFORMED, *UNENDED)
