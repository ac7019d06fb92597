"""What is asked of clients by the name that they ask for, in handshakes in memory with what a worker shows."""

from __future__ import annotations

import ctypes
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from lbproxy.config.model import Address, CertificateConfig, ListenConfig, ListenTlsConfig, NameTlsConfig
from lbproxy.errors import StartError
from lbproxy.tls import edition, openssl
from lbproxy.tls.client_authorities import read_authorities
from lbproxy.tls.contexts import credentials, outer_context, read_pem
from lbproxy.tls.edition import Edition
from lbproxy.tls.keystore import KeyStore
from lbproxy.tls.showcase import Showcase, arm
from tests.unit.tls.handshakes import Issuer, Joined

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class Site:
    """A listener with its certificates in one worker, and clients of it."""

    def __init__(self, folder: Path, store: KeyStore, **tls: object) -> None:
        self.issuer = Issuer(folder)
        pair = CertificateConfig(*self.issuer.issue("open.test", "closed.test", "half.test", "sub.closed.test"))
        self.listen = ListenConfig(Address("127.0.0.1", 443), (pair,), ListenTlsConfig(**tls))  # type: ignore[arg-type]
        self.store = store
        self.outer = outer_context(self.listen)
        self.shows: Showcase = arm(self.outer, credentials(self.listen, [read_pem(pair, store)]))

    def client(self, version: ssl.TLSVersion, shown: tuple[Path, Path] | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.issuer.file)
        context.minimum_version = context.maximum_version = version
        if shown is not None:
            context.load_cert_chain(*shown)
        return context

    def visit(self, context: ssl.SSLContext, name: str, before: Joined | None = None) -> Joined:
        """Raises ssl.SSLError when it is not let in."""
        joined = Joined(context, self.outer, name)
        if before is not None:
            joined.client.session = before.client.session
        joined.shake()
        return joined

    def lets_in(self, context: ssl.SSLContext, name: str) -> bool:
        try:
            self.visit(context, name)
        except ssl.SSLError:
            return False
        return True

    def renew_authorities(self) -> None:
        """As the master does it, when it has read the files anew."""
        found = read_authorities(self.listen, self.store)
        self.shows.renew(*edition.write(self.store, Edition(False, {}, found)))


@pytest.fixture
def store() -> Iterator[KeyStore]:
    made = KeyStore()
    yield made
    made.close()


def by_name(folder: Path) -> dict[str, object]:
    """One name is closed, one asks, all others are open."""
    clients = Issuer(folder, "clients")
    closed = NameTlsConfig(("closed.test", "*.closed.test"), clients.file, "required")
    return {"names": (closed, NameTlsConfig(("half.test",), clients.file, "optional"))}


@pytest.mark.parametrize("version", VERSIONS)
def test_each_name_asks_for_itself(tmp_path: Path, store: KeyStore, version: ssl.TLSVersion) -> None:
    """Nothing, a certificate or none, a certificate; of the wrong authority it is none anywhere that it is looked at."""
    site = Site(tmp_path, store, **by_name(tmp_path))
    clients, strangers = Issuer(tmp_path, "clients"), Issuer(tmp_path, "strangers")
    (tmp_path / "clients.pem").write_bytes(clients.file.read_bytes())
    site.renew_authorities()
    nobody, known = site.client(version), site.client(version, clients.issue("me.test"))
    stranger = site.client(version, strangers.issue("me.test"))
    assert [site.lets_in(nobody, name) for name in ("open.test", "half.test", "closed.test", "sub.closed.test")] == [
        True, True, False, False,
    ]  # fmt: skip
    assert [site.lets_in(known, name) for name in ("open.test", "half.test", "closed.test", "sub.closed.test")] == [True] * 4
    assert [site.lets_in(stranger, name) for name in ("open.test", "half.test", "closed.test")] == [True, False, False]
    assert site.visit(known, "closed.test").server.getpeercert(True)
    assert site.visit(known, "open.test").server.getpeercert(True) is None


@pytest.mark.parametrize("version", VERSIONS)
def test_how_deep_a_chain_may_be(tmp_path: Path, store: KeyStore, version: ssl.TLSVersion) -> None:
    """So many authorities between a client's certificate and the one that is trusted, by name."""
    root, middle = Issuer(tmp_path, "clients"), Issuer(tmp_path, "middle")
    flat = NameTlsConfig(("closed.test",), root.file, "required", client_depth=0)
    site = Site(tmp_path, store, names=(flat, NameTlsConfig(("half.test",), root.file, "required", client_depth=1)))
    chain, key = middle.issue("me.test")
    chain.write_bytes(chain.read_bytes() + root.certify(middle))
    direct, through = site.client(version, root.issue("me.test")), site.client(version, (chain, key))
    assert [site.lets_in(direct, name) for name in ("closed.test", "half.test")] == [True, True]
    assert [site.lets_in(through, name) for name in ("closed.test", "half.test")] == [False, True]


