"""Remarks by what was read are those by the files, and open none."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lbproxy.config.model import (
    Address,
    BackendConfig,
    CertificateConfig,
    Config,
    ListenConfig,
    ListenTlsConfig,
    PoolConfig,
    PoolTlsConfig,
)
from lbproxy.tls import contexts
from lbproxy.tls.keystore import KeyStore
from lbproxy.tls.remarks import remarks
from lbproxy.tls.stored import sources
from tests.unit.tls.handshakes import Issuer


def test_remarks_of_what_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dates of a pair, of authorities and of a list of revoked certificates, a listener's and a pool's."""
    issuer = Issuer(tmp_path)
    crl = issuer.write_list()
    ours = issuer.issue("me")
    tls = ListenTlsConfig(client_ca=issuer.file, client_crl=crl, client_auth="required")
    listen = ListenConfig(Address("127.0.0.1", 443), (CertificateConfig(*issuer.issue("a.test")),), tls)
    pool = PoolConfig(
        "app", (BackendConfig(Address("127.0.0.1", 9)),), tls=PoolTlsConfig(ca=issuer.file, crl=crl, cert=ours[0], key=ours[1])
    )
    config = Config("", (listen,), (), (pool,))
    later = datetime.now(UTC) + timedelta(days=400)
    expected = remarks(config).at(later)
    assert len(expected) >= 6
    with closing(KeyStore()) as store:
        shown = contexts.credentials(listen, contexts.read_pems(listen.pairs, store))
        pems = {"app": contexts.read_pool(pool, store)}
        stored = sources(config, [shown, None], pems)

        def nothing(*_: object) -> int:
            raise AssertionError("a file is opened")

        monkeypatch.setattr(os, "open", nothing)
        assert remarks(config, sources=stored).at(later) == expected
        unread = replace(listen, certificates=(CertificateConfig(tmp_path / "x", tmp_path / "y"),))
        assert remarks(replace(config, listen=(unread,), pools=()), sources=stored).dated != ()
