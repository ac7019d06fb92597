"""Header rules on heads: what comes off, what goes on, and what cannot be touched by them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.config.model import TELLTALES, HeaderRulesConfig
from lbproxy.http.edits import Folded, RequestEdits, ResponseEdits, VaryingLines, covered, fold, telltales, varies
from lbproxy.http.forwarding import Forwarder
from lbproxy.http.forwarding import response as passed_on
from lbproxy.http.h1.request import parse_request
from lbproxy.http.heads import ResponseHeads
from lbproxy.http.tls_facts import TlsFacts
from lbproxy.http.variables import RequestFacts
from tests.unit.http.heads import fields, request, response, values


def forwarder(peer: str = "192.0.2.1") -> Forwarder:
    return Forwarder(peer, "https", 443, ())


def edited(rules: list[HeaderRulesConfig], *lines: bytes, line: bytes = b"GET /a?b=c HTTP/1.1") -> bytes:
    """What a backend gets."""
    head, own = request(*lines, line=line), forwarder()
    return RequestEdits(fold(rules)).apply(own.request(head), RequestFacts(own, head))


def test_set_add_remove() -> None:
    """What came goes, ours is put on; everything else stays in its order."""
    rules = HeaderRulesConfig(set=(("X-Team", "blue"),), add=(("Accept", "text/b"),), remove=("X-Debug", "x-internal-*"))
    sent = edited([rules], b"x-team: red", b"Accept: text/a", b"X-DEBUG: 1", b"X-Internal-A: 1", b"X-Internal: 2", b"X-Team: green")
    assert values(sent, "x-team") == [b"blue"]
    assert values(sent, "accept") == [b"text/a", b"text/b"]
    assert values(sent, "x-debug") == values(sent, "x-internal-a") == []
    assert values(sent, "x-internal") == [b"2"]
    assert sent.startswith(b"GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nAccept: text/a\r\n")


def test_host() -> None:
    """Comes first, and is one; what was asked for stays in X-Forwarded-Host."""
    sent = edited([HeaderRulesConfig(set=(("Host", "app.internal:81"),))])
    assert sent.startswith(b"GET /a?b=c HTTP/1.1\r\nHost: app.internal:81\r\n")
    assert values(sent, "host") == [b"app.internal:81"]
    assert values(sent, "x-forwarded-host") == [b"example.com"]


def test_ours_too() -> None:
    """The rules have the last word on X-Forwarded-*."""
    sent = edited([HeaderRulesConfig(set=(("X-Forwarded-Proto", "spdy"),), remove=("Forwarded",))], b"X-Forwarded-Proto: gopher")
    assert values(sent, "x-forwarded-proto") == [b"spdy"]
    assert values(sent, "forwarded") == []
    assert values(sent, "x-forwarded-for") == [b"192.0.2.1"]


def test_a_routes_rules_follow_its_pools() -> None:
    """They may take away what those have put on, and add to it."""
    pool = HeaderRulesConfig(set=(("X-Team", "blue"), ("X-Pool", "p")), add=(("Accept", "p"),))
    route = HeaderRulesConfig(set=(("x-team", "red"),), add=(("ACCEPT", "r"),), remove=("X-Po*",))
    assert fold([pool, route]) == Folded(("x-team", "x-pool", "x-po*"), (("Accept", "p"), ("x-team", "red"), ("ACCEPT", "r")))
    sent = edited([pool, route], b"Accept: c")
    assert values(sent, "x-team") == [b"red"]
    assert values(sent, "x-pool") == []
    assert values(sent, "accept") == [b"c", b"p", b"r"]


def test_variables() -> None:
    """Filled in; a header that comes out empty is left out, and what came of that name with it."""
    rules = HeaderRulesConfig(set=(("X-Who", "{client_ip} {scheme}"), ("Client-Cert", "{client_cert}")))
    sent = edited([rules], b"X-Who: me", b"X-Query: 1")
    assert values(sent, "x-who") == [b"192.0.2.1 https"]
    assert values(sent, "client-cert") == []
    assert RequestEdits(fold([rules])).steady
    assert not RequestEdits(Folded((), (("X", "{request_id}"),))).steady
    assert varies("{path}")
    assert not varies("{")


def test_responses() -> None:
    """The same on a backend's head; what is default gives way to what is there."""
    rules = HeaderRulesConfig(set=(("X-Team", "blue"),), add=(("Set-Cookie", "a=1"),), remove=("X-Debug",))
    folded = fold([rules])
    edits = ResponseEdits(
        [*telltales([]), *folded.drops], folded.lines, [("X-Frame-Options", "DENY"), ("X-Team", "none"), ("Referrer-Policy", "no")]
    )
    lines = (
        b"Server: x/1.2",
        b"X-Powered-By: y",
        b"x-aspnet-version: 4",
        b"X-AspNetMvc-Version: 5",
        b"Set-Cookie: b=2",
        b"X-DEBUG: 1",
    )
    head = edits.apply(response(*lines, b"x-frame-options: SAMEORIGIN", b"X-Team: red", b"Content-Length: 2"))
    out = passed_on(head, b"")
    names = ["set-cookie", "x-frame-options", "content-length", "x-team", "set-cookie", "referrer-policy", "via"]
    assert [name for name, _ in fields(out)] == names
    assert values(out, "x-team") == [b"blue"]
    assert values(out, "set-cookie") == [b"b=2", b"a=1"]
    assert head.body == 2


