"""Which requests are looked up; the cases by section are in test_cases.py."""

from __future__ import annotations

import pytest

from lbproxy.http.caching.serving import looked_up, only_if_cached, unsafe
from tests.unit.http.heads import request


@pytest.mark.parametrize("line", [b"Content-Length: 3", b"Transfer-Encoding: chunked"])
def test_fat_get(line: bytes) -> None:
    """A GET with a body is nobody's answer but its own."""
    assert not looked_up(request(line))


@pytest.mark.parametrize("name", [b"X-HTTP-Method-Override", b"X-HTTP-Method", b"x-method-override"])
def test_method_override(name: bytes) -> None:
    """A GET that backends may take for something else is no GET here."""
    assert not looked_up(request(name + b": DELETE"))


@pytest.mark.parametrize(("method", "found", "changes"), [
    (b"GET", True, False), (b"HEAD", True, False), (b"OPTIONS", False, False), (b"POST", False, True),
    (b"PUT", False, True), (b"DELETE", False, True), (b"PATCH", False, True), (b"PURGE", False, True),
])  # fmt: skip
def test_methods(method: bytes, found: bool, changes: bool) -> None:
    """A client's PURGE is a method as any that nobody knows."""
    head = request(line=method + b" / HTTP/1.1")
    assert (looked_up(head), unsafe(head)) == (found, changes)


def test_only_if_cached() -> None:
    """It is said by Cache-Control."""
    assert only_if_cached(request(b"Cache-Control: only-if-cached"))
    assert not only_if_cached(request())
