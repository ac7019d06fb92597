"""Requests that published faults of other servers and proxies were about: each is refused here."""

from __future__ import annotations

from typing import NamedTuple

from tests.unit.proxy.world import get

HOST = b"Host: example.com\r\n"
SMUGGLED = b"GET /admin HTTP/1.1\r\nHost: example.com\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


class Refused(NamedTuple):
    """A request that one of two parsers read as two, or as another one."""

    cve: str
    whose: str
    raw: bytes
    reason: str


def post(fields: bytes, body: bytes = SMUGGLED, line: bytes = b"POST / HTTP/1.1") -> bytes:
    return line + b"\r\n" + HOST + fields + b"\r\n" + body


def chunks(body: bytes) -> bytes:
    return post(CHUNKED, body)


REFUSED = [
    # ---- where the length comes from
    Refused("CVE-2019-16792", "waitress: two lengths", post(b"Content-Length: 5\r\nContent-Length: 5\r\n"), "content_length"),
    Refused("CVE-2020-10108", "Twisted: two lengths", post(b"Content-Length: 0\r\nContent-Length: 42\r\n"), "content_length"),
    Refused(
        "CVE-2020-10109",
        "Twisted: length and coding",
        post(b"Content-Length: 6\r\n" + CHUNKED, b"0\r\n\r\nG"),
        "length_and_encoding",
    ),
    Refused(
        "CVE-2019-20445", "Netty: length and coding", post(CHUNKED + b"Content-Length: 6\r\n", b"0\r\n\r\nG"), "length_and_encoding"
    ),
    Refused(
        "CVE-2023-47641",
        "aiohttp: length and coding",
        post(b"Content-Length: 3\r\n" + CHUNKED, b"1\r\na\r\n0\r\n\r\n"),
        "length_and_encoding",
    ),
    Refused(
        "CVE-2024-47220",
        "WEBrick: length and coding",
        post(b"Content-Length: 50\r\n" + CHUNKED, b"0\r\n\r\n" + SMUGGLED),
        "length_and_encoding",
    ),
    Refused(
        "CVE-2021-33037", "Tomcat: coding of a 1.0 client", post(CHUNKED, b"0\r\n\r\n", b"POST / HTTP/1.0"), "transfer_encoding"
    ),
    Refused(
        "CVE-2026-2835",
        "Pingora: codings and 1.0",
        post(b"Connection: keep-alive\r\n" + CHUNKED, b"0\r\n\r\n", b"POST / HTTP/1.0"),
        "transfer_encoding",
    ),
    Refused("CVE-2021-32715", "hyper: signed length", post(b"Content-Length: +5\r\n", b"hello"), "content_length"),
    Refused("CVE-2023-40167", "Jetty: signed length", post(b"Content-Length: +0\r\n"), "content_length"),
    Refused("CVE-2022-24761", "waitress: int() of the length", post(b"Content-Length: 1_0\r\n", b"helloworld"), "content_length"),
    Refused("CVE-2022-24801", "Twisted: lengths and sizes as int() reads them", chunks(b"0x5\r\nhello\r\n0\r\n\r\n"), "bad_chunk"),
    Refused("CVE-2022-42252", "Tomcat: an invalid length", post(b"Content-Length: x\r\n"), "content_length"),
    Refused("CVE-2023-40225", "HAProxy: an empty length", post(b"Content-Length:\r\n"), "content_length"),
    Refused(
        "CVE-2023-40175", "Puma: an empty length", post(b"Content-Length: \r\n" + CHUNKED, b"0\r\n\r\n"), "length_and_encoding"
    ),
    Refused(
        "CVE-2024-27982",
        "Node.js: a space in front of the length",
        b"POST / HTTP/1.1\r\n Content-Length: 42\r\n" + HOST + b"\r\n" + SMUGGLED,
        "obs_fold",
    ),
    # ---- spellings of chunked
    Refused("CVE-2019-18277", "HAProxy: a vertical tab", post(b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n"), "field_value"),
    Refused(
        "CVE-2019-16789",
        "waitress: white space of other alphabets",
        post(b"Transfer-Encoding: \x0bchunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n"),
        "field_value",
    ),
    Refused(
        "CVE-2019-16786",
        "waitress: another coding",
        post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"),
        "transfer_encoding",
    ),
    Refused(
        "CVE-2019-15605",
        "Node.js: a malformed coding",
        post(b"Transfer-Encoding: chunked, eee\r\nContent-Length: 4\r\n", b"0\r\n\r\n"),
        "length_and_encoding",
    ),
    Refused(
        "CVE-2020-8287",
        "Node.js: two codings",
        post(CHUNKED + b"Transfer-Encoding: chunked-false\r\n", b"1\r\nA\r\n0\r\n\r\n"),
        "transfer_encoding",
    ),
    Refused(
        "CVE-2020-25613",
        "WEBrick: a coding that contains chunked",
        post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"),
        "transfer_encoding",
    ),
    Refused(
        "CVE-2020-1935", "Tomcat: an invalid coding", post(b"Transfer-Encoding: chunked, x\r\n", b"0\r\n\r\n"), "transfer_encoding"
    ),
    Refused(
        "CVE-2020-11076", "Puma: an invalid coding", post(b"Transfer-Encoding: \tchunked;x\r\n", b"0\r\n\r\n"), "transfer_encoding"
    ),
    Refused(
        "CVE-2020-7238",
        "Netty: white space and a length",
        post(b"Transfer-Encoding:[space]chunked\r\nContent-Length: 1\r\n", b"0\r\n\r\n"),
        "length_and_encoding",
    ),
    Refused("CVE-2022-1705", "Go: invalid codings", post(b"Transfer-Encoding: identity\r\n", b""), "transfer_encoding"),
    Refused(
        "CVE-2022-32213",
        "llhttp: a coding not checked to its end",
        post(b"Transfer-Encoding: chunkedchunked\r\n", b"0\r\n\r\n"),
        "transfer_encoding",
    ),
    Refused(
        "CVE-2022-32215",
        "llhttp: a folded coding",
        post(b"Transfer-Encoding: chunked\r\n , identity\r\n", b"0\r\n\r\n"),
        "obs_fold",
    ),
    Refused("CVE-2021-21299", "hyper: two codings", post(b"Transfer-Encoding: x\r\n" + CHUNKED, b"0\r\n\r\n"), "transfer_encoding"),
    Refused(
        "CVE-2024-1135",
        "gunicorn: conflicting codings",
        post(CHUNKED + b"Transfer-Encoding: identity\r\n", b"0\r\n\r\n"),
        "transfer_encoding",
    ),
    Refused(
        "CVE-2024-6827",
        "gunicorn: back to the length",
        post(b"Transfer-Encoding: chunked,gzip\r\nContent-Length: 5\r\n", b"0\r\n\r\n"),
        "length_and_encoding",
    ),
    Refused(
        "CVE-2024-52530", "libsoup: NUL behind a name", post(b"Transfer-Encoding\x00: chunked\r\n", b"0\r\n\r\n"), "field_name"
    ),
    # ---- line ends and names
    Refused(
        "CVE-2019-16785",
        "waitress: LF ends a line",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: a\nContent-Length: 42\r\n\r\n" + SMUGGLED,
        "bare_lf",
    ),
    Refused("CVE-2021-41136", "Puma: LF ends a line", b"GET / HTTP/1.1\r\n" + HOST + b"X: a\n" + SMUGGLED + b"\r\n", "bare_lf"),
    Refused(
        "CVE-2022-32214",
        "llhttp: LF ends a line",
        b"GET / HTTP/1.1\r\n" + HOST + b"Dummy: x\nContent-Length: 23\r\n\r\n" + SMUGGLED,
        "bare_lf",
    ),
    Refused(
        "CVE-2022-35256",
        "llhttp: fields without CRLF",
        b"GET / HTTP/1.1\r\n" + HOST + b"A:\rContent-Length: 42\r\n\r\n" + SMUGGLED,
        "bare_cr",
    ),
    Refused(
        "CVE-2023-30589",
        "llhttp: CR ends a line",
        b"POST / HTTP/1.1\r\n" + HOST + b"x:\rTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED,
        "bare_cr",
    ),
    Refused(
        "CVE-2025-23167", "llhttp: CRLF CR and anything end a head", b"GET / HTTP/1.1\r\n" + HOST + b"\rX" + SMUGGLED, "bare_cr"
    ),
    Refused(
        "CVE-2019-16276", "Go: a space in front of the colon", post(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"), "field_name"
    ),
    Refused(
        "CVE-2019-16869",
        "Netty: a space in front of the colon",
        post(b"Transfer-Encoding : chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n"),
        "field_name",
    ),
    Refused("CVE-2019-18678", "Squid: a space in front of the colon", post(b"Content-Length : 42\r\n"), "field_name"),
    Refused("CVE-2021-22959", "llhttp: a space in front of the colon", post(b"Content-Length : 5\r\n", b"hello"), "field_name"),
    Refused("CVE-2022-24766", "mitmproxy: a space in front of the colon", post(b"Content-Length : 42\r\n"), "field_name"),
    Refused(
        "CVE-2020-35884", "tiny_http: white space in a name", post(b"Transfer-Encoding\t: chunked\r\n", b"0\r\n\r\n"), "field_name"
    ),
    Refused("CVE-2019-20444", "Netty: a line without a colon", get("/", "Transfer-Encoding chunked"), "field_line"),
    Refused(
        "CVE-2021-43797", "Netty: control bytes in a name", post(b"\x01Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"), "field_name"
    ),
    Refused("CVE-2023-25725", "HAProxy: an empty name ends the list", get("/", ": x", "X-Secret: y"), "field_name"),
    Refused("CVE-2019-9900", "Envoy: NUL in a value", get("/", "X-Role: user\x00admin"), "field_value"),
    Refused("CVE-2023-49081", "aiohttp: line ends in the version", get().replace(b"1.1\r\n", b"1.1\nX: y\r\n"), "bare_lf"),
    Refused("CVE-2023-49082", "aiohttp: line ends in the method", b"GE\nT" + get()[3:], "bare_lf"),
    Refused("CVE-2024-23829", "aiohttp: lenient separators", get().replace(b"GET / ", b"GET /\x0b"), "request_line"),
    # ---- chunks
    Refused("CVE-2021-22960", "llhttp: anything in an extension", chunks(b"5;a\rb\r\nhello\r\n0\r\n\r\n"), "bad_chunk"),
    Refused("CVE-2021-32714", "hyper: a size that overflows", chunks(b"f0000000000000003\r\nabc\r\n0\r\n\r\n"), "bad_chunk"),
    Refused("CVE-2023-46846", "Squid: a lenient decoder", chunks(b"5\nhello\r\n0\r\n\r\n"), "bad_chunk"),
    Refused(
        "CVE-2024-52304", "aiohttp: LF in an extension", chunks(b"2;\nxx\r\n4c\r\n0\r\n\r\n" + SMUGGLED + b"0\r\n\r\n"), "bad_chunk"
    ),
    Refused("CVE-2025-22871", "Go: LF ends a size line", chunks(b"5\nhello\r\n0\n\r\n"), "bad_chunk"),
    Refused(
        "CVE-2025-55315", "Kestrel: LF in an extension", chunks(b"2;\rxx\r\n4c\r\n0\r\n\r\n" + SMUGGLED + b"0\r\n\r\n"), "bad_chunk"
    ),
    Refused("CVE-2025-58056", "Netty: LF in an extension", chunks(b"0;a\n\r\n\r\n" + SMUGGLED), "bad_chunk"),
    Refused(
        "CVE-2025-43859", "h11: any two bytes behind a chunk", chunks(b"5\r\nhelloXX2\r\n45\r\n0\r\n\r\n" + SMUGGLED), "bad_chunk"
    ),
    Refused("CVE-2025-47905", "Varnish: a line end where none belongs", chunks(b"5\r\nhello\n0\r\n\r\n"), "bad_chunk"),
    Refused("CVE-2024-53868", "Traffic Server: malformed chunks", chunks(b"5 \r\nhello\r\n0\r\n\r\n"), "bad_chunk"),
    Refused("CVE-2024-22019", "Node.js: endless extensions", chunks(b"1;" + b"a" * 2000), "bad_chunk"),
    Refused("CVE-2024-21647", "Puma: endless extensions", chunks(b"0;" + b"a=b;" * 500 + b"\r\n\r\n"), "bad_chunk"),
    Refused("CVE-2023-46589", "Tomcat: trailers beyond the limit", chunks(b"0\r\n" + b"A: b\r\n" * 2000 + b"\r\n"), "bad_chunk"),
    # ---- targets, hosts
    Refused("CVE-2023-45539", "HAProxy: a fragment in the target", get("/index.html#.png"), "target_fragment"),
    Refused("CVE-2013-4547", "nginx: a space in the target", get("/files/a \x00.php"), "request_line"),
    Refused("CVE-2021-41773", "Apache: half-encoded dots", get("/cgi-bin/.%2e/.%2e/.%2e/etc/passwd"), "target_above_root"),
    Refused("CVE-2019-9901", "Envoy: dots that only backends remove", get("/public/..%2fadmin"), "target_dots"),
    Refused("CVE-2021-29492", "Envoy: encoded backslashes", get("/public%5c..%5cadmin"), "target_escape"),
    Refused(
        "CVE-2026-48710",
        "Starlette: a Host with a path in it",
        b"GET /admin HTTP/1.1\r\nHost: example.com/public?x=\r\n\r\n",
        "host_malformed",
    ),
    Refused(
        "CVE-2020-25017",
        "Envoy: the first of two fields counts",
        b"GET / HTTP/1.1\r\nHost: example.com\r\nHost: internal\r\n\r\n",
        "host_repeated",
    ),
]
