"""What is taken off a message and put on before it goes on: theirs off first, then ours."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.config.model import Network
from lbproxy.errors import RequestError, UpstreamError
from lbproxy.http.forwarding import Forwarder, cut, response, without
from lbproxy.http.grammar import SAID_BY_PROXIES, line_finder
from lbproxy.http.h1.request import LastFields, parse_request
from lbproxy.http.h1.response import parse_response
from lbproxy.http.message import CHUNKED, FIELDS_KEPT
from lbproxy.http.upgrade import asked
from tests.unit.http import heads
from tests.unit.http.heads import MAX_FIELDS, MAX_LINE, field_names, fields, request, values
from tests.unit.http.work import growth

TRUSTED: tuple[Network, ...] = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
OURS = ["x-real-ip", "x-forwarded-for", "x-forwarded-proto", "forwarded", "x-forwarded-host", "x-forwarded-port", "via"]
HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "proxy-authenticate",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
}


def forward(*lines: bytes, peer: str = "192.0.2.9", networks: tuple[Network, ...] = (), **more: bytes) -> bytes:
    """The head a backend gets."""
    return Forwarder(peer, "https", 8443, networks).request(request(*lines, **more))


def test_a_small_request() -> None:
    """Byte by byte."""
    assert forward(b"Accept: */*", line=b"GET /a?b HTTP/1.0", host=b"Host: Example.com") == (
        b"GET /a?b HTTP/1.1\r\nHost: Example.com\r\nAccept: */*\r\nX-Real-IP: 192.0.2.9\r\nX-Forwarded-For: 192.0.2.9"
        b'\r\nX-Forwarded-Proto: https\r\nForwarded: for=192.0.2.9;proto=https;host="example.com"'
        b"\r\nX-Forwarded-Host: example.com\r\nX-Forwarded-Port: 443\r\nVia: 1.1 lbproxy\r\n\r\n"
    )


def test_an_idle_client_comes_back() -> None:
    """What is forgotten of it meanwhile is made again, over either protocol."""
    head, other = request(b"Accept: */*"), request(b"Accept: text/html")
    for prepare in (lambda forwarder: None, Forwarder.over_http_2):
        forwarder, fresh = (Forwarder("192.0.2.9", "https", 8443, ()) for _ in range(2))
        prepare(forwarder)
        prepare(fresh)
        before = forwarder.request(head)
        forwarder.forget()
        assert forwarder.request(head) == before
        assert forwarder.request(other) == fresh.request(other)


def test_ipv6_peer() -> None:
    """RFC 7239 6: in brackets and quotes; bare elsewhere."""
    head = forward(peer="2001:db8::1")
    assert values(head, "forwarded") == [b'for="[2001:db8::1]";proto=https;host="example.com"']
    assert values(head, "x-real-ip") == values(head, "x-forwarded-for") == [b"2001:db8::1"]


def test_an_untrusted_peer_says_nothing() -> None:
    """Whatever it claims in these fields is gone, in any spelling, and ours stand once each."""
    forged = [b"X-Forwarded-For", b"x-FORWARDED-proto", b"X-Forwarded-Anything", b"X-Real-Ip", b"Forwarded", b"X_Real_IP", b"Proxy"]
    head = forward(*(name + b": 6.6.6.6" for name in forged), b"Connection: X-Forwarded-For, x-real-ip")
    assert b"6.6.6.6" not in head
    assert field_names(head) == ["host", *OURS]


def test_a_trusted_peer_is_believed() -> None:
    """What it says is kept in its own spelling, and we are added."""
    head = forward(
        b"X-Forwarded-For: 203.0.113.7",
        b"X-Forwarded-For: 10.9.9.9",
        b"X-Forwarded-Proto: HTTP",
        b"X-Forwarded-Port: 80",
        b"X-Forwarded-Host: Outer.example ",
        b"X-Forwarded-Prefix: /App",
        b'Forwarded: for="_Hidden";by=_Me',
        b"X-Real-IP: 6.6.6.6",
        peer="10.1.2.3",
        networks=TRUSTED,
    )
    assert dict(fields(head)[1:]) == {
        "x-forwarded-prefix": b"/App",
        "x-real-ip": b"203.0.113.7",
        "x-forwarded-for": b"203.0.113.7, 10.9.9.9, 10.1.2.3",
        "x-forwarded-proto": b"HTTP",
        "x-forwarded-port": b"80",
        "forwarded": b'for="_Hidden";by=_Me, for=10.1.2.3;proto=https;host="example.com"',
        "x-forwarded-host": b"Outer.example",
        "via": b"1.1 lbproxy",
    }
    assert sorted(field_names(head)) == sorted(["host", "x-forwarded-prefix", *OURS])


@pytest.mark.parametrize(
    ("said", "peer", "named"),
    [
        (b"203.0.113.7, 10.9.9.9", "10.1.2.3", "203.0.113.7"),
        (b"203.0.113.7, 10.9.9.9", "192.0.2.9", "192.0.2.9"),
        (b'"><script>', "10.1.2.3", "10.1.2.3"),
        (b"", "10.1.2.3", "10.1.2.3"),
    ],
)
def test_whom_the_log_names(said: bytes, peer: str, named: str) -> None:
    """The client that a trusted proxy speaks for; whoever is not trusted, or talks nonsense, is taken for itself."""
    head = request(b"X-Forwarded-For: " + said)
    assert Forwarder(peer, "https", 8443, TRUSTED).client(head) == named


def test_a_trusted_peer_that_says_nothing() -> None:
    """Ours stand; empty fields count as none."""
    head = forward(b"X-Forwarded-For:", b"X-Forwarded-Proto: ", b"Forwarded: \t", peer="fd00::1", networks=TRUSTED)
    assert values(head, "x-forwarded-for") == values(head, "x-real-ip") == [b"fd00::1"]
    assert values(head, "x-forwarded-proto") == [b"https"]
    assert values(head, "forwarded") == [b'for="[fd00::1]";proto=https;host="example.com"']


@pytest.mark.parametrize(("proto", "host", "said", "port", "named"), [
    ("https", "a.test", [], b"443", b"https"),
    ("http", "a.test", [], b"80", b"http"),
    ("https", "a.test:9000", [], b"9000", b"https"),
    ("https", "[::1]", [], b"443", b"https"),
    ("https", "[::1]:444", [], b"444", b"https"),
    ("https", "a.test:", [], b"443", b"https"),
    ("http", "a.test", [b"X-Forwarded-Proto: https"], b"443", b"https"),
    ("http", "a.test", [b"Forwarded: for=192.0.2.1;proto=https"], b"443", b"https"),
    ("http", "a.test:81", [b"X-Forwarded-Proto: https", b"X-Forwarded-Port: 8443"], b"8443", b"https"),
    ("https", "a.test", [b"X-Forwarded-Proto: http"], b"80", b"http"),
])  # fmt: skip
def test_the_port_and_scheme_that_the_client_used(proto: str, host: str, said: list[bytes], port: bytes, named: bytes) -> None:
    """Never the listener's, which may be published under another one (a container's); only a trusted proxy may know better."""
    head = request(*said, host=b"Host: " + host.encode())
    for trusted in (False, True):
        if said and not trusted:
            continue
        forwarder = Forwarder("10.1.2.3", proto, 8443, TRUSTED if trusted else ())
        out = forwarder.request(head)
        assert (values(out, "x-forwarded-port"), values(out, "x-forwarded-proto")) == ([port], [named])
        assert (forwarder.public_port(head), forwarder.secure(head)) == (int(port), named == b"https")
    stranger = Forwarder("192.0.2.9", "http", 8080, TRUSTED)
    assert not stranger.secure(head)
    assert values(stranger.request(head), "x-forwarded-proto") == [b"http"]


@pytest.mark.parametrize(("raw", "host"), [
    (b"GET / HTTP/1.0\r\n\r\n", b"192.0.2.80"),
    (b"GET / HTTP/1.0\r\nAccept: */*\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n", b"192.0.2.80"),
    (b"GET / HTTP/1.0\r\nX-Real-IP: 6.6.6.6\r\n\r\n", b"192.0.2.80"),
    (b"GET http://A.test:8000/ HTTP/1.0\r\n\r\n", b"a.test:8000"),
])  # fmt: skip
@pytest.mark.parametrize("networks", [(), TRUSTED])
def test_a_request_without_a_host(raw: bytes, host: bytes, networks: tuple[Network, ...]) -> None:
    """HTTP/1.0 needs none, 1.1 behind us does: it is for whom its URL names, else the address it was sent to (RFC 9112 3.3)."""
    forwarder = Forwarder("192.0.2.9", "http", 8080, networks, here=lambda: "192.0.2.80")
    for _ in range(2):
        out = forwarder.request(parse_request(raw, MAX_LINE, MAX_FIELDS))
        assert field_names(out)[0] == "host"
        assert values(out, "host") == values(out, "x-forwarded-host") == [host]
        assert b"6.6.6.6" not in out


def test_two_requests_without_fields() -> None:
    """No fields are the same fields: what was made for one connection's first request serves its second."""
    forwarder = Forwarder("192.0.2.9", "http", 8080, ())
    heads_made = [forwarder.request(parse_request(b"GET /%d HTTP/1.0\r\n\r\n" % n, MAX_LINE, MAX_FIELDS)) for n in range(2)]
    assert heads_made[1] == heads_made[0].replace(b"/0", b"/1")


