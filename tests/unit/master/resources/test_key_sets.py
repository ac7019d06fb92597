"""Authorities of servers that sets of keys are fetched from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import trustme

from lbproxy.config import model
from lbproxy.errors import StartError
from lbproxy.master.resources import key_sets
from lbproxy.tls import key_servers
from lbproxy.tls.keystore import KeyStore
from tests.unit.master.watches.test_key_sets import IDP, config


@pytest.fixture
def store() -> Iterator[KeyStore]:
    with closing(KeyStore()) as made:
        yield made


def test_files_of_authorities(tmp_path: Path, store: KeyStore) -> None:
    """What is none is told before anything starts; without one the system's are trusted, and who is not verified needs none."""
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    good = config(model.JwtConfig(jwks_url="https://a.test/", jwks_ca=tmp_path / "ca.pem"), IDP, model.JwtConfig(jwks_url="http://b.test/"))
    assert key_sets.complaints(good) == []
    made = key_servers.contexts(good, key_sets.authorities(good, store))
    assert set(made) == {keys.name for keys in good.key_sets[:2]}
    assert all(context.check_hostname for context in made.values())
    loose = config(model.JwtConfig(jwks_url="https://a.test/", jwks_verify=False))
    [context] = key_servers.contexts(loose, {}).values()
    assert not context.check_hostname
    (tmp_path / "no.pem").write_text("none")
    for path in (tmp_path / "no.pem", tmp_path / "gone.pem", tmp_path):
        bad = config(model.JwtConfig(jwks_url="https://a.test/", jwks_ca=path))
        [complaint] = key_sets.complaints(bad)
        assert complaint.key == "route.jwt.jwks_ca"
        with pytest.raises(StartError):
            key_servers.contexts(bad, key_sets.authorities(bad, store))
