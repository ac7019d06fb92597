"""The self-signed certificate of `quick` and `demo`: made at the first run, kept for the next.

It is its own certificate authority for exactly the names it carries and may not sign others, so trusting the file (`curl --cacert`)
trusts nothing else. ECDSA P-256, at most 397 days (what browsers accept). Key and certificate are two files, so that the one can be
passed around and the other never; a lock keeps two first runs at the same time from mixing their halves.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from lbproxy.tls.files import validity

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

LIFETIME = timedelta(days=397)
RENEW_BEFORE = timedelta(days=7)
CALLED = "lbproxy quick (self-signed)"
PLACEHOLDER = "lbproxy until ACME answers (self-signed)"
CERT_NAME, KEY_NAME, LOCK_NAME = "quick.crt", "quick.key", ".lock"


@dataclass(frozen=True, slots=True)
class SelfSigned:
    cert: Path
    key: Path
    fingerprint: str
    """SHA-256 of the certificate, as browsers show it: "AB:CD:..."."""
    expires: datetime
    fresh: bool
    """Made by this call rather than found."""


def ensure(directory: Path, names: Sequence[str], now: datetime) -> SelfSigned:
    """A certificate for `names` (DNS names and IP addresses) in `directory`, which exists and is private.

    The one already there is kept when it covers the names, belongs to its key, and lasts for a week more. Raises OSError when the
    directory cannot be written. `now` carries a time zone.
    """
    cert, key = directory / CERT_NAME, directory / KEY_NAME
    with _locked(directory):
        found = _usable(cert, key, names, now)
        if found is None:
            found = _make(cert, key, names, now)
            fresh = True
        else:
            fresh = False
    der, expires = found
    digest = hashlib.sha256(der).hexdigest().upper()
    return SelfSigned(cert, key, ":".join(digest[at : at + 2] for at in range(0, 64, 2)), expires, fresh)


def placeholder(name: str, now: datetime) -> bytes:
    """Key and certificate in one text, for a name whose certificate is on its way."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    private = ec.generate_private_key(ec.SECP256R1())
    key = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return key + _sign(private, [name], now, PLACEHOLDER).public_bytes(Encoding.PEM)


def is_placeholder(certificate: x509.Certificate) -> bool:
    """Whether it is such a one."""
    return certificate.issuer == certificate.subject and PLACEHOLDER in certificate.subject.rfc4514_string()


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    lock = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)  # closing gives the lock back


def _usable(cert: Path, key: Path, names: Sequence[str], now: datetime) -> tuple[bytes, datetime] | None:
    """The certificate's DER and end when it can be used again."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    try:
        certificate = x509.load_pem_x509_certificate(cert.read_bytes())
        if os.stat(key).st_mode & 0o077:
            return None  # others could read it: it may be known
        private = load_pem_private_key(key.read_bytes(), password=None)
        covered = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, x509.ExtensionNotFound):
        return None  # absent, damaged, encrypted, not ours: a new one takes its place
    spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    start, end = validity(certificate)
    belongs = private.public_key().public_bytes(*spki) == certificate.public_key().public_bytes(*spki)
    covers = set(_general_names(names)) <= set(covered)
    if not (belongs and covers and start <= now and now + RENEW_BEFORE < end):
        return None
    return certificate.public_bytes(Encoding.DER), end


def _general_names(names: Sequence[str]) -> list[x509.GeneralName]:
    from cryptography import x509

    found: list[x509.GeneralName] = []
    for name in dict.fromkeys(names):
        try:
            found.append(x509.IPAddress(ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _make(cert: Path, key: Path, names: Sequence[str], now: datetime) -> tuple[bytes, datetime]:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    private = ec.generate_private_key(ec.SECP256R1())
    certificate = _sign(private, names, now)
    _write(key, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    _write(cert, certificate.public_bytes(Encoding.PEM), 0o644)
    return certificate.public_bytes(Encoding.DER), validity(certificate)[1]


def _sign(private: EllipticCurvePrivateKey, names: Sequence[str], now: datetime, called: str = CALLED) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, called)])
    public = private.public_key()
    start = now - timedelta(hours=1)  # clocks differ a little between machines
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(private, hashes.SHA256())
    )


def write_private(path: Path, content: bytes) -> None:
    """For its owner alone; all of it or nothing. Raises OSError."""
    _write(path, content, 0o600)


def _write(path: Path, content: bytes, mode: int) -> None:
    """All of it or nothing, and never readable to others in between."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(descriptor, mode)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
