"""Certificate and key files made to order, good and bad ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
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
from cryptography.x509.oid import NameOID

from lbproxy.config.model import Certificate

NOW = datetime.now(UTC)

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def certificate(key: Key, *names: str, start: timedelta = timedelta(hours=-1), end: timedelta = timedelta(days=30)) -> bytes:
    """A self-signed certificate for these DNS names as PEM, its subject the first of them."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0] if names else "nameless")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + start)
        .not_valid_after(NOW + end)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def key_pem(key: Key, password: bytes | None = None, style: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    """The key as PEM, encrypted when there is a password."""
    how: KeySerializationEncryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, style, how)


def write(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def pair(directory: Path, *names: str, key: Key | None = None, end: timedelta = timedelta(days=30)) -> Certificate:
    """Files of a self-signed certificate, called after its first name."""
    key = key or ec_key()
    stem = names[0].replace("*", "any")
    return Certificate(
        write(directory / f"{stem}.crt", certificate(key, *names, end=end), 0o644), write(directory / f"{stem}.key", key_pem(key))
    )
