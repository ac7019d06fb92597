"""Heads that are made of stored ones; the cases by section are in test_cases.py."""

from __future__ import annotations

from lbproxy.http.caching import heads
from lbproxy.http.h1.response import parse_response
from tests.unit.http.heads import fields, response

HEAD = heads.stored(
    response(b"Content-Type: text/css", b'ETag: "a"', b"Last-Modified: x", b"Vary: A", b"Cache-Control: max-age=9", b"X: 1"),
    b"\r\nDate: y",
)


def test_sized() -> None:
    """Each is a head that any reader takes."""
    assert parse_response(heads.sized(HEAD, 5), b"GET", 100).body == 5
    assert parse_response(heads.sized(HEAD, -1), b"GET", 100).body < 0
    nothing = heads.stored(response(line=b"HTTP/1.1 204 No Content"), b"")
    assert heads.sized(nothing, 0) == b"HTTP/1.1 204 No Content\r\n\r\n"


def test_not_modified() -> None:
    """Last-Modified only where there is nothing better."""
    names = [name for name, _ in fields(heads.not_modified(HEAD))]
    assert sorted(names) == ["cache-control", "date", "etag", "vary"]
    untagged = heads.stored(response(b"Last-Modified: x"), b"")
    assert heads.not_modified(untagged) == b"HTTP/1.1 304 Not Modified\r\nLast-Modified: x\r\n\r\n"


def test_part() -> None:
    """It says which, and how many there are."""
    said = dict(fields(heads.part(HEAD, 2, 4, 10)))
    assert said["content-range"] == b"bytes 2-4/10"
    assert said["content-length"] == b"3"
    assert said["etag"] == b'"a"'


def test_digests_of_a_part() -> None:
    """What tells of the bytes that come is not said of others; what tells of the whole is (RFC 9530 2, 3)."""
    told = b"Content-MD5: a", b"content-digest: sha-256=:a:", b"Repr-Digest: sha-256=:a:", b"Digest: sha-256=a"
    head = heads.stored(response(*told), b"")
    assert {name for name, _ in fields(heads.part(head, 2, 4, 10))} == {"repr-digest", "digest", "content-range", "content-length"}
    assert {name for name, _ in fields(heads.sized(head, 10))} > {"content-md5", "content-digest"}


def test_unsatisfiable() -> None:
    """It says how many there are."""
    made = heads.unsatisfiable(HEAD, 10)
    assert dict(fields(made))["content-range"] == b"bytes */10"
    assert parse_response(made, b"GET", 100).status == 416
