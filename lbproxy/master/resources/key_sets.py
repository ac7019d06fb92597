"""Sets of keys that control fetches, as far as they have to do with files: authorities of their servers, and what a generation
inherits."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Protocol

from lbproxy.config.model import Config
from lbproxy.errors import Complaint, StartError
from lbproxy.tls.key_servers import certificates, take, trusting
from lbproxy.tls.keystore import KeyStore, Piece

_HINT = "PEM of the authority that signed the certificate of the identity provider's server"


class Holds(Protocol):
    """What is needed of a generation's resources."""

    config: Config
    keys: KeyStore | None
    documents: tuple[Piece, ...]


def complaints(config: Config) -> list[Complaint]:
    """About files of authorities."""
    found = []
    with closing(KeyStore()) as store:
        for route in config.routes:
            if route.jwt is not None and route.jwt.jwks_ca is not None:
                try:
                    trusting(_taken(route.jwt.jwks_ca, store), route.jwt.jwks_ca)
                except StartError as error:
                    found.append(Complaint(config.source, route.line, "route.jwt.jwks_ca", str(error), _HINT))
    return found


def authorities(config: Config, store: KeyStore) -> dict[Path, bytes]:
    """What the files hold; `store`: knows the files from then on. Raises StartError."""
    return {keys.ca: _taken(keys.ca, store) for keys in config.key_sets if keys.ca is not None}


def inherited(config: Config, store: KeyStore, living: Collection[Holds]) -> tuple[Piece, ...]:
    """Where the last good one of each stands, taken over from the youngest generation that has one; nothing yet, otherwise."""
    last: dict[str, bytes] = {}
    for resources in living:
        if resources.keys is not None:
            pieces = resources.documents[len(resources.config.documents) :]
            for keys, piece in zip(resources.config.key_sets, pieces, strict=True):
                if piece.size:
                    last[keys.name] = resources.keys.text(*piece)
    return tuple(store.note(last.get(keys.name, b"")) for keys in config.key_sets)


def _taken(path: Path, store: KeyStore) -> bytes:
    return certificates(store, take(path, store))
