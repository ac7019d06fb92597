"""Keys of session tickets: whose tickets are taken, and by whom."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from lbproxy.config.model import Address, ListenConfig, ListenTlsConfig
from lbproxy.errors import StartError
from lbproxy.net.wire import ticket_slot
from lbproxy.tls import tickets
from lbproxy.tls.contexts import outer_key
from lbproxy.tls.showcase import server_context
from lbproxy.tls.tickets import TicketKeys, derived, made, packed, read_secrets, unpacked
from tests.unit.tls.files import pair
from tests.unit.tls.wire import Ends, connect, talk

pytestmark = pytest.mark.skipif(not tickets.available(), reason="OpenSSL is older than 3.0")
FORMS = [None, ticket_slot]
"""By Python, and by C where that is compiled."""


def client(version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = version
    return context


def server(listen: ListenConfig, *secrets: bytes, native: Callable[[int, bytes], int] | None = None) -> ssl.SSLContext:
    context = server_context(listen)
    assert TicketKeys(native).use(secrets, [(context, outer_key(listen))])
    return context


def visited(here: ssl.SSLContext, there: ssl.SSLContext, before: Ends | None = None) -> Ends:
    ends = connect(here, there, "a.test", None if before is None else before.client.session)
    talk(ends)
    return ends


@pytest.fixture
def listen(tmp_path: Path) -> ListenConfig:
    return ListenConfig(Address("127.0.0.1", 0), (pair(tmp_path, "a.test"), pair(tmp_path, "b.test")))


@pytest.mark.parametrize("native", FORMS, ids=["python", "c"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_whoever_has_the_secret_takes_the_ticket(
    listen: ListenConfig, native: Callable[[int, bytes], int] | None, version: ssl.TLSVersion
) -> None:
    """Contexts that have nothing else in common resume; so does one that only still takes it, and makes a new one of its own."""
    here, (old, new, other) = client(version), (made(), made(), made())
    first = visited(here, server(listen, old, native=native))
    assert not first.server.session_reused
    assert visited(here, server(listen, old, native=native), first).server.session_reused
    second = visited(here, server(listen, new, old, native=native), first)
    assert second.server.session_reused
    assert visited(here, server(listen, new, native=native), second).server.session_reused
    assert not visited(here, server(listen, other, native=native), first).server.session_reused


@pytest.mark.parametrize("native", FORMS, ids=["python", "c"])
def test_whoever_resumes_gets_another_ticket(listen: ListenConfig, native: Callable[[int, bytes], int] | None) -> None:
    """A ticket of TLS 1.3 is for one use (RFC 8446 C.4): a client that keeps to it would have none left after two visits."""
    here, context = client(), server(listen, made(), native=native)
    first = visited(here, context)
    second = visited(here, context, first)
    assert second.server.session_reused
    assert second.client.session != first.client.session
    assert visited(here, context, second).server.session_reused


@pytest.mark.parametrize("native", FORMS, ids=["python", "c"])
def test_keys_change_while_a_context_serves(listen: ListenConfig, native: Callable[[int, bytes], int] | None) -> None:
    """One that is neither first nor second any more is refused, with a full handshake."""
    here, context, keys = client(), server_context(listen), TicketKeys(native)
    secrets = [made() for _ in range(3)]
    asked = [(context, outer_key(listen))]
    keys.use(secrets[:1], asked)
    first = visited(here, context)
    keys.use([secrets[1], secrets[0]], asked)
    assert visited(here, context, first).server.session_reused
    keys.use([secrets[2], secrets[1]], asked)
    assert not visited(here, context, first).server.session_reused


def test_a_session_of_an_open_listener_is_none_of_a_closed_one(listen: ListenConfig, tmp_path: Path) -> None:
    """Nor of one with another profile; the same secret notwithstanding. Where it listens and what is spoken makes no difference."""
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    secret, here = made(), client()
    first = visited(here, server(listen, secret))
    closed = replace(listen, tls=ListenTlsConfig(client_ca=tmp_path / "ca.pem", client_auth="optional"))
    assert not visited(here, server(closed, secret), first).server.session_reused
    strict = replace(listen, tls=ListenTlsConfig("modern"))
    assert not visited(here, server(strict, secret), first).server.session_reused
    elsewhere = replace(listen, address=Address("127.0.0.1", 1), protocols=("http/1.1",))
    assert visited(here, server(elsewhere, secret), first).server.session_reused


def test_more_kinds_of_listeners_than_there_is_room_for_in_c() -> None:
    """Are answered by Python."""
    keys = TicketKeys(lambda slot, keys: 0)
    contexts = [ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(12)]
    listens = [outer_key(ListenConfig(Address("127.0.0.1", 0)))._replace(profile=str(number)) for number in range(12)]
    assert keys.use([made()], list(zip(contexts, listens, strict=True)))
    assert len(keys._plain) == 12
    assert ticket_slot(8, derived(made(), b"")) == 0


def test_secrets_in_files(tmp_path: Path) -> None:
    """As nginx has them, 80 bytes or 48; anything else is none."""
    paths = [tmp_path / "a", tmp_path / "b"]
    for path, size in zip(paths, (80, 48), strict=True):
        path.write_bytes(bytes([size]) * size)
    found = read_secrets(paths)
    assert [len(each) for each in found] == [80, 48]
    assert unpacked(packed(found)) == found
    paths[0].write_bytes(b"x" * 81)
    with pytest.raises(StartError, match=r"wanted 80 or 48 bytes, came 81 \(openssl rand 80 > "):
        read_secrets(paths)
    with pytest.raises(StartError, match="No such file"):
        read_secrets([tmp_path / "c"])
