"""The files of a pool that re-encrypts, on their way to a process that was begun without them: where they stand in a store of their
own, whose descriptor it gets."""

from __future__ import annotations

import json
import ssl
from contextlib import closing
from typing import NamedTuple

from lbproxy.config.model import CertificateConfig, PoolConfig
from lbproxy.errors import LbproxyError, StartError
from lbproxy.tls import contexts
from lbproxy.tls.contexts import PoolPem
from lbproxy.tls.keystore import KeyStore, Piece


class PoolPieces(NamedTuple):
    """A pool's files in the store."""

    ca: Piece | None
    cert: Piece | None
    key: Piece | None
    crl: Piece | None


def pieces_of(read: PoolPem) -> PoolPieces:
    """Where its files stand."""
    pair = read.pair
    return PoolPieces(read.ca, None if pair is None else pair.cert, None if pair is None else pair.key, read.crl)


def copied(pool: PoolConfig, read: PoolPem, context: ssl.SSLContext, store: KeyStore) -> PoolPieces:
    """Into a store for others. Where the pool trusts the authorities of this machine they go along, as its `context` has them:
    files outside their walls are none for them."""
    pieces = pieces_of(read.copied(store))
    if pool.tls is None or pieces.ca is not None or not pool.tls.verify:
        return pieces
    system = "".join(ssl.DER_cert_to_PEM_cert(der) for der in context.get_ca_certs(binary_form=True))
    return pieces._replace(ca=store.note(system.encode("ascii"))) if system else pieces


def context_of(pool: PoolConfig, pieces: PoolPieces, store: KeyStore) -> ssl.SSLContext:
    """For connections to the pool's backends. Raises StartError."""
    settings = pool.tls
    pair = None
    if settings is not None and settings.cert and settings.key and pieces.cert and pieces.key:
        pair = contexts.Pem(CertificateConfig(settings.cert, settings.key), store, pieces.cert, pieces.key)
    return contexts.client_context(pool, PoolPem(store, pieces.ca, pair, pieces.crl))


def context_from(pool: PoolConfig, pieces: str, descriptor: int) -> ssl.SSLContext:
    """The same by what `told` told, out of the store of that descriptor, which is closed then. Raises StartError."""
    with closing(KeyStore(descriptor)) as store:
        try:
            return context_of(pool, heard(pieces), store)
        except (LbproxyError, ValueError, OSError) as error:
            raise StartError(str(error)) from error


def told(pieces: PoolPieces) -> str:
    """For a message."""
    return json.dumps(pieces)


def heard(text: str) -> PoolPieces:
    """What `told` told. Raises ValueError."""
    try:
        ca, cert, key, crl = (None if one is None else Piece(int(one[0]), int(one[1])) for one in json.loads(text))
    except (TypeError, IndexError) as error:
        raise ValueError(f"no pieces: {text!r}") from error
    return PoolPieces(ca, cert, key, crl)
