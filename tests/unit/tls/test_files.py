"""What is in certificate files, in words. How they are complained of: test_audit.py."""

from __future__ import annotations

from pathlib import Path

from cryptography.x509 import load_pem_x509_certificate

from lbproxy.tls.files import FileFault, read_chain, subject, validity
from tests.unit.tls.files import NOW, certificate, ec_key, trusted, write


def test_a_chain_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Whatever the blocks are called; what only OpenSSL might understand is None."""
    odd = b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
    chain = read_chain(write(tmp_path / "c.pem", trusted(certificate(ec_key(), "a.test")) + certificate(ec_key(), "b.test") + odd))
    assert not isinstance(chain, FileFault)
    assert [one and subject(one) for one in chain] == ["a.test", "b.test", None]


def test_a_certificate_without_an_end(tmp_path: Path) -> None:
    """A file that was cut."""
    cut = write(tmp_path / "c.pem", certificate(ec_key(), "a.test")[:200])
    assert read_chain(cut) == FileFault(f"{cut} holds a certificate that cannot be read: it has no end")


def test_validity_has_a_time_zone() -> None:
    """So that it can be compared with a clock."""
    start, end = validity(load_pem_x509_certificate(certificate(ec_key(), "a.test")))
    assert start < NOW < end


def test_a_certificate_without_names_is_called_by_its_subject() -> None:
    """As RFC 4514 writes it."""
    assert subject(load_pem_x509_certificate(certificate(ec_key(), common="Acme"))) == "CN=Acme"
