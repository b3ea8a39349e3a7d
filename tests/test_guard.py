"""The door: which requests come from where they should, and what each caller has proved."""

import hashlib
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.guard import PAGE_COOKIE, PAGE_KEY, Admitted, Caller, Guard, Refusal, page_cookie
from core.local_keys import EVERYBODY, LocalKeys
from core.providers.headers import HeaderLine, Headers

PORT = 8433
KEY = b"tg-local-key-of-this-installation"
CONTROL = b"control-token-of-this-run"
PAGE = "page-session"
PAGES_KEY = "key-of-the-page"
OWN = b"sk-ant-a-key-of-the-clients-own"

HOME = b"127.0.0.1:8433"
V1 = b"/v1/messages"
SNAPSHOT = b"/-/snapshot"
ORDER = b"/-/commands/remove"


def guard(*, passthrough: bool = False) -> Guard:
    keys = LocalKeys(lambda: {hashlib.sha256(KEY).hexdigest(): EVERYBODY})
    return Guard(PORT, keys, CONTROL.decode(), page_session, lambda: passthrough)


def page_session(cookie: str, key: str | None) -> bool:
    return cookie == PAGE and key in {None, PAGES_KEY}


def admit(
    target: bytes,
    *headers: HeaderLine,
    method: bytes = b"POST",
    host: bytes | None = HOME,
    passthrough: bool = False,
) -> Caller | int:
    """Who the guard says this is, or the status of the refusal."""
    lines: Iterable[HeaderLine] = headers if host is None else ((b"Host", host), *headers)
    verdict = guard(passthrough=passthrough).admit(method, target, Headers(lines))
    return verdict.status if isinstance(verdict, Refusal) else verdict.caller


def bearer(key: bytes) -> HeaderLine:
    return b"Authorization", b"Bearer " + key


def api_key(key: bytes) -> HeaderLine:
    return b"X-Api-Key", key


def cookie(value: str) -> HeaderLine:
    return b"Cookie", f"{PAGE_COOKIE}={value}".encode()


def page_key(value: str = PAGES_KEY) -> HeaderLine:
    return PAGE_KEY, value.encode()


OWN_ORIGIN = (b"Origin", b"http://" + HOME)
SAME_ORIGIN = (b"Sec-Fetch-Site", b"same-origin")
PROOF = (cookie(PAGE), page_key())
"""What the status page alone has."""


# --- where a request may come from (security T13) --------------------------------------------------


@pytest.mark.parametrize("host", [b"127.0.0.1:8433", b"localhost:8433", b"[::1]:8433"])
def test_three_names_of_this_computer_are_answered(host: bytes) -> None:
    assert admit(V1, bearer(KEY), host=host) is Caller.CLIENT


@pytest.mark.parametrize(
    "host",
    [
        None,
        b"",
        b" ",
        # The right address without the right port.
        b"127.0.0.1",
        b"localhost",
        b"[::1]",
        b"127.0.0.1:",
        b"127.0.0.1:80",
        b"127.0.0.1:08433",
        b"127.0.0.1:8433 ",
        b"127.0.0.1:84330",
        b"127.0.0.1:+8433",
        b"localhost:0x20f1",
        # Other spellings of loopback: each is a name of its own to a browser.
        b"127.1:8433",
        b"127.0.1:8433",
        b"127.0.0.2:8433",
        b"127.000.000.001:8433",
        b"2130706433:8433",
        b"0x7f000001:8433",
        b"0x7f.0.0.1:8433",
        b"0177.0.0.1:8433",
        b"017700000001:8433",
        b"0.0.0.0:8433",
        b"0:8433",
        b"[::]:8433",
        b"::1:8433",
        b"[0:0:0:0:0:0:0:1]:8433",
        b"[0000:0000:0000:0000:0000:0000:0000:0001]:8433",
        b"[::ffff:127.0.0.1]:8433",
        b"[::ffff:7f00:1]:8433",
        b"[::1%25lo]:8433",
        b"LOCALHOST:8433",
        b"Localhost:8433",
        b"localhost.:8433",
        b"127.0.0.1.:8433",
        b"localhost.localdomain:8433",
        b"ip6-localhost:8433",
        b"tidegate.localhost:8433",
        # Names that lead here: rebinding, wildcard DNS, the network.
        b"evil.example:8433",
        b"rebind.test:8433",
        b"127.0.0.1.nip.io:8433",
        b"localtest.me:8433",
        b"127.0.0.1.evil.example:8433",
        b"localhost.evil.example:8433",
        b"192.168.1.5:8433",
        b"api.anthropic.com",
        # More than a name.
        b"a@127.0.0.1:8433",
        b"127.0.0.1:8433@evil.example",
        b"http://127.0.0.1:8433",
        b"127.0.0.1:8433/",
        b"127.0.0.1:8433, 127.0.0.1:8433",
        b"127.0.0.1:8433, evil.example:8433",
        b"evil.example:8433,127.0.0.1:8433",
        b"127.0.0.1:8433\x00",
        b"\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1:8433",
    ],
)
@pytest.mark.parametrize("target", [V1, SNAPSHOT, b"/-/health"])
def test_any_other_host_is_misdirected_whatever_key_it_brings(host: bytes | None, target: bytes) -> None:
    for method in (b"GET", b"POST"):
        assert admit(target, bearer(KEY), api_key(CONTROL), method=method, host=host, passthrough=True) == 421


