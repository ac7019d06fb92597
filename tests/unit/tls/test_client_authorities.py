"""The files of a listener's policies."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.config.model import Address, ListenConfig, ListenTlsConfig, NameTlsConfig
from lbproxy.errors import StartError
from lbproxy.tls.client_authorities import read_authorities
from lbproxy.tls.keystore import KeyStore
from tests.unit.tls.handshakes import Issuer


def test_by_policy(tmp_path: Path) -> None:
    """None where nobody is asked."""
    issuer = Issuer(tmp_path)
    asking = NameTlsConfig(("a.test",), issuer.file, "required", issuer.write_list())
    store = KeyStore()
    own, of_name = read_authorities(ListenConfig(Address("", 0), tls=ListenTlsConfig(names=(asking,))), store)
    assert own is None
    assert of_name is not None
    assert of_name.lists is not None
    assert of_name.digest != of_name.lists_digest
    store.close()


@pytest.mark.parametrize("missing", ["ca", "crl"])
def test_files_that_are_not_there(tmp_path: Path, missing: str) -> None:
    """Told by their name."""
    issuer = Issuer(tmp_path)
    gone = tmp_path / "gone.pem"
    tls = ListenTlsConfig(
        client_ca=gone if missing == "ca" else issuer.file, client_auth="required", client_crl=gone if missing == "crl" else None
    )
    store = KeyStore()
    with pytest.raises(StartError, match=r"gone\.pem"):
        read_authorities(ListenConfig(Address("", 0), tls=tls), store)
    store.close()