@pytest.mark.parametrize(("lines", "sent"), [
    ([b"Expect: 100-Continue"], [b"100-continue"]),
    ([b"Expect: 100-continue, 100-continue"], [b"100-continue"]),
    ([b"Expect: 100-continue", b"expect: ,100-CONTINUE,"], [b"100-continue"]),
    ([b"Expect:"], []),
    ([b"Expect: , ,"], []),
])  # fmt: skip
def test_expectations(lines: list[bytes], sent: list[bytes]) -> None:
    """One that is none goes no further, and a doubled one as one: servers compare the whole value (417)."""
    head = request(*lines, b"Content-Length: 1", line=b"POST / HTTP/1.1")
    assert head.expect_continue is bool(sent)
    for networks in ((), TRUSTED):
        assert values(Forwarder("10.0.0.1", "http", 80, networks).request(head), "expect") == sent


def test_expectations_of_1_0() -> None:
    """RFC 9110 10.1.1: to be ignored; the backend, which is asked in 1.1, must not hear of it."""
    assert b"xpect" not in forward(b"Expect: 100-continue", b"Content-Length: 1", line=b"POST / HTTP/1.0")


def test_underscores() -> None:
    """In names they are dropped, in values they are nobody's business."""
    head = forward(b"a_b: 1", b"_: 2", b"C: d_e", b"F_: 3", b"G: _:_", b"X-H: 4")
    assert field_names(head)[:4] == ["host", "c", "g", "x-h"]
    assert values(head, "g") == [b"_:_"]