@pytest.mark.parametrize(
    "second", [b"127.0.0.1:8433", b"evil.example", b""], ids=["the same again", "another", "an empty one"]
)
def test_two_hosts_are_misdirected(second: bytes) -> None:
    assert admit(V1, (b"host", second), bearer(KEY)) == 421


@pytest.mark.parametrize(
    "target",
    [
        b"http://127.0.0.1:8433/v1/messages",
        b"http://evil.example/v1/messages",
        b"https://api.anthropic.com/v1/messages",
        b"HTTP://127.0.0.1:8433/-/snapshot",
        b"127.0.0.1:8433",
        b"api.anthropic.com:443",
        b"*",
        b"",
        b"v1/messages",
        b"\\v1\\messages",
    ],
)
@pytest.mark.parametrize("method", [b"GET", b"POST", b"CONNECT", b"OPTIONS"])
def test_only_a_plain_path_is_served(target: bytes, method: bytes) -> None:
    assert admit(target, bearer(KEY), method=method) == 400


@pytest.mark.parametrize(
    "line",
    [
        (b"Origin", b"http://evil.example"),
        (b"Origin", b"null"),
        (b"Origin", b""),
        (b"Origin", b"http://127.0.0.1:8433, http://evil.example"),
        (b"Origin", b"http://127.0.0.1:8433/"),
        (b"Origin", b"https://127.0.0.1:8433"),
        (b"Origin", b"http://localhost:8433"),
        (b"Origin", b"http://127.0.0.1"),
        (b"Origin", b"http://127.0.0.1:8434"),
        (b"Origin", b"http://localhost:3000"),
        (b"Origin", b"chrome-extension://abcdefgh"),
        (b"Origin", b"file://"),
        (b"oRiGiN", b"https://evil.example"),
        (b"Sec-Fetch-Site", b"cross-site"),
        (b"Sec-Fetch-Site", b"same-site"),
        (b"Sec-Fetch-Site", b""),
        (b"Sec-Fetch-Site", b"Same-Origin"),
        (b"Sec-Fetch-Site", b"none, none"),
        (b"Sec-Fetch-Site", b"something-new"),
    ],
)
@pytest.mark.parametrize("target", [V1, SNAPSHOT, ORDER, b"/-/health", b"/-/open?code=1", b"/"])
def test_no_foreign_web_page_is_answered_whatever_it_brings(line: HeaderLine, target: bytes) -> None:
    for method in (b"GET", b"POST", b"OPTIONS", b"HEAD"):
        for more in ((), (SAME_ORIGIN,), (OWN_ORIGIN,)):
            lines = (line, *more, bearer(KEY), api_key(CONTROL), *PROOF)
            assert admit(target, *lines, method=method, passthrough=True) == 403


@pytest.mark.parametrize(
    "lines",
    [
        [(b"Sec-Fetch-Site", b"none")],  # typed into the address bar
        [(b"Sec-Fetch-Site", b"same-origin")],  # the status page reads its own
        [(b"Sec-Fetch-Mode", b"cors")],  # Node's fetch sends this one alone
        [(b"Referer", b"http://127.0.0.1:8433/-/")],
        [(b"Connection", b"keep-alive")],
    ],
)
def test_a_request_that_no_foreign_page_can_make_is_answered(lines: list[HeaderLine]) -> None:
    assert admit(V1, *lines, bearer(KEY)) is Caller.CLIENT


