"""Requests that could be read in two ways, and odd ones that are right, as data: what each must come to.

`{H}` stands for the lines that the guard wants (Host, key). The shapes of llhttp's own tests and the classes of bugs
that the HTTP Garden found in other programs are written anew; what they must come to follows from RFC 9110 and 9112,
and where those leave a choice, from the rule that two readings are one too many.
"""

from dataclasses import dataclass, field

from tests.test_listener import HOST, MUST_REJECT


@dataclass(frozen=True)
class Served:
    """One request that the provider must get: method, target and body as the client meant them."""

    method: bytes = b"POST"
    target: bytes = b"/v1/messages"
    body: bytes = b""


@dataclass(frozen=True)
class Shape:
    """Bytes of a client. `served` are the requests in them, in order; none: it must be refused and closed."""

    name: str
    raw: bytes
    served: tuple[Served, ...] = ()
    goes_on: bool = field(default=True)
    """After the last of `served` the connection takes another request."""

    def __str__(self) -> str:
        return self.name


POST = b"POST /v1/messages HTTP/1.1\r\n{H}"
GET = b"GET /v1/messages HTTP/1.1\r\n{H}"
TE = b"Transfer-Encoding: chunked\r\n\r\n"
CL = b"Content-Length: "
END = b"0\r\n\r\n"


def refused(name: str, raw: bytes) -> Shape:
    return Shape(name, raw)


def body(name: str, raw: bytes, expected: bytes, method: bytes = b"POST", *, goes_on: bool = True) -> Shape:
    return Shape(name, raw, (Served(method, body=expected),), goes_on)


def head(
    name: str, raw: bytes, method: bytes = b"GET", target: bytes = b"/v1/messages", *, goes_on: bool = True
) -> Shape:
    return Shape(name, raw, (Served(method, target),), goes_on)


OWN = [
    refused(
        name, raw.replace(HOST, b"{H}").replace(b" /one ", b" /v1/messages ").replace(b" /one\r", b" /v1/messages\r")
    )
    for name, raw in MUST_REJECT
]
"""Those that the listener is tested with alone."""

LENGTHS = [
    body("length with zeros in front", POST + CL + b"005\r\n\r\nhello", b"hello"),
    body("length with zeros, then a header", POST + CL + b"005\r\nOhai: world\r\n\r\nhello", b"hello"),
    body("length in a name of odd case", POST + b"conTENT-Length: 5\r\n\r\nHELLO", b"HELLO"),
    body("length on GET", GET + CL + b"5\r\n\r\nhello", b"hello", b"GET"),
    body("length on GET in 1.0", GET.replace(b"1.1", b"1.0") + CL + b"5\r\n\r\nHELLO", b"HELLO", b"GET", goes_on=False),
    body("length between spaces", POST + CL + b"  5  \r\n\r\nhello", b"hello"),
    body("length between tabs", POST + b"Content-Length:\t5\t\r\n\r\nhello", b"hello"),
    body("length without a space", POST + b"Content-Length:5\r\n\r\nhello", b"hello"),
    body("length 0 with a request behind it", POST + CL + b"0\r\n\r\n", b""),
    body("a header that begins like the length", POST + b"Content-Length-X: 9\r\n" + CL + b"2\r\n\r\nok", b"ok"),
    refused("length beyond 64 bits", POST + CL + b"1000000000000000000000\r\n\r\n"),
    refused("length beyond 4,300 digits", POST + CL + b"1" * 5000 + b"\r\n\r\n"),
    refused("length one beyond 64 bits", POST + CL + b"18446744073709551616\r\n\r\n"),
    refused("length of all 64 bits", POST + CL + b"18446744073709551615\r\n\r\n"),
    refused(
        "two lengths, the first smaller", POST + CL + b"0\r\n" + CL + b"31\r\n\r\nGET /v1/evil HTTP/1.1\r\n{H}\r\n"
    ),
    refused("two lengths, the first larger", POST + CL + b"1\r\n" + CL + b"0\r\n\r\nZ"),
    refused("an empty length, then one", GET + CL + b"\r\n" + CL + b"43\r\n\r\n"),
    refused("an empty length with a request behind it", GET + CL + b" \r\n\r\nGET /v1/evil HTTP/1.1\r\n{H}\r\n"),
    refused("length and identity", POST + CL + b"1\r\nTransfer-Encoding: identity\r\n\r\na"),
    refused("identity and length", POST + b"Transfer-Encoding: identity\r\n" + CL + b"5\r\n\r\nWorld"),
    refused("length 4 2", POST + CL + b"4 2\r\n\r\n"),
    refused("length 13 37", POST + CL + b"13 37\r\n\r\n"),
    refused("length with letters behind", POST + CL + b"1Z\r\n\r\nZ"),
    refused("length +1_0", POST + CL + b"+1_0\r\n\r\n0123456789"),
    refused("length -48", GET + CL + b"-48\r\n\r\n"),
    refused("length 0x10", POST + CL + b"0x10\r\n\r\nZ"),
    refused("length in full-width digits", POST + CL + "５".encode() + b"\r\n\r\nhello"),
    refused("length in quotes", POST + CL + b'"5"\r\n\r\nhello'),
    refused("length with a carriage return for its dash", POST + b"Content\rLength: 5\r\n\r\nhello"),
    refused("length without a colon", POST + b"Content-Length 10\r\n\r\n0123456789"),
    refused("length with 0x85 before the colon", GET + b"Content-Length\x85: 10\r\n\r\n0123456789"),
    refused("length with 0xa0 before the colon", GET + b"Content-Length\xa0: 10\r\n\r\n0123456789"),
    refused("length behind a tab at the start", b"GET /v1/messages HTTP/1.1\r\n\tContent-Length: 1\r\n{H}\r\nX"),
]

