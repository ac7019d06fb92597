"""Certificates for tests: one authority, and leaves in files as a configuration names them."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_pem_x509_certificate


class Authority:
    """A root in a file, and leaves by name; the same names give the same leaf."""

    def __init__(self, root: trustme.CA, directory: Path) -> None:
        self._root, self._directory = root, directory
        self.file = directory / "root.pem"
        root.cert_pem.write_to_path(str(self.file))
        self._issued: dict[tuple[str, ...], dict[str, str]] = {}

    def issue(self, *names: str) -> dict[str, str]:
        """Files of a leaf for these names: {"cert": path, "key": path}, the key readable by its owner only."""
        if names not in self._issued:
            leaf = self._root.issue_cert(*names)
            stem = f"{len(self._issued)}-{names[0].replace('*', 'any')}"
            cert, key = self._directory / f"{stem}.pem", self._directory / f"{stem}.key"
            for blob in leaf.cert_chain_pems:
                blob.write_to_path(str(cert), append=True)
            key.touch(mode=0o600)
            leaf.private_key_pem.write_to_path(str(key))
            self._issued[names] = {"cert": str(cert), "key": str(key)}
        return dict(self._issued[names])

    def fresh(self, name: str, kind: trustme.KeyType = trustme.KeyType.ECDSA) -> trustme.LeafCert:
        """Another leaf with each call."""
        return self._root.issue_cert(name, key_type=kind)


def public_key_pin(certificate: Path) -> str:
    """Base64 of the sha256 of the leaf's public key, as browsers and curl pin it."""
    leaf = load_pem_x509_certificate(certificate.read_bytes())
    public = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b64encode(hashlib.sha256(public).digest()).decode()
