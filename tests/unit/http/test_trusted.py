"""What trusted proxies say, in the spellings that gateways really write; what cannot be read is not the same as nothing."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.config.model import Network
from lbproxy.http.trusted import ClientFacts, client_facts, fields_said, read_node
from tests.unit.http.heads import request
from tests.unit.http.work import growth

TRUSTED: tuple[Network, ...] = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
PEER = "10.1.2.3"


def hear(*lines: bytes, peer: str = PEER) -> ClientFacts:
    """What a trusted proxy tells with these fields."""
    return client_facts(fields_said(request(*lines)), peer, TRUSTED)


@pytest.mark.parametrize(("written", "address"), [
    (b"203.0.113.9", "203.0.113.9"),
    (b"203.0.113.9:50001", "203.0.113.9"),  # Azure's Application Gateway, IIS
    (b"203.0.113.9:", "203.0.113.9"),
    (b"203.0.113.9:_hidden", "203.0.113.9"),  # RFC 7239 6.3
    (b'"203.0.113.9:50001"', "203.0.113.9"),
    (b'" 203.0.113.9 "', "203.0.113.9"),
    (b"[203.0.113.9]:80", "203.0.113.9"),
    (b"2001:db8::1", "2001:db8::1"),
    (b"2001:DB8:0:0::1", "2001:db8::1"),
    (b"[2001:db8::1]", "2001:db8::1"),
    (b"[2001:db8::1]:443", "2001:db8::1"),
    (b'"[2001:db8::1]:443"', "2001:db8::1"),
    (b'"[2001:db8::1]:_a.b"', "2001:db8::1"),
    (b"2001:db8:0:0:0:0:0:1:50001", "2001:db8::1"),  # a ninth group, and one of five digits, are no part of an address
    (b"2001:db8::1:50001", "2001:db8::1"),
    (b"::ffff:203.0.113.9", "203.0.113.9"),
    (b"::ffff:cb00:7109", "203.0.113.9"),
    (b"[::ffff:203.0.113.9]:80", "203.0.113.9"),
    (b"::ffff:203.0.113.9:50001", "203.0.113.9"),
    (b"fe80::1%eth0", "fe80::1"),
    (b"[fe80::1%25eth0]:80", "fe80::1"),
    (b"fe80::1%eth0.100:50001", "fe80::1"),
    *((text, None) for text in (
        b"", b"unknown", b"_hidden", b"localhost", b"nonsense", b'"', b'""', b"[]", b"[", b"[::1", b"::1]", b"[::1]x", b"[::1]:x",
        b"010.0.0.1", b"1.2.3", b"1.2.3.4.5", b"256.0.0.1", b"1.2.3.4%eth0", b"::1%", b"::1%a b", b"::1%%", b"fe80::1%" + b"a" * 65,
        b"\xd9\xa1.1.1.1", b"1.2.3.4:123456", b"1.2.3.4:-1", b"0x7f.1", b"1.2.3.4/24", b"for=1.2.3.4",
    )),
])  # fmt: skip
def test_spellings_of_an_address(written: bytes, address: str | None) -> None:
    assert read_node(written) == (None if address is None else ip_address(address))


@pytest.mark.parametrize(("lines", "client", "unread"), [
    ([], "10.1.2.3", b""),
    ([b"X-Forwarded-For:"], "10.1.2.3", b""),
    ([b"X-Forwarded-For: 203.0.113.7, 10.0.0.1"], "203.0.113.7", b""),
    ([b"X-Forwarded-For: 6.6.6.6, 203.0.113.7,10.0.0.2 ,\t10.0.0.1"], "203.0.113.7", b""),
    ([b"X-Forwarded-For: 10.0.0.3, 10.0.0.1"], "10.0.0.3", b""),
    ([b"X-Forwarded-For: 203.0.113.7:1, 10.0.0.1:2"], "203.0.113.7", b""),
    ([b"X-Forwarded-For: ::ffff:203.0.113.7, ::ffff:10.0.0.1"], "203.0.113.7", b""),
    ([b"X-Forwarded-For: 6.6.6.6", b"x-forwarded-FOR: 203.0.113.7", b"X-Forwarded-For: 10.0.0.1"], "203.0.113.7", b""),
    ([b"X-Forwarded-For: 203.0.113.7,, ,10.0.0.1,"], "203.0.113.7", b""),
    ([b"X-Forwarded-For: ,"], "10.1.2.3", b","),
    ([b"X-Forwarded-For: unknown, 10.0.0.1"], "10.0.0.1", b"unknown"),
    ([b"X-Forwarded-For: 6.6.6.6, unknown, 10.0.0.2, 10.0.0.1"], "10.0.0.2", b"unknown"),
    ([b"X-Forwarded-For: nonsense"], "10.1.2.3", b"nonsense"),
    ([b'X-Forwarded-For: "[2001:db8::1]:5", fd00::1'], "2001:db8::1", b""),
    ([b"Forwarded: for=203.0.113.7"], "203.0.113.7", b""),
    ([b"Forwarded: by=_x; FOR = \"203.0.113.7:5\" ;proto=https , for=10.0.0.1"], "203.0.113.7", b""),
    ([b'Forwarded: for="[2001:db8::1]:5";host="a,b;for=6.6.6.6"'], "2001:db8::1", b""),
    ([b"Forwarded: for=[2001:db8::1]:5"], "2001:db8::1", b""),  # RFC 7239 6 wants quotes; not everybody has read it
    ([b"Forwarded: for=6.6.6.6", b"Forwarded: for=203.0.113.7"], "203.0.113.7", b""),
    ([b"Forwarded: for=203.0.113.7, for=_hidden, for=10.0.0.1"], "10.0.0.1", b"_hidden"),
    ([b"Forwarded: for=203.0.113.7, proto=https"], "10.1.2.3", b"unknown"),
    ([b"Forwarded: proto=https;host=a"], "10.1.2.3", b""),
    ([b"Forwarded: for=203.0.113.7;for=203.0.113.8"], "10.1.2.3", b"unknown"),
    ([b"Forwarded: 203.0.113.7"], "10.1.2.3", b"unknown"),
    ([b'Forwarded: for="203.0.113.7'], "10.1.2.3", b"unknown"),
    ([b"Forwarded: for="], "10.1.2.3", b"unknown"),
    ([b'Forwarded: for="";proto=https'], "10.1.2.3", b"unknown"),
    ([b"Forwarded: proto=https"], "10.1.2.3", b""),
    ([b'Forwarded: for="a\\"b", for="10.0.0.1"'], "10.0.0.1", b"a?b"),
    ([b"X-Real-IP: 203.0.113.7:80"], "203.0.113.7", b""),
    ([b"X-Real-IP: nobody"], "10.1.2.3", b"nobody"),
    ([b"X-Real-IP: 203.0.113.7", b"X-Real-IP: 203.0.113.8"], "10.1.2.3", b"203.0.113.7, 203.0.113.8"),
    ([b"X-Forwarded-For: 203.0.113.7", b"Forwarded: for=6.6.6.6", b"X-Real-IP: 6.6.6.6"], "203.0.113.7", b""),
    ([b"X-Forwarded-For: unknown", b"Forwarded: for=6.6.6.6", b"X-Real-IP: 6.6.6.6"], "10.1.2.3", b"unknown"),
    ([b"Forwarded: for=203.0.113.7", b"X-Real-IP: 6.6.6.6"], "203.0.113.7", b""),
])  # fmt: skip
def test_the_client(lines: list[bytes], client: str, unread: bytes) -> None:
    """From the nearest hop outwards, the first that is no proxy of ours; never further than what is an address."""
    found = hear(*lines)
    assert (found.client.decode(), found.unread) == (client, unread)


@pytest.mark.parametrize(("lines", "chain"), [
    ([], b""),
    ([b"X-Forwarded-For: a:1,  b"], b"a:1,  b"),  # as it came
    ([b"X-Forwarded-For: a", b"X-Forwarded-For: b"], b"a, b"),
    ([b'Forwarded: for="[2001:db8::1]:5", for=_x, for=10.0.0.1'], b"2001:db8::1, unknown, 10.0.0.1"),
    ([b"X-Real-IP: 203.0.113.7"], b"203.0.113.7"),
])  # fmt: skip
def test_the_chain_for_backends(lines: list[bytes], chain: bytes) -> None:
    assert hear(*lines).chain == chain


@pytest.mark.parametrize(("lines", "https", "port"), [
    ([], None, 0),
    ([b"X-Forwarded-Proto: https", b"X-Forwarded-Port: 443"], True, 443),
    ([b"X-Forwarded-Proto: HTTP"], False, 0),
    ([b"X-Forwarded-Proto: wss"], True, 0),  # Traefik's word for a WebSocket over TLS
    ([b"X-Forwarded-Proto: https, http"], True, 0),
    ([b"X-Forwarded-Proto: gopher", b"X-Forwarded-Port: x"], None, 0),
    ([b"X-Forwarded-Port: 65536"], None, 0),
    ([b"X-Forwarded-Port: 8443, 80"], None, 8443),
    ([b"X-Forwarded-Port: \xb2"], None, 0),
    ([b"Forwarded: for=6.6.6.6;proto=http, for=203.0.113.7;proto=https, for=10.0.0.1;proto=http"], True, 0),
    ([b"Forwarded: proto=https"], True, 0),
    ([b"Forwarded: for=203.0.113.7;proto=https", b"X-Forwarded-For: 203.0.113.7"], None, 0),  # one source, not two halves of two
])  # fmt: skip
def test_scheme_and_port(lines: list[bytes], https: bool | None, port: int) -> None:
    found = hear(*lines)
    assert (found.https, found.port) == (https, port)


@given(st.ip_addresses(), st.integers(0, 65535), st.booleans())
def test_any_address_with_a_port(address: object, port: int, quoted: bool) -> None:
    text = f"[{address}]:{port}" if ":" in str(address) else f"{address}:{port}"
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    assert read_node((f'"{text}"' if quoted else text).encode()) == (mapped or address)


@given(st.lists(st.text('fFoOrR="\\;,:[]1.%_ x', max_size=12).map(str.encode), max_size=4))
def test_whatever_is_written(texts: list[bytes]) -> None:
    """It is read without a fault, and the client is an address in any case."""
    for name in (b"X-Forwarded-For: ", b"Forwarded: ", b"X-Real-IP: "):
        found = hear(*(name + text for text in texts))
        ip_address(found.client.decode())


@pytest.mark.parametrize("unit", [b"10.0.0.1,", b'"', b'",', b":", b":_", b"a:1", b"%", b"[", b"for=", b";for=10.0.0.1", b'\\"'])
@pytest.mark.parametrize("name", [b"X-Forwarded-For", b"Forwarded", b"X-Real-IP"])
def test_work_is_linear(name: bytes, unit: bytes) -> None:
    def run(middle: bytes) -> None:
        client_facts({name.lower(): [middle]}, PEER, TRUSTED)

    assert growth(run, unit * 256, unit * 4096) < 80
