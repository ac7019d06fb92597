"""The self-signed certificate: verifiable, private, kept, and replaced when it has to be."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from lbproxy.config.model import Address, CertificateConfig, Config, ListenConfig
from lbproxy.tls.audit import audit
from lbproxy.tls.remarks import remarks
from lbproxy.tls.selfsigned import LIFETIME, SelfSigned, ensure

NOW = datetime.now(UTC)
NAMES = ["localhost", "127.0.0.1", "::1"]


def certificate_in(made: SelfSigned) -> x509.Certificate:
    return x509.load_pem_x509_certificate(made.cert.read_bytes())


def handshake(made: SelfSigned, name: str) -> None:
    """A strict client that trusts this file alone meets a server that shows it. Raises ssl.SSLError."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.cert, made.key)
    client = ssl.create_default_context(cafile=str(made.cert))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            with server.wrap_socket(theirs, server_side=True) as stream:
                stream.recv(1)
        except OSError:
            pass  # the client refused us; it tells why

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname=name):
            pass
    finally:
        ours.close()
        thread.join()
        theirs.close()


def test_it_verifies_by_every_name(tmp_path: Path) -> None:
    """With verification on, strictly; and by no other name."""
    made = ensure(tmp_path, [*NAMES, "box.internal"], NOW)
    for name in (*NAMES, "box.internal"):
        handshake(made, name)
    with pytest.raises(ssl.SSLCertVerificationError, match="match"):
        handshake(made, "example.com")


def test_what_it_is(tmp_path: Path) -> None:
    """P-256, short-lived enough for browsers, for servers only, and no authority over other names."""
    made = ensure(tmp_path, [*NAMES, "localhost"], NOW)
    certificate = certificate_in(made)
    public = certificate.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert isinstance(public.curve, ec.SECP256R1)
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc <= timedelta(days=397)
    assert certificate.not_valid_before_utc <= NOW
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("127.0.0.1"), ip_address("::1")]
    assert made.expires == certificate.not_valid_after_utc


def test_start_accepts_it(tmp_path: Path) -> None:
    """What start checks about certificates holds for ours."""
    made = ensure(tmp_path, NAMES, NOW)
    listen = ListenConfig(Address("127.0.0.1", 8443), (CertificateConfig(made.cert, made.key),))
    config = Config("", (listen,), (), ())
    assert audit(config) == remarks(config).at(NOW) == []


def test_the_key_is_private(tmp_path: Path) -> None:
    """Whatever the umask says, and nothing else is left lying about."""
    before = os.umask(0)
    try:
        made = ensure(tmp_path, NAMES, NOW)
    finally:
        os.umask(before)
    assert made.key.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "quick.crt", "quick.key"]


def test_the_fingerprint_is_the_browsers(tmp_path: Path) -> None:
    """SHA-256 of the DER, in pairs."""
    made = ensure(tmp_path, NAMES, NOW)
    der = ssl.PEM_cert_to_DER_cert(made.cert.read_text())
    assert made.fingerprint.replace(":", "").lower() == hashlib.sha256(der).hexdigest()
    assert len(made.fingerprint.split(":")) == 32


def test_it_is_kept(tmp_path: Path) -> None:
    """Who trusted it once trusts it at the next run; fewer names than it has are fine."""
    first = ensure(tmp_path, NAMES, NOW)
    again = ensure(tmp_path, NAMES[:1], NOW + LIFETIME - timedelta(days=8))
    assert (first.fresh, again.fresh) == (True, False)
    assert again.fingerprint == first.fingerprint


def _another_key(made: SelfSigned) -> None:
    made.key.write_bytes(ensure(_subdirectory(made), NAMES, NOW).key.read_bytes())


def _subdirectory(made: SelfSigned) -> Path:
    other = made.cert.parent / "other"
    other.mkdir()
    return other


@pytest.mark.parametrize("harm", [
    lambda made: made.cert.unlink(),
    lambda made: made.key.unlink(),
    lambda made: made.cert.write_text("-----BEGIN CERTIFICATE-----\nnonsense"),
    lambda made: made.key.write_text(""),
    lambda made: made.key.chmod(0o644),
    _another_key,
])  # fmt: skip
def test_it_is_replaced_when_harmed(tmp_path: Path, harm: object) -> None:
    """Gone, damaged, not a pair, or readable by others: the new pair works."""
    first = ensure(tmp_path, NAMES, NOW)
    assert callable(harm)
    harm(first)
    again = ensure(tmp_path, NAMES, NOW)
    assert again.fresh
    assert again.fingerprint != first.fingerprint
    assert again.key.stat().st_mode & 0o777 == 0o600
    handshake(again, "localhost")


@pytest.mark.parametrize(("names", "later"), [
    ([*NAMES, "10.1.2.3"], timedelta()),
    (NAMES, LIFETIME - timedelta(days=6)),
    (NAMES, -timedelta(days=30)),
])  # fmt: skip
def test_it_is_replaced_when_it_does_not_do(tmp_path: Path, names: list[str], later: timedelta) -> None:
    """A name it lacks, less than a week left, a clock that was set back."""
    ensure(tmp_path, NAMES, NOW)
    assert ensure(tmp_path, names, NOW + later).fresh


def test_two_first_runs_at_once_agree(tmp_path: Path) -> None:
    """One makes it, the others find it; nobody sees the key of one and the certificate of another."""
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: ensure(tmp_path, NAMES, NOW), range(4)))
    assert len({each.fingerprint for each in made}) == 1
    assert sum(each.fresh for each in made) == 1
    handshake(made[0], "localhost")


def test_no_key_through_a_link(tmp_path: Path) -> None:
    """A link where the key should be is replaced, not followed."""
    (tmp_path / "target").write_text("precious")
    (tmp_path / "quick.key").symlink_to(tmp_path / "target")
    made = ensure(tmp_path, NAMES, NOW)
    assert (tmp_path / "target").read_text() == "precious"
    assert not made.key.is_symlink()


def test_a_directory_that_cannot_be_written() -> None:
    """Is the caller's to tell."""
    with pytest.raises(OSError, match="No such file"):
        ensure(Path("/nonexistent/lbproxy"), NAMES, NOW)