CODINGS = [
    body("chunks, size in lower case", POST + TE + b"a\r\n0123456789\r\n" + END, b"0123456789"),
    body("chunks, size in upper case", POST + TE + b"A\r\n0123456789\r\n" + END, b"0123456789"),
    body("chunks, size of two digits", POST + TE + b"1e\r\n" + b"x" * 30 + b"\r\n" + END, b"x" * 30),
    body("chunks, zeros in front", POST + TE + b"0005\r\nhello\r\n6\r\n world\r\n000\r\n\r\n", b"hello world"),
    body("chunks, none", POST + TE + END, b""),
    body("chunks on GET", GET + TE + b"5\r\nhello\r\n" + END, b"hello", b"GET"),
    body("trailers", POST + TE + b"5\r\nhello\r\n0\r\nVary: *\r\nContent-Type: text/plain\r\n\r\n", b"hello"),
    refused("a length as trailer", POST + TE + b"5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n"),
    body("a trailer that is a request", POST + TE + b"0\r\nX:POST /v1/evil HTTP/1.1\r\n\r\n", b""),
    body("extensions", POST + TE + b"5;a;b=c;d=value\r\nhello\r\n6;e;f\r\n world\r\n" + END, b"hello world"),
    body("a quoted extension", POST + TE + b'5;a="I \\"love\\"; \\\\it\\\\";b="c"\r\nhello\r\n' + END, b"hello"),
    body("a chunk that looks like an end", POST + TE + b"5\r\n0\r\n\r\n\r\n" + END, b"0\r\n\r\n"),
    body(
        "a chunk that is a request",
        POST + TE + b"1d\r\nGET /v1/evil HTTP/1.1\r\nA: b\r\n\r\n" + END,
        b"GET /v1/evil HTTP/1.1\r\nA: b\r\n",
    ),
    body("coding in upper case", POST + b"TRANSFER-ENCODING: CHUNKED\r\n\r\n5\r\nhello\r\n" + END, b"hello"),
    body("coding with a space behind it", POST + b"Transfer-Encoding: chunked \r\n\r\n5\r\nhello\r\n" + END, b"hello"),
    refused("an empty coding and a length", POST + b"Transfer-Encoding:\r\n" + CL + b"5\r\n\r\nhello"),
    refused(
        "three empty codings and a length", POST + CL + b"10\r\n" + b"Transfer-Encoding:\r\n" * 3 + b"\r\n2\r\nAA\r\n0"
    ),
    refused("coding pigeons", POST + b"Transfer-Encoding: pigeons\r\n\r\n"),
    refused("coding blegh with chunks", POST + b"Transfer-Encoding: blegh\r\n\r\n1\r\nZ\r\n" + END),
    refused("coding chunked, deflate", POST + b"Transfer-Encoding: chunked, deflate\r\n\r\nWorld"),
    refused("coding deflate, chunked", POST + b"Transfer-Encoding: deflate, chunked\r\n\r\n5\r\nWorld\r\n" + END),
    refused(
        "coding chunked, then deflate", POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: deflate\r\n\r\nWorld"
    ),
    refused(
        "coding deflate, then chunked", POST + b"Transfer-Encoding: deflate\r\nTransfer-Encoding: chunked\r\n\r\n" + END
    ),
    refused("coding chunkedchunked", POST + b"Transfer-Encoding: chunkedchunked\r\n\r\n5\r\nWorld\r\n" + END),
    refused("coding ,chunked", POST + b"Transfer-Encoding: ,chunked\r\n\r\n" + END),
    refused("coding ,chunked and a length", POST + b"Transfer-Encoding: ,chunked\r\n" + CL + b"5\r\n\r\n" + END),
    refused("coding chunked,", POST + b"Transfer-Encoding: chunked,\r\n\r\n" + END),
    refused("coding between 0xa0", POST + b"Transfer-Encoding: \xa0chunked\xa0\r\n\r\n" + END),
    refused("coding between 0xff", POST + b"Transfer-Encoding: \xffchunked\xff\r\n\r\n1\r\nZ\r\n" + END),
    refused(
        "coding folded behind its value", POST + b"Transfer-Encoding: chunked\r\n  abc\r\n\r\n5\r\nWorld\r\n" + END
    ),
    refused("coding name on two lines", POST + b"Transfer-\r\nEncoding: chunked\r\n" + CL + b"5\r\n\r\n" + END),
    refused("coding behind a bare LF", POST + b"x:x\nTransfer-Encoding: chunked\r\n\r\n1\r\nA\r\n0\r\n\r\n"),
    refused("coding behind a bare CR", POST + b"x:\rTransfer-Encoding: chunked\r\n\r\n1\r\nA\r\n0\r\n\r\n"),
    refused("coding behind an empty value and LF", POST + b"x:\nTransfer-Encoding: chunked\r\n\r\n1\r\nA\r\n0\r\n\r\n"),
    refused("coding with _ for -", POST + b"Transfer_Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n" + END),
    refused("extension without a semicolon", POST + TE + b"2 erfrferferf\r\naa\r\n0 rrrr\r\n\r\n"),
    refused("semicolon without an extension", POST + TE + b"2;\r\naa\r\n" + END),
    refused("a quote that does not end", POST + TE + b'5;a="b; c\r\nhello\r\n' + END),
    refused("no last chunk", POST + TE + b"3\r\nfoo\r\n\r\n"),
    refused("LF between a size and its line end", POST + TE + b"3 \n  \r\nfoo\r\n" + END),
    refused("size ended by CR CR", POST + TE + b"5\r\r;ABCD\r\n34\r\nE\r\n0\r\n\r\nGET /v1/evil HTTP/1.1\r\n{H}\r\n"),
    refused("size 2 CR CR ;a", POST + TE + b"2\r\r;a\r\n02\r\n41\r\n0\r\n\r\nGET /v1/evil HTTP/1.1\r\n{H}\r\n"),
    refused("extension with CR CR in it", POST + TE + b"41;a=b\r\r" + b"X" * 65 + b"\r\n0\r\n\r\n"),
    refused("chunk without its line end", POST + TE + b"5\r\nABCDE0\r\n\r\n"),
    refused("chunk ended by LF", POST + TE + b"a\r\n0123456789\n0\r\n\r\n"),
    refused("line end between chunks", POST + TE + b"17\r\n0\r\n\r\nGET /v1/e HTTP/1.1\r\n\r\n\r\n\r\n\r\n0\r\n\r\n"),
    refused("space behind a size", POST + TE + b"a \r\n0123456789\r\n" + END),
    refused("tab behind a size", POST + TE + b"a\t\r\n0123456789\r\n" + END),
    refused("spaces before a size", POST + TE + b"           0\r\n\r\n"),
    refused("size 0_2e", GET + TE + b"0_2e\r\n\r\nGET /v1/evil HTTP/1.1\r\n{H}Content-Length: 5\r\n\r\n0\r\n\r\n"),
    refused("size -0x0", POST + TE + b"-0x0\r\n\r\n"),
    refused("size with words behind", POST + TE + b"1these-bytes-count\r\nZ\r\n" + END),
    refused("size that is a word", POST + TE + b"INVALID!!!\r\nGET /v1/evil HTTP/1.1\r\n{H}\r\n"),
    refused("sizes Z ZZ ZZZ", POST + TE + b"Z\r\nZZ\r\nZZZ\r\n\r\n"),
    refused("size 1 CR 0 LF", POST + TE + b"1\r0\n"),
    refused("size that wraps 64 bits", POST + TE + b"10000000000000005\r\nhello\r\n" + END),
    refused("end of chunks XX for CRLF", POST + TE + b"0\r\nXX"),
    body("a byte behind the end", POST + TE + END + b"\x00", b"", goes_on=False),
    refused("a trailer without a colon", POST + TE + b"0\r\nnonsense\r\n\r\n"),
    refused("a trailer with NUL", POST + TE + b"0\r\nT: \x00\r\n\r\n"),
]

