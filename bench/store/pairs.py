"""Pairs by the thousand: ECDSA, each with the same intermediate behind it, for two names, in one folder."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


def name_of(number: int) -> str:
    """The name that its certificate stands for."""
    return f"host{number:05d}.example.com"


def make(folder: Path, count: int) -> None:
    """Into a folder that is there."""
    root, middle = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    behind = _certificate("intermediate", "root", middle, root)
    for number in range(count):
        name, key = name_of(number), ec.generate_private_key(ec.SECP256R1())
        made = _certificate(name, "intermediate", key, middle, name, f"www.{name}")
        (folder / f"{name}.crt").write_bytes(made + behind)
        path = folder / f"{name}.key"
        path.touch(mode=0o600)
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _certificate(
    subject: str, issuer: str, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey, *names: str
) -> bytes:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=60))
        .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM)
