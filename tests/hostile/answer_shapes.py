"""Answers of a provider that are not HTTP/1.1, or only just, as data: what a client may see of each.

llhttp's own tests and more, written anew. The provider sends these bytes and closes.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """Bytes of a provider. `status` and `body` are what a client must get; no status: nothing that looks whole."""

    name: str
    raw: bytes
    status: int | None = None
    body: bytes = b""

    def __str__(self) -> str:
        return self.name


OK = b"HTTP/1.1 200 OK\r\n"
CL = b"Content-Length: 5\r\n\r\n"
TE = b"Transfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
CHUNKS = OK + TE + b"5\r\nhello\r\n"


def line(text: bytes) -> bytes:
    """An answer that is good but for one line."""
    return OK + text + b"\r\n" + CL + b"hello"


def start(text: bytes) -> bytes:
    """An answer that is good but for its first line."""
    return text + b"\r\n" + CL + b"hello"


CLEAN = (
    Shape("a length", OK + CL + b"hello", 200, b"hello"),
    Shape("a length between tabs", OK + b"Content-Length:\t5\t\r\n\r\nhello", 200, b"hello"),
    Shape("a length with zeros in front", OK + b"Content-Length: 005\r\n\r\nhello", 200, b"hello"),
    Shape("length 0", OK + b"Content-Length: 0\r\n\r\n", 200),
    Shape("chunks", CHUNKS + END, 200, b"hello"),
    Shape("chunks with extensions", OK + TE + b'5;a;b="c; d"\r\nhello\r\n6;e\r\n world\r\n' + END, 200, b"hello world"),
    Shape("chunks with trailers", CHUNKS + b"0\r\nVary: *\r\nX: y\r\n\r\n", 200, b"hello"),
    Shape(
        "a header that begins like the length", OK + b"Content-Length-X: 0\r\n" + TE + b"2\r\nOK\r\n" + END, 200, b"OK"
    ),
    Shape("the end of the connection as the end", OK + b"\r\nhello", 200, b"hello"),
    Shape("a body that looks like an answer", OK + b"\r\nHTTP/1.1 500 No\r\n\r\n", 200, b"HTTP/1.1 500 No\r\n\r\n"),
    Shape("1.0", b"HTTP/1.0 200 OK\r\n\r\nhello", 200, b"hello"),
    Shape(
        "1.0 with keep-alive and no length", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nhello", 200, b"hello"
    ),
    Shape("204 with an answer behind it", b"HTTP/1.1 204 No content\r\n\r\n" + OK + CL + b"EVIL!", 204),
    Shape(
        "204 and close, with an answer behind it",
        b"HTTP/1.1 204 No\r\nConnection: close\r\n\r\n" + OK + CL + b"EVIL!",
        204,
    ),
    Shape("more bytes than the length", OK + CL + b"helloEVIL", 200, b"hello"),
    Shape("a second answer behind the first", OK + CL + b"hello" + OK + CL + b"EVIL!", 200, b"hello"),
    Shape("no reason", start(b"HTTP/1.1 404"), 404, b"hello"),
    Shape("an empty reason", start(b"HTTP/1.1 404 "), 404, b"hello"),
    Shape("two spaces before the reason", start(b"HTTP/1.1 404  Not Found"), 404, b"hello"),
    Shape("a reason of the upper half", start(b"HTTP/1.1 404 Nicht gefunden \xfc\xff"), 404, b"hello"),
    Shape("a reason with NUL, which stays behind", start(b"HTTP/1.1 404 N\x00t"), 404, b"hello"),
    Shape("a status nobody knows", start(b"HTTP/1.1 299 Odd"), 299, b"hello"),
    Shape(
        "an upgrade that did not happen", OK + b"Connection: upgrade\r\nUpgrade: h2c\r\n" + CL + b"hello", 200, b"hello"
    ),
    Shape("Proxy-Connection", line(b"Proxy-Connection: close"), 200, b"hello"),
    Shape("a name with $ and _", line(b"X-$PrototypeBI_Version: 1"), 200, b"hello"),
    Shape("an empty value before another", OK + b"Pragma:\r\nX: y\r\n" + CL + b"hello", 200, b"hello"),
    Shape("100 before the answer", b"HTTP/1.1 100 Continue\r\n\r\n" + OK + CL + b"hello", 200, b"hello"),
    Shape(
        "103 with a length before the answer",
        b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + OK + CL + b"hello",
        200,
        b"hello",
    ),
)

MALFORMED = (
    *(
        Shape(f"first line {text!r}", start(text))
        for text in (
            b"HTP/1.1 200 OK",
            b"HTTPER/1.1 200 OK",
            b"HTTP/01.1 200 OK",
            b"HTTP/11.1 200 OK",
            b"HTTP/1.01 200 OK",
            b"HTTP/1.1\t200 OK",
            b"\rHTTP/1.1\t200 OK",
            b"HTTP/5.6 200 OK",
            b"HTTP/2 200",
            b"HTTP/1.1  200 OK",
            b"HTTP/1.1 2 OK",
            b"HTTP/1.1 20 OK",
            b"HTTP/1.1 2000 OK",
            b"HTTP/1.1 2OO OK",
            b"HTTP/1.1 -20 OK",
            b"HTTP/1.1 200OK",
            b"HTTP/1.1",
            b"HTTP",
            b"200 OK",
            b"http/1.1 200 OK",
            b"HTTP/1.1 000 None",
            b"HTTP/1.1 099 Low",
            b"HTTP/1.1 200 O\nK",
            b"HTTP/1.1 200 O\rK",
            b"SSH-2.0-OpenSSH_9.6",
            b"<html>",
        )
    ),
    *(
        Shape(f"line {text!r}", line(text))
        for text in (
            b"Foo: 1\rBar: 2",
            b"Foo: 1\nBar: 2",
            b"Foo: a\x00b",
            b"Foo: a\x0bb",
            b"Foo: a\x7fb",
            b" Foo: 1",
            b"\tFoo: 1",
            b"Foo: 1\r\n 2",
            b"Foo: 1\r\n\t2",
            b"Foo:\r\n 1",
            b"Foo : 1",
            b"Fo o: 1",
            b"Fo@: 1",
            b"F\xfc: 1",
            b": 1",
            b":",
            b"Foo",
            b"F\x00: 1",
            b"Content-Length: 5",
            b"Content-Length: 6",
            b"Content-Length: 5, 5",
            b"Content-Length:",
            b"Transfer-Encoding: chunked",
            b"Transfer-Encoding: identity",
            b"Transfer-Encoding:",
            b"Transfer-Encoding: gzip",
        )
    ),
    *(
        Shape(f"length {text!r}", OK + b"Content-Length: " + text + b"\r\n\r\nhello")
        for text in (
            b"+5",
            b"-5",
            b"5 5",
            b"5,5",
            b"0x5",
            b"5_0",
            b"5.0",
            b"",
            b"five",
            b"9" * 40,
            b"1" * 5000,
            b"6",
            b'"5"',
            b"\xb2",
        )
    ),
    *(
        Shape(f"coding {text!r}", OK + b"Transfer-Encoding: " + text + b"\r\n\r\n5\r\nhello\r\n" + END)
        for text in (
            b"",
            b"identity",
            b"gzip",
            b"chunked, deflate",
            b"chunkedchunked",
            b"chunked;a=b",
            b"\x0bchunked",
            b"xchunked",
        )
    ),
    Shape("chunked, then identity", OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\nWorld"),
    *(
        Shape(f"chunks {text!r}", OK + TE + text)
        for text in (
            b"25  \r\nhello\r\n" + END,
            b"2 erfrferferf\r\naa\r\n0 rrrr\r\n\r\n",
            b"2;\r\naa\r\n" + END,
            b'5;a="b\r\nhello\r\n' + END,
            b"z\r\nhello\r\n" + END,
            b"0x5\r\nhello\r\n" + END,
            b"+5\r\nhello\r\n" + END,
            b"-5\r\nhello\r\n" + END,
            b"\r\nhello\r\n" + END,
            b"4\r\nhello\r\n" + END,
            b"6\r\nhello\r\n" + END,
            b"5\nhello\r\n" + END,
            b"5\r\nhello\n" + END,
            b"5\r\nhelloXX" + END,
            b"5\r\rhello\r\n" + END,
            b"10000000000000005\r\nhello\r\n" + END,
            b"ffffffffffffffff\r\nhello\r\n" + END,
            b"5\r\nhello\r\n0\r\nX: \x00\r\n\r\n",
            b"5\r\nhello\r\n0\r\nnonsense\r\n\r\n",
            b"5\r\nhello\r\n0\r\nX: y\n\r\n",
            b"",
            b"5",
            b"5\r\n",
            b"5\r\nhel",
            b"5\r\nhello",
            b"5\r\nhello\r\n",
            b"5\r\nhello\r\n0",
            b"5\r\nhello\r\n0\r\n",
            b"5\r\nhello\r\n0\r\n\r",
            b"5\r\nhello\r\n0\r\nVary: *\r\n",
        )
    ),
    Shape("nothing", b""),
    Shape("line ends alone", b"\r\n\r\n"),
    Shape("half a head", OK + b"Content-Le"),
    Shape("a head without its end", OK + b"Content-Length: 5\r\n"),
    Shape("a head and no body", OK + CL),
    Shape("a body cut short", OK + CL + b"hell"),
    Shape("bare LF", (OK + CL + b"hello").replace(b"\r\n", b"\n")),
    Shape("bare LF, no body", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
    Shape("bare LF behind the first line", b"HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\nhello"),
    Shape("bare LF at the end of the head", OK + b"Content-Length: 5\r\n\nhello"),
    Shape("100 and no answer", b"HTTP/1.1 100 Continue\r\n\r\n"),
    Shape(
        "101",
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 4\r\n\r\nbodyproto",
    ),
    Shape(
        "101 with chunks",
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: h2c\r\n" + TE + b"2\r\nbo\r\n" + END + b"proto",
    ),
    Shape("101 without an upgrade", b"HTTP/1.1 101 Switching\r\n\r\n" + OK + CL + b"hello"),
    Shape("a request", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    Shape(
        "HTTP/2 frames",
        b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80\x00\x04\x00\x01\x00\x00\x00\x05\x00\xff\xff\xff",
    ),
    Shape("a TLS alert", b"\x15\x03\x01\x00\x02\x02\x46"),
    Shape("64 KiB in one line", OK + b"X: " + b"a" * 70_000 + b"\r\n" + CL + b"hello"),
    Shape("12,000 lines", OK + b"X: a\r\n" * 12_000 + CL + b"hello"),
)

SHAPES = (*CLEAN, *MALFORMED)