def test_nothing_is_taken_before_the_handshake_is_over(tmp_path: Path, store: KeyStore) -> None:
    """Early data (RFC 8446 2.3) may be played again by anybody who heard it."""
    found = openssl.functions()
    assert found is not None
    site = Site(tmp_path, store)
    pointer = openssl.context_of(site.outer)
    assert pointer
    take = found.SSL_CTX_get_max_early_data
    take.argtypes, take.restype = [ctypes.c_void_p], ctypes.c_uint32
    assert take(pointer) == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_what_began_under_an_open_name_is_nothing_under_a_closed_one(
    tmp_path: Path, store: KeyStore, version: ssl.TLSVersion
) -> None:
    """Nor the other way round; under its own name it is resumed."""
    site = Site(tmp_path, store, **by_name(tmp_path))
    nobody = site.client(version)
    begun = site.visit(nobody, "open.test")
    assert site.visit(nobody, "open.test", begun).server.session_reused
    with pytest.raises(ssl.SSLError):
        site.visit(nobody, "closed.test", begun)
    assert not site.visit(nobody, "half.test", begun).server.session_reused
    half = site.visit(nobody, "half.test")
    assert site.visit(nobody, "half.test", half).server.session_reused
    with pytest.raises(ssl.SSLError):
        site.visit(nobody, "closed.test", half)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_revoked_certificate_is_none_at_once(tmp_path: Path, store: KeyStore, version: ssl.TLSVersion) -> None:
    """Also for whoever brings a ticket from before; the others go on, with their certificate shown anew."""
    clients = Issuer(tmp_path, "clients")
    good, bad = clients.issue("good.test"), clients.issue("bad.test")
    listed = clients.write_list()
    site = Site(tmp_path, store, client_ca=clients.file, client_auth="required", client_crl=listed)
    knows, revoked = site.client(version, good), site.client(version, bad)
    before, lost = site.visit(knows, "open.test"), site.visit(revoked, "open.test")
    assert site.visit(knows, "open.test", before).server.session_reused
    clients.revoke(bad[0])
    clients.write_list()
    site.renew_authorities()
    with pytest.raises(ssl.SSLError):
        site.visit(revoked, "open.test", lost)
    assert not site.lets_in(revoked, "open.test")
    after = site.visit(knows, "open.test", before)
    assert not after.server.session_reused
    assert site.visit(knows, "open.test", after).server.session_reused
    clients.write_list(end=timedelta(days=-1))  # out of date: nobody can tell, and nobody comes in
    site.renew_authorities()
    assert not site.lets_in(knows, "open.test")


def test_another_authority(tmp_path: Path, store: KeyStore) -> None:
    """From the moment that its file is another one; the one before is trusted no more."""
    old, new = Issuer(tmp_path, "old"), Issuer(tmp_path, "new")
    ca = tmp_path / "ca.pem"
    ca.write_bytes(old.file.read_bytes())
    site = Site(tmp_path, store, client_ca=ca, client_auth="required")
    of_old, of_new = (site.client(VERSIONS[1], issuer.issue("me.test")) for issuer in (old, new))
    assert (site.lets_in(of_old, "open.test"), site.lets_in(of_new, "open.test")) == (True, False)
    ca.write_bytes(new.file.read_bytes())
    site.renew_authorities()
    assert (site.lets_in(of_old, "open.test"), site.lets_in(of_new, "open.test")) == (False, True)


def test_expired_certificates(tmp_path: Path, store: KeyStore) -> None:
    clients = Issuer(tmp_path, "clients")
    site = Site(tmp_path, store, client_ca=clients.file, client_auth="optional")
    late = site.client(VERSIONS[1], clients.issue("me.test", end=timedelta(minutes=-1)))
    assert not site.lets_in(late, "open.test")


def test_what_a_connection_may_ask_for(tmp_path: Path, store: KeyStore) -> None:
    """The name that it was opened for, and others where nobody is asked; by an address, what its policy is."""
    site = Site(tmp_path, store, **by_name(tmp_path))
    context = site.client(VERSIONS[1])
    opened = site.visit(context, "open.test")
    agreement = site.shows.agreement(opened.server._sslobj)  # type: ignore[attr-defined]
    assert agreement is not None
    hosts = (b"open.test", b"other.test", b"closed.test", b"a.closed.test", b"half.test")
    assert [agreement.holds_for(host) for host in hosts] == [True, True, False, False, False]
    plain = Site(tmp_path, store)
    assert plain.shows.agreement(opened.server._sslobj) is None  # type: ignore[attr-defined]


def test_names_need_an_openssl_within_reach(tmp_path: Path, store: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it cannot be asked nobody is told that names were closed."""
    site = Site(tmp_path, store)
    listen = replace(site.listen, tls=ListenTlsConfig(names=(NameTlsConfig(("a.test",), site.issuer.file, "required"),)))
    monkeypatch.setattr("lbproxy.tls.openssl.functions", lambda: None)
    with pytest.raises(StartError, match=r"tls\.name"):
        credentials(listen, [read_pem(pair, store) for pair in listen.pairs])


def test_names_in_a_certificate_that_are_no_text(tmp_path: Path, store: KeyStore) -> None:
    """A client has them made as it likes: it is let in, and stays whoever it is."""
    clients = Issuer(tmp_path, "clients")
    site = Site(tmp_path, store, client_ca=clients.file, client_auth="required")
    odd = clients.issue(x509.UniformResourceIdentifier("spiffe://a.test/x,y"), common="odd")
    assert site.visit(site.client(VERSIONS[1], odd), "open.test").server.getpeercert(True)
