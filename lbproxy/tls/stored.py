"""The content of files, by what a generation has read of them: nothing is read again, of a disk that may hang."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lbproxy.config.model import CertificateConfig, Config
from lbproxy.tls import pem
from lbproxy.tls.contexts import Credentials, PoolPem, held_of
from lbproxy.tls.facts import NO_FACTS, FileFacts
from lbproxy.tls.files import Chain, FileFault, parsed
from lbproxy.tls.keystore import KeyStore, Piece
from lbproxy.tls.remarks import Sources

if TYPE_CHECKING:
    from cryptography import x509


def sources(config: Config, shown: Iterable[Credentials | None], pools: Mapping[str, PoolPem]) -> Sources:
    """For remarks."""
    pairs: dict[tuple[Path, Path], FileFacts] = {}
    texts: dict[Path, tuple[KeyStore, Piece]] = {}
    for each in shown:
        if each is None:
            continue
        pairs |= {(one.pem.files.cert, one.pem.files.key): one.facts for one in each.held}
        for one in each.authorities:
            if one is not None:
                texts[one.path] = one.store, one.piece
                if one.lists is not None and one.lists_path is not None:
                    texts[one.lists_path] = one.store, one.lists
    for name, read in pools.items():
        if read.pair is not None:
            pairs[read.pair.files.cert, read.pair.files.key] = held_of(read.pair).facts
        tls = config.pool(name).tls
        for path, piece in ((tls.ca, read.ca), (tls.crl, read.crl)) if tls is not None else ():
            if path is not None and piece is not None:
                texts[path] = read.store, piece

    def facts(files: CertificateConfig) -> FileFacts:
        return pairs.get((files.cert, files.key), NO_FACTS)

    def authorities(path: Path) -> Chain | FileFault:
        return _certificates(*texts[path]) if path in texts else _nothing(path)

    def lists(path: Path) -> Sequence[x509.CertificateRevocationList] | FileFault:
        return _lists(*texts[path]) if path in texts else _nothing(path)

    return Sources(facts, authorities, lists)


def _nothing(path: Path) -> FileFault:
    return FileFault(f"{path} was not read")


def _certificates(store: KeyStore, piece: Piece) -> Chain:
    return [parsed(der) for der in pem.ders(store.text(*piece))]


def _lists(store: KeyStore, piece: Piece) -> Sequence[x509.CertificateRevocationList]:
    from cryptography import x509

    return [x509.load_der_x509_crl(der) for der in pem.lists(store.text(*piece))]