def test_interim_responses_only_lose() -> None:
    """They are not the answer yet."""
    edits = ResponseEdits(["server"], [("X-Team", "blue")], [("X-Frame-Options", "DENY")])
    head = edits.apply(response(b"Server: x", b"Link: </a>", line=b"HTTP/1.1 103 Early Hints"))
    assert fields(passed_on(head, b"")) == [("link", b"</a>"), ("via", b"1.1 lbproxy")]


def test_a_backend_cannot_nominate_what_we_put_on() -> None:
    """Its own field of that name is hop by hop then, ours is not."""
    edits = ResponseEdits((), [("X-Team", "blue")], [("X-Frame-Options", "DENY")])
    head = edits.apply(response(b"Connection: close, X-Team, X-Frame-Options", b"X-Team: red", b"X-Frame-Options: ALLOWALL"))
    out = passed_on(head, b"")
    assert values(out, "x-team") == [b"blue"]
    assert values(out, "x-frame-options") == [b"DENY"]
    assert values(out, "connection") == []


def test_nothing_to_do() -> None:
    """The same object: nothing was copied."""
    head = response(b"Content-Length: 0")
    assert ResponseEdits(telltales([]), ()).apply(head) is head


def test_telltales_are_kept_on_request() -> None:
    """By one table or another."""
    assert telltales([]) == tuple(name.lower() for name in TELLTALES)
    assert telltales([HeaderRulesConfig(keep=("Server",)), HeaderRulesConfig(keep=("X-Powered-By",))]) == telltales([])[2:]


def test_varying_lines() -> None:
    """For responses: what differs from one to the next."""
    head, own = request(), forwarder()
    lines = VaryingLines([("X-Served-By", "{backend}"), ("X-Trace", "{trace_id}")])
    assert len(lines) == 2
    assert lines.render(RequestFacts(own, head, backend="app/10.0.0.1:80")) == b"\r\nX-Served-By: app/10.0.0.1:80"


# ---------------------------------------------------------------- properties

NAMES = ["X-A", "x-b", "X-Ab", "Accept", "Cookie", "X-Forwarded-For"]
FRAMING = {"host", "content-length", "transfer-encoding", "connection", "via"}
rule_values = st.from_regex(r"[!-~]([ -~]{0,8}[!-~])?", fullmatch=True).map(lambda text: text.replace("{", "("))
pairs = st.lists(st.tuples(st.sampled_from(NAMES), rule_values), max_size=3).map(tuple)
tables = st.builds(
    HeaderRulesConfig, set=pairs, add=pairs, remove=st.lists(st.sampled_from([*NAMES, "X-*", "ac*"]), max_size=3).map(tuple)
)
came = st.lists(
    st.tuples(st.sampled_from([*NAMES, "X-A-b", "Date", "AcceptX"]), st.sampled_from(["1", "2", "", " 3 "])), max_size=6
).map(lambda found: [f"{name}:{value}".encode() for name, value in found])


@given(st.lists(tables, max_size=2), came, st.sampled_from([b"", b"Content-Length: 3", b"Transfer-Encoding: chunked"]))
def test_like_one_step_after_another(rules: list[HeaderRulesConfig], lines: list[bytes], framing: bytes) -> None:
    """Folded rules do what each table does in turn, said the plain way; framing, routing and order stay."""
    lines = [*lines, framing] if framing else lines
    head, own = request(*lines, line=b"POST /a HTTP/1.1"), forwarder()
    sent = own.request(head)
    got = RequestEdits(fold(rules)).apply(sent, RequestFacts(own, head))
    expected = [(name.encode(), value) for name, value in fields(sent)]
    for table in rules:
        gone = [*table.remove, *(name for name, _ in table.set)]
        expected = [pair for pair in expected if not covered(pair[0].decode(), [name.lower() for name in gone])]
        expected += [(name.lower().encode(), value.encode()) for name, value in (*table.set, *table.add)]
    assert [(name.encode(), value) for name, value in fields(got)] == expected
    assert [pair for pair in fields(got) if pair[0] in FRAMING] == [pair for pair in fields(sent) if pair[0] in FRAMING]
    again = parse_request(got, 8192, 1000)
    assert (again.method, again.target, again.body, again.host) == (head.method, head.target, head.body, head.host)


wire = st.binary(max_size=20)