@pytest.mark.parametrize("protocol", [b"websocket", b"WebSocket", b"h2c", b""])
@pytest.mark.parametrize("target", [V1, b"/-/events"])
def test_an_upgrade_is_refused(protocol: bytes, target: bytes) -> None:
    assert admit(target, (b"Upgrade", protocol), (b"Connection", b"Upgrade"), bearer(KEY), method=b"GET") == 405


# --- what a caller has proved ----------------------------------------------------------------------

NO_KEY: tuple[HeaderLine, ...] = ()
IN_QUERY = b"?api_key=" + KEY + b"&key=" + KEY + b"&token=" + CONTROL


@pytest.mark.parametrize(
    ("lines", "model_call", "look", "order"),
    [
        # No key, or one that is not quite the key.
        (NO_KEY, 401, 401, 401),
        ([bearer(b"wrong")], 401, 401, 401),
        ([api_key(b"wrong")], 401, 401, 401),
        ([bearer(KEY[:-1])], 401, 401, 401),
        ([bearer(KEY + b"x")], 401, 401, 401),
        ([bearer(KEY.upper())], 401, 401, 401),
        ([bearer(hashlib.sha256(KEY).hexdigest().encode())], 401, 401, 401),
        ([bearer(b"\xff\xfe")], 401, 401, 401),
        ([bearer(b"")], 401, 401, 401),
        ([api_key(b"")], 401, 401, 401),
        ([(b"Authorization", KEY)], 401, 401, 401),
        ([(b"Authorization", b"Basic " + KEY)], 401, 401, 401),
        ([(b"Proxy-Authorization", b"Bearer " + KEY)], 401, 401, 401),
        ([(b"X-Tidegate-Key", KEY)], 401, 401, 401),
        ([(b"Cookie", b"key=" + KEY)], 401, 401, 401),
        ([bearer(KEY), bearer(KEY)], 401, 401, 401),
        # The local key, in either form; a second credential beside it is the client's own business.
        ([bearer(KEY)], Caller.CLIENT, Caller.CLIENT, Caller.CLIENT),
        ([api_key(KEY)], Caller.CLIENT, Caller.CLIENT, Caller.CLIENT),
        ([(b"authorization", b"bearer " + KEY)], Caller.CLIENT, Caller.CLIENT, Caller.CLIENT),
        ([(b"authorization", b"Bearer  " + KEY + b" ")], Caller.CLIENT, Caller.CLIENT, Caller.CLIENT),
        ([bearer(KEY), api_key(OWN)], Caller.CLIENT, Caller.CLIENT, Caller.CLIENT),
        ([bearer(OWN), api_key(KEY)], Caller.CLIENT, Caller.CLIENT, Caller.CLIENT),
        # The control token opens the control API, and it is no key for the models.
        ([bearer(CONTROL)], 401, Caller.CONTROL, Caller.CONTROL),
        ([api_key(CONTROL)], 401, Caller.CONTROL, Caller.CONTROL),
        ([bearer(CONTROL[:-1])], 401, 401, 401),
        # A browser's cookie gets the empty page, with the page's key what it shows; an order also names its origin.
        ([cookie(PAGE)], 401, Caller.VISITOR, 401),
        ([*PROOF], 401, Caller.PAGE, 401),
        ([*PROOF, SAME_ORIGIN], 401, Caller.PAGE, 401),
        ([page_key()], 401, 401, 401),
        ([cookie(PAGE), page_key("forged")], 401, 401, 401),
        ([cookie(PAGE), page_key("")], 401, 401, 401),
        ([cookie(PAGE), page_key(PAGE)], 401, 401, 401),
        ([cookie("forged"), page_key()], 401, 401, 401),
        ([cookie("forged")], 401, 401, 401),
        ([cookie("")], 401, 401, 401),
        ([bearer(PAGE.encode())], 401, 401, 401),
        ([bearer(PAGES_KEY.encode())], 401, 401, 401),
    ],
)
def test_each_kind_of_proof_opens_what_it_is_for(
    lines: Iterable[HeaderLine], model_call: Caller | int, look: Caller | int, order: Caller | int
) -> None:
    assert admit(V1, *lines) == model_call
    assert admit(b"/zen/go/v1/chat/completions", *lines) == model_call
    assert admit(SNAPSHOT, *lines, method=b"GET") == look
    assert admit(SNAPSHOT, *lines, method=b"HEAD") == look
    assert admit(ORDER, *lines) == order
    assert admit(SNAPSHOT, *lines, method=b"DELETE") == order


