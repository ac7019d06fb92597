"""Pairs that were read while they were judged, by processes that have ended: whoever serves them reads no file again.

Each of these processes fills a crate, which whoever forks it has made before. Certificates and keys have stores of their own, since
those who serve may want them apart (key_isolation).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from lbproxy.config.model import CertificateConfig
from lbproxy.tls.contexts import HeldPair, Pem
from lbproxy.tls.facts import heard_facts
from lbproxy.tls.keystore import KeyStore, Piece, Stamp


class Crate(NamedTuple):
    """What one process has read. `close` it."""

    certificates: KeyStore
    keys: KeyStore

    @classmethod
    def empty(cls) -> Crate:
        """Raises OSError."""
        certificates = KeyStore()
        return cls(certificates, KeyStore(beside=certificates))

    def files(self, pair: CertificateConfig) -> list[Any]:
        """Digest and stamp of certificate and key, as JSON carries them."""
        digests, stamps = self.certificates.digests, self.certificates.stamps
        return [[digests[path].hex(), stamps[path]] for path in (pair.cert, pair.key)]

    def close(self) -> None:
        """Both, also again."""
        self.certificates.close()
        self.keys.close()


class Harvest:
    """All of them, of one configuration. `close` it."""

    def __init__(self) -> None:
        self._crates: list[tuple[Crate, list[tuple[CertificateConfig, list[Any]]]]] = []

    def add(self, crate: Crate, pairs: Sequence[CertificateConfig], taken: Sequence[Any]) -> None:
        """The crate is ours from now on; `taken`: as audit_folder tells it, by number of a pair."""
        self._crates.append((crate, [(pairs[index], told) for index, *told in taken]))

    def into(self, store: KeyStore, vault: KeyStore | None) -> dict[CertificateConfig, HeldPair]:
        """Everything moves into the stores of whoever serves it; `vault`: for keys, where they have their own."""
        found: dict[CertificateConfig, HeldPair] = {}
        for crate, pairs in self._crates:
            at = store.absorb(crate.certificates)
            key_at = (vault or store).absorb(crate.keys)
            for files, (pieces, *of_files, facts) in pairs:
                cert, size, key, key_size = pieces
                for path, (digest, stamp) in zip((files.cert, files.key), of_files, strict=True):
                    store.digests[path], store.stamps[path] = bytes.fromhex(digest), Stamp(*stamp)
                pem = Pem(files, store, Piece(at + cert, size), Piece(key_at + key, key_size), vault)
                found[files] = HeldPair(pem, *heard_facts(facts))
        self.close()
        return found

    def descriptors(self) -> list[int]:
        """Of what nobody has taken yet."""
        return [store.fileno() for crate, _ in self._crates for store in crate]

    def close(self) -> None:
        """What nobody has taken is gone."""
        for crate, _ in self._crates:
            crate.close()
        self._crates.clear()