NOT_TO_SAY = [name.replace(b"*", b"a") for name in (*SAID_BY_PROXIES, b"x-forwarded-*", b"x-real-ip", b"forwarded")]


@pytest.mark.parametrize("other", [b"-", *(b"_", b".", b"!", b"#", b"$", b"%", b"&", b"'", b"*", b"+", b"^", b"`", b"|", b"~")])
def test_what_proxies_say_is_no_strangers_to_say(other: bytes) -> None:
    """In no spelling that a backend might take for it: whatever is no letter and no digit is "_" to some (lighttpd), "." to PHP."""
    for name in NOT_TO_SAY:
        for spelt in {name.replace(b"-", other), name.title().replace(b"-", other, 1)}:
            head = forward(spelt + b": 6.6.6.6", b"X-After: 1")
            assert b"6.6.6.6" not in head, spelt
            assert values(head, "x-after") == [b"1"]


@pytest.mark.parametrize("other", [b"_", b".", b"!", b"~"])
def test_no_proxy_spells_it_so(other: bytes) -> None:
    """A trusted one passes on what it does not know: that is not what it says itself."""
    for name in NOT_TO_SAY:
        if b"-" in name:
            head = forward(name.replace(b"-", other) + b": 6.6.6.6", peer="10.1.2.3", networks=TRUSTED)
            assert b"6.6.6.6" not in head, name
    assert values(forward(b"X-Original-URL: /a", peer="10.1.2.3", networks=TRUSTED), "x-original-url") == [b"/a"]