HEADS = [
    head("line end before the request", b"\r\n" + GET + b"\r\n"),
    head("a value of the upper half", GET + b"Test: D\xc3\xbcsseldorf\r\n\r\n"),
    head("a value with 0xff", GET + b"Test: \xffValue\r\n\r\n"),
    head("a value between 0x85 and 0xa0", GET + b"User: \x85admin\xa0\r\n\r\n"),
    head("a value of plus signs", GET + b"aaaaaaaaaaaaa:++++++++++\r\n\r\n"),
    head("a value with a tab", GET + b"Header: a\tb\r\n\r\n"),
    head("an empty value", GET + b"Header:\r\n\r\n"),
    head("a value between tabs and spaces", GET + b"Header2:\t Value2 \t\r\n\r\n"),
    head("every letter that a name may have", GET + b"!#$%&'*+-.^_`|~09AZaz: x\r\n\r\n"),
    refused("form feed as a value", GET + b"Header1: \x0c\r\n\r\n"),
    refused("form feed in a value", GET + b"Header1: hello\x0cworld\r\n\r\n"),
    refused("CR in a value", GET + b"Invalid: this\rvalue\ris\rnone\r\n\r\n"),
    refused("CR at the end of a value", GET + b"Header: v\x00\ralue\r\n\r\n"),
    refused("NUL at the end of a value", GET + b"Evil: evil\x00\r\n\r\n"),
    refused("LF and LF in a value", GET + b"Useless:\n\nGET /v1/evil HTTP/1.1\r\n\r\n"),
    refused("CR for a line end", GET + b"Visible: :/\rSmuggled: :)\r\n\r\n"),
    refused("CR and a letter at the end", GET + b"\rZGET /v1/evil: HTTP/1.1\r\n{H}\r\n"),
    refused("CR behind a name", GET + b"Connection\r\x1b\x35\xd5eep-Alive\r\nAccept: x\r\n\r\n"),
    refused("@ in a name", GET + b"Fo@: Failure\r\n\r\n"),
    refused("0x01 in a name", GET + b"Foo\x01test: Bar\r\n\r\n"),
    refused("0xef in a name", GET + b"\xefoo: bar\r\n\r\n"),
    refused("0x85 in a name", GET + b"Header\x85: value\r\n\r\n"),
    refused("LF in a name", GET + b"Te\nst: test\r\n\r\n"),
    refused("NUL as a line without colon", GET + b"a:b\r\nc\x00\r\n\r\n"),
    refused("nothing but a colon", GET + b":\r\nI: am cut off\r\n\r\n"),
    refused("a colon and a value", GET + b": Bar\r\n\r\n"),
    refused("a name alone", GET + b"name\r\n : value\r\n\r\n"),
    refused(
        "a length behind a fold", POST + b"Foo: bar\r\n Content-Length: 38\r\n\r\nGET /v1/evil HTTP/1.1\r\n{H}\r\n"
    ),
    refused("a folded close", GET + b"Connection:\r\n close\r\n\r\n"),
    refused("a fold of nothing", GET + b"Line4: \r\n \r\n\r\n"),
    refused("LF and a length", GET + b"Dummy: x\nContent-Length: 23\r\n\r\nGET /v1/evil HTTP/1.1\r\n\r\n"),
    refused("all the letters that no name may have", GET + b'\x01\x02\x08\t\x0b\x0c\x0e "(),/;<=>?@[/]{}: x\r\n\r\n'),
    refused("no header at all", b"GET /v1/messages HTTP/1.1\r\n\r\n"),
    refused("only one header, not the host", b"GET /v1/messages HTTP/1.1\r\nAccept: */*\r\n\r\n"),
    refused("the host twice", GET + b"Host: evil.example\r\n\r\n"),
    refused("the host twice, equal", GET + b"{H}\r\n"),
    refused("an empty host besides", GET + b"Host:\r\n\r\n"),
    refused("a host in 0xff", b"POST /v1/messages HTTP/1.1\r\nHost: \xffa\xff\r\n\r\n"),
    refused("a host with NUL", b"GET /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\x00.evil.example\r\n\r\n"),
]

