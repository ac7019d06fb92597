"""One reader of PEM texts: what OpenSSL would take, in whatever form it comes."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path

import pytest

from lbproxy.config.model import CertificateConfig
from lbproxy.tls import pem
from lbproxy.tls.contexts import load_pair, trust
from tests.unit.tls.files import certificate, ec_key, key_pem, trusted, write
from tests.unit.tls.handshakes import Issuer


def test_all_certificates_in_order() -> None:
    """Whatever stands around them."""
    first, second = certificate(ec_key(), "a.test"), certificate(ec_key(), "b.test")
    text = b"subject=a\n" + first + key_pem(ec_key()) + b"# more\n" + second
    assert pem.ders(text) == [ssl.PEM_cert_to_DER_cert(one.decode()) for one in (first, second)]
    assert pem.chain(text) == first + second


@pytest.mark.parametrize("label", ["X509 CERTIFICATE", "TRUSTED CERTIFICATE"])
def test_the_other_names_of_a_certificate(label: str) -> None:
    """OpenSSL knows two more; what a TRUSTED one is to be trusted for is not a part of it."""
    plain = certificate(ec_key(), "a.test")
    assert pem.chain(plain.replace(b"CERTIFICATE", label.encode())) == plain
    assert pem.chain(trusted(plain)) == plain


def test_a_trusted_block_is_the_first_certificate_for_everybody(tmp_path: Path) -> None:
    """The one that counts, in front of a plain one."""
    key = ec_key()
    ours, other = certificate(key, "a.test"), certificate(ec_key(), "b.test")
    files = CertificateConfig(write(tmp_path / "a.crt", trusted(ours) + other), write(tmp_path / "a.key", key_pem(key)))
    load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), files)
    assert pem.ders(files.cert.read_bytes())[0] == ssl.PEM_cert_to_DER_cert(ours.decode())


def test_texts_joined_without_a_line_end(tmp_path: Path) -> None:
    """`cat` of files that end without one: as pair, and as authorities."""
    key = ec_key()
    first, second = certificate(key, "a.test").rstrip(), certificate(ec_key(), "b.test").rstrip()
    both = write(tmp_path / "both.pem", first + second + key_pem(key))
    assert len(pem.ders(both.read_bytes())) == 2
    load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), CertificateConfig(both, both))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust(context, write(tmp_path / "ca.pem", first + second))
    assert len(context.get_ca_certs(binary_form=True)) + context.cert_store_stats()["x509"] >= 2


def test_seams_are_where_a_line_end_is_missing() -> None:
    """Keys are in these texts: they are not copied to be put right."""
    apart = certificate(ec_key(), "a.test") + key_pem(ec_key())
    assert pem.seams(apart) == []
    joined = apart.replace(b"CERTIFICATE-----\n-----BEGIN", b"CERTIFICATE----------BEGIN")
    [seam] = pem.seams(bytearray(joined))
    assert joined[:seam] + b"\n" + joined[seam:] == apart


@pytest.mark.parametrize("body", [b"AAAA", b"MIIB", b"!!", b"MA", base64.b64encode(b"\x30\x84"), base64.b64encode(b"\x30\x85\x01")])
def test_blocks_without_a_certificate(body: bytes) -> None:
    """ValueError, never another one."""
    with pytest.raises(ValueError, match=r"(?i)certificate"):
        pem.ders(b"-----BEGIN CERTIFICATE-----\n" + body + b"\n-----END CERTIFICATE-----\n")


def test_no_blocks() -> None:
    """Nothing in, nothing out."""
    assert pem.ders(b"") == pem.ders(b"-----BEGIN CERTIFICATE-----\nno end") == []


def test_names_as_they_are_written(tmp_path: Path) -> None:
    """Of whoever signed it, and of itself."""
    issuer = Issuer(tmp_path, "root")
    leaf = pem.first(issuer.issue("a.test")[0].read_bytes())
    root = pem.first(issuer.file.read_bytes())
    assert leaf is not None
    assert root is not None
    assert pem.names_of(root)[0] == pem.names_of(root)[1] == pem.names_of(leaf)[0] != pem.names_of(leaf)[1]
    assert b"root" in pem.names_of(leaf)[0]
    with pytest.raises(ValueError, match="cut short"):
        pem.names_of(leaf[:30])