def test_other_names_pass_whatever_they_are_made_of() -> None:
    """A dot in a name is no fault as long as it is nobody else's name."""
    names = [b"x.y", b"soap!action", b"x.forwarde", b"x-realip", b"ab.client-ip", b"x.hosts", b"x-original-filename"]
    head = forward(*(name + b": 1" for name in names))
    assert set(map(bytes.decode, names)) <= set(field_names(head))


def test_nominated_fields_go() -> None:
    """Beyond the standard list, whatever their case."""
    head = forward(b"Connection: Keep-Alive, x-A,,X-b", b"X-a: 1", b"X-B: 2", b"X-Ab: 3", b"X-A: 4", b"X-C: 5")
    assert field_names(head) == ["host", "x-ab", "x-c", *OURS]


def test_a_chunked_body_is_announced_as_ours() -> None:
    """Once, whatever the client's spelling was."""
    head = forward(b"transfer-ENCODING: \tCHUNKED ", line=b"POST / HTTP/1.1")
    assert values(head, "transfer-encoding") == [b"chunked"]


def test_memory_of_fields() -> None:
    """One connection, changing requests: what was made for one is used for another only if its fields are the same object."""
    forwarder, last = Forwarder("192.0.2.9", "https", 8443, ()), LastFields()
    big = b"X: " + b"a" * FIELDS_KEPT + b"\r\n"
    for target, block in [
        (b"/1", b""),
        (b"/2", b""),
        (b"/3", b"A: b\r\n"),
        (b"/4", big),
        (b"/5", b"A: b\r\n"),
        (b"/6", big),
        (b"/7", b""),
    ]:
        raw = b"GET %b HTTP/1.1\r\nHost: example.com\r\n%b\r\n" % (target, block)
        fresh = Forwarder("192.0.2.9", "https", 8443, ()).request(parse_request(raw, MAX_LINE, MAX_FIELDS))
        assert forwarder.request(parse_request(raw, MAX_LINE, MAX_FIELDS, last)) == fresh


# ---------------------------------------------------------------- any request

NAMES = st.sampled_from(
    [
        b"Accept",
        b"Connection",
        b"connection",
        b"Keep-Alive",
        b"Proxy-Connection",
        b"Proxy-Authorization",
        b"TE",
        b"Trailer",
        b"Upgrade",
        b"HTTP2-Settings",
        b"X-Forwarded-For",
        b"x-forwarded-proto",
        b"X-Forwarded-Zzz",
        b"X-Real-IP",
        b"Forwarded",
        b"Via",
        b"X_A",
        b"_",
        b"X-A",
        b"X-B",
        b"Cookie",
        b"Host_",
        b"Content-Length",
        b"Transfer-Encoding",
        b"Expect",
        b"Proxy",
        b"Xte",
        b"te-",
        b"X-Host",
    ]
)
VALUES = st.sampled_from(
    [
        b"",
        b" ",
        b"x-a",
        b"close",
        b"x-a, X-B",
        b"host, x-forwarded-for",
        b"chunked",
        b"5",
        b"100-continue",
        b"websocket",
        b"6.6.6.6",
        b"a: b_c",
        b"\xff\t!",
        b"upgrade , te",
        b"keep-alive",
        b"content-length,transfer-encoding,via",
    ]
)
FIELD = st.tuples(NAMES, st.sampled_from([b":", b": ", b":\t "]), VALUES).map(b"".join)
LINE = st.sampled_from(
    [
        b"GET / HTTP/1.1",
        b"PUT /a/%2e/b?c HTTP/1.0",
        b"OPTIONS * HTTP/1.1",
        b"GET http://example.com?q HTTP/1.1",
    ]
)


