"""Entries of a route's client_certificate."""

from __future__ import annotations

import pytest

from lbproxy.config import certificate_patterns as patterns
from lbproxy.config.units import Parse, ValueRefused


@pytest.mark.parametrize(("parse", "written", "read"), [
    (patterns.dns_name, "Web.Example", "web.example"), (patterns.dns_name, "*.SVC.example", "*.svc.example"),
    (patterns.mailbox, "Ops@Example.com", "Ops@example.com"), (patterns.mailbox, "*@example.com", "*@example.com"),
    (patterns.uri, "urn:device:*", "urn:device:*"), (patterns.uri, "https://a.test/**", "https://a.test/**"),
    (patterns.spiffe_id, "spiffe://a.test/ns/*/sa/web-*", "spiffe://a.test/ns/*/sa/web-*"),
    (patterns.spiffe_id, "spiffe://a.test/**", "spiffe://a.test/**"),
])  # fmt: skip
def test_read(parse: Parse[str], written: str, read: str) -> None:
    assert parse(written) == read


@pytest.mark.parametrize(("parse", "written"), [
    (patterns.dns_name, "*"), (patterns.dns_name, "a.*.test"), (patterns.dns_name, 7), (patterns.mailbox, "example.com"),
    (patterns.mailbox, "a b@example.com"), (patterns.mailbox, "*a@example.com"), (patterns.mailbox, 7), (patterns.uri, "nothing"),
    (patterns.uri, "https://a.test/a b"), (patterns.uri, "https://a.test/*a*"), (patterns.uri, "https://a.test/**/b"),
    (patterns.uri, 7),
    (patterns.spiffe_id, "https://a.test/x"), (patterns.spiffe_id, "spiffe://*/x"), (patterns.spiffe_id, "spiffe://A.test/x"),
    (patterns.spiffe_id, "spiffe://a.test"), (patterns.spiffe_id, "spiffe://a.test/x/../y"), (patterns.spiffe_id, "spiffe://a.test//x"),
    (patterns.spiffe_id, "spiffe://a.test/**/x"), (patterns.spiffe_id, 7),
])  # fmt: skip
def test_refused(parse: Parse[str], written: object) -> None:
    with pytest.raises(ValueRefused):
        parse(written)
