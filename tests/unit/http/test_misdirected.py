"""Which hosts may be asked for over a connection, where clients are asked for certificates."""

from __future__ import annotations

import pytest

from lbproxy.http.misdirected import Agreement


def asks(name: str) -> tuple[bool, int]:
    """Of "closed" and "other": by policies of their own; of all else nothing is asked."""
    return {"closed.test": (True, 1), "alike.test": (True, 1), "other.test": (True, 2)}.get(name, (False, 0))


@pytest.mark.parametrize(("opened", "host", "holds"), [
    ("closed.test", b"closed.test", True), ("Closed.test.", b"closed.test", True), ("closed.test", b"closed.test.", True),
    ("closed.test", b"open.test", False), ("closed.test", b"alike.test", False), ("closed.test", b"other.test", False),
    ("open.test", b"closed.test", False), ("open.test", b"elsewhere.test", True), ("open.test", b"", True),
    ("", b"open.test", True), ("", b"closed.test", False), ("", b"192.0.2.1", True), ("closed.test", b"", False),
    ("open.test", b"\xff", True),
])  # fmt: skip
def test_hosts(opened: str, host: bytes, holds: bool) -> None:
    assert Agreement(opened, asks).holds_for(host) is holds


def test_where_everybody_is_asked_alike() -> None:
    """Another host than the one in the handshake is refused all the same; who came by an address may name any."""
    assert not Agreement("a.test", lambda name: (True, 0)).holds_for(b"b.test")
    assert Agreement("", lambda name: (True, 0)).holds_for(b"b.test")
