"""No sessions of clients without tickets are kept."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from lbproxy.config.model import Address, ListenConfig, ListenTlsConfig
from lbproxy.tls import session_cache
from lbproxy.tls.showcase import server_context
from tests.unit.tls.files import pair
from tests.unit.tls.wire import Ends, connect, talk


def goodbye(ends: Ends) -> None:
    """An orderly end, after which OpenSSL would keep the session."""
    for end in (ends.client, ends.server, ends.client):
        try:
            end.unwrap()
        except ssl.SSLWantReadError:
            pass  # the other end's is to come


@pytest.mark.parametrize("tickets", [True, False])
def test_nothing_is_kept_of_a_client(tmp_path: Path, tickets: bool) -> None:
    """Neither of one that knows tickets, nor of one that knows none; the former resumes, the latter does not."""
    server = server_context(ListenConfig(Address("127.0.0.1", 0), (pair(tmp_path, "a.test"),), ListenTlsConfig()))
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    if not tickets:
        client.options |= ssl.OP_NO_TICKET
    session = None
    for _ in range(5):
        ends = connect(client, server, "a.test", session)
        talk(ends)
        session = ends.client.session
        assert ends.server.session_reused in (False, tickets)
        goodbye(ends)
    assert server.session_stats()["number"] == 0
    assert connect(client, server, "a.test", session).server.session_reused is tickets


def test_it_can_be_switched_off_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is off, or cannot be asked, is left alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert session_cache.switch_off(context)
    assert not session_cache.switch_off(context)
    monkeypatch.setattr("_ssl.__file__", "/nonexistent")
    assert not session_cache.switch_off(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
