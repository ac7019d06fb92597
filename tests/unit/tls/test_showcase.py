"""What a worker shows, made when it is asked for."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from lbproxy.config.model import Address, CertificateConfig, ListenConfig, ListenTlsConfig
from lbproxy.errors import StartError
from lbproxy.tls import contexts, edition, showcase
from lbproxy.tls.contexts import credentials, held_of, outer_context, read_pem
from lbproxy.tls.edition import Edition
from lbproxy.tls.keystore import KeyStore
from lbproxy.tls.showcase import Showcase, arm, server_context
from tests.unit.tls.files import pair
from tests.unit.tls.wire import connect, talk

HERE = Address("127.0.0.1", 0)
RSA = rsa.generate_private_key(65537, 2048)


def client(signatures: str = "") -> ssl.SSLContext:
    """One that verifies nothing; `signatures`: "RSA" or "ECDSA", the only ones it can check (TLS 1.2)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if signatures:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(f"ECDHE+a{signatures}")
    return context


def shown(server: ssl.SSLContext, name: str | None, signatures: str = "") -> bytes:
    got = connect(client(signatures), server, name).client.getpeercert(binary_form=True)
    assert got is not None
    return got


def der(files: CertificateConfig) -> bytes:
    return ssl.PEM_cert_to_DER_cert(files.cert.read_text())


def begun(listen: ListenConfig) -> tuple[ssl.SSLContext, Showcase]:
    store = KeyStore()
    outer = outer_context(listen)
    return outer, arm(outer, credentials(listen, [read_pem(files, store) for files in listen.pairs]))


@pytest.fixture
def both(tmp_path: Path) -> tuple[CertificateConfig, CertificateConfig]:
    return pair(tmp_path, "a.test", key=RSA, stem="rsa"), pair(tmp_path, "a.test", stem="ec")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_clients_of_either_kind_of_key_are_served(
    both: tuple[CertificateConfig, CertificateConfig], tmp_path: Path, order: tuple[int, int]
) -> None:
    """Whichever of the two comes first, as the default and beside others; a client that can check both gets the cheap one."""
    few = [both[index] for index in order]
    for listen, name in ((ListenConfig(HERE, tuple(few)), None), (ListenConfig(HERE, (pair(tmp_path, "b.test"), *few)), "a.test")):
        server = server_context(listen)
        assert shown(server, name, "RSA") == der(both[0])
        assert shown(server, name, "ECDSA") == der(both[1])
        assert shown(server, name) == der(both[1])


def test_a_pair_of_both_kinds_needs_no_python_in_the_handshake(both: tuple[CertificateConfig, CertificateConfig]) -> None:
    assert server_context(ListenConfig(HERE, both)).sni_callback is None


def test_contexts_are_made_when_somebody_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for each name, and not again; of many the one that was asked for longest ago goes."""
    monkeypatch.setattr(showcase, "MOST", 2)
    files = [pair(tmp_path, f"{name}.test") for name in "abcd"]
    server, made = begun(ListenConfig(HERE, tuple(files)))
    count = 0

    def counting(*args: object) -> ssl.SSLContext:
        nonlocal count
        count += 1
        return outer_context(*args)  # type: ignore[arg-type]  # as they come

    monkeypatch.setattr(showcase, "outer_context", counting)
    for name, so_far in (("a", 0), ("b", 1), ("c", 2), ("b", 2), ("d", 3), ("b", 3), ("c", 4)):
        assert shown(server, f"{name}.test") == der(files["abcd".index(name)])
        assert count == so_far
    assert len(made._made) == 2


def test_one_that_cannot_be_made_is_told_of_and_the_default_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its key does not fit, as nobody could know of one among very many: once, and whoever asks is served."""
    good, bad, other = pair(tmp_path, "a.test"), pair(tmp_path, "b.test"), pair(tmp_path, "c.test")
    monkeypatch.setattr(contexts, "TRIED", 0)
    server, made = begun(ListenConfig(HERE, (good, CertificateConfig(bad.cert, other.key))))
    told: list[str] = []
    made.on_fault = told.append
    for _ in range(2):
        assert shown(server, "b.test") == der(good)
    assert len(told) == 1
    assert "KEY_VALUES_MISMATCH" in told[0]


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    """Where the listener says so, with the alert for it."""
    listen = ListenConfig(HERE, (pair(tmp_path, "a.test"),), ListenTlsConfig(unknown_name="refuse"))
    server, _ = begun(listen)
    talk(connect(client(), server, "a.test"))
    for name in ("b.test", None):
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        with pytest.raises(ssl.SSLWantReadError):
            client().wrap_bio(down, up, server_hostname=name).do_handshake()
        with pytest.raises(ssl.SSLError, match="CALLBACK_FAILED"):
            server.wrap_bio(up, down, server_side=True).do_handshake()
        assert down.read() == bytes.fromhex("15 0303 0002 02 70")  # RFC 6066 section 3
    served = server_context(replace(listen, tls=ListenTlsConfig()))
    assert shown(served, "b.test") == der(listen.pairs[0])