@given(st.sampled_from(["{path}", "a {query} b", "{host}{method}", "{client_subject}", "{request_id}", "{backend}"]), wire)
def test_no_value_breaks_out_of_its_line(value: str, anything: bytes) -> None:
    """Whatever a variable is made to say: the head has one line more, and no byte in it that a field must not have."""
    head = request().elsewhere(anything, b"/?" + anything, anything, b"")
    own = forwarder()
    text = anything.decode("latin-1")
    facts = RequestFacts(own, head, request_id=text, backend=text)
    sent = own.request(request())
    got = RequestEdits(Folded((), (("X-New", value),))).apply(sent, facts)
    assert got.startswith(sent[:-4])
    assert re.fullmatch(rb"(\r\nX-New: [!-~]([ -~]*[!-~])?)?\r\n\r\n", got[len(sent) - 4 :])


# ---------------------------------------------------------------- beginnings of values


SWAPS = HeaderRulesConfig(replace=(("Destination", "https://a.test/", "http://{host}/"), ("Destination", "https:", "http:")))


@pytest.mark.parametrize(("line", "becomes"), [
    (b"Destination: https://a.test/x https:", b"Destination: http://example.com/x https:"),
    (b"destination:  https://b.test/x", b"destination:  http://b.test/x"),
    (b"Destination: http://a.test/x", b"Destination: http://a.test/x"),
    (b"Destination: HTTPS://a.test/x", b"Destination: HTTPS://a.test/x"),
    (b"X-Destination: https:", b"X-Destination: https:"),
    (b"Destination: see https:", b"Destination: see https:"),
])  # fmt: skip
def test_the_beginning_of_a_value_is_replaced(line: bytes, becomes: bytes) -> None:
    """The first that fits counts, once; WebDAV's MOVE behind TLS names a place that its server must know as its own."""
    head = request(line, b"Destination: https:z")
    facts = RequestFacts(forwarder(), head)
    out = RequestEdits(fold([SWAPS])).apply(forwarder().request(head), facts)
    assert b"\r\n" + becomes + b"\r\nDestination: http:z\r\n" in out


def test_replaced_values_stay_one_value() -> None:
    """Whatever a variable says."""
    edits = RequestEdits(fold([HeaderRulesConfig(replace=(("X-A", "b", "{client_subject}"),))]))
    assert edits.steady
    head = request(b"X-A: bc")
    subject = ((("commonName", "a\r\nX-Evil: 1"),),)
    there = Forwarder("192.0.2.1", "https", 443, (), lambda: TlsFacts(subject=subject))
    assert b"\r\nX-Evil" not in edits.apply(there.request(head), RequestFacts(there, head))
    assert not RequestEdits(fold([HeaderRulesConfig(replace=(("X-A", "b", "{request_id}"),))])).steady


def test_replacing_comes_behind_removing_and_before_setting() -> None:
    """Of one table; and a later table finds what an earlier one has put on."""
    pool = HeaderRulesConfig(set=(("X-A", "old-1"),), replace=(("X-A", "old", "never"),))
    route = HeaderRulesConfig(replace=(("x-a", "old", "new"),))
    assert fold([pool]).lines == (("X-A", "old-1"),)
    assert fold([pool, route]).lines == (("X-A", "new-1"),)


def test_the_beginning_of_a_value_of_a_response() -> None:
    edits = ResponseEdits((), (), swaps=(("Location", "http://app:8080/", "/"), ("Location", "http:", "https:")))
    for said, becomes in ((b"http://app:8080/x", b"/x"), (b"http://b/", b"https://b/"), (b"/y", b"/y")):
        head = edits.apply(response(b"Location: " + said, b"Content-Length: 0", line=b"HTTP/1.1 302 Found"))
        assert head.block.startswith(b"\r\nLocation: " + becomes + b"\r\n")


def test_via_can_be_removed() -> None:
    """Theirs and ours, both ways: nginx does not compress for who names himself (gzip_proxied)."""
    head = request(b"Via: 1.1 theirs")
    out = RequestEdits(fold([HeaderRulesConfig(remove=("Via",))])).apply(forwarder().request(head), RequestFacts(forwarder(), head))
    assert b"\r\nVia:" not in out
    raw = b"HTTP/1.1 200 OK\r\nVia: 1.1 theirs\r\nContent-Length: 0\r\n\r\n"
    assert b"Via:" not in ResponseHeads(9, ResponseEdits(["via"], ())).read(raw, b"GET").out
    assert ResponseHeads(9, ResponseEdits(["x"], ())).read(raw, b"GET").out.count(b"Via:") == 2


def test_what_is_removed_is_removed_in_the_spelling_of_cgi_too() -> None:
    """Only routes that pass underscores see such names at all."""
    edits = RequestEdits(fold([HeaderRulesConfig(set=(("X-User-Id", "7"),))]))
    head = request(b"X_User-Id: 1", b"X-User_Id: 2", b"X_User_Id: 3", b"X-User-Id: 4").with_underscores()
    out = edits.apply(forwarder().request(head), RequestFacts(forwarder(), head))
    assert [line for line in out.split(b"\r\n") if b"ser" in line] == [b"X-User-Id: 7"]
