"""A handshake whose signature is made elsewhere is one like any other; what that place does not sign fails it cleanly."""

from __future__ import annotations

import gc
import socket
import ssl
import time
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from lbproxy.errors import StartError
from lbproxy.tls import remote_key
from lbproxy.tls.contexts import Pem, read_pem
from lbproxy.tls.keystore import KeyStore
from lbproxy.tls.remote_key import RemoteKeys
from lbproxy.tls.signer import Signer
from lbproxy.tls.signing import DONE, ECDSA, PKCS1, PSS, REFUSED, SigningQuestion
from tests.unit.tls.files import Key, certificate, key_pem, pair, write

KEYS: dict[str, Key] = {
    "RSA": rsa.generate_private_key(65537, 2048),
    "RSA of an odd size": rsa.generate_private_key(65537, 2047),
    "P-256": ec.generate_private_key(ec.SECP256R1()),
    "P-384": ec.generate_private_key(ec.SECP384R1()),
    "P-521": ec.generate_private_key(ec.SECP521R1()),
}


class Place:
    """Where the keys are: a store, and somebody who signs with what stands in it."""

    def __init__(self) -> None:
        self.store = KeyStore()
        self.vault = KeyStore(beside=self.store)
        self.counted: list[bool] = []
        self.sock, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._thread = Thread(target=Signer(self._theirs, self.vault.fileno(), self.counted.append).serve)
        self._thread.start()

    def close(self) -> None:
        self.sock.close()
        self._thread.join()
        self._theirs.close()
        self.store.close()
        self.vault.close()


@pytest.fixture
def place() -> Iterator[Place]:
    with closing(Place()) as made:
        yield made


def shake(server: ssl.SSLContext, client: ssl.SSLContext) -> str:
    """Both sides in memory, to the end; the version that they came to."""
    here, there = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(here, there, server_hostname="site.test"), server.wrap_bio(there, here, server_side=True)
    ]  # fmt: skip
    left = list(sides)
    for _ in range(10):
        for one in list(left):
            try:
                one.do_handshake()
                left.remove(one)
            except ssl.SSLWantReadError:
                pass
    assert not left
    return sides[0].version() or ""


def client_of(pem: Pem, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(pem.files.cert))
    context.minimum_version = context.maximum_version = version
    return context


def served(tmp_path: Path, place: Place, kind: str, keys: RemoteKeys | None = None) -> tuple[ssl.SSLContext, Pem]:
    pem = read_pem(pair(tmp_path, "site.test", key=KEYS[kind]), place.store, place.vault)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (keys or RemoteKeys(place.sock)).load(context, pem)
    return context, pem


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_every_kind_of_key(tmp_path: Path, place: Place, kind: str, version: ssl.TLSVersion) -> None:
    """One signature for each handshake, made by who has the key."""
    context, pem = served(tmp_path, place, kind)
    for number in range(3):
        assert shake(context, client_of(pem, version)) == version.name.replace("_", ".")
        assert place.counted == [True] * (number + 1)


def test_a_context_outlives_whom_it_asks(tmp_path: Path, place: Place) -> None:
    """OpenSSL has the address of our function, and does not know who else holds it."""
    for kind in ("RSA", "P-256"):
        context, pem = served(tmp_path, place, kind)
        gc.collect()
        [bytes(200) for _ in range(1000)]
        shake(context, client_of(pem, ssl.TLSVersion.TLSv1_3))
    assert place.counted == [True, True]


def test_rsa_by_pkcs1(tmp_path: Path, place: Place) -> None:
    """As clients that know no PSS have it."""
    context, pem = served(tmp_path, place, "RSA")
    client = client_of(pem, ssl.TLSVersion.TLSv1_2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = client.minimum_version = client.maximum_version = ssl.TLSVersion.TLSv1_1
    for each in (context, client):
        each.set_ciphers("ECDHE-RSA-AES128-SHA:@SECLEVEL=0")
    assert shake(context, client) == "TLSv1.1"
    assert place.counted == [True]


def test_a_key_that_was_wiped_signs_no_more(tmp_path: Path, place: Place) -> None:
    """Though it was in use: the handshake fails with an alert, and the next one of another key is good."""
    keys = RemoteKeys(place.sock)
    context, pem = served(tmp_path, place, "P-256", keys)
    shake(context, client_of(pem, ssl.TLSVersion.TLSv1_3))
    place.vault.wipe(pem.key)
    with pytest.raises(ssl.SSLError):
        shake(context, client_of(pem, ssl.TLSVersion.TLSv1_3))
    assert place.counted == [True, False]
    other, pem = served(tmp_path, place, "RSA", keys)
    shake(other, client_of(pem, ssl.TLSVersion.TLSv1_3))


def test_kinds_that_cannot_be_kept_apart(tmp_path: Path, place: Place) -> None:
    """Are refused when they are loaded."""
    key = ed25519.Ed25519PrivateKey.generate()
    files = pair(tmp_path, "site.test")
    write(files.key, key_pem(key))  # type: ignore[arg-type]
    write(files.cert, _ed25519(key), 0o644)
    pem = read_pem(files, place.store, place.vault)
    with pytest.raises(StartError, match="neither RSA nor EC"):
        RemoteKeys(place.sock).load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), pem)


def _ed25519(key: ed25519.Ed25519PrivateKey) -> bytes:
    from datetime import timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    plain = x509.load_pem_x509_certificate(certificate(KEYS["P-256"], "site.test"))
    builder = x509.CertificateBuilder(plain.subject, plain.subject, key.public_key(), 7)
    start = plain.not_valid_before_utc
    return builder.not_valid_before(start).not_valid_after(start + timedelta(days=9)).sign(key, None).public_bytes(Encoding.PEM)


def test_one_that_does_not_answer(tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is given up after a while, told once, and asked no more until there is another."""
    monkeypatch.setattr(remote_key, "PATIENCE", 0.05)
    deaf, other_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    keys = RemoteKeys(deaf)
    told: list[bool] = []
    keys.on_silence = lambda: told.append(True)
    context, pem = served(tmp_path, place, "P-256", keys)
    for _ in range(2):
        with pytest.raises(ssl.SSLError):
            shake(context, client_of(pem, ssl.TLSVersion.TLSv1_3))
    assert told == [True]
    keys.reconnect(place.sock)
    shake(context, client_of(pem, ssl.TLSVersion.TLSv1_3))
    other_end.close()


def test_what_a_hostile_worker_asks(tmp_path: Path, place: Place) -> None:
    """Is refused, whatever it is, and the next question is answered."""
    _, pem = served(tmp_path, place, "P-256")
    at, size = pem.key
    sock = place.sock
    good = SigningQuestion(ECDSA, at, size, bytes(32))
    hostile = [
        b"x", good.packed()[:16], bytes(5000), good._replace(kind=9).packed(), good._replace(data=bytes(31)).packed(),
        good._replace(offset=at + 1).packed(), good._replace(size=size - 5).packed(), good._replace(offset=2**63).packed(),
        good._replace(size=2**32 - 1).packed(), good._replace(size=0).packed(),
        good._replace(kind=PSS, data=bytes(255) + b"\xbc").packed(), good._replace(kind=PKCS1, data=bytes(36)).packed(),
    ]  # fmt: skip
    for question in hostile:
        sock.send(question)
        assert sock.recv(4096) == REFUSED
    sock.send(good.packed())
    assert sock.recv(4096).startswith(DONE)
    assert place.counted == [False] * len(hostile) + [True]
    before = time.monotonic()
    sock.shutdown(socket.SHUT_WR)  # and it leaves
    assert time.monotonic() - before < 60
