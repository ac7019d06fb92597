"""Servers that sets of keys are fetched from are believed when somebody of the file, or of the machine, has signed for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lbproxy.config import model
from lbproxy.errors import StartError
from lbproxy.tls.key_servers import certificates, contexts, take
from lbproxy.tls.keystore import KeyStore
from tests.unit.tls.files import ec_key, key_pem
from tests.unit.tls.handshakes import Issuer, Joined, serving


@pytest.fixture
def store() -> Iterator[KeyStore]:
    with closing(KeyStore()) as made:
        yield made


def by(ca: Path) -> model.Config:
    jwt = model.JwtConfig(jwks_url="https://idp.test/", jwks_ca=ca)
    return model.Config("a.toml", (), (model.RouteConfig("app", jwt=jwt),), (model.PoolConfig("app", ()),))


def test_comments_in_any_language(tmp_path: Path, store: KeyStore) -> None:
    """Bundles have names of authorities between the certificates, which are not always ASCII; both authorities count."""
    path, issuers = tmp_path / "ca.pem", [Issuer(tmp_path, "one"), Issuer(tmp_path, "other")]
    path.write_bytes("# Főtanúsítvány\n".encode() + issuers[0].file.read_bytes() + b"# \xff\n" + issuers[1].file.read_bytes())
    [context] = contexts(by(path), {path: certificates(store, take(path, store))}).values()
    for issuer in issuers:
        Joined(context, serving(*issuer.issue("idp.test")), "idp.test").shake()


def test_what_is_no_authority(tmp_path: Path, store: KeyStore) -> None:
    """Is told by its path: what is not there, no file, or has no certificate, and a key that stands there goes nowhere."""
    path = tmp_path / "ca.pem"
    secret = key_pem(ec_key())
    for content in (b"", b"none", secret, b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"):
        path.write_bytes(content)
        with pytest.raises(StartError, match=str(path)):
            contexts(by(path), {path: certificates(store, take(path, store))})
    for missing in (tmp_path, tmp_path / "gone.pem"):
        with pytest.raises(StartError, match=str(missing)):
            take(missing, store)
    path.write_bytes(secret + Issuer(tmp_path, "one").file.read_bytes())
    assert b"PRIVATE" not in store.text(*take(path, store))
