"""What a query says, in every reading that somebody has of it."""

from __future__ import annotations

import pytest

from lbproxy.http.query import unescaped, values_by_name


@pytest.mark.parametrize(("query", "values"), [
    (b"", {}), (b"debug=1", {b"debug": {b"1"}}), (b"debug", {b"debug": {b""}}), (b"debug=", {b"debug": {b""}}),
    (b"debug=0&debug=1", {b"debug": {b"0", b"1"}}),
    (b"%64ebug=%31", {b"debug": {b"1"}}), (b"d%65bug=1%26x", {b"debug": {b"1&x"}}),
    (b"a=b+c", {b"a": {b"b+c", b"b c"}}), (b"a+b=1", {b"a+b": {b"1"}, b"a b": {b"1"}}), (b"a=b%2Bc", {b"a": {b"b+c"}}),
    (b"a=1;b=2", {b"a": {b"1;b=2", b"1"}, b"b": {b"2"}}), (b"a=b=c", {b"a": {b"b=c"}}),
    (b"&&=x&", {}), (b"a=%zz&b=%4", {b"a": {b"%zz"}, b"b": {b"%4"}}), (b"a=%25%33%31", {b"a": {b"%31"}}),
])  # fmt: skip
def test_every_reading(query: bytes, values: dict[bytes, set[bytes]]) -> None:
    """Repeated names, escapes (once, not twice), plus signs, semicolons."""
    assert values_by_name(query) == values


def test_escapes() -> None:
    """All bytes, whatever the case of the digits."""
    assert unescaped(b"%c3%A4%00") == b"\xc3\xa4\x00"
