"""Verification of certificates: the same under every Python, and chosen in one place."""

from __future__ import annotations

import ast
import ssl
from pathlib import Path

import pytest

import lbproxy
from lbproxy.config.model import Address, CertificateConfig, ListenConfig, ListenTlsConfig, PoolConfig, PoolTlsConfig
from lbproxy.tls import verification
from lbproxy.tls.contexts import client_context, outer_context
from tests.unit.tls.handshakes import Issuer, Joined, serving

WORDS = {"create_default_context", "verify_flags", "PROTOCOL_TLS_CLIENT"}


def test_it_is_chosen_in_one_place() -> None:
    """No other file of lbproxy makes a context that verifies, or says what it is to verify."""
    faults = []
    for path in sorted(Path(lbproxy.__file__).parent.rglob("*.py")):
        named = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        if named & WORDS and path.name != "verification.py":
            faults.append(f"{path}: {sorted(named & WORDS)}")
    assert not faults, "\n".join(faults)


def test_it_does_not_depend_on_the_python() -> None:
    """Chain, name and dates, towards backends; of clients as a listener says."""
    ours, theirs = verification.client(), verification.server()
    assert (ours.verify_mode, ours.check_hostname, theirs.verify_mode) == (ssl.CERT_REQUIRED, True, ssl.CERT_NONE)
    assert ours.verify_flags == theirs.verify_flags == ssl.VERIFY_X509_TRUSTED_FIRST
    assert ours.cert_store_stats() == {"x509": 0, "crl": 0, "x509_ca": 0}
    assert ours.keylog_filename is None


def test_no_environment_gets_keys_of_sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SSLKEYLOGFILE is for browsers and for Python's default context."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    assert verification.client().keylog_filename is None


@pytest.mark.parametrize("proper", [True, False])
def test_the_form_of_certificates_is_not_asked_for(proper: bool, tmp_path: Path) -> None:
    """A backend's and a client's that have no identifiers are taken by who knows their authority; OpenSSL's strict look tells them
    apart, so the test does, too."""
    issuer = Issuer(tmp_path, proper=proper)
    shown = issuer.issue("backend.test")
    strict = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    strict.load_verify_locations(issuer.file)
    strict.verify_flags |= ssl.VERIFY_X509_STRICT
    if proper:
        Joined(strict, serving(*shown)).shake()
    else:
        with pytest.raises(ssl.SSLCertVerificationError):
            Joined(strict, serving(*shown)).shake()

    ours = client_context(PoolConfig("web", (), tls=PoolTlsConfig(ca=issuer.file)))
    assert not ours.verify_flags & ssl.VERIFY_X509_STRICT
    Joined(ours, serving(*shown)).shake()

    tls = ListenTlsConfig(client_ca=issuer.file, client_auth="required")
    listener = outer_context(ListenConfig(Address("127.0.0.1", 443), (CertificateConfig(*shown),), tls))
    listener.load_cert_chain(*shown)
    ours.load_cert_chain(*shown)
    Joined(ours, listener).shake()
