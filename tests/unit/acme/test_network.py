"""The way to an authority, which may say anything."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("acme", reason="acme is not installed (pip install -e '.[test]')")

from lbproxy.acme.network import LARGEST, AuthorityRefused, explained
from tests.unit.acme.conftest import Desk


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"7", b"[" * 50_000, b"x" * (LARGEST + 1), b"\xff\xfe"])
def test_whatever_it_says_it_is_refused(desk: Desk, content: bytes) -> None:
    """Nonsense, what is too long, what is nested too deeply: words for people, no traceback."""
    desk.stub.bent = lambda path, payload: (200, content)
    with pytest.raises(AuthorityRefused):
        desk.connection().directory()


def test_nobody_is_followed_anywhere_else(desk: Desk) -> None:
    """No redirect, no address without TLS, none of a file."""
    desk.stub.bent = lambda path, payload: (302, b"")
    with pytest.raises(AuthorityRefused):
        desk.connection().directory()
    desk.stub.bent = lambda path, payload: None
    for url in ("http://localhost/", "file:///etc/passwd", "https://", ""):
        with pytest.raises(AuthorityRefused):
            desk.connection().get(url)


def test_a_server_that_is_not_the_one(desk: Desk, tmp_path: Path) -> None:
    """Whose certificate somebody else signed."""
    from lbproxy.acme.authority import AcmeAccount, AuthorityConnection
    from lbproxy.acme.ordering import trusting
    from lbproxy.config.model import AuthorityConfig

    authority = AuthorityConfig(desk.stub.directory)
    with pytest.raises(AuthorityRefused, match="cannot be trusted"):
        AuthorityConnection(authority, None, AcmeAccount(desk.folder, authority), trusting(None), "").directory()


def test_an_explanation_is_one_line() -> None:
    """Whatever the library raises."""
    assert str(explained(RecursionError("deep"))) == "RecursionError: deep"
    before = AuthorityRefused("no", 7.0)
    assert explained(before) is before