LINES = [
    *(
        head(f"method {method.decode()}", GET.replace(b"GET", method) + b"\r\n", method)
        for method in (b"PUT", b"PATCH", b"DELETE", b"OPTIONS")
    ),
    *(
        refused(f"method {method.decode()}", GET.replace(b"GET", method) + b"\r\n")
        for method in (
            b"TRACE",
            b"REPORT",
            b"PURGE",
            b"SEARCH",
            b"LINK",
            b"UNLINK",
            b"SOURCE",
            b"MKCOL",
            b"PROPFIND",
            b"QUERY",
        )
    ),
    body("PATCH with a body", POST.replace(b"POST", b"PATCH") + CL + b"10\r\n\r\ncccccccccc", b"cccccccccc", b"PATCH"),
    head("a ? in the query", b"GET /v1/messages?foo=bar?baz HTTP/1.1\r\n{H}\r\n", target=b"/v1/messages?foo=bar?baz"),
    head("a | in the query", b"GET /v1/messages?query=| HTTP/1.1\r\n{H}\r\n", target=b"/v1/messages?query=|"),
    head("quotes in the target", b'GET /v1/a"b"?c=\\"d\\" HTTP/1.1\r\n{H}\r\n', target=b'/v1/a"b"?c=\\"d\\"'),
    head("percent signs", b"GET /v1/%2e%2e/%00%0d%0a?%ff HTTP/1.1\r\n{H}\r\n", target=b"/v1/%2e%2e/%00%0d%0a?%ff"),
    head("HTTP/1.0", b"GET /v1/messages HTTP/1.0\r\n{H}\r\n", goes_on=False),
    refused("CONNECT of an authority", b"CONNECT home_0.example.com:443 HTTP/1.0\r\n{H}\r\n"),
    refused("CONNECT in capitals", b"CONNECT HOME0.EXAMPLE.COM:443 HTTP/1.1\r\n{H}\r\n"),
    refused("CONNECT with a body", b"CONNECT foo.example.com:443 HTTP/1.1\r\n{H}Content-Length: 10\r\n\r\nblarfcicle"),
    refused("CONNECT of a path", b"CONNECT /v1/messages HTTP/1.1\r\n{H}\r\n"),
    refused("M-SEARCH *", b"M-SEARCH * HTTP/1.1\r\n{H}\r\n"),
    refused("OPTIONS *", b"OPTIONS * HTTP/1.1\r\n{H}\r\n"),
    refused("a whole address", b"GET http://api.example.com/v1/messages HTTP/1.1\r\n{H}\r\n"),
    refused("a whole address without a path", b"GET http://api.example.com?hail=all HTTP/1.1\r\n{H}\r\n"),
    refused("a whole address with a port", b"GET http://api.example.com:1234?hail=all HTTP/1.1\r\n{H}\r\n"),
    refused(
        "a whole address with a name and password", b"GET http://a%12:b!&*$@api.example.com/v1/x HTTP/1.1\r\n{H}\r\n"
    ),
    refused("a whole address of our own", b"GET http://127.0.0.1/v1/messages HTTP/1.1\r\n{H}\r\n"),
    refused("UTF-8 in the target", "GET /v1/δ¶/δt/pope?q=1 HTTP/1.1\r\n".encode() + b"{H}\r\n"),
    refused("a target of one !", b"GET ! HTTP/1.1\r\n{H}\r\n"),
    refused("LF between target and version", b"GET /v1/messages\nHTTP/1.1\r\n{H}\r\n"),
    refused("tabs for spaces", b"GET\t/v1/messages\tHTTP/1.1\r\n{H}\r\n"),
    refused("a method with signs", b'G=":<>(e),[T];?" /v1/messages HTTP/1.1\r\n{H}\r\n'),
    refused("a method that begins like one", b"MKCOLA /v1/messages HTTP/1.1\r\n{H}\r\n"),
    refused("a method in mixed case", b"Post /v1/messages HTTP/1.1\r\n{H}Content-Length: 0\r\n\r\n"),
    refused("a method of NUL", b"\x00 /v1/messages HTTP/............0596.7407.\r\n{H}\r\n"),
    refused("ICE with GET", b"GET /v1/messages ICE/1.0\r\n{H}\r\n"),
    refused("ICE with SOURCE", b"SOURCE /v1/messages ICE/1.0\r\n{H}\r\n"),
    refused("IHTTP", b"GET /v1/messages IHTTP/1.0\r\n{H}\r\n"),
    refused("RTSP with PUT", b"PUT /v1/messages RTSP/1.0\r\n{H}\r\n"),
    refused("RTSP with DESCRIBE", b"DESCRIBE /v1/messages RTSP/1.0\r\n{H}\r\n"),
    refused("RTSP/1.1 with ANNOUNCE", b"ANNOUNCE /v1/messages RTSP/1.1\r\n{H}Content-Length: 2\r\n\r\nab"),
    refused("ANNOUNCE over HTTP", b"ANNOUNCE /v1/messages HTTP/1.0\r\n{H}\r\n"),
    refused("HTTP/5.6", b"GET /v1/messages HTTP/5.6\r\n{H}\r\n"),
    refused("HTTP/1.32", b"GET /v1/messages HTTP/1.32\r\n{H}\r\n"),
    refused("HTTP/01.1", b"GET /v1/messages HTTP/01.1\r\n{H}\r\n"),
    refused("HTTP/11.1", b"GET /v1/messages HTTP/11.1\r\n{H}\r\n"),
    refused("HTTP/1,1", b"GET /v1/messages HTTP/1,1\r\n{H}\r\n"),
    refused("HTTP/4294967295.255", b"GET /v1/messages HTTP/4294967295.255\r\n{H}\r\n"),
    refused("CR in the version", b"GET /v1/messages HTTP/\r\r1.1\r\n{H}\r\n"),
    refused("a space behind the start line", b"GET /v1/messages HTTP/1.1\r\n {H}\r\n"),
    refused("two start lines", b"GET /v1/messages HTTP/1.1\r\nGET /v1/evil HTTP/1.1\r\n{H}\r\n"),
]