# --- the status page's orders ----------------------------------------------------------------------


@pytest.mark.parametrize("host", [b"127.0.0.1:8433", b"localhost:8433", b"[::1]:8433"])
@pytest.mark.parametrize("target", [ORDER, SNAPSHOT, b"/-/live"])
def test_the_status_page_orders_with_its_two_secrets_from_its_own_origin(host: bytes, target: bytes) -> None:
    lines = ((b"Origin", b"http://" + host), SAME_ORIGIN, *PROOF)

    assert admit(target, *lines, host=host) is Caller.PAGE


def test_a_script_of_the_page_is_loaded_with_its_origin_and_without_its_key() -> None:
    lines = (OWN_ORIGIN, SAME_ORIGIN, cookie(PAGE))

    assert admit(b"/-/page.js", *lines, method=b"GET") is Caller.VISITOR
    assert admit(b"/-/page.js", *lines[:1], *lines[2:], method=b"GET") == 403
    assert admit(V1, *lines, method=b"GET") == 403


@pytest.mark.parametrize(
    "lines",
    [
        (SAME_ORIGIN, *PROOF),  # no browser sends a POST without its origin
        (OWN_ORIGIN, *PROOF),
        (OWN_ORIGIN, (b"Sec-Fetch-Site", b"none"), *PROOF),
        (OWN_ORIGIN, SAME_ORIGIN, cookie(PAGE)),
        (OWN_ORIGIN, SAME_ORIGIN, page_key()),
        (OWN_ORIGIN, SAME_ORIGIN, cookie(PAGE), page_key("forged")),
        (OWN_ORIGIN, SAME_ORIGIN, cookie("forged"), page_key()),
        (OWN_ORIGIN, SAME_ORIGIN, bearer(KEY)),
        (OWN_ORIGIN, SAME_ORIGIN, bearer(CONTROL)),
        (OWN_ORIGIN, SAME_ORIGIN, bearer(KEY), cookie(PAGE)),
    ],
)
@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE"])
def test_what_lacks_one_part_of_the_proof_orders_nothing(lines: tuple[HeaderLine, ...], method: bytes) -> None:
    assert admit(ORDER, *lines, method=method) in {401, 403}


def test_the_status_page_spends_no_quota() -> None:
    for target in (V1, b"/zen/go/v1/chat/completions", b"/"):
        assert admit(target, OWN_ORIGIN, SAME_ORIGIN, *PROOF, passthrough=True) == 403
        assert admit(target, *PROOF) == 401


@pytest.mark.parametrize("target", [V1, SNAPSHOT, ORDER, b"/-/events", b"/"])
@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_a_key_in_the_address_is_no_key(target: bytes, method: bytes) -> None:
    assert admit(target + IN_QUERY, method=method) == 401


@pytest.mark.parametrize("passthrough", [True, False])
@pytest.mark.parametrize(
    ("lines", "welcome"),
    [
        ([bearer(OWN)], Caller.STRANGER),
        ([api_key(OWN)], Caller.STRANGER),
        ([bearer(KEY)], Caller.CLIENT),
        ([bearer(KEY), api_key(OWN)], Caller.CLIENT),
        ([cookie(PAGE)], 401),
        ([], 401),
    ],
)
def test_a_stranger_goes_through_only_while_strangers_are_welcome(
    lines: list[HeaderLine], welcome: Caller | int, *, passthrough: bool
) -> None:
    expected = welcome if passthrough or welcome is Caller.CLIENT else 401

    assert admit(V1, *lines, passthrough=passthrough) == expected


@pytest.mark.parametrize("lines", [[bearer(b"tg-taken-back")], [api_key(OWN), bearer(b"tg-taken-back")]])
def test_a_key_of_ours_that_was_taken_back_is_no_strangers(lines: list[HeaderLine]) -> None:
    assert admit(V1, *lines, passthrough=True) == 401


@pytest.mark.parametrize("target", [SNAPSHOT, ORDER, b"/-/", b"/-/events", b"/-/health"])
def test_a_stranger_never_reaches_the_control_api(target: bytes) -> None:
    assert admit(target, bearer(OWN), passthrough=True) == 401


