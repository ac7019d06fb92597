"""What the variables say."""

from __future__ import annotations

import base64
import hashlib
from ipaddress import ip_network

import pytest

from lbproxy.config.vocabulary import VARIABLES
from lbproxy.http.forwarding import Forwarder
from lbproxy.http.tls_facts import TlsFacts
from lbproxy.http.variables import CHANGING, RequestFacts, Template, template
from tests.unit.http.heads import request

SUBJECT = ((("countryName", "DE"),), (("organizationName", "A, B"), ("commonName", "c\r\nEvil: 1")))
TLS = TlsFacts("TLSv1.3", "TLS_AES_128_GCM_SHA256", b"\x30\x00der", SUBJECT, SUBJECT[:1], "0AFF")


@pytest.mark.parametrize(("value", "expected"), [
    ("{client_ip}", b"192.0.2.1"), ("{host}", b"example.com"), ("{method}", b"GET"), ("{path}", b"/a"), ("{port}", b"8443"),
    ("{query}", b"b=%0d&c"), ("{scheme}", b"https"), ("{tls_version}", b"TLSv1.3"), ("{tls_cipher}", b"TLS_AES_128_GCM_SHA256"),
    ("{client_cert}", b":" + base64.b64encode(TLS.certificate) + b":"),
    ("{client_fingerprint}", hashlib.sha256(TLS.certificate).hexdigest().encode()),
    ("{client_subject}", rb"O=A\, B+CN=c\0D\0AEvil: 1,C=DE"), ("{client_issuer}", b"C=DE"), ("{client_serial}", b"0aff"),
    ("{request_id}", b"id-1"), ("{trace_id}", b"0123"), ("{backend}", b"app/b"),
    ("a {host} b {method}", b"a example.com b GET"), ('{"json":{"a":[]}}', b'{"json":{"a":[]}}'), ("{Host}", b"{Host}"),
])  # fmt: skip
def test_each(value: str, expected: bytes) -> None:
    """Alone and among texts; braces around anything else are braces."""
    forwarder = Forwarder("192.0.2.1", "https", 8443, (), lambda: TLS)
    head = request(line=b"GET /a?b=%0d&c HTTP/1.1", host=b"Host: Example.com:8443")
    assert template(value).render(RequestFacts(forwarder, head, "id-1", "0123", "app/b")) == expected


def test_what_is_not_there_is_empty() -> None:
    """On plain HTTP, without a certificate, with every mark off."""
    facts = RequestFacts(Forwarder("192.0.2.1", "http", 80, ()), request())
    empty = {name for name in VARIABLES if template(f"{{{name}}}").render(facts) == b""}
    of_tls = {name for name in VARIABLES if name.startswith(("tls_", "client_"))} - {"client_ip", "client_verify"}
    assert empty == of_tls | {"query"} | CHANGING
    assert template("{client_verify}").render(facts) == b"NONE"


def test_the_client_behind_trusted_proxies() -> None:
    """As the access log names it."""
    forwarder = Forwarder("10.0.0.1", "https", 443, (ip_network("10.0.0.0/8"),))
    facts = RequestFacts(forwarder, request(b"X-Forwarded-For: 198.51.100.7, 10.0.0.9"))
    assert template("{client_ip}").render(facts) == b"198.51.100.7"


def test_cut_at_the_variables() -> None:
    """Once, when the configuration is read."""
    assert template("a{host}{path}b") == Template((b"a", b"", b"b"), ("host", "path"))
