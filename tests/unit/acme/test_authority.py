"""Accounts at authorities."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("acme", reason="acme is not installed (pip install -e '.[test]')")

from lbproxy.acme.network import AuthorityRefused
from tests.unit.acme.conftest import Desk


def test_an_account_is_made_once_and_kept(desk: Desk) -> None:
    """For its owner alone; another process that comes by the folder has the same one."""
    for _ in range(2):
        desk.connection().ask(f"{desk.stub.url}/newOrder", {})
    assert desk.stub.accounts == [{"termsOfServiceAgreed": True, "contact": ["mailto:ops@example.com"]}]
    (kept,) = desk.path.glob("account-*.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert json.loads(kept.read_text())["address"] == f"{desk.stub.url}/account/1"


def test_an_account_that_is_bound_to_another(desk: Desk) -> None:
    """By a signature with the key that the authority gave (RFC 8555 7.3.4)."""
    desk.connection(eab_key_id="kid-1").ask(f"{desk.stub.url}/newOrder", {})
    assert set(desk.stub.accounts[0]["externalAccountBinding"]) == {"protected", "payload", "signature"}


def test_an_authority_that_wants_to_know_whose_it_is(desk: Desk) -> None:
    """It is told in the words of the configuration what is missing."""
    told = {**{name: f"{desk.stub.url}/{name}" for name in ("newNonce", "newAccount")}, "meta": {"externalAccountRequired": True}}
    desk.stub.bent = lambda path, payload: (200, json.dumps(told).encode()) if path == "/dir" else None
    with pytest.raises(AuthorityRefused, match="eab_key_id"):
        desk.connection().ask(f"{desk.stub.url}/newOrder", {})


def test_an_account_that_is_forgotten_there_is_made_anew(desk: Desk) -> None:
    """With the next attempt."""
    connection = desk.connection()
    connection.ask(f"{desk.stub.url}/newOrder", {})
    gone = b'{"type": "urn:ietf:params:acme:error:accountDoesNotExist", "detail": "who?"}'
    desk.stub.bent = lambda path, payload: (400, gone) if path == "/newOrder" else None
    with pytest.raises(AuthorityRefused, match="accountDoesNotExist: who"):
        connection.ask(f"{desk.stub.url}/newOrder", {})
    desk.stub.bent = lambda path, payload: None
    desk.connection().ask(f"{desk.stub.url}/newOrder", {})
    assert len(desk.stub.accounts) == 2


def test_a_file_that_holds_no_account_is_not_overwritten(desk: Desk) -> None:
    """It may be what is left of one."""
    desk.connection()
    (kept,) = desk.path.glob("account-*.json")
    kept.write_text("{}")
    with pytest.raises(OSError, match="no account"):
        desk.connection()
    assert kept.read_text() == "{}"
