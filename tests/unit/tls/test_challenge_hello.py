"""tls-alpn-01 in handshakes, beside those of everybody else."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lbproxy.acme.challenge_certificate import challenge_certificate
from lbproxy.tls.alpn import insist
from lbproxy.tls.challenge_hello import ACME_TLS, ChallengeHellos, available, name_in
from lbproxy.tls.selfsigned import placeholder

if not available():
    pytest.skip("this Python's OpenSSL keeps its functions to itself", allow_module_level=True)


def outer(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (folder / "pem").write_bytes(placeholder("everybody", datetime.now(UTC)))
    context.load_cert_chain(folder / "pem")
    insist(context, ("http/1.1",))
    context.sni_callback = lambda connection, name, its: None
    return context


def shaken(server: ssl.SSLContext, name: str, *protocols: str, groups: bool = False) -> tuple[bytes, str | None]:
    """The certificate that a client is shown, and the protocol. Raises ssl.SSLError."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    if protocols:
        client.set_alpn_protocols(list(protocols))
    bios = [ssl.MemoryBIO() for _ in range(2)]
    one = client.wrap_bio(bios[0], bios[1], server_hostname=name)
    other = server.wrap_bio(bios[1], bios[0], server_side=True)
    done = set[ssl.SSLObject]()
    for _ in range(10):
        for side in (one, other):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                pass
        if len(done) == 2:
            break
    return one.getpeercert(binary_form=True) or b"", one.selected_alpn_protocol()


def der(pem: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem[pem.index("-----BEGIN CERTIFICATE") :])


@pytest.mark.parametrize("asks", [ssl.CERT_NONE, ssl.CERT_REQUIRED])
def test_an_authority_is_shown_what_it_asks_for(tmp_path: Path, asks: ssl.VerifyMode) -> None:
    """Also where clients have to show certificates; everybody else sees what is served, by TLS 1.3 and 1.2."""
    server = outer(tmp_path)
    hellos = ChallengeHellos([server])
    pem = challenge_certificate("a.test", "token.thumb", datetime.now(UTC))
    hellos.show("a.test", pem)
    server.verify_mode = asks
    for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
        server.maximum_version = version
        assert shaken(server, "A.test", ACME_TLS) == (der(pem), ACME_TLS)
    server.verify_mode = ssl.CERT_NONE
    assert shaken(server, "a.test", "http/1.1")[0] != der(pem)
    assert shaken(server, "a.test")[0] != der(pem)
    hellos.hide("a.test")
    with pytest.raises(ssl.SSLError):
        shaken(server, "a.test", ACME_TLS)


def test_nobody_else_gets_it(tmp_path: Path) -> None:
    """Who offers other protocols as well, or asks for another name."""
    server = outer(tmp_path)
    hellos = ChallengeHellos([server])
    pem = challenge_certificate("a.test", "token.thumb", datetime.now(UTC))
    hellos.show("a.test", pem)
    shown, protocol = shaken(server, "a.test", ACME_TLS, "http/1.1")
    assert (shown != der(pem), protocol) == (True, "http/1.1")
    with pytest.raises(ssl.SSLError):
        shaken(server, "b.test", ACME_TLS)
    hellos.hide("a.test")
    hellos.hide("a.test")


@pytest.mark.parametrize(("extension", "name"), [
    (b"\x00\x09\x00\x00\x06A.test", "a.test"), (b"", ""), (b"\x00\x09\x01\x00\x06a.test", ""), (b"\x00\x09\x00\x00\xffa.test", ""),
    (b"\x00\x09\x00\x00\x06\xff.test", ""),
])  # fmt: skip
def test_names_in_hellos(extension: bytes, name: str) -> None:
    """Whatever a client wrote there."""
    assert name_in(extension) == name
