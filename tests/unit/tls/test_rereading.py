"""What changed on disk is told as good only if it is what was judged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lbproxy.config.model import CertificateConfig, ListenTlsConfig, PoolTlsConfig
from lbproxy.tls import edition, rereading
from lbproxy.tls.keystore import KeyStore, Stamp
from lbproxy.tls.rereading import Reread, TrustFiles
from tests.unit.tls.handshakes import Issuer


@pytest.fixture
def inbox() -> Iterator[KeyStore]:
    with closing(KeyStore()) as made:
        yield made


def carried(told: Any) -> list[Reread]:
    return [Reread.of(*each) for each in json.loads(json.dumps(told))]


def test_pairs(tmp_path: Path, inbox: KeyStore) -> None:
    """Each by itself: one that is good, and one that is not; the key goes to the vault, where there is one."""
    issuer, passed = Issuer(tmp_path), list[str]()
    good, bad = CertificateConfig(*issuer.issue("a.test")), CertificateConfig(*issuer.issue("b.test"))
    bad.key.write_bytes(good.key.read_bytes())
    first, second = carried(rereading.pairs([good, bad], inbox, passed.append))
    assert passed[:2] == [str(good.cert), str(good.key)]
    assert "does not match" in second.why
    assert first.stamps == {path: Stamp.at(path) for path in (good.cert, good.key)}
    with closing(KeyStore()) as store, closing(KeyStore(beside=store)) as vault:
        held = rereading.pair_of(first, good, inbox, store, vault)
        assert held.candidate.names.dns == ("a.test",)
        assert vault.text(*held.pem.key) == good.key.read_bytes()
        assert b"PRIVATE" not in store.text(0, 100_000)
        assert store.stamps == first.stamps


def test_somebody_writes_at_it(tmp_path: Path, inbox: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between judging and reading: neither good nor bad."""
    issuer = Issuer(tmp_path)
    pair, other = CertificateConfig(*issuer.issue("a.test")), CertificateConfig(*issuer.issue("b.test"))
    before = edition.told_pair

    def late(one: Any) -> list[Any]:
        inbox.digests[pair.cert] = b"another"
        return before(one)

    monkeypatch.setattr(edition, "told_pair", late)
    one, _ = carried(rereading.pairs([pair, other], inbox, print))
    assert (one.why, one.told) == ("", None)


def test_trust(tmp_path: Path, inbox: KeyStore) -> None:
    """Of a listener and of a pool, as somebody who goes by it has it then; what a pool shows likewise."""
    issuer = Issuer(tmp_path)
    crl = issuer.write_list()
    cert, key = issuer.issue("me")
    tls = PoolTlsConfig(ca=issuer.file, crl=crl, cert=cert, key=key)
    listen = ListenTlsConfig(client_ca=issuer.file, client_crl=crl)
    wanted = [TrustFiles(listen), TrustFiles(None, tls), TrustFiles(None, tls, shown=True)]
    listener, pool, shown = carried(rereading.trusts(wanted, datetime.now(UTC), inbox, print))
    with closing(KeyStore()) as store:
        found = rereading.authorities_of(listener, inbox, store)
        assert store.text(*found.piece) == issuer.file.read_bytes()
        assert found.lists is not None
        ca, lists = rereading.pool_trust_of(pool, inbox, store)
        assert ca is not None
        assert lists is not None
        assert store.text(*ca) == issuer.file.read_bytes()
        assert store.text(*lists) == store.text(*found.lists)
        assert rereading.pair_of(shown, CertificateConfig(cert, key), inbox, store, None).candidate.kind == "EC"
    issuer.file.write_text("nothing")
    cut = carried(rereading.trusts(wanted[:1], datetime.now(UTC), inbox, print))
    assert "no certificate" in cut[0].why
