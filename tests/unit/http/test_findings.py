"""Findings: what steps say to a backend nobody else says there, in no spelling."""

from __future__ import annotations

import json

import pytest

from lbproxy.http.findings import LONGEST_USER, Findings, every_spelling

SENT = b"GET / HTTP/1.1\r\nHost: a\r\n%b: root\r\nX-Other: 1\r\n\r\n"


@pytest.mark.parametrize("name", [b"X-Remote-User", b"x-remote-user", b"X_Remote_User", b"X.Remote-User", b"X-REMOTE_USER"])
def test_what_came_is_taken_off_in_every_spelling(name: bytes) -> None:
    """And ours goes on."""
    found = Findings()
    found.claim(["X-Remote-User"])
    found.tell_backend(b"\r\nX-Remote-User: alice")
    assert found.request(SENT % name) == b"GET / HTTP/1.1\r\nHost: a\r\nX-Other: 1\r\nX-Remote-User: alice\r\n\r\n"


@pytest.mark.parametrize("name", [b"X-Remote-User2", b"XX-Remote-User", b"Remote-User", b"X--Remote-User"])
def test_other_names_stay(name: bytes) -> None:
    """Those that nobody takes for it."""
    found = Findings()
    found.claim(["X-Remote-User"])
    assert found.request(SENT % name) == SENT % name


def test_a_head_of_which_nothing_is_claimed_stays_the_same_object() -> None:
    """It is remembered by that."""
    sent = SENT % b"X-A"
    assert Findings().request(sent) is sent


def test_a_name_with_an_underscore_is_claimed_with_its_twins() -> None:
    """However the configuration spells it."""
    assert every_spelling(("x_user.name",)).search(b"\r\nx-user-name: a") is not None


def test_the_log_line_is_one_whatever_a_user_is_called() -> None:
    """JSON, and bounded."""
    found = Findings()
    assert found.logged() == ""
    found.note("authorize", "allowed")
    found.note("jwt", "allowed")
    found.user = '"\n\xe9' + "x" * 5000
    told = json.loads("{" + found.logged()[1:] + "}")
    assert told == {"inspected": "authorize=allowed jwt=allowed", "user": found.user[:LONGEST_USER]}
    assert found.logged().isascii()