# ---------------------------------------------------------------- renewals


def renewed(made: Showcase, *pairs: CertificateConfig, first: int = 0, whole: bool = False) -> None:
    """As the master does it, from the files as they are now."""
    store = made._shown.held[0].pem.store
    held = {first + number: held_of(read_pem(pair, store)) for number, pair in enumerate(pairs)}
    made.renew(*edition.write(store, Edition(whole, held)))


@pytest.mark.parametrize("many", [False, True])
def test_a_renewed_pair_is_shown_and_tickets_resume(tmp_path: Path, many: bool) -> None:
    """As the default, alone or beside others."""
    pairs = [pair(tmp_path, "a.test"), *([pair(tmp_path, "b.test")] if many else [])]
    server, made = begun(ListenConfig(HERE, tuple(pairs)))
    here = client()
    before = connect(here, server, "a.test")
    talk(before)
    fresh = pair(tmp_path, "a.test")
    renewed(made, fresh)
    assert shown(server, "a.test") == der(fresh)
    assert connect(here, server, "a.test", before.client.session).server.session_reused
    assert (server.sni_callback is None) is not many


def test_one_of_the_others_is_renewed(tmp_path: Path) -> None:
    """Also when somebody was lent the old one, and when it stands for other names than before."""
    first, second = pair(tmp_path, "a.test"), pair(tmp_path, "b.test")
    server, made = begun(ListenConfig(HERE, (first, second)))
    assert shown(server, "b.test") == der(second)
    second = pair(tmp_path, "b.test")
    renewed(made, second, first=1)
    assert shown(server, "b.test") == der(second)
    second = pair(tmp_path, "b.test", "c.test")
    renewed(made, second, first=1)
    assert shown(server, "c.test") == der(second)
    assert shown(server, "a.test") == der(first)


def test_another_kind_of_key_takes_the_place_of_the_only_one(tmp_path: Path) -> None:
    """Nobody is shown the old one any more, though OpenSSL cannot take it out of a context."""
    server, made = begun(ListenConfig(HERE, (pair(tmp_path, "a.test", key=RSA),)))
    fresh = pair(tmp_path, "a.test")
    renewed(made, fresh)
    assert {shown(server, name) for name in ("a.test", "other.test", None)} == {der(fresh)}
    with pytest.raises(ssl.SSLError):
        shown(server, "a.test", "RSA")
    back = pair(tmp_path, "a.test", key=RSA)
    renewed(made, back)
    assert shown(server, None, "RSA") == der(back)


def test_pairs_come_and_go(tmp_path: Path) -> None:
    """The first of those that are left is the default."""
    a, b, c = (pair(tmp_path, f"{name}.test") for name in "abc")
    server, made = begun(ListenConfig(HERE, (a, b)))
    renewed(made, b, c, whole=True)
    assert {name: shown(server, name) for name in ("b.test", "c.test", "a.test", None)} == {
        "b.test": der(b), "c.test": der(c), "a.test": der(b), None: der(b),
    }  # fmt: skip


def test_what_does_not_fit_changes_nothing(tmp_path: Path) -> None:
    """Nobody is shown half of it."""
    first, other = pair(tmp_path, "a.test"), pair(tmp_path, "b.test", stem="b")
    server, made = begun(ListenConfig(HERE, (first,)))
    with pytest.raises(StartError, match="MISMATCH"):
        renewed(made, CertificateConfig(other.cert, first.key))
    assert shown(server, "a.test") == der(first)


def test_an_edition_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Dates to the second, names, places in the store."""
    store = KeyStore()
    held = held_of(read_pem(pair(tmp_path, "a.test", "10.0.0.1"), store))._replace(terms=(), notes=())  # what only masters tell
    made = Edition(True, {3: held})
    assert edition.read(store, edition.write(store, made)) == made
    store.wipe(held.pem.key)
    with store.shown(held.pem.key) as content:
        assert not any(content)
    with store.shown(held.pem.cert) as content:
        assert bytes(content).startswith(b"-----BEGIN")