TOLERATED = [
    # RFC 9112, 3: a server may take any run of spaces for the one; what goes on has one.
    head("two spaces before the version", b"GET /v1/messages  HTTP/1.1\r\n{H}\r\n"),
    # llhttp knows RTSP as well and does not tell which one it read. What goes on is HTTP.
    head("RTSP with GET", b"GET /v1/messages RTSP/1.0\r\n{H}\r\n", goes_on=False),
    head("RTSP with OPTIONS", b"OPTIONS /v1/messages RTSP/1.0\r\n{H}\r\n", b"OPTIONS", goes_on=False),
]
"""What a strict reader would refuse. Here it has one reading, and goes on as plain HTTP/1.1."""

CONNECTIONS = [
    Shape("keep-alive twice", 2 * (GET + b"Connection: keep-alive\r\n\r\n"), 2 * (Served(b"GET"),)),
    Shape(
        "a line end between two",
        POST + CL + b"4\r\n\r\nq=42\r\n" + GET + b"\r\n",
        (Served(body=b"q=42"), Served(b"GET")),
    ),
    Shape(
        "three with bodies",
        POST.replace(b"messages", b"a")
        + CL
        + b"3\r\n\r\nAAA"
        + POST.replace(b"POST /v1/messages", b"PUT /v1/b")
        + CL
        + b"4\r\n\r\nBBBB"
        + POST.replace(b"POST /v1/messages", b"PATCH /v1/c")
        + TE
        + b"5\r\nCCCCC\r\n"
        + END,
        (Served(target=b"/v1/a", body=b"AAA"), Served(b"PUT", b"/v1/b", b"BBBB"), Served(b"PATCH", b"/v1/c", b"CCCCC")),
    ),
    Shape(
        "close, and one behind it",
        POST + b"Connection: close\r\n" + CL + b"4\r\n\r\nq=42\r\n" + GET + b"\r\n",
        (Served(body=b"q=42"),),
        goes_on=False,
    ),
    Shape(
        "close among others", GET + b"Connection: close, token, keep-alive\r\n\r\n", (Served(b"GET"),), goes_on=False
    ),
    Shape(
        "1.0, and one behind it",
        GET.replace(b"1.1", b"1.0") + b"\r\n" + GET + b"\r\n",
        (Served(b"GET"),),
        goes_on=False,
    ),
    Shape("one, then nonsense", GET + b"\r\nnonsense\r\n\r\n", (Served(b"GET"),), goes_on=False),
    Shape("close, then nonsense", GET + b"Connection: close\r\n\r\nInvalid\r\n\r\n", (Served(b"GET"),), goes_on=False),
    Shape(
        "length 0, then one with a body that is one",
        POST + CL + b"0\r\n\r\n" + POST + CL + b"27\r\n\r\nGET /v1/evil HTTP/1.1\r\n\r\n\r\n",
        (Served(), Served(body=b"GET /v1/evil HTTP/1.1\r\n\r\n\r\n")),
    ),
    refused("an upgrade to ws", GET + b"Connection: upgrade\r\nUpgrade: ws\r\n\r\n"),
    refused("an upgrade with a body", POST + b"Connection: upgrade\r\n" + CL + b"4\r\nUpgrade: ws\r\n\r\nabcdefgh"),
    refused(
        "an upgrade to HTTP/2.0",
        POST + b"Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n" + CL + b"15\r\n\r\nsweet post bodyHot diggity dogg",
    ),
    refused(
        "an upgrade to h2c with settings",
        GET
        + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
    ),
    refused("a folded upgrade", GET + b"Connection: Something,\r\n Upgrade, ,Keep-Alive\r\nUpgrade: WebSocket\r\n\r\n"),
    refused(
        "the beginning of HTTP/2 with frames", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x04\x00\x00\x00\x00\x00\x00"
    ),
]

SHAPES = (*OWN, *LENGTHS, *CODINGS, *HEADS, *LINES, *TOLERATED, *CONNECTIONS)
