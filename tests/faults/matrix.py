"""The fault matrix: what can go wrong, and when. Each cell is filled by scenarios, or says why it needs none."""

from collections.abc import Mapping, Sequence

from tests.faults.script import Scenario

MOMENTS: Mapping[str, str] = {
    "a": "before connecting",
    "b": "request sent, no byte of an answer",
    "c": "head of the answer received",
    "d": "stream open, before its content",
    "e": "in the content of a stream",
    "f": "renewal of a login, not yet exchanged",
    "g": "renewal exchanged, not yet stored",
    "h": "writing a credential",
    "i": "writing state",
    "j": "while Tidegate stops",
    "k": "while failing over",
    "l": "sleep and wake-up",
}

FAULTS: Mapping[str, str] = {
    "refused": "connection refused, name unknown",
    "timeout": "connecting or TLS handshake takes too long",
    "certificate": "TLS certificate not valid",
    "reset": "connection reset or closed",
    "stall": "silence",
    "401": "401",
    "403": "403, billing",
    "400": "400, 413, 422",
    "429": "429",
    "5xx": "500, 502, 503, 504, 529",
    "3xx": "redirect",
    "malformed": "malformed head, chunk or event",
    "unended": "stream ends without `message_stop`",
    "leaves": "client leaves",
    "slow": "client reads slowly",
    "kill": "kill, power cut",
    "disk": "disk full or read-only",
    "keychain": "keychain locked or hanging",
    "clock": "wall clock jumps",
    "sleep": "machine goes to sleep",
    "copy": "second copy, other program with the same login",
}

_NO_CONNECTION = "there is a connection already"
_NOT_ASKED = "no provider is asked here"
_WRITTEN_APART = "files are written by threads that no request waits for"
_COMPLETE = "a complete answer: no sleep lies between its bytes and its meaning"
_KILLS = "real processes are killed there: tests/crash, T01"


def _cells(fault: str, moments: str, reason: str) -> dict[tuple[str, str], str]:
    return {(fault, moment): reason for moment in moments}


EMPTY: Mapping[tuple[str, str], str] = {
    **_cells("refused", "bcde", _NO_CONNECTION),
    **_cells("refused", "g", "the exchange needed the connection"),
    **_cells("refused", "hi", _NOT_ASKED),
    **_cells("timeout", "bcde", _NO_CONNECTION),
    **_cells("timeout", "g", "the exchange needed the connection"),
    **_cells("timeout", "hi", _NOT_ASKED),
    **_cells("certificate", "bcde", _NO_CONNECTION),
    **_cells("certificate", "g", "the exchange needed the connection"),
    **_cells("certificate", "hi", _NOT_ASKED),
    **_cells("certificate", "jkl", "one address has one certificate, whenever it is asked and for whom: as in a"),
    **_cells("reset", "a", "a connection that is not made is a row above"),
    **_cells("reset", "hi", _NOT_ASKED),
    **_cells("stall", "a", "a connection that is not answered is the row of time-outs"),
    **_cells("stall", "i", _WRITTEN_APART),
    **_cells("401", "ab", "no answer yet"),
    **_cells("401", "g", "the exchange was granted"),
    **_cells("401", "hi", _NOT_ASKED),
    **_cells("403", "ab", "no answer yet"),
    **_cells("403", "g", "the exchange was granted"),
    **_cells("403", "hi", _NOT_ASKED),
    **_cells("403", "l", _COMPLETE),
    **_cells("400", "ab", "no answer yet"),
    **_cells("400", "e", "a request that is refused has no content"),
    **_cells("400", "g", "the exchange was granted"),
    **_cells("400", "hi", _NOT_ASKED),
    **_cells("400", "l", _COMPLETE),
    **_cells("429", "ab", "no answer yet"),
    **_cells("429", "g", "the exchange was granted"),
    **_cells("429", "hi", _NOT_ASKED),
    **_cells("5xx", "ab", "no answer yet"),
    **_cells("5xx", "hi", _NOT_ASKED),
    **_cells("5xx", "l", _COMPLETE),
    **_cells("3xx", "ab", "no answer yet"),
    **_cells("3xx", "de", "a stream has begun with 200"),
    **_cells("3xx", "g", "the exchange was granted"),
    **_cells("3xx", "hi", _NOT_ASKED),
    **_cells("3xx", "l", _COMPLETE),
    **_cells("malformed", "ab", "no answer yet; the first wrong byte is c"),
    **_cells("malformed", "hi", _NOT_ASKED),
    **_cells("malformed", "l", "bytes that are wrong are wrong whenever they come"),
    **_cells("unended", "abc", "no stream yet"),
    **_cells("unended", "fghi", "no stream"),
    **_cells("unended", "l", "an end that comes early is one whenever it comes"),
    **_cells("leaves", "i", _WRITTEN_APART),
    **_cells("slow", "ab", "nothing to read yet"),
    **_cells("slow", "fghi", "nothing to read"),
    **_cells("slow", "k", "failing over happens before the first byte"),
    **_cells("slow", "l", "a machine that sleeps sends nothing either"),
    **_cells("kill", "abcdefghijkl", _KILLS),
    **_cells("keychain", "k", "all logins lie in one vault: as in a"),
    **_cells("keychain", "i", "state is in files, not in the keychain"),
    **_cells("clock", "cdeghijk", "nothing here is decided by the wall clock; waiting goes by one that nobody sets"),
    **_cells("sleep", "a", "nothing was sent: the request begins after the sleep"),
    **_cells("copy", "bcde", "a request in progress uses no login of another's"),
    **_cells("copy", "gk", "the lock of a login is held until it is stored: tests/crash, T05"),
}
"""Cells without a scenario, and why."""


def filled(scenarios: Sequence[Scenario]) -> dict[tuple[str, str], list[Scenario]]:
    """The scenarios of each cell."""
    cells: dict[tuple[str, str], list[Scenario]] = {}
    for scenario in scenarios:
        for cell in scenario.cells:
            cells.setdefault(cell, []).append(scenario)
    return cells