@given(LINE, st.lists(FIELD, max_size=8), st.booleans())
def test_what_is_forwarded(line: bytes, lines: list[bytes], trusted: bool) -> None:
    """Read again it is the same request, for us and for a plain reader, with nothing hop-by-hop, nothing forged, and one Host."""
    try:
        head = request(*lines, line=line)
    except RequestError:
        return
    networks = TRUSTED if trusted else ()
    out = Forwarder("10.1.2.3", "https", 8443, networks).request(head)
    again = parse_request(out, MAX_LINE, 2 * MAX_FIELDS)
    assert (again.method, again.target, again.path, again.host) == (head.method, head.target, head.path, head.host)
    switching = {"connection", "upgrade"} if asked(head) else set()
    assert (again.body, again.minor, again.nominated) == (head.body, 1, ())
    assert again.upgrade == (head.upgrade if switching else b"")
    names = field_names(out)
    assert names.count("host") == 1
    assert names.count("content-length") == (1 if b"content-length" in dict(head.specials) else 0)
    assert names.count("transfer-encoding") == (1 if head.body == CHUNKED else 0)
    assert (HOP_BY_HOP - {"transfer-encoding"}) & set(names) == switching
    assert "proxy" not in names
    assert not [name for name in names if "_" in name]
    for name in OURS[:-1]:
        assert names.count(name) == 1, name
    assert values(out, "via")[-1] == b"1.1 lbproxy"
    if not trusted:
        assert not {name for name in names if name.startswith("x-forwarded-")} - set(OURS)
        assert values(out, "x-forwarded-for") == [b"10.1.2.3"]
    assert names.count("expect") == head.expect_continue
    forged = set() if trusted else {"x-host"}
    gone = HOP_BY_HOP | forged | {"proxy", "expect", *OURS[:-1], *(name.decode("latin-1") for name in head.nominated)}
    theirs = [
        pair
        for pair in fields(b"GET / HTTP/1.1" + head.block + b"\r\n\r\n")
        if pair[0] not in gone and "_" not in pair[0] and (trusted or not pair[0].startswith("x-forwarded-"))
    ]
    assert fields(out)[: len(theirs)] == theirs


# ---------------------------------------------------------------- responses


def answer(*lines: bytes, extra: bytes = b"", line: bytes = b"HTTP/1.1 200 OK", method: bytes = b"GET") -> bytes:
    """The head a client gets."""
    return response(heads.response(*lines, line=line, method=method), extra)


def test_a_small_response() -> None:
    """Byte by byte; a 1.0 response becomes a 1.1 one."""
    assert answer(b"Content-Length: 5", b"A: b", line=b"HTTP/1.0 404 Oh No", extra=b"\r\nConnection: close") == (
        b"HTTP/1.1 404 Oh No\r\nContent-Length: 5\r\nA: b\r\nVia: 1.1 lbproxy\r\nConnection: close\r\n\r\n"
    )
    assert answer(b"Content-Length: 5", line=b"HTTP/1.1 200").startswith(b"HTTP/1.1 200 \r\n")


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP - {"connection", "transfer-encoding", "proxy-authorization", "http2-settings"}))
@pytest.mark.parametrize(
    "more", [(), (b"Content-Length: 5",), (b"Connection: keep-alive",), (b"Content-Length: 5", b"Connection: keep-alive")]
)
def test_hop_by_hop_goes(name: str, more: tuple[bytes, ...]) -> None:
    """With whatever other fields that decide something."""
    out = answer(*more, name.upper().encode() + b": x", b"A: b")
    assert not HOP_BY_HOP & set(field_names(out))
    assert values(out, "a") == [b"b"]


