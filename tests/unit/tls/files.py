"""Certificate and key files made to order, good and bad ones."""

from __future__ import annotations

import base64
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from cryptography.x509.oid import NameOID

from lbproxy.config.model import CertificateConfig, Passphrase

NOW = datetime.now(UTC)

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def certificate(
    key: Key,
    *names: str,
    start: timedelta = timedelta(hours=-1),
    end: timedelta = timedelta(days=30),
    common: str = "",
    issuer: tuple[str, Key] | None = None,
) -> bytes:
    """A certificate for these DNS names and addresses as PEM; its subject is `common`, else the first of them. Self-signed unless
    the issuer's common name and key are given."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common or (names[0] if names else "nameless"))])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer[0])]) if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + start)
        .not_valid_after(NOW + end)
    )
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    if issuer:
        signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer[1].public_key())
        builder = builder.add_extension(signer, critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_general, names))), critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def trusted(plain: bytes) -> bytes:
    """The same as `openssl x509 -trustout` writes it: with what it is to be trusted for (nothing in particular) behind it."""
    der = ssl.PEM_cert_to_DER_cert(plain.decode()) + b"\x30\x00"
    text = base64.encodebytes(der)
    return b"-----BEGIN TRUSTED CERTIFICATE-----\n" + text + b"-----END TRUSTED CERTIFICATE-----\n"


def key_pem(key: Key, password: bytes | None = None, style: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    """The key as PEM, encrypted when there is a password."""
    how: KeySerializationEncryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, style, how)


def write(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def with_word(files: CertificateConfig, word: Path) -> CertificateConfig:
    """With a passphrase that stands in a file."""
    return replace(files, passphrase=Passphrase("file", (str(word),)))


def container(
    path: Path, name: str, password: bytes, key: Key | None = None, end: timedelta = timedelta(days=30)
) -> CertificateConfig:
    """A PKCS #12 file with a self-signed certificate."""
    key = key or ec_key()
    leaf = x509.load_pem_x509_certificate(certificate(key, name, end=end))
    how = BestAvailableEncryption(password) if password else NoEncryption()
    write(path, serialize_key_and_certificates(None, key, leaf, None, how))
    return CertificateConfig(path, path)


def pair(
    directory: Path,
    *names: str,
    key: Key | None = None,
    start: timedelta = timedelta(hours=-1),
    end: timedelta = timedelta(days=30),
    common: str = "",
    stem: str = "",
) -> CertificateConfig:
    """Files of a self-signed certificate, called `stem`, else after its first name."""
    key = key or ec_key()
    stem = stem or (names[0] if names else common).replace("*", "any")
    content = certificate(key, *names, start=start, end=end, common=common)
    return CertificateConfig(write(directory / f"{stem}.crt", content, 0o644), write(directory / f"{stem}.key", key_pem(key)))
