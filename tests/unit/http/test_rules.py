"""What requests say, against rules: patterns with stars as `fnmatch` would have them, in linear work."""

from __future__ import annotations

import pytest

from lbproxy.config.model import RefuseConfig
from lbproxy.http.h1.request import parse_request
from lbproxy.http.message import RequestHead
from lbproxy.http.rules import make_rule


def request(head: bytes) -> RequestHead:
    return parse_request(head, 8192, 100)


@pytest.mark.parametrize(("rule", "head", "refused"), [
    (RefuseConfig("x", methods=("POST", "PUT")), request(b"POST / HTTP/1.1\r\nHost: h\r\n\r\n"), True),
    (RefuseConfig("x", methods=("POST", "PUT")), request(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"), False),
    (RefuseConfig("x", path="/wp-*"), request(b"GET /wp-login.php HTTP/1.1\r\nHost: h\r\n\r\n"), True),
    (RefuseConfig("x", path="/wp-*"), request(b"GET /%77p%2dlogin.php?x HTTP/1.1\r\nHost: h\r\n\r\n"), True),
    (RefuseConfig("x", path="/wp-*"), request(b"GET /a/../wp-login.php HTTP/1.1\r\nHost: h\r\n\r\n"), True),
    (RefuseConfig("x", path="/wp-*"), request(b"GET /x/wp-login.php HTTP/1.1\r\nHost: h\r\n\r\n"), False),
    (RefuseConfig("x", path="*.php"), request(b"GET /x.php?y=.html HTTP/1.1\r\nHost: h\r\n\r\n"), True),
    (RefuseConfig("x", path="/a"), request(b"GET /a/ HTTP/1.1\r\nHost: h\r\n\r\n"), False),
    (RefuseConfig("x", header="X-Debug"), request(b"GET / HTTP/1.1\r\nHost: h\r\nx-DEBUG:\r\n\r\n"), True),
    (RefuseConfig("x", header="X-Debug"), request(b"GET / HTTP/1.1\r\nHost: h\r\nX-Debugger: 1\r\n\r\n"), False),
    (RefuseConfig("x", header="User-Agent", value="*CURL*"), request(b"GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: a Curl/8\r\n\r\n"),
        True),
    (RefuseConfig("x", header="User-Agent", value="*curl*"), request(b"GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: wget\r\n\r\n"),
        False),
    (RefuseConfig("x", header="User-Agent", value="*curl*"), request(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"), False),
    (RefuseConfig("x", header="A", value="2"), request(b"GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\na:  2 \r\n\r\n"), True),
    (RefuseConfig("x", header="A", value=""), request(b"GET / HTTP/1.1\r\nHost: h\r\nA:  \r\n\r\n"), True),
    (RefuseConfig("x", header="A", value="\xe9*"), request(b"GET / HTTP/1.1\r\nHost: h\r\nA: \xe9t\xe9\r\n\r\n"), True),
    (RefuseConfig("x", without="Authorization"), request(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"), True),
    (RefuseConfig("x", without="Authorization"), request(b"GET / HTTP/1.1\r\nHost: h\r\nauthorization: x\r\n\r\n"), False),
    (RefuseConfig("x", ("GET",), "/a*", "A", None, "B"), request(b"GET /a HTTP/1.1\r\nHost: h\r\nA: 1\r\n\r\n"), True),
    (RefuseConfig("x", ("GET",), "/a*", "A", None, "B"), request(b"GET /a HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 1\r\n\r\n"), False),
    (RefuseConfig("x", ("GET",), "/a*", "A", None, "B"), request(b"GET /b HTTP/1.1\r\nHost: h\r\nA: 1\r\n\r\n"), False),
])  # fmt: skip
def test_a_rule_refuses_what_all_of_it_fits(rule: RefuseConfig, head: RequestHead, refused: bool) -> None:
    assert make_rule(rule).refuses(head) is refused