@pytest.mark.parametrize(
    "spelled",
    [
        b"Connection: keep-alive",
        b"connection: keep-alive",
        b"Connection:keep-alive",
        b"Connection: Keep-Alive",
        b"Connection: keep-alive ",
        b"Connection: keep-alive,",
    ],
)
def test_keep_alive_goes(spelled: bytes) -> None:
    """In every spelling, first, last and in between; and nothing that resembles it."""
    alike, length = b"X-Connection: keep-alive", b"Content-Length: 5"
    assert field_names(answer(spelled, length, alike)) == ["content-length", "x-connection", "via"]
    assert field_names(answer(alike, length, spelled)) == ["x-connection", "content-length", "via"]
    assert field_names(answer(length, spelled, alike)) == ["content-length", "x-connection", "via"]


def test_nominated_goes() -> None:
    """Set-Cookie2 and its kind can be hop-by-hop for a backend, too."""
    out = answer(b"Connection: close, X-Private", b"X-Private: 1", b"Content-Length: 5", b"A_b: c")
    assert field_names(out) == ["content-length", "a_b", "via"]


@given(st.lists(FIELD, max_size=8), st.sampled_from([200, 304, 100]), st.sampled_from([b"GET", b"HEAD"]))
def test_what_a_client_gets(lines: list[bytes], status: int, method: bytes) -> None:
    """Read again it is the same response, without anything hop-by-hop."""
    try:
        head = heads.response(*lines, line=b"HTTP/1.1 %d" % status, method=method)
    except UpstreamError:
        return
    extra = b"\r\nTransfer-Encoding: chunked" if head.body == CHUNKED else b""
    again = parse_response(response(head, extra), method, 2 * MAX_FIELDS)
    assert (again.status, again.body) == (head.status, head.body)
    assert again.nominated == ()
    assert not (HOP_BY_HOP - {"transfer-encoding", "proxy-authorization", "http2-settings"}) & set(field_names(response(head, b"")))
    assert "transfer-encoding" not in field_names(response(head, b""))


# ---------------------------------------------------------------- cutting


def test_cut() -> None:
    """Whole lines go, first and last ones included, and nothing else changes; without a match it is the same object."""
    lines = line_finder((b"b",))
    for block, left in [
        (b"\r\nB: 1\r\nA: 2", b"\r\nA: 2"),
        (b"\r\nA: 2\r\nb:", b"\r\nA: 2"),
        (b"\r\nB:\r\nB:", b""),
        (b"\r\nBb: 1", b"\r\nBb: 1"),
    ]:
        assert cut(block, block.lower(), lines) == left
    same = b"\r\nA: b: c"
    assert cut(same, same.lower(), lines) is same


def test_without() -> None:
    """By names, whatever their case."""
    assert without(b"\r\nA: 1\r\nB:2\r\nC: a:b", (b"b", b"d")) == b"\r\nA: 1\r\nC: a:b"


@pytest.mark.parametrize(
    "unit", [b"\r\nA_:", b"\r\n_", b"\r\nTE: a", b"\r\nX-Forwarded-", b"\r\nX-Forwarded-For: 10.0.0.1", b"_", b"\r\nA: b"]
)
def test_work_is_linear(unit: bytes) -> None:
    """Sixteen times the head takes about sixteen times as long; back-tracking would take 256 times."""

    def run(middle: bytes) -> None:
        try:
            head = parse_request(b"GET / HTTP/1.1\r\nHost: a\r\nTE:" + middle + b":\r\n\r\n", MAX_LINE, 1 << 30)
        except RequestError:
            return
        for networks in ((), TRUSTED):
            Forwarder("10.1.2.3", "https", 443, networks).request(head)

    assert growth(run, unit * 256, unit * 4096) < 80
