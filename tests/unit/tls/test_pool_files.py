"""A pool's files on their way to a process that has none of them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from lbproxy.config.model import PoolConfig, PoolTlsConfig
from lbproxy.tls import contexts, pool_files
from lbproxy.tls.contexts import PoolPem
from lbproxy.tls.keystore import KeyStore, Piece
from lbproxy.tls.pool_files import PoolPieces
from tests.unit.tls.handshakes import Issuer


def test_all_of_them(tmp_path: Path) -> None:
    """In a store that holds nothing else; they make the same context there."""
    issuer = Issuer(tmp_path)
    cert, key = issuer.issue("me")
    pool = PoolConfig("app", (), tls=PoolTlsConfig(ca=issuer.file, crl=issuer.write_list(), cert=cert, key=key))
    with closing(KeyStore()) as store, closing(KeyStore()) as others:
        store.note(b"somebody else's")
        read = contexts.read_pool(pool, store)
        made = contexts.client_context(pool, read)
        pieces = pool_files.heard(pool_files.told(pool_files.copied(pool, read, made, others)))
        assert None not in pieces
        assert others.text(0, 1000).find(b"somebody") < 0
        there = pool_files.context_of(pool, pieces, others)
    assert there.get_ca_certs() == made.get_ca_certs() != []
    assert there.verify_flags == made.verify_flags


def test_a_pool_may_have_no_files() -> None:
    assert pool_files.pieces_of(PoolPem(KeyStore(), None, None)) == PoolPieces(None, None, None, None)
    nothing = PoolPieces(None, Piece(1, 2), None, None)
    assert pool_files.heard(pool_files.told(nothing)) == nothing


@pytest.mark.parametrize("text", ["", "[]", "3", "[null]", "[[1],[1],[1],[1]]", '[["a","b"],null,null,null]', "{}"])
def test_nonsense(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # whichever it is
        pool_files.heard(text)
