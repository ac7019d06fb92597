"""Handshakes in memory, and an authority whose certificates are made to order and revoked."""

from __future__ import annotations

import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.unit.tls.files import NOW, ec_key, key_pem, write

SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


class Issuer:
    """An authority of its own, in a folder. Without `proper` its certificates lack what RFC 5280 wants of their form, as those of
    many that were made by hand do."""

    def __init__(self, folder: Path, name: str = "root", *, proper: bool = True) -> None:
        self._proper = proper
        self._folder = folder
        self._name = name
        self._key = ec_key()
        self._subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._count = 0
        self._revoked: list[int] = []
        builder = self._builder(self._subject, self._key, timedelta(hours=-1), timedelta(days=30))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        if self._proper:
            builder = builder.add_extension(SIGNS, critical=True)
        self.certificate = builder.sign(self._key, hashes.SHA256())
        self.file = write(folder / f"{name}.pem", self.certificate.public_bytes(Encoding.PEM), 0o644)

    def _builder(self, subject: x509.Name, key: Any, start: timedelta, end: timedelta) -> x509.CertificateBuilder:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + start)
            .not_valid_after(NOW + end)
        )
        if not self._proper:
            return builder
        return builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        ).add_extension(self._signer(), critical=False)

    def _signer(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())

    def issue(
        self,
        *names: x509.GeneralName | str,
        start: timedelta = timedelta(hours=-1),
        end: timedelta = timedelta(days=30),
        common: str = "leaf",
    ) -> tuple[Path, Path]:
        """A leaf for these names: the files of its certificate and key."""
        self._count += 1
        key = ec_key()
        builder = self._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)]), key, start, end)
        if names:
            general = [x509.DNSName(name) if isinstance(name, str) else name for name in names]
            builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
        made = builder.sign(self._key, hashes.SHA256())
        stem = f"{self._name}-{self._count}"
        cert = write(self._folder / f"{stem}.crt", made.public_bytes(Encoding.PEM), 0o644)
        return cert, write(self._folder / f"{stem}.key", key_pem(key))

    def certify(self, other: Issuer) -> bytes:
        """The other's certificate as one that stands below this authority, in PEM."""
        builder = self._builder(other._subject, other._key, timedelta(hours=-1), timedelta(days=30))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        return builder.add_extension(SIGNS, critical=True).sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def revoke(self, cert: Path) -> None:
        """From the next list on."""
        self._revoked.append(x509.load_pem_x509_certificate(cert.read_bytes()).serial_number)

    def write_list(self, *, end: timedelta = timedelta(days=7), encoding: Encoding = Encoding.PEM, name: str = "") -> Path:
        """Those that were revoked."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._subject)
        builder = builder.last_update(NOW - timedelta(days=8)).next_update(NOW + end)
        for serial in self._revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - timedelta(days=1)).build()
            builder = builder.add_revoked_certificate(entry)
        if self._proper:
            builder = builder.add_extension(self._signer(), critical=False)
            builder = builder.add_extension(x509.CRLNumber(len(self._revoked) + 1), critical=False)
        content = builder.sign(self._key, hashes.SHA256()).public_bytes(encoding)
        return write(self._folder / (name or f"{self._name}.crl"), content, 0o644)


class Joined:
    """Two ends of a connection in memory; `shake` them."""

    def __init__(self, client: ssl.SSLContext, server: ssl.SSLContext, name: str | None = "backend.test") -> None:
        self._bios = [ssl.MemoryBIO() for _ in range(4)]
        self.client = client.wrap_bio(self._bios[0], self._bios[1], server_hostname=name)
        self.server = server.wrap_bio(self._bios[2], self._bios[3], server_side=True)

    def shake(self) -> None:
        """Raises the client's ssl.SSLError, or the server's where the client has none."""
        failures: list[ssl.SSLError] = []
        waiting = [self.client, self.server]
        for _ in range(10):
            for side in list(waiting):
                try:
                    side.do_handshake()
                    waiting.remove(side)
                except ssl.SSLWantReadError:
                    pass
                except ssl.SSLError as error:
                    failures.append(error)
                    waiting.remove(side)
                self.move()
        if failures:
            raise failures[0]
        for side in (self.server, self.client):  # tickets, and what TLS 1.3 has against a client's certificate
            try:
                if side is self.client:
                    self.server.write(b"x")
                    self.move()
                side.read(1)
            except ssl.SSLWantReadError:
                pass

    def move(self) -> None:
        """What is on its way arrives."""
        client_in, client_out, server_in, server_out = self._bios
        server_in.write(client_out.read())
        client_in.write(server_out.read())


def serving(cert: Path, key: Path) -> ssl.SSLContext:
    """A server's context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context
