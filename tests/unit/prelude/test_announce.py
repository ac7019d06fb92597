"""PROXY headers that we write, beside the bytes of HAProxy's own description."""

from __future__ import annotations

from lbproxy.prelude.announce import LOCAL, Ends, header
from lbproxy.prelude.proxy_header import NOBODY, SIGNATURE, parse

ENDS = Ends("192.0.2.7", 51000, "198.51.100.1", 443)


def test_version_1() -> None:
    assert header("v1", ENDS) == b"PROXY TCP4 192.0.2.7 198.51.100.1 51000 443\r\n"
    assert header("v1", Ends("2001:db8::7", 1, "2001:db8::1", 2)) == b"PROXY TCP6 2001:db8::7 2001:db8::1 1 2\r\n"


def test_version_2() -> None:
    expected = SIGNATURE + bytes.fromhex("2111 000c c0000207 c6336401 c738 01bb")
    assert header("v2", ENDS) == expected
    fields = bytes.fromhex("01 0002") + b"h2" + bytes.fromhex("02 000a") + b"db.example" + bytes.fromhex("05 0001") + b"7"
    told = header("v2", ENDS, b"db.example", b"h2", b"7")
    assert told == expected[:14] + (12 + len(fields)).to_bytes(2, "big") + expected[16:] + fields


def test_families_that_differ_are_written_as_one() -> None:
    """Both versions have one word for both addresses."""
    mixed = Ends("192.0.2.7", 1, "2001:db8::1", 2)
    assert header("v1", mixed) == b"PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 1 2\r\n"
    assert header("v2", mixed)[13] == 0x21


def test_an_id_that_is_too_long_is_left_out() -> None:
    assert header("v2", ENDS, unique_id=b"x" * 129) == header("v2", ENDS)


def test_a_health_check_names_nobody() -> None:
    for version, written in LOCAL.items():
        assert parse(written) == (NOBODY, len(written)), version