@pytest.mark.parametrize(
    ("method", "target", "verdict"),
    [
        (b"GET", b"/-/health", Caller.NOBODY),
        (b"HEAD", b"/-/health", Caller.NOBODY),
        (b"GET", b"/-/health?why", Caller.NOBODY),
        (b"GET", b"/-/open?code=abc", Caller.NOBODY),
        (b"POST", b"/-/health", 401),
        (b"POST", b"/-/open?code=abc", 401),
        (b"get", b"/-/health", 405),
        (b"GET", b"/-/health/", 401),
        (b"GET", b"/-/health/../snapshot", 401),
        (b"GET", b"/-/healthy", 401),
        (b"GET", b"/-/health#x", 401),
        (b"GET", b"/-/%68ealth", 401),
        (b"GET", b"//-/health", 401),
        (b"GET", b"/-/", 401),
        (b"GET", b"/-", 401),
        (b"GET", b"/", 401),
        (b"HEAD", b"/", 401),
        (b"GET", b"/api/hello", 401),
        (b"GET", b"/v1/models", 401),
    ],
)
def test_only_health_and_a_one_time_link_need_no_key(method: bytes, target: bytes, verdict: Caller | int) -> None:
    assert admit(target, method=method) == verdict


def test_a_refusal_tells_a_wrong_key_from_a_missing_one_and_says_where_the_key_is() -> None:
    missing = guard().admit(b"POST", V1, Headers([(b"host", HOME)]))
    wrong = guard().admit(b"POST", V1, Headers([(b"host", HOME), bearer(b"wrong")]))

    assert isinstance(missing, Refusal)
    assert isinstance(wrong, Refusal)
    assert (missing.status, missing.type) == (wrong.status, wrong.type) == (401, "authentication_error")
    assert missing.message != wrong.message
    assert "tidegate token" in missing.message
    assert "tidegate token" in wrong.message


def test_it_is_known_whose_key_was_brought() -> None:
    known = {hashlib.sha256(KEY).hexdigest(): EVERYBODY, hashlib.sha256(b"tg-of-opencode").hexdigest(): "opencode"}
    two = Guard(PORT, LocalKeys(lambda: known), CONTROL.decode(), page_session, lambda: False)
    programs = [two.admit(b"POST", V1, Headers([(b"host", HOME), bearer(key)])) for key in (KEY, b"tg-of-opencode")]

    assert programs == [Admitted(Caller.CLIENT), Admitted(Caller.CLIENT, "opencode")]


def test_a_guard_shows_no_secret() -> None:
    assert repr(guard()) == f"Guard(port={PORT})"


def test_a_guard_without_a_key_lets_nobody_in() -> None:
    unset = Guard(PORT, LocalKeys(lambda: {"": EVERYBODY}), "", lambda *_: False, lambda: False)

    for line in (bearer(b""), api_key(b""), bearer(b"x"), cookie("")):
        for target in (V1, SNAPSHOT):
            assert isinstance(unset.admit(b"GET", target, Headers([(b"host", HOME), line])), Refusal)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"authorization", b"x-api-key", b"cookie", b"referer", b"x-forwarded-host"]),
            st.one_of(st.binary(max_size=60), st.sampled_from([KEY[:-1], b"Bearer " + KEY[1:], b"Bearer", b"; =;"])),
        ),
        max_size=5,
    ),
    st.sampled_from([V1, SNAPSHOT, ORDER, b"/-/events", b"/"]),
    st.sampled_from([b"GET", b"HEAD", b"POST", b"PUT"]),
)
def test_whatever_is_sent_instead_of_the_key_is_refused(lines: list[HeaderLine], target: bytes, method: bytes) -> None:
    assert admit(target, *lines, method=method) == 401


# --- the page's cookie -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"", ""),
        (b"other=1", ""),
        (b"tidegate_page=abc-_1", "abc-_1"),
        (b"other=1; tidegate_page=abc; more=2", "abc"),
        (b"other=1;tidegate_page=abc", "abc"),
        (b"tidegate_page", ""),
        (b"tidegate_page=", ""),
        (b"xtidegate_page=abc; tidegate_page2=abc", ""),
        # Other programs on this host may have set these: cookies know no ports.
        (b'theme={"dark":true}; tidegate_page=abc', "abc"),
        (b'odd="; tidegate_page=abc', "abc"),
        (b"\xff\xfe=\x00; tidegate_page=abc", "abc"),
        (b"a=b=c; ;; tidegate_page=abc", "abc"),
    ],
)
def test_the_pages_cookie_is_found_among_those_of_others(line: bytes, value: str) -> None:
    assert page_cookie(Headers([(b"Cookie", line)])) == value


def test_without_a_cookie_there_is_no_page() -> None:
    assert page_cookie(Headers([])) == ""
