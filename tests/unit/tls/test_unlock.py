"""Keys that have to be opened: what comes out of them stands in the store, and in no memory of ours."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from lbproxy.config.model import CertificateConfig
from lbproxy.errors import StartError
from lbproxy.tls import pem
from lbproxy.tls.contexts import read_pem, read_pems
from lbproxy.tls.files import FileFault
from lbproxy.tls.keystore import KeyStore
from lbproxy.tls.unlock import Shut, chain_of, unlock
from tests.unit.tls.files import container, ec_key, key_pem, pair, with_word, write


@pytest.fixture
def word(tmp_path: Path) -> Path:
    return write(tmp_path / "word", b"secret\n")


def test_open_and_locked_pairs_together(tmp_path: Path, word: Path) -> None:
    """In their order; what was locked is plain in the store, and its file is known by its digest and stamp."""
    key = ec_key()
    locked = with_word(pair(tmp_path, "locked.test", key=key), word)
    locked.key.write_bytes(key_pem(key, b"secret"))
    plain = pair(tmp_path, "plain.test")
    both = with_word(container(tmp_path / "both.p12", "both.test", b"secret"), word)
    with closing(KeyStore()) as store:
        found = read_pems([locked, plain, both], store)
        assert [one.files for one in found] == [locked, plain, both]
        for one in found:
            with store.shown(one.key) as content:
                assert bytes(content).startswith(b"-----BEGIN PRIVATE KEY-----")
            with store.shown(one.cert) as content:
                assert len(pem.ders(bytes(content))) == 1
            assert one.files.key in store.stamps
            assert len(store.digests[one.files.key]) == 32


def test_the_chain_of_a_container_is_put_in_order(tmp_path: Path, word: Path) -> None:
    """PKCS #12 knows none; the root is left out."""
    root = trustme.CA()
    middle = root.create_child_ca()
    leaf = middle.issue_cert("site.test")
    own, signer = (x509.load_pem_x509_certificate(each.bytes()) for each in leaf.cert_chain_pems[:2])
    top = x509.load_pem_x509_certificate(root.cert_pem.bytes())
    key = load_pem_private_key(leaf.private_key_pem.bytes(), None)
    content = serialize_key_and_certificates(b"site", key, own, [top, signer], BestAvailableEncryption(b"secret"))  # type: ignore[arg-type]
    path = write(tmp_path / "site.pfx", content)
    chain = chain_of(with_word(CertificateConfig(path, path), word))
    assert not isinstance(chain, FileFault)
    assert [one and one.subject for one in chain] == [own.subject, signer.subject]


def test_what_stays_shut(tmp_path: Path, word: Path) -> None:
    """Is told in words to act on, without the passphrase."""
    both = with_word(container(tmp_path / "both.p12", "both.test", b"an0ther"), word)
    with closing(KeyStore()) as store:
        [shut] = unlock([both], store)
        assert isinstance(shut, Shut)
        assert shut.about == "cert"
        assert "does not open with its passphrase" in shut.fault.message
        assert "secret" not in " ".join(shut.fault).replace("word", "")
        with pytest.raises(StartError, match="does not open"):
            read_pem(both, store)
    assert isinstance(chain_of(both), FileFault)
    gone = CertificateConfig(tmp_path / "gone.p12", tmp_path / "gone.p12")
    assert isinstance(chain_of(gone), FileFault)


def test_a_container_without_a_key(tmp_path: Path) -> None:
    """Such as a trust store of Java's."""
    leaf = x509.load_pem_x509_certificate(pair(tmp_path, "a.test").cert.read_bytes())
    from cryptography.hazmat.primitives.serialization import NoEncryption

    path = write(tmp_path / "trust.p12", serialize_key_and_certificates(None, None, None, [leaf], NoEncryption()))
    found = chain_of(CertificateConfig(path, path))
    assert isinstance(found, FileFault)
    assert "without a key" in found.message
